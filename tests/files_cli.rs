//! `generate` and `inspect` as a script sees them: exit codes, JSON, the same bytes each time, nothing half-written.
#![cfg(feature = "cli")]

use cardiograd::ecg::leads::INDEPENDENT;
use ndarray::{Array3, arr2};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cardiograd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).args(arguments).output().unwrap()
}

/// Standard output of a run that succeeds.
fn ok(arguments: &[&str]) -> String {
    let output = cardiograd(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(arguments)).unwrap()
}

/// The one line of a run that fails with `code`.
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = cardiograd(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    error
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state_dict").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn generate_gives_the_same_dataset_whatever_the_threads() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    let said = ok(&["generate", "-n", "70", "--seed", "5", "--threads", "1", "-o", text(&one)]);
    assert!(said.contains("70 ECGs from simulator, seed 5") && said.contains("PR interval"), "{said}");
    let value = json(&["generate", "--source", "simulator", "-n", "70", "--seed", "5", "--threads", "2", "--json", "-o", text(&two)]);
    assert_eq!((&value["ecgs"], &value["manifest"]["seed"]), (&70.into(), &5.into()));
    for file in ["rhythm.npy", "median.npy", "measurements.csv", "truth.csv", "dataset.json"] {
        assert!(std::fs::read(one.join(file)).unwrap() == std::fs::read(two.join(file)).unwrap(), "{file}");
    }
    assert!(value["measured"].as_u64().unwrap() >= 69);
    assert!(fails(2, &["generate", "-n", "1", "-o", text(&one)]).contains("exists already"));
    assert_eq!(ok(&["generate", "-n", "1", "--quiet", "-o", text(&root.path().join("three"))]), "");

    let seen = json(&["inspect", "--json", text(&one)]);
    assert_eq!((&seen["targets"], &seen["manifest"]), (&value["targets"], &value["manifest"]));
    assert!(ok(&["inspect", "--verify", text(&one)]).contains("(as written)"));
    let mut bytes = std::fs::read(one.join("rhythm.npy")).unwrap();
    bytes[70_000] ^= 1;
    std::fs::write(one.join("rhythm.npy"), bytes).unwrap();
    assert!(fails(1, &["inspect", "--verify", text(&one)]).contains("rhythm.npy"));
}

/// Kinds stand in the truth with their rhythm, PR empty where there is no P, and are named by the help.
#[test]
fn generate_makes_hard_kinds_with_their_truth() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("kinds");
    let value = json(&["generate", "-n", "3", "--kind", "lbbb,paced_ventricular", "--seed", "2", "--json", "-o", text(&out)]);
    assert_eq!(value["manifest"]["details"]["kinds"], "lbbb,paced_ventricular");
    let truth = std::fs::read_to_string(out.join("truth.csv")).unwrap();
    let rows: Vec<Vec<&str>> = truth.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][13..], ["status", "kind", "rhythm"]);
    let kinds: Vec<_> = rows[1..].iter().map(|row| (row[14], row[15], row[1].is_empty())).collect();
    assert_eq!(kinds, [("lbbb", "sinus", false), ("paced_ventricular", "paced", true), ("lbbb", "sinus", false)]);
    assert!(ok(&["inspect", "--verify", text(&out)]).contains("(as written)"));
    assert!(ok(&["generate", "--help"]).contains("flutter_4_to_1"));
}

