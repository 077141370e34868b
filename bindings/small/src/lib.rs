//! cardiograd where there is no standard library: a model's bytes and one ECG in, the nine methods' maps out, in this thread, with memory from one
//! allocator that counts. Built for the host here, where the C library stands for the device's memory.

#![no_std]

extern crate alloc;

mod memory;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::nn::network_from_bytes;
use cardiograd::progress::silent;
use cardiograd::tape::{Network, from_vec, slice};
use cardiograd::{Error, Result};
use core::ffi::c_int;

/// A network, made by `cardiograd_small_load`.
pub struct Small(Network<f32>);

/// How methods are carried out; what is 0 is as in the study.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct How {
    /// Samples of SmoothGrad and Gradient SHAP; 0 for 25 and 50.
    pub samples: usize,
    /// Steps of integrated gradients; 0 for 50.
    pub steps: usize,
    /// Bytes that examples which run together may take: the more, the less often weights are made ready. With 0 they run one at a time.
    pub together: usize,
}

impl How {
    fn settings(&self) -> Settings {
        let study = Settings::default();
        Settings {
            samples: Some(self.samples).filter(|samples| *samples > 0),
            steps: if self.steps > 0 { self.steps } else { study.steps },
            memory: self.together,
            ..study
        }
    }
}

/// Reads a network from the bytes of a `.cgm` file; null if they are none, and `message` then holds a line of at most `room` bytes, its end marked by 0.
///
/// # Safety
/// `bytes` must be readable for `count` bytes, `message` writable for `room`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_small_load(bytes: *const u8, count: usize, message: *mut u8, room: usize) -> *mut Small {
    // SAFETY: the caller's contract.
    let (bytes, message) = unsafe { (core::slice::from_raw_parts(bytes, count), core::slice::from_raw_parts_mut(message, room)) };
    match network_from_bytes(bytes, "the model") {
        Ok(network) => Box::into_raw(Box::new(Small(network))),
        Err(error) => {
            tell(&error, message);
            core::ptr::null_mut()
        }
    }
}

/// Gives a network back.
///
/// # Safety
/// `small` must come from `cardiograd_small_load` and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_small_free(small: *mut Small) {
    // SAFETY: the caller's contract.
    drop(unsafe { Box::from_raw(small) });
}

/// Bytes that `cardiograd_small_explain` takes at most of the allocator on one ECG of 12 leads and so many samples; 0 where it would refuse.
///
/// # Safety
/// `small` must come from `cardiograd_small_load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_small_memory(small: *const Small, samples: usize, how: How) -> usize {
    // SAFETY: the caller's contract.
    let Small(network) = unsafe { &*small };
    let (settings, nine) = (how.settings(), Method::nine().collect::<Vec<_>>());
    Explainer::new(network, &settings).and_then(|explainer| explainer.memory(&nine, 12, samples)).unwrap_or(0)
}

/// The nine methods' maps of one ECG (12, samples), µV, as the study sets them, one after another in its order, and the prediction. 0, or 1 with a line
/// in `message` as in `cardiograd_small_load`.
///
/// # Safety
/// `small` must come from `cardiograd_small_load`; `ecg` must be readable for 12 · samples values, `maps` writable for 9 · 12 · samples, `prediction`
/// for one, `message` for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cardiograd_small_explain(
    small: *const Small,
    ecg: *const f32,
    samples: usize,
    how: How,
    maps: *mut f32,
    prediction: *mut f32,
    message: *mut u8,
    room: usize,
) -> c_int {
    let size = 12 * samples;
    // SAFETY: the caller's contract.
    let (Small(network), ecg, maps, prediction, message) = unsafe {
        (
            &*small,
            core::slice::from_raw_parts(ecg, size),
            core::slice::from_raw_parts_mut(maps, 9 * size),
            &mut *prediction,
            core::slice::from_raw_parts_mut(message, room),
        )
    };
    match explained(network, ecg, (samples, how), maps) {
        Ok(value) => {
            *prediction = value;
            0
        }
        Err(error) => {
            tell(&error, message);
            1
        }
    }
}

fn explained(network: &Network<f32>, ecg: &[f32], (samples, how): (usize, How), maps: &mut [f32]) -> Result<f32> {
    let (settings, nine) = (how.settings(), Method::nine().collect::<Vec<_>>());
    let x = from_vec(&[1, 12, samples], ecg.to_vec());
    let found = Explainer::new(network, &settings)?.explain(&x, &[0], &nine, &silent)?;
    for ((_, map), to) in found.maps.iter().zip(maps.chunks_exact_mut(ecg.len())) {
        to.copy_from_slice(slice(map));
    }
    found.prediction.first().copied().ok_or_else(|| Error::Program("the network predicts nothing".into()))
}

fn tell(error: &Error, message: &mut [u8]) {
    let line = error.to_string();
    let Some(end) = message.len().checked_sub(1) else { return };
    let fits = (0..=end.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    message[..fits].copy_from_slice(&line.as_bytes()[..fits]);
    message[fits] = 0;
}
