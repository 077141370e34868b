//! Dataset folders: what is written is read, a killed job goes on to the same bytes, damage is refused.
#![cfg(feature = "files")]

use cardiograd::dataset::{Dataset, DatasetWriter, Entry, InputKind, Manifest, Origin, Part, Target};
use cardiograd::ecg::Measurements;
use ndarray::Array2;
use std::path::Path;

fn origin(seed: u64) -> Origin {
    Origin { source: "simulator".into(), seed: Some(seed), details: [("thresholds".to_owned(), "12sl".to_owned())].into() }
}

fn entry(i: usize) -> Entry {
    let measured = Measurements {
        pr_ms: (i != 2).then_some(150.0 + i as f64 / 3.0),
        qt_ms: Some(400.5),
        rejected: (i == 3).then(|| "flat leads, \"all\" of them".to_owned()),
        ..Default::default()
    };
    Entry {
        id: i.to_string(),
        rhythm: Array2::from_shape_fn((8, 5000), |(lead, t)| (i * 1000 + lead * 100 + t % 7) as i16),
        median: Array2::from_shape_fn((12, 600), |(lead, t)| i as f32 + lead as f32 / 3.0 - t as f32),
        measurements: measured.clone(),
        truth: Some(Measurements { pr_ms: Some(151.25), ..measured }),
        kind: None,
    }
}

fn write(path: &Path, ecgs: usize) -> Manifest {
    let mut writer = DatasetWriter::create(path, origin(7)).unwrap();
    (0..ecgs).for_each(|i| writer.append(&entry(i)).unwrap());
    writer.finish().unwrap()
}

#[test]
fn a_dataset_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let manifest = write(&path, 5);
    let data = Dataset::open(&path).unwrap();
    assert_eq!(data.manifest(), Some(&manifest));
    assert_eq!((data.len(), manifest.ecgs, manifest.origin.seed), (5, 5, Some(7)));
    for i in 0..5 {
        let wanted = entry(i);
        assert_eq!(data.rhythm(i).unwrap(), wanted.rhythm);
        assert_eq!(data.median(i).unwrap(), wanted.median);
        assert_eq!((data.measurements(i), &data.records()[i].id), (&wanted.measurements, &wanted.id));
    }
    assert_eq!(data.inputs(&[4, 0], InputKind::Rhythm).unwrap().shape(), [2, 12, 5000]);
    let split = data.split(1);
    let with_pr: usize = Part::ALL.iter().map(|&part| data.examples(&split, part, Target::Pr).len()).sum();
    assert_eq!(with_pr, 4);
    assert!(data.median(5).is_err());
    let header = std::fs::read_to_string(path.join("measurements.csv")).unwrap();
    assert!(header.starts_with(
        "id,pr_ms,qrs_ms,qt_ms,rate_bpm,r_v5_uv,j_v5_uv,t_v5_uv,p_onset,p_offset,qrs_onset,qrs_offset,t_offset,status,pr_ms_se,qrs_ms_se,"
    ));
    assert!(header.lines().nth(1).unwrap().starts_with("0,150,,400.5,"));
    assert_eq!(cardiograd::dataset::read_table(path.join("truth.csv")).unwrap()[2].measurements.pr_ms, Some(151.25));
    assert!(manifest.differing(&path).unwrap().is_empty());
    assert_eq!(DatasetWriter::create(&path, origin(7)).unwrap_err().exit_code(), 2);
}

