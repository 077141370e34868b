//! The model file: what goes in comes out, and no damaged or hostile file does anything but a one-line error.

use cardiograd::dataset::{InputKind, Part, Place, Row, SplitBy, Target, TargetKind, Transform, Word};
use cardiograd::nn::{
    Checkpoint, Epoch, Further, Metrics, Model, Near, OutputMetrics, Provenance, Storage, TrainSettings, Weights, architecture, initialise,
    network_from_bytes,
};
use cardiograd::tape::Network;
use proptest::prelude::*;
use std::path::Path;

fn model() -> Model {
    let program = architecture("standardconv").unwrap();
    let parameters = initialise(&program, 3, 1).unwrap();
    let metrics = Metrics { part: Part::Test, n: 7, mae: 1.0, rmse: 2.0, mae_of_mean: 3.0, rmse_of_mean: 4.0 };
    let provenance = Provenance {
        version: "cardiograd".into(),
        settings: TrainSettings::paper(),
        dataset: "sha256:0123".into(),
        train_mean: 412.5,
        epochs: vec![Epoch { train_rmse: 3.0, validation_rmse: 2.5, learning_rate: 0.008 }],
        best_epoch: 0,
        weights: Weights::Best,
        metrics: vec![metrics],
        outputs: Vec::new(),
        near: Vec::new(),
        calibration: Vec::new(),
    };
    let network = Network::new(program, parameters).unwrap();
    Model { network, target: Some(Target::RV5), input: Some(InputKind::Median), provenance: Some(provenance) }
}

fn saved(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let path = folder.join("m.cgm");
    model().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

/// What is known of errors near a value comes back, with weights of either width; a model without any is the file that it was.
#[test]
fn errors_near_a_value_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, bytes) = saved(folder.path());
    let mut knowing = Model::load(&plain).unwrap();
    let near =
        vec![Near { low: 300.0, high: 380.0, n: 12, mae: 4.5, bias: -1.25 }, Near { low: 381.0, high: 470.0, n: 11, mae: 9.0, bias: 8.0 }];
    knowing.provenance.as_mut().unwrap().near = near.clone();
    for storage in [Storage::F32, Storage::F16] {
        let path = folder.path().join(format!("{}.cgm", storage.name()));
        knowing.save_as(&path, storage).unwrap();
        let found = Model::load(&path).unwrap().provenance.unwrap();
        assert_eq!(found.near, near);
        assert_eq!(found.metrics, model().provenance.unwrap().metrics);
    }
    assert!(Model::load(&plain).unwrap().provenance.unwrap().near.is_empty());
    assert!(saved(folder.path()).1 == bytes);
}

/// So does what calibration added, in a file of the next version.
#[test]
fn a_calibrated_model_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut own = model();
    let about = own.provenance.as_mut().unwrap();
    about.settings.further.calibrate = true;
    about.calibration = vec![-4.5];
    for (storage, version) in [(Storage::F32, 3), (Storage::F16, 2)] {
        let path = folder.path().join("m.cgm");
        own.save_as(&path, storage).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[8], version);
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.provenance, own.provenance);
        let alone = network_from_bytes(&bytes, "m.cgm").unwrap();
        assert_eq!(alone.parameters(), loaded.network.parameters());
        for end in (0..bytes.len()).step_by(997) {
            refusal(&path, &bytes[..end]);
        }
        let newer = [&bytes[..8], &[version + 1], &bytes[9..]].concat();
        assert!(refusal(&path, &newer).contains(&format!("from a newer program; this program reads version {version}")));
    }
}

