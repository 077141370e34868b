#![cfg_attr(fuzzing, no_main)]
//! DICOM waveforms.

use cardiograd::ecg::read::dicom;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.dcm", input);
    if let Some(recording) = refused(dicom::read(&path), &path) {
        use_recording(&recording, &path);
    }
}

cardiograd_fuzz::target!(check);