/// A long recording gives a row a window; a bad stretch is a row with its reason, not the end.
#[test]
fn measure_takes_long_recordings_in_windows() {
    use cardiograd::ecg::simulator::{Settings, Simulator};
    let root = tempfile::tempdir().unwrap();
    let mut long = Simulator::new(Settings { seconds: 34.0, ..Settings::default() }, 8).simulate(0).rhythm.into_samples();
    long[[2, 6000]] = f32::NAN;
    let path = root.path().join("day.npy");
    cardiograd::files::npy::write(&path, long.view()).unwrap();
    let rows = json(&["measure", text(&path), "--window", "10", "--json"]);
    let ids: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["day@0", "day@10", "day@20"]);
    let status = |at: usize| rows[at]["status"].as_str().unwrap().to_owned();
    assert_eq!((status(0), status(2)), ("ok".into(), "ok".into()));
    assert!(status(1).contains("V1") && status(1).contains("sample 1000"), "{}", status(1));
    let first = root.path().join("first.npy");
    cardiograd::files::npy::write(&first, long.slice_axis(ndarray::Axis(1), ndarray::Slice::from(..5000))).unwrap();
    let alone = json(&["measure", text(&first), "--json"]);
    assert_eq!((&alone[0]["pr_ms"], &alone[0]["qt_ms"]), (&rows[0]["pr_ms"], &rows[0]["qt_ms"]));
    assert!(fails(2, &["measure", text(&path), "--window", "3"]).contains("5 to 600"));
    assert!(fails(1, &["measure", "x.xml", "--window", "10"]).contains("x.xml"));
    let other = root.path().join("x.xml");
    std::fs::write(&other, "<RestingECG/>").unwrap();
    assert!(fails(1, &["measure", text(&other), "--window", "10"]).contains("x.xml"));
    // Files of other kinds, and of low rates, are measured as the same stretch alone; folders are gone through, and what is broken is named.
    let slow = Simulator::new(Settings { seconds: 21.0, noise: 0.0, ..Settings::default() }, 8).simulate(1).rhythm.into_samples();
    let table = |samples: std::ops::Range<usize>| {
        let rows = samples.step_by(5).map(|t| slow.column(t).iter().map(|uv| format!("{uv}")).collect::<Vec<_>>().join(","));
        format!("{}\n{}\n", INDEPENDENT.map(|lead| format!("{lead} (uV)")).join(","), rows.collect::<Vec<_>>().join("\n"))
    };
    let folder = root.path().join("many");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("slow.csv"), table(0..10500)).unwrap();
    std::fs::write(folder.join("broken.csv"), "nothing\n").unwrap();
    std::fs::write(root.path().join("alone.csv"), table(5000..10500)).unwrap();
    let options = ["--rate", "100", "--window", "10"];
    assert!(fails(1, &[&["measure", text(&folder)], &options[..]].concat()).contains("broken.csv"));
    let skipped = cardiograd(&[&["measure", text(&folder), "--skip-unreadable", "--json"], &options[..]].concat());
    assert!(skipped.status.success() && String::from_utf8_lossy(&skipped.stderr).contains("passed over: "), "{skipped:?}");
    let rows: Value = serde_json::from_slice(&skipped.stdout).unwrap();
    let ids: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["slow@0", "slow@10"]);
    let alone = json(&["measure", text(&root.path().join("alone.csv")), "--rate", "100", "--json"]);
    assert_eq!((&alone[0]["rate_bpm"], &alone[0]["qt_ms"]), (&rows[1]["rate_bpm"], &rows[1]["qt_ms"]));
    assert!(rows[1]["file"]["file_notes"].as_str().unwrap().contains("sampled at 100 Hz"), "{rows}");
}

