#![cfg_attr(fuzzing, no_main)]
//! Tables of measurements: what is read is finite, and comes back when it is written.

use cardiograd::dataset::{read_table, write_table};
use cardiograd::ecg::read::osf;
use cardiograd_fuzz::tables::finite;
use cardiograd_fuzz::{file, refused};

fn check(input: &[u8]) {
    let path = file("input.csv", input);
    if let Some(labels) = refused(osf::read_labels(&path), &path) {
        assert!(labels.values().all(finite));
    }
    let Some(records) = refused(read_table(&path), &path) else { return };
    assert!(records.iter().all(|record| finite(&record.measurements)));
    let mut written = Vec::new();
    write_table(&mut written, &records).expect("a table can be written");
    let back = read_table(file("copy.csv", &written)).unwrap_or_else(|error| panic!("what was written is refused: {error}"));
    assert_eq!(back, records);
}

cardiograd_fuzz::target!(check);
