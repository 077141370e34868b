/* A device's main: a model and one ECG from files (which a device has in its memory), nine maps to a file, and what it took of the allocator.
   device MODEL.cgm ECG.f32 SAMPLES MAPS.f32 PREDICTION.f32 LIMIT TOGETHER SAMPLES STEPS */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Small Small;
typedef struct How {
    size_t samples, steps, together;
} How;
Small *cardiograd_small_load(const uint8_t *bytes, size_t count, char *message, size_t room);
void cardiograd_small_free(Small *small);
size_t cardiograd_small_memory(const Small *small, size_t samples, How how);
int cardiograd_small_explain(const Small *small, const float *ecg, size_t samples, How how, float *maps, float *prediction, char *message, size_t room);
size_t cardiograd_small_bytes_now(void);
size_t cardiograd_small_bytes_most(void);

static void *whole(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
    *count = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*count + 1);
    if (bytes != NULL && fread(bytes, 1, *count, file) != *count) bytes = NULL;
    fclose(file);
    return bytes;
}

static int written(const char *path, const float *values, size_t count) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return 0;
    size_t done = fwrite(values, sizeof(float), count, file);
    return fclose(file) == 0 && done == count;
}

int main(int argc, char **argv) {
    if (argc != 10) return 2;
    char message[300];
    size_t count, size, samples = (size_t)atol(argv[3]), limit = (size_t)atol(argv[6]);
    How how = {(size_t)atol(argv[8]), (size_t)atol(argv[9]), (size_t)atol(argv[7])};
    uint8_t *model = whole(argv[1], &count);
    float *ecg = whole(argv[2], &size), prediction;
    float *maps = malloc(9 * 12 * samples * sizeof(float));
    if (model == NULL || ecg == NULL || maps == NULL || size != 12 * samples * sizeof(float)) return 2;

    /* What is no model is refused in a line. */
    if (cardiograd_small_load(model, count / 2, message, sizeof message) != NULL || strstr(message, "the model: ") != message) return 3;
    if (cardiograd_small_bytes_now() != 0) return 4;

    Small *small = cardiograd_small_load(model, count, message, sizeof message);
    if (small == NULL) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    size_t weights = cardiograd_small_bytes_now();
    size_t known = cardiograd_small_memory(small, samples, how);
    size_t before = cardiograd_small_bytes_now();
    cardiograd_small_bytes_most();
    if (cardiograd_small_explain(small, ecg, samples, how, maps, &prediction, message, sizeof message) != 0) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    size_t most = cardiograd_small_bytes_most();
    printf("network %zu bytes; beside it explaining takes at most %zu, took %zu (%zu of them already when it was asked)\n", weights, known, most - weights, before - weights);
    if (most - weights > known) {
        fprintf(stderr, "more than was said\n");
        return 5;
    }
    if (limit != 0 && most - weights > limit) {
        fprintf(stderr, "more than %zu\n", limit);
        return 6;
    }
    cardiograd_small_free(small);
    return written(argv[4], maps, 9 * 12 * samples) && written(argv[5], &prediction, 1) ? 0 : 7;
}