#[test]
fn generate_refuses_what_it_cannot_do_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let noise = root.path().join("noise.npy");
    cardiograd::files::npy::write(&noise, Array3::<f32>::zeros((1, 8, 100)).view()).unwrap();
    let out = text(&out);
    for (code, arguments, hint) in [
        (2, vec!["-n", "0"], "from 1"),
        (2, vec![], "--ecgs"),
        (2, vec!["-n", "3", "--noise", text(&noise)], "cannot be used"),
        (2, vec!["--noise", text(&noise)], "pulse2pulse"),
        (2, vec!["-n", "3", "--thresholds", "loose"], "thresholds"),
        (2, vec!["-n", "3", "--source", "nature"], "nature"),
        (2, vec!["-n", "3", "--kind", "p_wave"], "p_notched"),
        (2, vec!["-n", "3", "--kind", "all,lbbb"], "stands alone"),
        (2, vec!["-n", "3", "--kind", "lbbb,rbbb,lbbb"], "lbbb twice"),
        (2, vec!["-n", "3", "--source", "pulse2pulse", "--kind", "lbbb"], "simulator"),
        (2, vec!["-n", "3", "--source", "pulse2pulse"], "pip download"),
        (1, vec!["-n", "3", "--source", "pulse2pulse", "--generator", "absent.whl"], "absent.whl"),
        (1, vec!["-n", "3", "--source", "pulse2pulse", "--generator", text(&noise)], "noise.npy"),
        (1, vec!["-n", "3", "--source", "pulse2pulse", "--generator", text(&data("odd.pt"))], "not the Pulse2pulse generator"),
    ] {
        let error = fails(code, &[&["generate", "-o", out][..], &arguments].concat());
        assert!(error.contains(hint), "{arguments:?}: {error}");
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn inspect_tells_files_by_their_contents() {
    let root = tempfile::tempdir().unwrap();
    let array = root.path().join("x.bin");
    let archive = root.path().join("y.bin");
    let samples = arr2(&[[1.0f32, -2.0, f32::NAN]]);
    cardiograd::files::npy::write(&array, samples.view()).unwrap();
    cardiograd::files::npz::write(&archive, &[("block8.conv2", &samples.into())]).unwrap();
    let value = json(&["inspect", "--json", text(&array)]);
    assert_eq!((&value["kind"], &value["shape"][1], &value["values"]["not_finite"]), (&"npy".into(), &3.into(), &1.into()));
    assert_eq!(value["values"]["min"], -2.0);
    let value = json(&["inspect", "--json", text(&archive)]);
    assert_eq!((&value["kind"], &value["arrays"][0]["name"]), (&"npz".into(), &"block8.conv2".into()));
    for (name, kind) in [("standardconv.pt", "zip"), ("standardconv_legacy.pt", "legacy"), ("standardconv.safetensors", "safetensors")] {
        let said = ok(&["inspect", text(&data(name))]);
        assert!(said.contains(kind) && said.contains("model.0.weight: 32 × 12 × 5 float32") && said.contains("SHA-256"), "{said}");
    }
    // Figures as people read them; all digits for programs.
    let tiny = root.path().join("tiny.npy");
    cardiograd::files::npy::write(&tiny, arr2(&[[-0.000_029_738_254f32, 1234.5678]]).view()).unwrap();
    let said = ok(&["inspect", text(&tiny)]);
    assert!(said.contains("1 × 2") && said.contains("from −2.97e−5 to 1235, mean 617.3"), "{said}");
    assert_eq!(json(&["inspect", "--json", text(&tiny)])["values"]["min"], f64::from(-0.000_029_738_254f32));
    let program = root.path().join("p");
    let net = cardiograd::nn::architecture("standardconv").unwrap();
    std::fs::write(&program, serde_json::to_vec(&net).unwrap()).unwrap();
    assert!(ok(&["inspect", text(&program)]).contains("trainable values"));
    let folder = root.path().join("study");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("results.json"), r#"{"metrics": [1, 2], "provenance": {"seed": 3}}"#).unwrap();
    let said = ok(&["inspect", text(&folder)]);
    assert!(said.contains("metrics: 2 entries") && said.contains("\n    seed: 3\n") && !said.contains('{'), "{said}");
    assert_eq!(json(&["inspect", "--json", text(&folder)])["provenance"]["seed"], 3);
    assert!(fails(1, &["inspect", text(&data("whole_model.pt"))]).contains("save model.state_dict()"));
    assert!(fails(1, &["inspect", text(root.path())]).contains("not a dataset"));
    assert!(fails(1, &["inspect", "absent"]).contains("absent"));
    assert!(fails(2, &["inspect", "--verify", text(&array)]).contains("dataset folders"));
}

#[test]
fn convert_goes_round_through_every_format() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let (safe, own, program, back) = (at("a.safetensors"), at("a.cgm"), at("a.json"), at("back.pt"));
    let original = data("standardconv_legacy.pt");
    let read = |path: &Path| cardiograd::files::state_dict::read(path).unwrap();

    ok(&["convert", text(&original), text(&safe)]);
    assert_eq!(read(&safe).len(), read(&original).len());
    ok(&["convert", text(&safe), text(&own), "--arch", "standardconv", "--target", "qt", "--input", "median"]);
    assert!(ok(&["inspect", text(&own)]).contains("QT interval in ms from median"));
    assert_eq!(json(&["inspect", "--json", text(&own)])["target"], "qt");
    ok(&["convert", text(&own), text(&program)]);
    ok(&["convert", text(&original), text(&at("b.cgm")), "--arch", text(&program)]);
    assert!(json(&["convert", text(&own), text(&back), "--json"])["tensors"].as_u64().unwrap() > 20);
    for (name, tensor) in read(&original).iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        assert_eq!(read(&back).get(name), Some(tensor), "{name}");
    }

    let listed = std::fs::read_dir(root.path()).unwrap().count();
    let out = at("out.cgm");
    for (code, arguments, hint) in [
        (2, vec![text(&original), text(&out)], "--arch"),
        (1, vec![text(&original), text(&out), "--arch", "stevennet"], "stevennet"),
        (2, vec![text(&original), text(&out), "--arch", "vgg"], "vgg"),
        (2, vec![text(&original), "out.h5"], "extension"),
        (2, vec![text(&original), "out.pt", "--target", "qt"], "our own model file"),
        (2, vec![text(&own), text(&out), "--target", "pr"], "cannot be noted"),
        (1, vec![text(&data("whole_model.pt")), "out.safetensors"], "state_dict"),
    ] {
        let error = fails(code, &[&["convert"][..], &arguments].concat());
        assert!(error.contains(hint), "{arguments:?}: {error}");
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), listed);
}

