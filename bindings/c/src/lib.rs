//! cardiograd for C: a model from bytes, its shapes, predictions, heatmaps.
//!
//! Every function gives a code, [`CARDIOGRAD_OK`] for success, and writes a line that says what was wrong into a buffer of the caller's. Arrays are the
//! caller's. A model may be used from several threads at once. No panic crosses the border.

mod border;
mod pool;

use border::{Failure, Message, array, array_mut, guarded, text};
use cardiograd::Error;
use cardiograd::attribution::{Baseline, Method, Settings};
use cardiograd::inputs::{Insisting, check, explain};
use cardiograd::nn::Model;
use cardiograd::progress::silent;
use cardiograd::tape::{Tensor, from_vec, slice};
use ndarray::{Array2, Ix3};
use pool::Pool;
use std::ffi::{c_char, c_int};

/// Done.
pub const CARDIOGRAD_OK: c_int = 0;
/// The work failed: the bytes are no model, a method cannot act on the network, a value overflowed.
pub const CARDIOGRAD_FAILED: c_int = 1;
/// The request is wrong: a null pointer, a shape, an unknown name, a sample that is not finite.
pub const CARDIOGRAD_USAGE: c_int = 2;
/// A fault of this library, which has been held back; the model must not be used any more.
pub const CARDIOGRAD_FAULT: c_int = 4;

/// Take ECGs of another length than the model was trained on.
pub const CARDIOGRAD_ANY_LENGTH: u32 = 1;
/// Take ECGs whose amplitudes cannot be in microvolts.
pub const CARDIOGRAD_ANY_AMPLITUDE: u32 = 2;

/// A model. Made by `cardiograd_model_load`, given back by `cardiograd_model_free`.
#[allow(non_camel_case_types)]
pub struct cardiograd_model {
    model: Model,
    pool: Pool,
}

/// ECGs: n * channels * samples values, the samples of a channel one after another, in microvolts at 500 Hz.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct cardiograd_ecgs {
    /// The samples.
    pub values: *const f32,
    /// How many ECGs.
    pub n: usize,
    /// Channels of each; leads stand in the order I II III aVR aVL aVF V1 to V6.
    pub channels: usize,
    /// Samples of each channel.
    pub samples: usize,
    /// `CARDIOGRAD_ANY_LENGTH` and `CARDIOGRAD_ANY_AMPLITUDE`, or 0.
    pub insist: u32,
}

/// Settings of the methods. `cardiograd_settings_default` gives those of the study.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct cardiograd_settings {
    /// The seed of all draws.
    pub seed: u64,
    /// The number of the first ECG, which with the seed addresses its draws; those that follow count on.
    pub first_id: u64,
    /// Which output of the network, from 0.
    pub column: usize,
    /// The baseline of methods that compare with one, channels * samples values; null for zeros.
    pub baseline: *const f32,
    /// Samples of SmoothGrad and Gradient SHAP; 0 for 25 and 50.
    pub samples: usize,
    /// Steps of integrated gradients.
    pub steps: usize,
    /// A ceiling for the memory of runs in work, bytes; results do not depend on it.
    pub memory: usize,
    /// 1: baseline methods multiply by (input - baseline).
    pub multiply_by_inputs: c_int,
    /// 1: maps end with the absolute value; 0: they do not; -1: SmoothGrad alone, as in the study.
    pub absolute: c_int,
}

/// The version of the library, a text that stays.
#[unsafe(no_mangle)]
pub extern "C" fn cardiograd_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The settings of the study.
#[unsafe(no_mangle)]
pub extern "C" fn cardiograd_settings_default() -> cardiograd_settings {
    let study = Settings::default();
    cardiograd_settings {
        seed: study.seed,
        first_id: 0,
        column: study.output,
        baseline: std::ptr::null(),
        samples: 0,
        steps: study.steps,
        memory: study.memory,
        multiply_by_inputs: 0,
        absolute: -1,
    }
}

/// Reads a model from the bytes of a `.cgm` file. `threads` compute for it, 0 for one per core. On success `*model` is to be given back by
/// `cardiograd_model_free`; on failure it is null, and `message`, if it is not null, holds a line of at most `message_size` bytes, its end marked by 0.
///
/// # Safety
/// `bytes` must be readable for `count` bytes, `model` be writable, `message` be writable for `message_size` bytes or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_model_load(
    bytes: *const u8,
    count: usize,
    threads: usize,
    model: *mut *mut cardiograd_model,
    message: *mut c_char,
    message_size: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    let message = unsafe { Message::new(message, message_size) };
    guarded(message, || {
        if model.is_null() {
            return Err(Failure::usage("model is null"));
        }
        // SAFETY: not null, and writable as the caller promises.
        unsafe { model.write(std::ptr::null_mut()) };
        // SAFETY: as the caller promises.
        let bytes = unsafe { array(bytes, count, "bytes") }?;
        let made = cardiograd_model { model: Model::from_bytes(bytes, "model")?, pool: Pool::new(threads)? };
        // SAFETY: as above.
        unsafe { model.write(Box::into_raw(Box::new(made))) };
        Ok(())
    })
}

