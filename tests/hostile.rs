//! Hostile files: short ones that ask for much, ones that are no files, and thousands of damaged ones. Every reader refuses them with one short
//! line that names the file, and none panics, hangs or takes memory that the file's length does not call for.
#![cfg(feature = "cli")]

mod sample;

use cardiograd::audit::provenance::{Digested, Record};
use cardiograd::dataset::{Dataset, DatasetWriter, Entry, Manifest, Origin, read_table};
use cardiograd::ecg::Measurements;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS};
use cardiograd::ecg::read::{Given, Source, muse, osf};
use cardiograd::files::{npy, npz, state_dict};
use cardiograd::nn::Model;
use cardiograd::survey::{self, Key};
use cardiograd::tape::{Builder, ConvLayer, Network, Op};
use ndarray::{Array2, Array3};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(to: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = to.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The message of a refusal: one line, short, nothing unseen in it, and the file's name.
fn message<T>(found: cardiograd::Result<T>, path: &Path) -> String {
    let Err(error) = found else { panic!("{} must be refused", path.display()) };
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name), "the file is not named: {text}");
    assert!(text.len() <= 2000, "{} bytes: {text}", text.len());
    let unseen =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    assert!(!text.contains(unseen), "{text:?}");
    text
}

// ---- sizes

/// A `.npy` file of any shape, with so many bytes of data.
fn npy_file(descr: &str, shape: &str, data: usize) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((dict.len() as u16).to_le_bytes());
    out.extend(dict.as_bytes());
    out.resize(out.len() + data, 0);
    out
}

#[test]
fn shapes_in_which_a_zero_hides_a_product() {
    let to = folder();
    for shape in ["(576460752303423488, 8, 0)", "(0, 1099511627776, 1099511627776)", "(1099511627776, 0, 1099511627776)"] {
        let path = put(&to, "x.npy", npy_file("<i2", shape, 0));
        assert!(message(npy::read(&path), &path).contains("too large"));
        assert!(message(npy::NpyRows::open(&path), &path).contains("too large"));
        message(Source::open(&path, Given::default()), &path);
    }
    // It fits, and is an array; but there is no ECG in it, and no list of a hundred million of them is made.
    for shape in ["(100000000, 8, 0)", "(0, 8, 5000)", "(1, 0, 5000)", "(8, 0)"] {
        let path = put(&to, "x.npy", npy_file("<i2", shape, 0));
        npy::read(&path).unwrap();
        assert!(message(Source::open(&path, Given::default()), &path).contains("no ECG in it"));
    }
    let header = br#"{"w":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    let path = put(&to, "w.safetensors", bytes);
    message(state_dict::read(&path), &path);
    assert!(state_dict::Tensor::new(vec![0, 1 << 40, 1 << 40], state_dict::Values::F32(Vec::new())).is_err());
    assert!(state_dict::Tensor::new(vec![0, 1 << 40], state_dict::Values::F32(Vec::new())).is_ok());
}

// ---- archives

fn zip_options(method: CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method)
}

