#![cfg_attr(fuzzing, no_main)]
//! SCP-ECG records, whose sums are made right wherever a section can be found.

use cardiograd::ecg::read::scp;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{checksums, file, refused};

fn check(input: &[u8]) {
    let mut bytes = input.to_vec();
    checksums::scp(&mut bytes);
    let path = file("input.scp", &bytes);
    if let Some(recording) = refused(scp::read(&path), &path) {
        use_recording(&recording, &path);
    }
}

cardiograd_fuzz::target!(check);
