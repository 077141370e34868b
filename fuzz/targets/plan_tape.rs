#![cfg_attr(fuzzing, no_main)]
//! Random programs by plans and on the tape: the same bits.

use arbitrary::Unstructured;
use cardiograd_fuzz::{plans, programs};

fn check(input: &[u8]) {
    let mut from = Unstructured::new(input);
    let Ok((program, mut draw)) = programs::arbitrary(&mut from) else { return };
    let (batch, same) = (from.int_in_range(1..=5).unwrap_or(1), from.arbitrary().unwrap_or(false));
    let open = from.int_in_range(1..=100).unwrap_or(50);
    if let Some((network, shape)) = plans::prepare(program, open, &mut draw) {
        let [x, base] = [batch, if same { batch } else { 1 }].map(|batch| plans::inputs(&shape, batch, &mut draw));
        plans::compare(&network, &x, &base);
    }
}

cardiograd_fuzz::target!(check);
