#![cfg_attr(fuzzing, no_main)]
//! The project's own model files, as they are and with the checksum made right. A model that is read is written as the same bytes again and
//! again, and runs the same by plans and on the tape.

use cardiograd::nn::Model;
use cardiograd_fuzz::{Draw, checksums, file, path, plans, refused};

fn check(input: &[u8]) {
    check_as_it_is(input);
    if let Some(fixed) = checksums::container(input) {
        check_as_it_is(&fixed);
    }
}

fn check_as_it_is(input: &[u8]) {
    let source = file("input.cgm", input);
    let Some(model) = refused(Model::load(&source), &source) else { return };
    let copy = path("copy.cgm");
    model.save(&copy).expect("a model can be written");
    let bytes = std::fs::read(&copy).expect("the copy");
    Model::load(&copy).expect("a model that was written").save(&copy).expect("a model can be written");
    assert!(bytes == std::fs::read(&copy).expect("the copy"), "the same model gives other bytes");
    let mut draw = Draw::new(input.len() as u64, 16);
    if let Some((_, shape)) = plans::prepare(model.network.program().clone(), 16, &mut draw) {
        let [x, base] = [2, 1].map(|batch| plans::inputs(&shape, batch, &mut draw));
        plans::compare(&model.network, &x, &base);
    }
}

cardiograd_fuzz::target!(check);
