#![cfg_attr(fuzzing, no_main)]
//! WFDB annotations.

use cardiograd::ecg::read::wfdb;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("r.atr", input);
    if let Some(all) = refused(wfdb::read_annotations(&path), &path) {
        assert!(all.len() <= input.len() / 2);
    }
}

cardiograd_fuzz::target!(check);
