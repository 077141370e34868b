/* cardiograd for C: a model from bytes, its shapes, predictions, heatmaps.
 *
 * Made of bindings/c/src/lib.rs by cbindgen (bindings/c/tests/header.rs); not to be changed by hand.
 *
 * Every function but cardiograd_version, cardiograd_settings_default and cardiograd_model_free gives a code, CARDIOGRAD_OK for success, and writes a line
 * that says what was wrong into `message`, of `message_size` bytes, unless that is null. Arrays are the caller's. A model may be used from several
 * threads at once. */

#ifndef CARDIOGRAD_H
#define CARDIOGRAD_H

#include <stddef.h>
#include <stdint.h>

/*
 Done.
 */
#define CARDIOGRAD_OK 0

/*
 The work failed: the bytes are no model, a method cannot act on the network, a value overflowed.
 */
#define CARDIOGRAD_FAILED 1

/*
 The request is wrong: a null pointer, a shape, an unknown name, a sample that is not finite.
 */
#define CARDIOGRAD_USAGE 2

/*
 A fault of this library, which has been held back; the model must not be used any more.
 */
#define CARDIOGRAD_FAULT 4

/*
 Take ECGs of another length than the model was trained on.
 */
#define CARDIOGRAD_ANY_LENGTH 1

/*
 Take ECGs whose amplitudes cannot be in microvolts.
 */
#define CARDIOGRAD_ANY_AMPLITUDE 2

/*
 A model. Made by `cardiograd_model_load`, given back by `cardiograd_model_free`.
 */
typedef struct cardiograd_model cardiograd_model;

/*
 Settings of the methods. `cardiograd_settings_default` gives those of the study.
 */
typedef struct {
  /*
   The seed of all draws.
   */
  uint64_t seed;
  /*
   The number of the first ECG, which with the seed addresses its draws; those that follow count on.
   */
  uint64_t first_id;
  /*
   Which output of the network, from 0.
   */
  size_t column;
  /*
   The baseline of methods that compare with one, channels * samples values; null for zeros.
   */
  const float *baseline;
  /*
   Samples of SmoothGrad and Gradient SHAP; 0 for 25 and 50.
   */
  size_t samples;
  /*
   Steps of integrated gradients.
   */
  size_t steps;
  /*
   A ceiling for the memory of runs in work, bytes; results do not depend on it.
   */
  size_t memory;
  /*
   1: baseline methods multiply by (input - baseline).
   */
  int multiply_by_inputs;
  /*
   1: maps end with the absolute value; 0: they do not; -1: SmoothGrad alone, as in the study.
   */
  int absolute;
} cardiograd_settings;

/*
 ECGs: n * channels * samples values, the samples of a channel one after another, in microvolts at 500 Hz.
 */
typedef struct {
  /*
   The samples.
   */
  const float *values;
  /*
   How many ECGs.
   */
  size_t n;
  /*
   Channels of each; leads stand in the order I II III aVR aVL aVF V1 to V6.
   */
  size_t channels;
  /*
   Samples of each channel.
   */
  size_t samples;
  /*
   `CARDIOGRAD_ANY_LENGTH` and `CARDIOGRAD_ANY_AMPLITUDE`, or 0.
   */
  uint32_t insist;
} cardiograd_ecgs;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library, a text that stays.
 */
const char *cardiograd_version(void);

/*
 The settings of the study.
 */
cardiograd_settings cardiograd_settings_default(void);

/*
 Reads a model from the bytes of a `.cgm` file. `threads` compute for it, 0 for one per core. On success `*model` is to be given back by
 `cardiograd_model_free`; on failure it is null, and `message`, if it is not null, holds a line of at most `message_size` bytes, its end marked by 0.

 # Safety
 `bytes` must be readable for `count` bytes, `model` be writable, `message` be writable for `message_size` bytes or null.
 */
int cardiograd_model_load(const uint8_t *bytes, size_t count, size_t threads, cardiograd_model **model, char *message, size_t message_size);

/*
 Gives a model back; null is nothing to give back.

 # Safety
 `model` must be one of `cardiograd_model_load`, not given back before, and in use nowhere.
 */
void cardiograd_model_free(cardiograd_model *model);

/*
 The shapes of a model: channels and samples of an ECG, 0 where any number will do, and its outputs for ECGs of 12 x 600 or of its own shape.

 # Safety
 `model` must be one of `cardiograd_model_load`; `channels`, `samples` and `outputs` be writable; `message` as for `cardiograd_model_load`.
 */
int cardiograd_model_shape(const cardiograd_model *model, size_t *channels, size_t *samples, size_t *outputs, char *message, size_t message_size);

/*
 Predicts: output `column` of the network for each ECG, into `predictions`, n values.

 # Safety
 `model` must be one of `cardiograd_model_load`; `ecgs.values` be readable for n * channels * samples values, `predictions` be writable for n;
 `message` as for `cardiograd_model_load`.
 */
int cardiograd_predict(const cardiograd_model *model, cardiograd_ecgs ecgs, size_t column, float *predictions, char *message, size_t message_size);

/*
 Explains: for each of `methods`, names parted by commas, a map of the shape of the ECGs, into `maps`, methods * n * channels * samples values, and,
 unless it is null, what they explain into `predictions`, n values. `settings` may be null for those of the study.

 # Safety
 `model` must be one of `cardiograd_model_load`; `ecgs.values` and `settings.baseline` be readable, `maps` and `predictions` be writable for as many
 values; `methods` end with 0; `message` as for `cardiograd_model_load`.
 */
int cardiograd_explain(const cardiograd_model *model,
                       cardiograd_ecgs ecgs,
                       const char *methods,
                       const cardiograd_settings *settings,
                       float *maps,
                       float *predictions,
                       char *message,
                       size_t message_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CARDIOGRAD_H */