#[test]
fn a_killed_job_goes_on_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (whole, resumed) = (root.path().join("whole"), root.path().join("resumed"));
    let manifest = write(&whole, 6);
    let mut writer = DatasetWriter::resume(&resumed, origin(7)).unwrap();
    (0..3).for_each(|i| writer.append(&entry(i)).unwrap());
    writer.checkpoint().unwrap();
    (3..5).for_each(|i| writer.append(&entry(i)).unwrap());
    // As a kill would: buffers may or may not have reached the files, and the last row may be half there.
    drop(writer);
    assert!(!resumed.exists());
    assert_eq!(DatasetWriter::resume(&resumed, origin(8)).unwrap_err().exit_code(), 2);
    let mut writer = DatasetWriter::resume(&resumed, origin(7)).unwrap();
    assert_eq!(writer.rows(), 3);
    (3..6).for_each(|i| writer.append(&entry(i)).unwrap());
    assert_eq!(writer.finish().unwrap(), manifest);
    for file in ["rhythm.npy", "median.npy", "measurements.csv", "truth.csv", "dataset.json"] {
        assert_eq!(std::fs::read(whole.join(file)).unwrap(), std::fs::read(resumed.join(file)).unwrap(), "{file}");
    }
    assert_eq!(std::fs::read_dir(&resumed).unwrap().count(), 5);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let mut writer = DatasetWriter::create(&path, origin(1)).unwrap();
    writer.append(&entry(0)).unwrap();
    let mut bad = entry(1);
    bad.median[[6, 17]] = f32::INFINITY;
    let error = writer.append(&bad).unwrap_err().to_string();
    assert!(error.contains("ECG 1, lead V1, sample 17"), "{error}");
    assert!(writer.append(&Entry { rhythm: Array2::zeros((8, 4999)), ..entry(1) }).is_err());
    drop(writer);
    let writer = DatasetWriter::create(&path, origin(1)).unwrap();
    assert!(writer.finish().unwrap_err().to_string().contains("at least one"));
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    let mut writer = DatasetWriter::create(&path, origin(1)).unwrap();
    writer.append(&entry(0)).unwrap();
    assert!(writer.append(&Entry { truth: None, ..entry(1) }).unwrap_err().to_string().contains("exact values"));
}

#[test]
fn damage_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let manifest = write(&path, 2);
    let damage = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let good = std::fs::read(path.join(file)).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(path.join(file), bytes).unwrap();
        let outcome = Dataset::open(&path).map(|data| data.median(1).map(drop));
        let differing = manifest.differing(&path);
        std::fs::write(path.join(file), good).unwrap();
        (outcome, differing)
    };
    let text =
        |(outcome, _): (cardiograd::Result<cardiograd::Result<()>>, cardiograd::Result<Vec<String>>)| outcome.unwrap_err().to_string();
    assert!(text(damage("rhythm.npy", &|bytes| bytes.truncate(1000))).contains("truncated"));
    assert!(text(damage("rhythm.npy", &|bytes| *bytes = b"\x93NUMPY\x01\0".to_vec())).contains("truncated"));
    assert!(text(damage("measurements.csv", &|bytes| bytes.truncate(bytes.len() - 10))).contains("measurements.csv"));
    assert!(text(damage("measurements.csv", &|bytes| bytes.clear())).contains("missing"));
    assert!(text(damage("dataset.json", &|bytes| bytes.truncate(50))).contains("dataset.json"));
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| *bytes = String::from_utf8(bytes.clone()).unwrap().replace(from, to).into_bytes()
    };
    assert!(text(damage("dataset.json", &replace("cardiograd-dataset", "other"))).contains("other"));
    assert!(text(damage("dataset.json", &replace("\"ecgs\": 2", "\"ecgs\": 1152921504606846976"))).contains("ECGs"));
    // A sample that is no number is found when it is read, and the digest tells any change.
    let (outcome, differing) = damage("median.npy", &|bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(outcome.unwrap().unwrap_err().to_string().contains("lead V6, sample 599"));
    assert_eq!(differing.unwrap(), ["median.npy"]);
    assert!(Dataset::open(root.path()).unwrap_err().to_string().contains("not a dataset"));
    assert!(Dataset::open(root.path().join("absent")).is_err());
    let mut hostile = manifest.clone();
    hostile.digests.insert("../../etc/passwd".into(), String::new());
    assert!(hostile.differing(&path).unwrap_err().to_string().contains("unknown file"));
}