/// The one-line error of a file with these bytes.
fn refusal(path: &Path, bytes: &[u8]) -> String {
    std::fs::write(path, bytes).unwrap();
    let error = Model::load(path).unwrap_err().to_string();
    assert!(error.contains("m.cgm: ") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn a_model_comes_back_whole_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = saved(folder.path());
    let loaded = Model::load(&path).unwrap();
    let original = model();
    assert_eq!(loaded.network.program(), original.network.program());
    assert_eq!(loaded.network.parameters(), original.network.parameters());
    assert_eq!((loaded.target, loaded.input, loaded.unit()), (Some(Target::RV5), Some(InputKind::Median), "µV"));
    assert_eq!(loaded.provenance, original.provenance);
    loaded.save(&path).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert!(Model::is_model_file(&path).unwrap());
}

/// What the study's trainings do without is in a file of the next version; a file of the first is written as ever.
#[test]
fn a_model_of_labels_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.cgm");
    let row = |name: &str, kind, classes: &[&str]| Row {
        name: name.into(),
        title: name.into(),
        unit: "logit".into(),
        kind,
        column: name.into(),
        transform: Transform::None,
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        place: Place::Qrs,
    };
    let lbbb = Target::own(row("lbbb", TargetKind::Binary, &[])).unwrap();
    let rhythm = Target::own(row("rhythm", TargetKind::MultiClass, &["sinus", "paced"])).unwrap();
    let several = Target::several(&[lbbb, Target::Pr]).unwrap();
    for target in [lbbb, rhythm, several] {
        let mut own = model();
        own.target = Some(target);
        let about = own.provenance.as_mut().unwrap();
        about.settings.further =
            Further { split: SplitBy::Group(Word::new("patient").unwrap()), patience: Some(3), from: Some([7; 32]), ..Further::default() };
        about.outputs = vec![OutputMetrics { target: lbbb, train_mean: 0.25, metrics: about.metrics.clone() }];
        own.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[8], 2);
        let loaded = Model::load(&path).unwrap();
        assert_eq!((loaded.target, loaded.provenance.clone()), (Some(target), own.provenance));
        loaded.save(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
        for end in (0..bytes.len()).step_by(4099) {
            refusal(&path, &bytes[..end]);
        }
    }
    assert_eq!(saved(folder.path()).1[8], 1);
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = saved(folder.path());
    for end in (0..bytes.len()).step_by(97).chain(0..40) {
        refusal(&path, &bytes[..end]);
    }
    refusal(&path, &[&bytes[..], &[0]].concat());
}

#[test]
fn a_file_of_another_kind_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = saved(folder.path());
    let error = Checkpoint::load(&path).err().unwrap().to_string();
    assert!(error.contains("is not a cardiograd training checkpoint"), "{error}");
    assert!(refusal(&path, &[b"\x80\x02}q\x00", &bytes[..]].concat()).contains("is not a cardiograd model"));
    assert!(Model::load(folder.path().join("absent.cgm")).unwrap_err().to_string().contains("absent.cgm"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_is_refused(at: prop::sample::Index, bit in 0u8..8) {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut bytes) = saved(folder.path());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        refusal(&path, &bytes);
    }
}

#[test]
fn every_bit_of_the_header_matters() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = saved(folder.path());
    for bit in 0..24 * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refusal(&path, &bytes);
    }
}

#[test]
fn weights_of_16_bits_halve_the_file_and_hardly_move_the_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, half) = (folder.path().join("m.cgm"), folder.path().join("m16.cgm"));
    let network = {
        let program = architecture("stevennet").unwrap();
        let parameters = initialise(&program, 3, 1).unwrap();
        Network::new(program, parameters).unwrap()
    };
    let model = Model { network, ..model() };
    model.save(&whole).unwrap();
    model.save_as(&half, Storage::F16).unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64;
    assert!(size(&half) < 0.52 * size(&whole));
    assert_eq!((Model::storage_of(&whole).unwrap(), Model::storage_of(&half).unwrap()), (Some(Storage::F32), Some(Storage::F16)));
    let loaded = Model::load(&half).unwrap();
    assert_eq!((loaded.target, loaded.input, &loaded.provenance), (model.target, model.input, &model.provenance));
    for (name, value) in model.network.parameters() {
        let found = &loaded.network.parameters()[&name];
        let largest = value.iter().fold(0f32, |most, v| most.max(v.abs()));
        assert!(found.iter().zip(&value).all(|(found, v)| (found - v).abs() <= (v.abs() / 2048.0).max(largest * 1e-11)), "{name}");
    }
    // A file of 16-bit weights is checked as any: cut off, altered.
    let bytes = std::fs::read(&half).unwrap();
    let path = folder.path().join("m.cgm");
    assert!(refusal(&path, &bytes[..bytes.len() - 1]).contains("altered"));
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(refusal(&path, &other).contains("checksum"));
}