fn zip_file(path: &Path, method: CompressionMethod, entries: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(*name, zip_options(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let to = folder();
    for (file, entry) in [("x.npz", "0.npy"), ("x.whl", "deepfakeecg/g_stat.pt"), ("x.pt", "archive/data.pkl")] {
        let path = to.path().join(file);
        let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
        zip.start_file(entry, zip_options(CompressionMethod::Deflated)).unwrap();
        zip.write_all(&npy_file("<f4", "(1000,)", 4000)).unwrap();
        (1..60).for_each(|at| zip.shallow_copy_file(entry, &format!("{at}.npy")).unwrap());
        zip.finish().unwrap();
        let text = if file == "x.npz" { message(npz::read(&path), &path) } else { message(state_dict::read(&path), &path) };
        assert!(text.contains("overlap"), "{text}");
    }
}

#[test]
fn what_comes_out_of_an_archive_is_bounded_in_all() {
    let to = folder();
    // Each of the entries may expand to its 35 MB, both together may not: the file has some 70 kB.
    let array = npy_file("<f8", "(4400000,)", 35_200_000);
    let path = to.path().join("x.npz");
    zip_file(&path, CompressionMethod::Deflated, &[("a.npy", &array), ("b.npy", &array)]);
    assert!(npz::read_one(&path, "a").is_ok() && npz::read_one(&path, "b").is_ok());
    assert!(message(npz::read(&path), &path).contains("zip bomb"));
    // An archive within the archive is counted with it.
    let mut weights = state_dict::StateDict::new();
    weights.insert("w", state_dict::Tensor::new(vec![9_000_000], state_dict::Values::F32(vec![0.0; 9_000_000])).unwrap()).unwrap();
    let inner = to.path().join("g_stat.pt");
    state_dict::write(&inner, &weights).unwrap();
    let path = to.path().join("x.whl");
    zip_file(&path, CompressionMethod::Deflated, &[("deepfakeecg/g_stat.pt", &std::fs::read(&inner).unwrap())]);
    assert!(message(state_dict::read(&path), &path).contains("zip bomb"));
    assert!(state_dict::read(&inner).is_ok());
}

/// Quadratic lookups made minutes of this.
#[test]
fn an_archive_of_many_entries_is_read_in_a_moment() {
    let to = folder();
    let array = npy_file("<f4", "(1,)", 4);
    let names: Vec<String> = (0..5_000).map(|at| format!("{at}.npy")).collect();
    let path = to.path().join("x.npz");
    zip_file(&path, CompressionMethod::Stored, &names.iter().map(|name| (name.as_str(), array.as_slice())).collect::<Vec<_>>());
    assert_eq!(npz::read(&path).unwrap().len(), 5_000);
    let missing = message(npz::read_one(&path, "none"), &path);
    assert!(missing.contains("holds no array 'none'") && missing.contains("4999"), "{missing}");
}

// ---- pickles

/// A legacy file with any pickle of the object.
fn legacy(object: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
    out.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
    out.extend(object);
    out.extend(b"\x80\x02].");
    out
}

fn text_value(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn what_a_pickle_uses_a_thousand_times_is_held_once() {
    let to = folder();
    // A name of 1 MB, and a class of that name 200 000 times: 200 GB if each held its own.
    let mut object = b"\x80\x04".to_vec();
    object.extend(text_value("torch"));
    object.extend(b"q\0");
    object.extend(text_value(&format!("{}Storage", "n".repeat(1 << 20))));
    object.extend(b"q\x01");
    (0..200_000).for_each(|_| object.extend(b"h\0h\x01\x93"));
    object.extend(b"].");
    let path = put(&to, "names.pt", legacy(&object));
    assert!(message(state_dict::read(&path), &path).contains("a list"));
    // A key of 1 MB for every one of 10 000 tensors, each of 200 000 axes.
    let mut object = b"\x80\x02(".to_vec();
    (0..200_000).for_each(|_| object.extend(b"K\x01"));
    object.extend(b"tq\0");
    object.extend(text_value(&"k".repeat(1 << 20)));
    object.extend(b"q\x01}(");
    for name in 0..10_000 {
        object.extend(text_value(&name.to_string()));
        object.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        object.extend(text_value("storage"));
        object.extend(b"ctorch\nFloatStorage\nh\x01");
        object.extend(text_value("cpu"));
        object.extend(b"K\x01tQK\0h\0h\0\x89}tR");
    }
    object.extend(b"u.");
    let path = put(&to, "axes.pt", legacy(&object));
    assert!(message(state_dict::read(&path), &path).contains("description is damaged"));
    // Nested a million deep: nothing walks it, nothing is dropped one within the other.
    let mut object = b"\x80\x02)".to_vec();
    object.extend(std::iter::repeat_n(0x85, 1_000_000));
    object.push(b'.');
    let path = put(&to, "deep.pt", legacy(&object));
    assert!(message(state_dict::read(&path), &path).contains("a tuple"));
}

// ---- XML

#[test]
fn xml_that_would_take_long_is_refused_unparsed() {
    let to = folder();
    let attributes: String = (0..100_000).fold(String::new(), |mut text, at| {
        write!(text, " a{at}=\"\"").unwrap();
        text
    });
    let nested: String = (0..20_000).fold(String::new(), |mut text, at| {
        write!(text, "<a xmlns:n{at}=\"u{at}\">").unwrap();
        text
    });
    for (xml, hint) in [
        (format!("<RestingECG{attributes}/>"), "attributes"),
        (format!("<RestingECG><!-- > --><x y='/>'{attributes}/></RestingECG>"), "attributes"),
        (format!("<RestingECG>{nested}"), "namespaces"),
        ("<!DOCTYPE RestingECG [<!ENTITY a \"aa\">]><RestingECG>&a;</RestingECG>".into(), "entities"),
        ("<a>".repeat(400_000), "XML"),
    ] {
        let path = put(&to, "m.xml", xml);
        let text = message(muse::read(&path), &path);
        assert!(text.contains(hint), "{text}");
    }
}

// ---- what is no plain file

#[cfg(unix)]
#[test]
fn pipes_devices_and_folders_are_refused_by_every_reader() {
    let to = folder();
    for ending in ["npy", "npz", "pt", "xml", "hea", "asc", "csv", "json", "cgm"] {
        let pipe = to.path().join(format!("p.{ending}"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let zero = to.path().join(format!("z.{ending}"));
        std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
        let folder = to.path().join(format!("f.{ending}"));
        std::fs::create_dir(&folder).unwrap();
        for path in [&pipe, &zero, &folder] {
            let refuse = |text: String| assert!(text.contains("only plain files") || text.contains("is a folder"), "{text}");
            refuse(message(npy::read(path), path));
            refuse(message(npz::read(path), path));
            refuse(message(state_dict::read(path), path));
            refuse(message(read_table(path), path));
            refuse(message(osf::read_labels(path), path));
            refuse(message(Key::read(path), path));
            refuse(message(survey::read(path), path));
            refuse(message(Model::load(path), path));
            refuse(message(Record::read(path), path));
            refuse(message(cardiograd::files::digest::sha256_file(path), path));
            if !["pt", "json", "cgm"].contains(&ending) && path != &folder {
                refuse(message(Source::open(path, Given::default()).and_then(|source| source.read(0).map(drop)), path));
            }
        }
    }
}

// ---- fields that are not known

fn dataset(to: &TempDir) -> PathBuf {
    let path = to.path().join("data");
    let mut writer = DatasetWriter::create(&path, Origin { source: "simulator".into(), ..Origin::default() }).unwrap();
    let measurements = Measurements { pr_ms: Some(150.0), ..Measurements::default() };
    let entry =
        Entry { id: "0".into(), rhythm: Array2::zeros((8, 5000)), median: Array2::zeros((12, 600)), measurements, truth: None, kind: None };
    writer.append(&entry).unwrap();
    writer.finish().unwrap();
    path
}

fn key(to: &TempDir) -> PathBuf {
    let settings = survey::Settings { ecgs: 2, presentations: 1, raters: 1, seed: 1 };
    let key = survey::make(&sample::study(2, 40, 0), settings).unwrap().key;
    put(to, "key.json", serde_json::to_string_pretty(&key).unwrap())
}

fn record(to: &TempDir) -> PathBuf {
    let result = put(to, "result.csv", "1\n");
    let record = Record::new("measure", Some(1), vec![Digested::of("input", &result).unwrap()], &result).unwrap().sealed().unwrap();
    put(to, "record.json", serde_json::to_string_pretty(&record).unwrap())
}

#[test]
fn unknown_fields_are_named_with_their_place_and_what_is_known() {
    let to = folder();
    let data = dataset(&to);
    let manifest = data.join("dataset.json");
    let good = std::fs::read_to_string(&manifest).unwrap();
    assert!(Manifest::read(&data).is_ok());
    std::fs::write(&manifest, good.replacen('{', "{\n\"colour\": 1,", 1)).unwrap();
    let text = message(Manifest::read(&data), &manifest);
    assert!(text.contains("unknown field `colour`") && text.contains("`digests`") && text.contains("line 2"), "{text}");
    std::fs::write(&manifest, good.replace("\"version\": 1", "\"version\": 2, \"colour\": 1")).unwrap();
    let text = message(Dataset::open(&data), &manifest);
    assert!(text.contains("version 2, of a newer program"), "{text}");

    let key = key(&to);
    let good = std::fs::read_to_string(&key).unwrap();
    assert!(Key::read(&key).is_ok());
    for (from, with, hint) in [
        ("{", "{\"colour\": 1,", "unknown field `colour`"),
        ("\"rater\":", "\"colour\": 1, \"rater\":", "unknown field `colour`"),
        ("\"ecg\": 0", "\"ecg\": 0, \"colour\": 1", "unknown field `colour`"),
        ("\"presentations\": 1", "\"presentations\": 4611686018427387904", "4611686018427387904 presentations"),
        ("\"presentations\": 1", "\"presentations\": 0", "0 presentations"),
        ("\"presentations\": 1", "\"presentations\": 2", "screens"),
        ("\"ecg\": 0", "\"ecg\": 1", "twice"),
        ("\"ecg\": 0", "\"ecg\": 7", "does not have"),
    ] {
        let path = put(&to, "bad.json", good.replacen(from, with, 1));
        let text = message(Key::read(&path), &path);
        assert!(text.contains(hint), "{with}: {text}");
    }

    let record = record(&to);
    assert!(Record::read(&record).is_ok());
    let path = put(&to, "bad.json", std::fs::read_to_string(&record).unwrap().replacen('{', "{\"colour\": 1,", 1));
    assert!(message(Record::read(&path), &path).contains("unknown field `colour`"));

    for (name, text, hint) in [
        ("v.csv", "survey,rater,screen,choice,colour\ns,r,x,y,red\n", "'colour' is not known"),
        ("v.csv", "survey,rater,screen,choice,choice\ns,r,x,y,y\n", "twice"),
        ("v.json", r#"{"survey":"s","rater":"r","colour":1,"votes":[]}"#, "unknown field `colour`"),
        ("v.json", r#"{"survey":"s","rater":"r","votes":[{"screen":"x","choice":"y","colour":1}]}"#, "unknown field `colour`"),
    ] {
        let path = put(&to, name, text);
        let text = message(survey::read(&path), &path);
        assert!(text.contains(hint), "{text}");
    }
}

// ---- ids

#[test]
fn every_recording_has_an_id_of_its_own() {
    let to = folder();
    let ids = |inputs: &[&Path]| -> cardiograd::Result<Vec<String>> {
        let sources: Vec<Source> = inputs.iter().map(|path| Source::open(path, Given::default()).unwrap()).collect();
        let ids = Source::distinct_ids(&sources)?.concat();
        // A reader alone says the same where nothing else is there.
        let alone: Vec<String> = sources[0..1].iter().flat_map(|source| (0..source.len()).map(|at| source.read(at).unwrap().id)).collect();
        if sources.len() == 1 {
            assert_eq!(ids, alone);
        }
        Ok(ids)
    };
    let array = |place: &str, ecgs: usize| {
        std::fs::create_dir_all(to.path().join(place)).unwrap();
        let path = to.path().join(place).join("x.npy");
        npy::write(&path, Array3::<f32>::zeros((ecgs, 12, 3000)).view()).unwrap();
        path
    };
    let (a, b, one) = (array("a", 2), array("b", 3), array("one", 1));
    assert_eq!(ids(&[&a]).unwrap(), ["x:0", "x:1"]);
    assert_eq!(ids(&[&one]).unwrap(), ["x"]);
    let (text_a, text_b) = (a.display(), b.display());
    let wanted = [format!("{text_a}:0"), format!("{text_a}:1"), format!("{text_b}:0"), format!("{text_b}:1"), "x:2".into(), "x".into()];
    assert_eq!(ids(&[&a, &b, &one]).unwrap(), wanted);
    let twice = ids(&[&a, &a]).unwrap_err();
    assert!(twice.exit_code() == 2 && twice.to_string().contains("given twice"), "{twice}");
    let data = dataset(&to);
    assert_eq!(ids(&[&data]).unwrap(), ["0"], "a dataset has ids of its own");
    let same = to.path().join("same");
    std::fs::create_dir(&same).unwrap();
    ["1.asc", "1.ASC"].into_iter().for_each(|name| std::fs::write(same.join(name), "").unwrap());
    assert_eq!(ids(&[&same]).unwrap(), ["1.asc", "1.ASC"], "the extension tells them apart");
}

// ---- the program

fn cardiograd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).args(arguments).output().unwrap()
}

#[test]
fn measure_names_its_rows_and_keeps_their_order() {
    let to = folder();
    let simulator = cardiograd::ecg::simulator::Simulator::new(cardiograd::ecg::simulator::Settings::default(), 5);
    let both = Array3::from_shape_fn((2, 8, 5000), |(n, lead, t)| if lead + t == 0 { n as f32 } else { 0.0 });
    let ecgs: Vec<_> = (0..2).map(|at| simulator.simulate(at).rhythm.samples().to_owned()).collect();
    let both = both + &ndarray::stack(ndarray::Axis(0), &[ecgs[0].view(), ecgs[1].view()]).unwrap();
    let (x, y, table, medians) = (to.path().join("x.npy"), to.path().join("y.npy"), to.path().join("m.csv"), to.path().join("m.npy"));
    npy::write(&x, both.view()).unwrap();
    npy::write(&y, ecgs[1].view()).unwrap();
    let [x, y, table, medians] = [&x, &y, &table, &medians].map(|path| path.to_str().unwrap());
    let run = cardiograd(&["measure", x, y, "-o", table, "--medians", medians]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let records = read_table(table).unwrap();
    assert_eq!(records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["x:0", "x:1", "y"]);
    assert_eq!(records[1].measurements.qt_ms, records[2].measurements.qt_ms);
    let medians = npy::read_f32(medians).unwrap();
    assert_eq!(medians.shape(), [3, 12, 600]);
    assert_ne!(records[0].measurements, records[1].measurements);
}

#[test]
fn numbers_without_bounds_are_refused_at_once() {
    let most = u64::MAX.to_string();
    for arguments in [
        ["train", "--epochs"],
        ["train", "--batch"],
        ["generate", "-n"],
        ["explain", "--steps"],
        ["explain", "--samples"],
        ["explain", "--baselines"],
        ["explain", "--memory"],
        ["explain", "--occlusion-window"],
        ["perturb", "-n"],
        ["perturb", "--iterations"],
        ["study", "--ecgs"],
        ["study", "--epochs"],
        ["study", "--iterations"],
        ["study", "--heatmap-ecgs"],
        ["study", "--perturb-ecgs"],
        ["challenge", "--steps"],
        ["challenge", "--seeds"],
        ["challenge", "--permuted-epochs"],
        ["audit", "--steps"],
        ["audit", "-n"],
        ["trace", "--ecg"],
        ["render", "--ecg"],
        ["measure", "--threads"],
    ] {
        let run = cardiograd(&[arguments[0], arguments[1], &most]);
        let error = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(2) && error.contains("not a whole number up to"), "{arguments:?}: {error}");
    }
    for option in ["--presentations", "--raters", "--ecgs"] {
        let run = cardiograd(&["survey", "make", "study", option, &most]);
        assert!(run.status.code() == Some(2) && String::from_utf8_lossy(&run.stderr).contains("not a whole number up to"));
    }
    let run = cardiograd(&["survey", "tally", "key.json", "votes.csv", "--resamples", &most]);
    assert!(run.status.code() == Some(2) && String::from_utf8_lossy(&run.stderr).contains("not a whole number up to"));
}

// ---- damaged files

/// A generator of the damage (an LCG of Knuth's).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// The bytes with one to three faults: bytes changed, cut, repeated, put in.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.roll(3) {
            let (at, other) = (self.roll(bytes.len()), self.roll(bytes.len()));
            match self.roll(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at.min(other)..at.max(other).min(at.min(other) + 40))),
                2 => {
                    let part = bytes[at.min(other)..at.max(other).min(at.min(other) + 40)].to_vec();
                    bytes.splice(at..at, part);
                }
                3 => {
                    drop(bytes.splice(
                        at..at,
                        [&b"\x1b[31m\n\r"[..], "\u{202e}\u{feff}".as_bytes(), b"-9e999,", &[0xff; 9]][self.roll(4)].to_vec(),
                    ))
                }
                4 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff),
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = [0, 0xff, b'\n', b'"', b'9', b',', 0x80, *byte ^ 1][other % 8]),
            }
        }
        bytes
    }
}