#[test]
fn a_faulty_program_is_told_whole_and_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("net.json");
    let program = r#"{"nodes": [
  {"name": "x", "op": {"input": {"shape": [12, null]}}},
  {"name": "pool", "op": {"max_pool1d": {"window": 2, "stride": 2, "padding": 1}}, "inputs": ["x"]},
  {"name": "up", "op": {"upsample": {"factor": 5000000}}, "inputs": ["pool"]},
  {"name": "mean", "op": "global_avg_pool", "inputs": ["pol"]},
  {"name": "fc", "op": "linear", "inputs": ["mean"]}
], "output": "fc"}"#;
    std::fs::write(&file, program).unwrap();
    let output = cardiograd(&["inspect", text(&file)]);
    let (said, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains("net.json: not a valid program: 4 faults"), "{error}");
    for line in [
        "a program with 4 faults",
        "line 3, column 68: node 'pool' (max_pool1d): unknown field 'padding', known: window, stride",
        "line 4, column 3: node 'up' (upsample): factor 5000000, at most 1048576 is allowed",
        "line 5, column 56: node 'mean' (global_avg_pool) reads 'pol', which no node is called",
        "line 6, column 3: node 'fc' (linear): it has 1 inputs, it takes 2 or 3",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let output = cardiograd(&["inspect", "--json", text(&file)]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["kind"], &told["faults"][0]["line"]), (Some(1), &"program".into(), &3.into()));
    assert_eq!(told["faults"].as_array().unwrap().len(), 4);
    assert!(fails(1, &["inspect", "--quiet", text(&file)]).contains("4 faults"));
    // Elsewhere one line says how many there are, and the first.
    let weights = data("standardconv.safetensors");
    let error = fails(1, &["predict", text(&weights), "--arch", text(&file), "--input", "x.npy"]);
    assert!(
        error.contains("not a program: 4 faults: line 3, column 68") && error.contains("inspect lists all") && error.lines().count() == 1,
        "{error}"
    );
    // Anything with nodes is meant as a program, and anything else is not.
    std::fs::write(&file, r#"{"nodes": 3}"#).unwrap();
    let output = cardiograd(&["inspect", text(&file)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("'nodes' is 3, a list is expected"));
    std::fs::write(&file, r#"{"knots": 3}"#).unwrap();
    assert!(ok(&["inspect", text(&file)]).contains("results in JSON"));
}