/// Gives a model back; null is nothing to give back.
///
/// # Safety
/// `model` must be one of `cardiograd_model_load`, not given back before, and in use nowhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_model_free(model: *mut cardiograd_model) {
    if !model.is_null() {
        let _ = guarded(Message::none(), || {
            // SAFETY: made by Box::into_raw in cardiograd_model_load, as the caller promises.
            drop(unsafe { Box::from_raw(model) });
            Ok(())
        });
    }
}

/// The shapes of a model: channels and samples of an ECG, 0 where any number will do, and its outputs for ECGs of 12 x 600 or of its own shape.
///
/// # Safety
/// `model` must be one of `cardiograd_model_load`; `channels`, `samples` and `outputs` be writable; `message` as for `cardiograd_model_load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_model_shape(
    model: *const cardiograd_model,
    channels: *mut usize,
    samples: *mut usize,
    outputs: *mut usize,
    message: *mut c_char,
    message_size: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    let message = unsafe { Message::new(message, message_size) };
    guarded(message, || {
        // SAFETY: as the caller promises.
        let model = unsafe { model.as_ref() }.ok_or(Failure::usage("model is null"))?;
        if channels.is_null() || samples.is_null() || outputs.is_null() {
            return Err(Failure::usage("channels, samples or outputs is null"));
        }
        let (c, l) = shape(&model.model)?;
        let example = [c.unwrap_or(12), l.unwrap_or(600)];
        let count = model.model.network.program().columns(&example)?;
        // SAFETY: not null, and writable as the caller promises.
        unsafe {
            channels.write(c.unwrap_or(0));
            samples.write(l.unwrap_or(0));
            outputs.write(count);
        }
        Ok(())
    })
}

/// Predicts: output `column` of the network for each ECG, into `predictions`, n values.
///
/// # Safety
/// `model` must be one of `cardiograd_model_load`; `ecgs.values` be readable for n * channels * samples values, `predictions` be writable for n;
/// `message` as for `cardiograd_model_load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_predict(
    model: *const cardiograd_model,
    ecgs: cardiograd_ecgs,
    column: usize,
    predictions: *mut f32,
    message: *mut c_char,
    message_size: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    let message = unsafe { Message::new(message, message_size) };
    guarded(message, || {
        // SAFETY: as the caller promises.
        let model = unsafe { model.as_ref() }.ok_or(Failure::usage("model is null"))?;
        // SAFETY: as the caller promises.
        let x = unsafe { taken(&model.model, &ecgs) }?;
        // SAFETY: as the caller promises.
        let predictions = unsafe { array_mut(predictions, ecgs.n, "predictions") }?;
        let count = model.model.network.program().columns(&x.shape()[1..])?;
        if column >= count {
            return Err(Failure::usage(&format!("column {column}: the network has {count} outputs, numbered from 0")));
        }
        let all: Vec<usize> = (0..ecgs.n).collect();
        let inputs = |batch: &[usize]| {
            let range = batch.first().map_or(0..0, |first| *first..first + batch.len());
            let some = x.slice_axis(ndarray::Axis(0), range.into());
            some.into_dimensionality::<Ix3>().map(|some| some.to_owned()).map_err(|error| Error::Data(error.to_string()))
        };
        let found =
            model.pool.run(|| cardiograd::nn::predict_outputs(&model.model.network, &[column], &inputs, &all, "predicting", &silent))?;
        predictions.iter_mut().zip(found).for_each(|(to, from)| *to = from as f32);
        Ok(())
    })
}