/// CRC-32 as our own files carry it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }))
}

fn own_model(to: &TempDir) -> PathBuf {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let x = build.conv1d("conv", x, ConvLayer::same(12, 1, 3));
    let x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("fc", x, 1, 1, true);
    let program = build.finish(y).unwrap();
    let parameters = cardiograd::nn::initialise(&program, 1, 1).unwrap();
    let path = to.path().join("own.cgm");
    Model::new(Network::new(program, parameters).unwrap()).save(&path).unwrap();
    path
}

fn wfdb_header() -> String {
    let lines: String = LEADS.iter().map(|lead| format!("r.dat 16 200(0)/mV 16 0 0 0 0 {lead}\n")).collect();
    format!("r 12 500 20\n{lines}# a comment\n")
}

fn muse_file() -> String {
    let lead = |name: &&str| {
        let fields = "<LeadSampleCountTotal>3</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>";
        format!(
            "<LeadData>{fields}<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID><WaveFormData>AAECAwQF</WaveFormData></LeadData>"
        )
    };
    let leads: String = INDEPENDENT.iter().map(lead).collect();
    let wave = format!("<Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase>{leads}</Waveform>");
    let labels = "<RestingECGMeasurements><PRInterval>150</PRInterval><QOnset>220</QOnset></RestingECGMeasurements>";
    format!("<?xml version=\"1.0\"?>\n<!DOCTYPE RestingECG SYSTEM \"restecg.dtd\">\n<RestingECG>{labels}{wave}</RestingECG>")
}

