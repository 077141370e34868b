//! `cardiograd verify`: what explain, predict, perturb and train write can be made again, byte for byte, and whatever changed is named.
#![allow(missing_docs)]

use cardiograd::audit::compare::compare;
use cardiograd::audit::provenance::{Record, record_of};
use cardiograd::files::npy;
use cardiograd::files::npz::{self, NpzWriter};
use ndarray::{Array3, ArrayD};
use std::path::Path;
use std::process::{Command, Output};

fn cardiograd_on(kernel: &str, folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    if !kernel.is_empty() {
        command.env("CARDIOGRAD_KERNEL", kernel);
    }
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn done(folder: &Path, arguments: &str) -> String {
    let output = cardiograd_on("", folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The one line with which a result is not verified.
fn refused(folder: &Path, arguments: &str) -> String {
    let output = cardiograd_on("", folder, arguments);
    let line = text(&output.stderr);
    assert!(output.status.code() == Some(1) && line.trim_end().lines().count() == 1, "{arguments}: {line}");
    line
}

/// A folder with a model and two ECGs, and heatmaps of them.
fn explained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state_dict/standardconv.safetensors");
    std::fs::copy(model, folder.path().join("model.safetensors")).unwrap();
    let wave = |n: usize, c: usize, t: usize| 300.0 * ((t as f32 + 7.0 * c as f32) * (0.03 + 0.01 * n as f32)).sin() + (t * 31 % 17) as f32;
    npy::write(folder.path().join("x.npy"), Array3::from_shape_fn((2, 12, 120), |(n, c, t)| wave(n, c, t)).view()).unwrap();
    done(
        folder.path(),
        "explain model.safetensors --arch standardconv -i x.npy --method saliency,smoothgrad --samples 4 --seed 3 -o out.npz",
    );
    folder
}

/// Turns the lowest bit of a byte.
fn turn(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn maps_are_made_again_byte_for_byte_on_this_kernel_and_within_the_bound_on_another() {
    let folder = explained();
    assert!(done(folder.path(), "verify out.npz").contains("the same bytes"));
    assert!(done(folder.path(), "verify out.npz --threads 1").contains("the same bytes"));
    let other = cardiograd_on("portable", folder.path(), "verify out.npz --json");
    let told: serde_json::Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!((told["verified"].as_bool(), told["kernel_here"].as_str()), (Some(true), Some("portable")), "{told}");
    let record = Record::find(&folder.path().join("out.npz")).unwrap().unwrap();
    assert!(record.arguments.contains(&"--samples=4".to_owned()) && record.defaults.contains(&"--precision=f32".to_owned()));
    assert_eq!((record.command.as_str(), record.seed), ("explain", Some(3)));
}

#[test]
fn any_changed_byte_is_named() {
    let folder = explained();
    let path = folder.path();
    let changed = |file: &str, words: &[&str]| {
        let file = path.join(file);
        let whole = std::fs::read(&file).unwrap();
        turn(&file, |len| len / 2);
        for option in ["", " --digests"] {
            let line = refused(path, &format!("verify out.npz{option}"));
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        std::fs::write(&file, whole).unwrap();
        done(path, "verify out.npz");
    };
    changed("model.safetensors", &["model model.safetensors", "bytes changed"]);
    changed("x.npy", &["input x.npy", "bytes changed"]);
    changed("out.npz", &["result out.npz", "bytes changed"]);
    std::fs::rename(path.join("x.npy"), path.join("y.npy")).unwrap();
    assert!(refused(path, "verify out.npz").contains("input x.npy: it is not there"));
    assert!(done(path, "verify out.npz --input y.npy").contains("the same bytes"));
}

/// Rewrites one element of a map, as someone would who wants a nicer picture and knows of the record.
#[test]
fn a_heatmap_changed_together_with_its_record_is_named() {
    let folder = explained();
    let path = folder.path().join("out.npz");
    let mut arrays: Vec<(String, ArrayD<f32>)> =
        npz::read(&path).unwrap().into_iter().map(|(name, array)| (name, array.into_f32())).collect();
    let map = arrays.iter_mut().find(|(name, _)| name == "smoothgrad").unwrap();
    let value = &mut map.1.as_slice_mut().unwrap()[1000];
    *value = f32::from_bits(value.to_bits() ^ 1);
    let mut archive = NpzWriter::create(&path).unwrap();
    arrays.iter().for_each(|(name, array)| archive.add(name, array.view()).unwrap());
    archive.finish().unwrap();
    let old = Record::find(&path).unwrap().unwrap();
    let new = Record { outputs: Record::new("explain", None, Vec::new(), &path).unwrap().outputs, ..old };
    new.sealed().unwrap().write(&path).unwrap();
    assert!(done(folder.path(), "verify out.npz --digests").contains("as recorded"));
    let line = refused(folder.path(), "verify out.npz");
    assert!(line.contains("array 'smoothgrad'") && line.contains("1 of 2880 elements") && line.contains("element 1000"), "{line}");
}

#[test]
fn another_seed_is_named() {
    let folder = explained();
    let path = folder.path().join("out.npz");
    let mut record = Record::find(&path).unwrap().unwrap();
    let seed = record.arguments.iter_mut().find(|argument| argument.starts_with("--seed")).unwrap();
    *seed = "--seed=4".into();
    record.write(&path).unwrap();
    assert!(refused(folder.path(), "verify out.npz").contains("record: its own bytes changed (seed"));
    record.sealed().unwrap().write(&path).unwrap();
    let line = refused(folder.path(), "verify out.npz");
    assert!(line.contains("'smoothgrad'") && !line.contains("'saliency'"), "{line}");
}

#[test]
fn a_result_without_its_record_says_so() {
    let folder = explained();
    let path = folder.path();
    std::fs::create_dir(path.join("moved")).unwrap();
    std::fs::rename(path.join("out.npz"), path.join("moved/out.npz")).unwrap();
    let line = refused(path, "verify moved/out.npz");
    assert!(line.contains("there is no record") && line.contains("--record"), "{line}");
    assert!(done(path, "verify moved/out.npz --record out.npz.provenance.json").contains("the same bytes"));
    assert!(refused(path, "verify absent.npz").contains("absent.npz"));
    std::fs::write(record_of(&path.join("moved/out.npz")), "{}").unwrap();
    assert!(refused(path, "verify moved/out.npz").contains("not a provenance record"));
}

#[test]
fn predictions_models_and_curves_are_made_again() {
    let folder = explained();
    let path = folder.path();
    done(path, "predict model.safetensors --arch standardconv -i x.npy -o y.npy");
    assert!(done(path, "verify y.npy").contains("the same bytes"));
    done(path, "generate --source simulator -n 30 -o data -q");
    done(path, "train data --target r_v5 --input median --arch standardconv --epochs 1 -o trained.cgm -q");
    assert!(done(path, "verify trained.cgm").contains("the same bytes"));
    assert!(cardiograd_on("portable", path, "verify trained.cgm").status.success());
    done(path, "perturb trained.cgm --data data -m saliency,random -n 2 --iterations 3 -o curves -q");
    assert!(done(path, "verify curves").contains("the same bytes"));
    std::fs::write(path.join("curves/more.csv"), "x").unwrap();
    assert!(refused(path, "verify curves").contains("more.csv: it is not in the record"));
    std::fs::remove_file(path.join("curves/more.csv")).unwrap();
    turn(&path.join("curves/curves/trained/saliency.npz"), |len| len / 2);
    assert!(refused(path, "verify curves --digests").contains("saliency.npz"));
    turn(&path.join("curves/curves/trained/saliency.npz"), |len| len / 2);
    turn(&path.join("data/median.npy"), |len| len - 1);
    assert!(refused(path, "verify curves --digests").contains("data data: its bytes changed in median.npy"));
}

#[test]
fn an_account_is_made_again_and_a_changed_byte_is_named() {
    let folder = explained();
    let path = folder.path();
    let options = "--method occlusion --occlusion-value x.npy --occlusion-window 40 --occlusion-stride 40 --seed 2";
    done(path, &format!("trace model.safetensors --arch standardconv -i x.npy --ecg 1 {options} -o plain"));
    done(path, "trace model.safetensors --arch standardconv -i x.npy --method deeplift --baseline x.npy --node all -o account -q");
    for folder in ["plain", "account"] {
        assert!(done(path, &format!("verify {folder}")).contains("the same bytes"));
        assert!(cardiograd_on("portable", path, &format!("verify {folder}")).status.success());
    }
    let record = Record::find(&path.join("plain")).unwrap().unwrap();
    let roles: Vec<&str> = record.inputs.iter().map(|input| input.role.as_str()).collect();
    assert_eq!((roles, record.seed), (vec!["model", "input", "occlusion-value"], Some(2)));
    assert!(record.arguments.contains(&"--occlusion-window=40".to_owned()) && record.defaults.contains(&"--steps=50".to_owned()));
    // The account names the files as they were called; where they are now is another matter.
    std::fs::rename(path.join("model.safetensors"), path.join("moved.safetensors")).unwrap();
    assert!(refused(path, "verify account").contains("model model.safetensors: it is not there"));
    assert!(done(path, "verify account --model moved.safetensors").contains("the same bytes"));
    for file in ["map.npy", "trace.html", "trace.json", "graph.svg"] {
        let file = path.join("account").join(file);
        turn(&file, |len| len - 4);
        let line = refused(path, "verify account --model moved.safetensors");
        assert!(line.contains(file.file_name().unwrap().to_str().unwrap()) && line.contains("bytes changed"), "{line}");
        turn(&file, |len| len - 4);
    }
    // Someone who knows of the record changes one value of the map, and the digests with it.
    let old = Record::find(&path.join("account")).unwrap().unwrap();
    turn(&path.join("account/map.npy"), |len| len - 8);
    let new = Record { outputs: Record::new("trace", None, Vec::new(), &path.join("account")).unwrap().outputs, ..old };
    new.sealed().unwrap().write(&path.join("account")).unwrap();
    let line = refused(path, "verify account --model moved.safetensors");
    assert!(line.contains("map.npy") && line.contains("1 of 1440 elements"), "{line}");
}

#[test]
fn a_study_is_made_again_from_its_models() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let sizes = "--ecgs 40 --epochs 1 --heatmap-ecgs 1 --perturb-ecgs 2 --iterations 16 --arch standardconv";
    done(path, &format!("study --targets r_v5 --method saliency,random {sizes} -o study -q"));
    assert!(done(path, "verify study").contains("the same bytes"));
    turn(&path.join("study/heatmaps/r_v5/saliency.npy"), |len| len - 2);
    let line = refused(path, "verify study");
    assert!(line.contains("heatmaps/r_v5/saliency.npy") && line.contains("elements differ"), "{line}");
}

#[test]
fn comparing_two_results_names_arrays() {
    let folder = explained();
    let (out, other) = (folder.path().join("out.npz"), folder.path().join("other.npz"));
    let record = Record::find(&out).unwrap().unwrap();
    let mut archive = NpzWriter::create(&other).unwrap();
    archive.add("saliency", npz::read_one(&out, "saliency").unwrap().into_f32().view()).unwrap();
    archive.finish().unwrap();
    assert!(compare(&record, &out, &out).unwrap().is_empty());
    let places: Vec<String> = compare(&record, &out, &other).unwrap().into_iter().map(|difference| difference.place).collect();
    assert_eq!(places, ["array 'smoothgrad'", "array 'prediction'"]);
}
