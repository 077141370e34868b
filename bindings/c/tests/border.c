/* What the border to C promises: bytes of the command line from several threads, and refusals of everything else. border MODEL.cgm ECGS.f32 N METHODS
 * MAPS.f32 PREDICTIONS.f32 writes what it finds for the script to compare. */
#include <cardiograd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int faults = 0;
static char line[256];

#define HOLDS(what)                                                                                                                                  \
    do {                                                                                                                                             \
        if (!(what)) {                                                                                                                               \
            fprintf(stderr, "border.c:%d: %s does not hold (%s)\n", __LINE__, #what, line);                                                          \
            faults++;                                                                                                                                \
        }                                                                                                                                            \
    } while (0)

/* A refusal has its code and one line that says so. */
static int refused(int code, int expected, const char *says) {
    int holds = code == expected && strstr(line, says) && !strchr(line, '\n') && strlen(line) < sizeof line;
    if (!holds) fprintf(stderr, "code %d for %d, line '%s' for '%s'\n", code, expected, line, says);
    return holds;
}

static unsigned char *whole(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (!file) exit(3);
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*count + 1);
    if (!bytes || fread(bytes, 1, *count, file) != *count) exit(3);
    fclose(file);
    return bytes;
}

static void put(const char *path, const float *values, size_t count) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(values, sizeof(float), count, file) != count || fclose(file)) exit(3);
}

struct work {
    const cardiograd_model *model;
    cardiograd_ecgs ecgs;
    const char *methods;
    const cardiograd_settings *settings;
    const float *expected;
    size_t count;
    int same;
};