type Reader = fn(&Path) -> cardiograd::Result<()>;

fn recording(path: &Path) -> cardiograd::Result<()> {
    let source = Source::open(path, Given::default())?;
    (0..source.len()).try_for_each(|at| source.read(at)?.rhythm(source.path(at)).map(drop))
}

/// Every kind of file that is read, whole.
fn seeds(to: &TempDir) -> Vec<(String, Vec<u8>, Reader)> {
    let data = |name: &str| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state_dict").join(name)).unwrap();
    let of = |path: PathBuf| std::fs::read(path).unwrap();
    let weights: Reader = |path| state_dict::read(path).map(drop);
    let array: Reader = |path| npy::read(path).map(drop);
    let table = "id,pr_ms,qrs_ms,qt_ms,rate_bpm,r_v5_uv,j_v5_uv,t_v5_uv,p_onset,p_offset,qrs_onset,qrs_offset,t_offset,status\n\
                 a,150,90,400.5,60,1200,-10,300,150,190,220,265,420,ok\nb,,,,,,,,,,,,,\"flat, \"\"all\"\"\"\n";
    let asc = "1 2 3 4 5 6 7 8\n-1 -2 -3 -4 -5 -6 -7 -8\n".repeat(5);
    let columns = format!(
        "time (ms),{}\n0,1,2,3,4,5,6,7,8\n2,1,2,3,4,5,6,7,8\n4,1,2,3,4,5,6,7,8\n",
        INDEPENDENT.map(|lead| format!("{lead} (uV)")).join(",")
    );
    let npz_path = to.path().join("seed.npz");
    npz::write(&npz_path, &[("x", &ndarray::Array2::<f32>::ones((8, 30)).into()), ("b", &ndarray::arr1(&[1i64]).into())]).unwrap();
    put(to, "r.dat", vec![1; 480]);
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("m.pt".into(), data("odd.pt"), weights),
        ("legacy.pt".into(), data("odd_legacy.pt"), weights),
        ("four.pt".into(), data("odd_protocol4.pt"), weights),
        ("m.safetensors".into(), data("odd.safetensors"), weights),
        ("x.npy".into(), npy_file("<f4", "(1, 8, 9)", 288), array),
        ("ecg.npy".into(), npy_file("<i2", "(2, 8, 9)", 288), recording),
        ("x.npz".into(), of(npz_path.clone()), |path| npz::read(path).map(drop)),
        ("ecg.npz".into(), of(npz_path), recording),
        ("own.cgm".into(), of(own_model(to)), |path| Model::load(path).map(drop)),
        ("r.hea".into(), text(&wfdb_header()), recording),
        ("m.xml".into(), text(&muse_file()), recording),
        ("x.asc".into(), text(&asc), recording),
        ("ecg.csv".into(), text(&columns), recording),
        ("m.csv".into(), text(table), |path| read_table(path).map(drop)),
        ("labels.csv".into(), text("patid;VentRate;pr;qrs\n7;61;;90\n8;61;150;90\n"), |path| osf::read_labels(path).map(drop)),
        ("dataset.json".into(), of(dataset(to).join("dataset.json")), |path| Manifest::read(path.parent().unwrap()).map(drop)),
        ("key.json".into(), of(key(to)), |path| Key::read(path).map(drop)),
        ("v.csv".into(), text("survey,rater,screen,choice,place,seconds,at\ns,rater1,x,y,3,1.5,now\n"), |path| {
            survey::read(path).map(drop)
        }),
        ("v.json".into(), text(r#"{"survey":"s","rater":"r","votes":[{"screen":"x","choice":"y","place":3}]}"#), |path| {
            survey::read(path).map(drop)
        }),
        ("record.json".into(), of(record(to)), |path| Record::read(path).map(drop)),
        ("program.json".into(), text(&serde_json::to_string(Model::load(own_model(to)).unwrap().network.program()).unwrap()), |path| {
            cardiograd::nn::load_program(path.to_str().unwrap()).map(drop)
        }),
    ]
}

#[test]
fn thousands_of_damaged_files_are_refused_in_a_line_or_read() {
    let to = folder();
    let seeds = seeds(&to);
    let mut dice = Dice(13);
    for (name, bytes, read) in &seeds {
        let path = put(&to, name, bytes);
        if !name.starts_with("ecg.") && !["r.hea", "m.xml", "x.asc"].contains(&name.as_str()) {
            read(&path).unwrap_or_else(|error| panic!("{name} as it is: {error}"));
        }
        for _ in 0..200 {
            let mut damaged = dice.damage(bytes);
            // Half of our own files get a true checksum and length, so that what is behind them is reached.
            if name == "own.cgm" && dice.roll(2) == 0 && damaged.len() > 24 {
                let (crc, length) = (crc32(&damaged[24..]), damaged.len() as u64 - 24);
                damaged[12..16].copy_from_slice(&crc.to_le_bytes());
                damaged[16..24].copy_from_slice(&length.to_le_bytes());
            }
            std::fs::write(&path, &damaged).unwrap();
            if let Err(error) = read(&path) {
                message::<()>(Err(error), if name == "r.hea" { to.path() } else { &path });
            }
        }
    }
}
