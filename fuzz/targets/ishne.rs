#![cfg_attr(fuzzing, no_main)]
//! ISHNE Holter files, whose header's sum is made right.

use cardiograd::ecg::read::ishne;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{checksums, file, refused};

fn check(input: &[u8]) {
    let mut bytes = input.to_vec();
    checksums::ishne(&mut bytes);
    let path = file("input.ecg", &bytes);
    if let Some(recording) = refused(ishne::read(&path), &path) {
        use_recording(&recording, &path);
    }
}

cardiograd_fuzz::target!(check);