static void *again(void *given) {
    struct work *work = given;
    char own[128];
    float *maps = malloc(work->count * sizeof(float));
    int code = cardiograd_explain(work->model, work->ecgs, work->methods, work->settings, maps, NULL, own, sizeof own);
    work->same = code == CARDIOGRAD_OK && memcmp(maps, work->expected, work->count * sizeof(float)) == 0;
    free(maps);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    size_t model_size, ecg_size, channels = 9, samples = 9, outputs = 9, n = (size_t)atoi(argv[3]), methods = 1;
    unsigned char *bytes = whole(argv[1], &model_size), *raw = whole(argv[2], &ecg_size);
    float *ecg = (float *)raw;
    cardiograd_model *model = NULL;
    for (const char *at = argv[4]; *at; at++) methods += *at == ',';

    HOLDS(strlen(cardiograd_version()) >= 5);
    HOLDS(cardiograd_model_load(bytes, model_size, 2, &model, line, sizeof line) == CARDIOGRAD_OK && model && !line[0]);
    HOLDS(cardiograd_model_shape(model, &channels, &samples, &outputs, line, sizeof line) == CARDIOGRAD_OK);
    HOLDS(channels == 12 && samples > 0 && outputs == 1 && n * channels * samples * sizeof(float) == ecg_size);

    size_t size = n * channels * samples;
    cardiograd_ecgs ecgs = {ecg, n, channels, samples, 0};
    cardiograd_settings settings = cardiograd_settings_default();
    settings.samples = 3;
    settings.steps = 4;
    float *maps = malloc(methods * size * sizeof(float)), *predictions = malloc(n * sizeof(float)), *predicted = malloc(n * sizeof(float));
    HOLDS(cardiograd_explain(model, ecgs, argv[4], &settings, maps, predictions, line, sizeof line) == CARDIOGRAD_OK);
    HOLDS(cardiograd_predict(model, ecgs, 0, predicted, line, sizeof line) == CARDIOGRAD_OK);
    put(argv[5], maps, methods * size);
    put(argv[6], predicted, n);

    struct work work[4];
    pthread_t threads[4];
    for (int at = 0; at < 4; at++) {
        work[at] = (struct work){model, ecgs, argv[4], &settings, maps, methods * size, 0};
        HOLDS(pthread_create(&threads[at], NULL, again, &work[at]) == 0);
    }
    for (int at = 0; at < 4; at++) {
        pthread_join(threads[at], NULL);
        HOLDS(work[at].same);
    }

    /* Bytes that are no model. */
    cardiograd_model *none = model;
    HOLDS(refused(cardiograd_model_load(bytes, model_size - 3, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "cut off") && !none);
    HOLDS(refused(cardiograd_model_load(bytes, 0, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "is not a"));
    HOLDS(refused(cardiograd_model_load(NULL, 0, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "is not a"));
    HOLDS(refused(cardiograd_model_load(NULL, 9, 1, &none, line, sizeof line), CARDIOGRAD_USAGE, "bytes is null"));
    HOLDS(refused(cardiograd_model_load(bytes, model_size, 1, NULL, line, sizeof line), CARDIOGRAD_USAGE, "model is null"));
    HOLDS(refused(cardiograd_model_load(bytes, (size_t)-1, 1, &none, line, sizeof line), CARDIOGRAD_USAGE, "memory"));
    HOLDS(refused(cardiograd_model_load(bytes, model_size, 5000, &none, line, sizeof line), CARDIOGRAD_USAGE, "threads"));
    HOLDS(refused(cardiograd_model_load((const unsigned char *)"no model at all, of any length", 30, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "is not a"));
    bytes[8] ^= 8;
    HOLDS(refused(cardiograd_model_load(bytes, model_size, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "newer program"));
    bytes[8] ^= 8;
    for (size_t at = 24; at < model_size; at += model_size / 40) {
        bytes[at] ^= 0x55;
        HOLDS(refused(cardiograd_model_load(bytes, model_size, 1, &none, line, sizeof line), CARDIOGRAD_FAILED, "damaged") && !none);
        bytes[at] ^= 0x55;
    }

    /* ECGs that cannot be. */
    cardiograd_ecgs bad = ecgs;
    bad.n = 0;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "no sample"));
    bad = ecgs, bad.values = NULL;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "ecgs.values is null"));
    bad = ecgs, bad.n = (size_t)-1;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "memory"));
    bad = ecgs, bad.channels = 8;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "expected shape"));
    bad = ecgs, bad.samples = samples / 2;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "samples"));
    bad = ecgs, bad.values = (const float *)(raw + 1), bad.n = 1;
    HOLDS(refused(cardiograd_predict(model, bad, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "not aligned"));
    HOLDS(refused(cardiograd_predict(model, ecgs, 1, predicted, line, sizeof line), CARDIOGRAD_USAGE, "1 outputs"));
    HOLDS(refused(cardiograd_predict(model, ecgs, 0, NULL, line, sizeof line), CARDIOGRAD_USAGE, "predictions is null"));
    HOLDS(refused(cardiograd_predict(NULL, ecgs, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "model is null"));
    float kept = ecg[7];
    ecg[7] = 0.0f / (ecg[7] - kept);
    HOLDS(refused(cardiograd_predict(model, ecgs, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "ECG 0, channel 0, sample 7"));
    ecg[7] = kept;
    for (size_t at = 0; at < size; at++) ecg[at] *= 1e-3f;
    HOLDS(refused(cardiograd_predict(model, ecgs, 0, predicted, line, sizeof line), CARDIOGRAD_USAGE, "cannot be"));
    ecgs.insist = CARDIOGRAD_ANY_AMPLITUDE;
    HOLDS(cardiograd_predict(model, ecgs, 0, predicted, line, sizeof line) == CARDIOGRAD_OK);

    /* Requests that cannot be. */
    HOLDS(refused(cardiograd_explain(model, ecgs, "nothing", NULL, maps, NULL, line, sizeof line), CARDIOGRAD_USAGE, "unknown method"));
    HOLDS(refused(cardiograd_explain(model, ecgs, "\xff\xfe", NULL, maps, NULL, line, sizeof line), CARDIOGRAD_USAGE, "UTF-8"));
    HOLDS(refused(cardiograd_explain(model, ecgs, NULL, NULL, maps, NULL, line, sizeof line), CARDIOGRAD_USAGE, "methods is null"));
    HOLDS(refused(cardiograd_explain(model, ecgs, "saliency", NULL, NULL, NULL, line, sizeof line), CARDIOGRAD_USAGE, "maps is null"));
    settings.steps = 0;
    HOLDS(refused(cardiograd_explain(model, ecgs, "saliency", &settings, maps, NULL, line, sizeof line), CARDIOGRAD_USAGE, "start at 1"));
    settings.steps = 4, settings.column = 3;
    HOLDS(cardiograd_explain(model, ecgs, "saliency", &settings, maps, NULL, line, sizeof line) != CARDIOGRAD_OK);
    HOLDS(cardiograd_model_load(bytes, 5, 1, &none, NULL, 0) == CARDIOGRAD_FAILED);
    HOLDS(cardiograd_model_load(bytes, 5, 1, &none, line, 1) == CARDIOGRAD_FAILED && line[0] == 0);
    HOLDS(cardiograd_model_load(bytes, 5, 1, &none, line, 8) == CARDIOGRAD_FAILED && strlen(line) == 7);

    cardiograd_model_free(model);
    cardiograd_model_free(NULL);
    free(maps), free(predictions), free(predicted), free(bytes), free(raw);
    return faults ? 1 : 0;
}