/// Explains: for each of `methods`, names parted by commas, a map of the shape of the ECGs, into `maps`, methods * n * channels * samples values, and,
/// unless it is null, what they explain into `predictions`, n values. `settings` may be null for those of the study.
///
/// # Safety
/// `model` must be one of `cardiograd_model_load`; `ecgs.values` and `settings.baseline` be readable, `maps` and `predictions` be writable for as many
/// values; `methods` end with 0; `message` as for `cardiograd_model_load`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cardiograd_explain(
    model: *const cardiograd_model,
    ecgs: cardiograd_ecgs,
    methods: *const c_char,
    settings: *const cardiograd_settings,
    maps: *mut f32,
    predictions: *mut f32,
    message: *mut c_char,
    message_size: usize,
) -> c_int {
    // SAFETY: as the caller promises.
    let message = unsafe { Message::new(message, message_size) };
    guarded(message, || {
        // SAFETY: as the caller promises.
        let model = unsafe { model.as_ref() }.ok_or(Failure::usage("model is null"))?;
        // SAFETY: as the caller promises.
        let methods = Method::parse_list(unsafe { text(methods, "methods") }?)?;
        // SAFETY: as the caller promises.
        let x = unsafe { taken(&model.model, &ecgs) }?;
        // SAFETY: as the caller promises.
        let given = unsafe { settings.as_ref() }.copied().unwrap_or_else(|| cardiograd_settings_default());
        // SAFETY: as the caller promises.
        let settings = unsafe { chosen(&model.model, &given, &ecgs) }?;
        let size = x.len();
        // SAFETY: as the caller promises; the product was bounded when the samples were taken, and methods are few.
        let maps = unsafe { array_mut(maps, methods.len().saturating_mul(size), "maps") }?;
        let ids: Vec<u64> = (0..ecgs.n as u64).map(|at| given.first_id.wrapping_add(at)).collect();
        let found = model.pool.run(|| explain(&model.model.network, &settings, None, &x, &ids, &methods, &silent))?;
        for (to, (_, from)) in maps.chunks_mut(size).zip(&found.maps) {
            to.copy_from_slice(slice(from));
        }
        if !predictions.is_null() {
            // SAFETY: not null, and writable as the caller promises.
            unsafe { array_mut(predictions, ecgs.n, "predictions") }?.copy_from_slice(&found.prediction);
        }
        Ok(())
    })
}

/// Channels and samples that the program's input names.
fn shape(model: &Model) -> Result<(Option<usize>, Option<usize>), Failure> {
    let program = model.network.program();
    let input = program.inputs().first().copied().ok_or(Failure::usage("the program has no input"))?;
    let (channels, samples) = match &program.node(input).op {
        cardiograd::tape::Op::Input { shape } => (shape.first().copied().flatten(), shape.get(1).copied().flatten()),
        _ => (None, None),
    };
    Ok((channels, samples.or(model.input.map(|kind| kind.samples()))))
}

/// The ECGs, copied and held against the model.
///
/// # Safety
/// `ecgs.values` must be readable for n * channels * samples values.
unsafe fn taken(model: &Model, ecgs: &cardiograd_ecgs) -> Result<Tensor<f32>, Failure> {
    let size = ecgs.n.checked_mul(ecgs.channels).and_then(|size| size.checked_mul(ecgs.samples));
    let size = size.ok_or(Failure::usage("n * channels * samples is more than there is memory"))?;
    // SAFETY: as the caller promises.
    let values = unsafe { array(ecgs.values, size, "ecgs.values") }?;
    let x = from_vec(&[ecgs.n, ecgs.channels, ecgs.samples], values.to_vec());
    let view = x.view().into_dimensionality::<Ix3>().map_err(|error| Failure::usage(&error.to_string()))?;
    let insisting =
        Insisting { any_length: ecgs.insist & CARDIOGRAD_ANY_LENGTH != 0, any_amplitude: ecgs.insist & CARDIOGRAD_ANY_AMPLITUDE != 0 };
    check(model, view, insisting).map_err(|error| Failure::usage(&error.to_string()))?;
    Ok(x)
}

/// The settings of the library.
///
/// # Safety
/// `given.baseline` must be null or readable for channels * samples values.
unsafe fn chosen(model: &Model, given: &cardiograd_settings, ecgs: &cardiograd_ecgs) -> Result<Settings, Failure> {
    let baseline = if given.baseline.is_null() {
        Baseline::Zero
    } else {
        // SAFETY: as the caller promises; the product was bounded when the samples were taken.
        let values = unsafe { array(given.baseline, ecgs.channels * ecgs.samples, "baseline") }?;
        let values = Array2::from_shape_vec((ecgs.channels, ecgs.samples), values.iter().map(|v| f64::from(*v)).collect());
        Baseline::Values(values.map_err(|error| Failure::usage(&error.to_string()))?)
    };
    Ok(Settings {
        seed: given.seed,
        target: model.target.map_or(0, |target| target.index()).wrapping_add(given.column as u32),
        output: given.column,
        baseline,
        multiply_by_inputs: given.multiply_by_inputs != 0,
        absolute: (given.absolute >= 0).then_some(given.absolute > 0),
        samples: (given.samples > 0).then_some(given.samples),
        steps: given.steps,
        memory: given.memory,
        ..Settings::default()
    })
}
