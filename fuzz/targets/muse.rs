#![cfg_attr(fuzzing, no_main)]
//! MUSE XML.

use cardiograd::ecg::read::muse;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.xml", input);
    if let Some(recording) = refused(muse::read(&path), &path) {
        use_recording(&recording, &path);
    }
}

cardiograd_fuzz::target!(check);
