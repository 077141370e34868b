/* Explains one ECG: explain MODEL.cgm ECG.f32 METHOD > MAP.f32
 *
 *   cc explain.c $(pkg-config --cflags --libs cardiograd) -o explain
 *
 * ECG.f32 holds float32 samples in microvolts, channel after channel; so does the map. */
#include <cardiograd.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned char *whole(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*count ? *count : 1);
    if (bytes && fread(bytes, 1, *count, file) != *count) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    char line[256];
    size_t model_size = 0, ecg_size = 0, channels, samples, outputs;
    cardiograd_model *model = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: explain MODEL.cgm ECG.f32 METHOD > MAP.f32\n");
        return 2;
    }
    unsigned char *bytes = whole(argv[1], &model_size), *ecg = whole(argv[2], &ecg_size);
    if (!bytes || !ecg) {
        fprintf(stderr, "a file cannot be read\n");
        return 1;
    }
    int code = cardiograd_model_load(bytes, model_size, 0, &model, line, sizeof line);
    if (code == CARDIOGRAD_OK) code = cardiograd_model_shape(model, &channels, &samples, &outputs, line, sizeof line);
    if (code == CARDIOGRAD_OK) {
        if (channels == 0) channels = 12;
        if (samples == 0) samples = ecg_size / sizeof(float) / channels;
        float *map = calloc(channels * samples, sizeof(float)), prediction = 0;
        cardiograd_ecgs one = {(const float *)ecg, 1, channels, samples, 0};
        if (ecg_size != channels * samples * sizeof(float)) {
            fprintf(stderr, "the model takes %zu x %zu samples\n", channels, samples);
            code = CARDIOGRAD_USAGE;
            line[0] = 0;
        } else {
            code = cardiograd_explain(model, one, argv[3], NULL, map, &prediction, line, sizeof line);
        }
        if (code == CARDIOGRAD_OK) {
            fprintf(stderr, "prediction %g\n", prediction);
            fwrite(map, sizeof(float), channels * samples, stdout);
        }
        free(map);
    }
    if (code != CARDIOGRAD_OK) fprintf(stderr, "%s\n", line);
    cardiograd_model_free(model);
    free(bytes);
    free(ecg);
    return code;
}
