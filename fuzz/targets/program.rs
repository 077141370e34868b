#![cfg_attr(fuzzing, no_main)]
//! Programs in JSON: read, printed, written and read again; those small enough are run by plans and on the tape.

use cardiograd::nn::load_program;
use cardiograd::tape::Program;
use cardiograd_fuzz::{Draw, file, plans, refused};

fn check(input: &[u8]) {
    let path = file("input.json", input);
    let Some(program) = refused(load_program(path.to_str().expect("a plain path")), &path) else { return };
    assert!(!program.to_string().is_empty());
    let written = serde_json::to_vec(&program).expect("a program can be written");
    assert!(serde_json::from_slice::<Program>(&written).expect("a program that was written") == program);
    let mut draw = Draw::new(input.len() as u64, 16);
    for open in [1, 16] {
        if let Some((network, shape)) = plans::prepare(program.clone(), open, &mut draw) {
            let [x, base] = [2, 1].map(|batch| plans::inputs(&shape, batch, &mut draw));
            plans::compare(&network, &x, &base);
        }
    }
}

cardiograd_fuzz::target!(check);
