#![cfg_attr(fuzzing, no_main)]
//! Tables of labels: every column that is taken for a target has values of its kind.

use cardiograd::dataset::{Labels, TargetKind};
use cardiograd_fuzz::{file, refused};

const IDS: [&str; 3] = ["a", "b", "0"];

fn check(input: &[u8]) {
    let path = file("input.csv", input);
    let Some(labels) = refused(Labels::read(&path, &IDS, true), &path) else { return };
    assert_eq!(labels.len(), IDS.len());
    let names: Vec<String> = labels.names().take(8).map(str::to_owned).collect();
    for name in names {
        for kind in [None, Some(TargetKind::Regression), Some(TargetKind::Binary), Some(TargetKind::MultiClass)] {
            let Ok(target) = labels.define(&name, kind) else { continue };
            for value in (0..IDS.len()).filter_map(|ecg| labels.value(ecg, target)) {
                assert!(value.is_finite());
                assert!(target.is_regression() || (value >= 0.0 && (value as usize) < target.width().max(2)));
            }
        }
    }
}

cardiograd_fuzz::target!(check);
