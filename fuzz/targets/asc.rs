#![cfg_attr(fuzzing, no_main)]
//! The files of the published Pulse2pulse ECGs: recordings, median beats, tables of labels.

use cardiograd::ecg::read::osf;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.asc", input);
    if let Some(recording) = refused(osf::read_asc(&path), &path) {
        use_recording(&recording, &path);
    }
    if let Some(median) = refused(osf::read_median(&path), &path) {
        assert!(median.iter().all(|value| value.is_finite()));
    }
    if let Some(labels) = refused(osf::read_labels(&path), &path) {
        assert!(labels.values().all(cardiograd_fuzz::tables::finite));
    }
}

cardiograd_fuzz::target!(check);
