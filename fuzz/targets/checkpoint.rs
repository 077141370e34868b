#![cfg_attr(fuzzing, no_main)]
//! Checkpoints of a training, as they are and with the checksum made right: read, taken up by the training they may be of, and trained on.

use cardiograd::dataset::{InputKind, Target};
use cardiograd::nn::{Checkpoint, Examples, Trainer, TrainingData};
use cardiograd::progress::silent;
use cardiograd_fuzz::{checksums, file, one_line, path, refused, training};

fn check(input: &[u8]) {
    check_as_it_is(input);
    if let Some(fixed) = checksums::container(input) {
        check_as_it_is(&fixed);
    }
}

fn check_as_it_is(input: &[u8]) {
    let source = file("input.checkpoint", input);
    let Some(checkpoint) = refused(Checkpoint::load(&source), &source) else { return };
    let copy = path("copy.checkpoint");
    checkpoint.save(&copy).expect("a checkpoint can be written");
    let examples = Examples { ecgs: vec![0, 1, 2], values: vec![100.0, 120.0, 140.0] };
    let inputs = training::inputs;
    let (train, validation, test) = (&examples, &examples, &examples);
    let data = TrainingData { target: Target::Pr, input: InputKind::Median, inputs: &inputs, train, validation, test };
    let mut trainer = Trainer::new(&training::program(), data, &training::settings()).expect("a small training");
    if let Err(error) = trainer.resume(checkpoint) {
        one_line(&error);
        return;
    }
    while !trainer.is_done() {
        if let Err(error) = trainer.epoch(&silent) {
            one_line(&error);
            return;
        }
    }
    if let Err(error) = trainer.finish("fuzz", &silent) {
        one_line(&error);
    }
}

cardiograd_fuzz::target!(check);
