#![cfg_attr(fuzzing, no_main)]
//! `dataset.json` in the folder of a dataset of two ECGs.

use cardiograd::dataset::{Dataset, InputKind, Record, folder, write_table};
use cardiograd::files::npy;
use cardiograd_fuzz::{file, path, refused};
use ndarray::Array3;
use std::path::PathBuf;
use std::sync::OnceLock;

fn check(input: &[u8]) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let data = FOLDER.get_or_init(make);
    std::fs::write(data.join(folder::MANIFEST), input).expect("a temporary file");
    let Some(dataset) = refused(Dataset::open(data), data) else { return };
    assert_eq!(dataset.len(), 2);
    for kind in [InputKind::Median, InputKind::Rhythm] {
        assert_eq!(dataset.input(1, kind).expect("an ECG of the dataset").nrows(), 12);
    }
    let manifest = dataset.manifest().expect("a dataset from a folder has a manifest");
    refused(manifest.differing(data), data);
    let copy = serde_json::to_vec(manifest).expect("a manifest can be written");
    std::fs::write(data.join(folder::MANIFEST), copy).expect("a temporary file");
    assert_eq!(Dataset::open(data).expect("what was written").manifest(), Some(manifest));
}

fn make() -> PathBuf {
    let data = path("data");
    std::fs::create_dir_all(&data).expect("a temporary folder");
    npy::write(data.join(folder::RHYTHM), Array3::<i16>::zeros((2, 8, 5000)).view()).expect("rhythms");
    npy::write(data.join(folder::MEDIAN), Array3::<f32>::zeros((2, 12, 600)).view()).expect("median beats");
    let records = ["a", "b"].map(|id| Record { id: id.into(), ..Record::default() });
    let mut table = Vec::new();
    write_table(&mut table, &records).expect("a table");
    file("data/measurements.csv", &table);
    data
}

cardiograd_fuzz::target!(check);
