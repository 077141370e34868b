#![cfg_attr(fuzzing, no_main)]
//! EDF, EDF+ and BDF: with what the file says of itself, and with a unit given.

use cardiograd::ecg::read::{Given, Unit, edf};
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.edf", input);
    for given in [Given::default(), Given { unit: Some(Unit::Millivolt), ..Given::default() }] {
        if let Some(recording) = refused(edf::read(&path, &given), &path) {
            use_recording(&recording, &path);
        }
    }
}

cardiograd_fuzz::target!(check);
