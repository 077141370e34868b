#![cfg_attr(fuzzing, no_main)]
//! Recordings in CSV, a column per lead: with what the file says of itself, and with unit and rate given.

use cardiograd::ecg::read::{Given, Unit, columns};
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.csv", input);
    for given in [Given::default(), Given { unit: Some(Unit::Microvolt), rate: Some(250.0), ..Given::default() }] {
        if let Some(recording) = refused(columns::read(&path, &given), &path) {
            use_recording(&recording, &path);
        }
    }
}

cardiograd_fuzz::target!(check);
