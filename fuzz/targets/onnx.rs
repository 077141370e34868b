#![cfg_attr(fuzzing, no_main)]
//! ONNX files: read, and what was taken is written and read again to the same predictions.

use cardiograd::nn::{load_model, onnx};
use cardiograd_fuzz::{Draw, file, plans, refused};

fn check(input: &[u8]) {
    let path = file("input.onnx", input);
    let Some(model) = refused(load_model(&path, None), &path) else { return };
    let mut draw = Draw::new(input.len() as u64, 16);
    // Small enough to be run.
    let Some((network, shape)) = plans::prepare(model.network.program().clone(), 16, &mut draw) else { return };
    let Ok(bytes) = onnx::to_bytes(&network, &[]) else { return };
    let written = file("written.onnx", &bytes);
    let Ok(back) = load_model(&written, None) else { return };
    let x = plans::inputs(&shape, 2, &mut draw);
    let (first, second) = (network.predict(&[x.clone()]), back.network.predict(&[x]));
    if let (Ok(first), Ok(second)) = (first, second) {
        assert!(first.iter().zip(second.iter()).all(|(a, b)| a.to_bits() == b.to_bits()), "{first} {second}");
    }
}

cardiograd_fuzz::target!(check);
