//! What becomes of results when the reader of standard output is gone, the disk is full, an output is an input, or its folder is not there.
#![cfg(unix)]
#![allow(missing_docs)]

#[path = "common/trees.rs"]
mod trees;

use cardiograd::dataset::{DatasetWriter, Entry, Origin};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::files::npy;
use ndarray::Array3;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use trees::tree;

const TINY: &str = r#"{"nodes": [
    {"name": "x", "op": {"input": {"shape": [12, null]}}},
    {"name": "c.weight", "op": {"parameter": {"shape": [2, 12, 3], "trainable": true}}},
    {"name": "c", "op": {"conv1d": {"stride": 2, "dilation": 1, "padding": [1, 1]}}, "inputs": ["x", "c.weight"]},
    {"name": "r", "op": "relu", "inputs": ["c"]},
    {"name": "p", "op": "global_avg_pool", "inputs": ["r"]},
    {"name": "f.weight", "op": {"parameter": {"shape": [1, 2], "trainable": true}}},
    {"name": "f.bias", "op": {"parameter": {"shape": [1], "trainable": true}}},
    {"name": "f", "op": "linear", "inputs": ["p", "f.weight", "f.bias"]}], "output": "f"}"#;

/// Every command that writes, without its output, and the output's option and name.
const WRITING: [(&str, &str); 13] = [
    ("explain r.cgm -i x.npy -m saliency,smoothgrad,deeplift --samples 2", "-o e.npz"),
    ("predict r.cgm -i x.npy", "-o p.npy"),
    ("train data --target r_v5 --input median --preset quick --epochs 1 --arch tiny.json", "-o t.cgm"),
    ("trace r.cgm -i x.npy -m saliency", "-o trace"),
    ("perturb r.cgm --data data -m saliency,random -n 2 --iterations 2", "-o curves"),
    (
        "study --data data --arch tiny.json --epochs 1 --targets r_v5 -m saliency,random --heatmap-ecgs 1 --perturb-ecgs 2 --iterations 16",
        "-o study",
    ),
    ("audit r.cgm --data data -n 1 --tolerance 10", "-o a.json"),
    ("challenge r.cgm --data data -n 2 --few 1 --seeds 0 -m saliency --criteria likeness", "-o challenge"),
    ("convert r.cgm", "c.safetensors"),
    ("render --input x.npy", "-o picture.svg"),
    ("measure rhythm.npy --medians medians.npy", "-o m.csv"),
    ("import rhythm.npy", "-o imported"),
    ("generate -n 2", "-o generated"),
];

/// A folder with a dataset, a model trained on it, its beats and two rhythms, made once; tests write under names of their own.
fn bench() -> &'static Path {
    static BENCH: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = BENCH.get_or_init(|| {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        let mut writer = DatasetWriter::create(folder.join("data"), Origin { source: "simulator".into(), ..Origin::default() }).unwrap();
        let simulator = Simulator::new(Settings { noise: 0.0, ..Settings::default() }, 4);
        let mut rhythms = Array3::<i16>::zeros((2, 8, 5000));
        let mut beats = Array3::<f32>::zeros((3, 12, 600));
        for id in 0..20 {
            let ecg = simulator.simulate(id as u64);
            let rhythm = ecg.rhythm.samples().mapv(|v| v as i16);
            if id < 2 {
                rhythms.index_axis_mut(ndarray::Axis(0), id).assign(&rhythm);
            }
            if id < 3 {
                beats.index_axis_mut(ndarray::Axis(0), id).assign(&ecg.beat);
            }
            writer
                .append(&Entry { id: id.to_string(), rhythm, median: ecg.beat, measurements: ecg.truth, truth: None, kind: None })
                .unwrap();
        }
        writer.finish().unwrap();
        std::fs::write(folder.join("tiny.json"), TINY).unwrap();
        npy::write(folder.join("x.npy"), beats.view()).unwrap();
        npy::write(folder.join("rhythm.npy"), rhythms.view()).unwrap();
        let train = "train data --target r_v5 --input median --preset quick --epochs 1 --arch tiny.json";
        for (seed, name) in [(1, "r.cgm"), (2, "other.cgm")] {
            let made = command(folder, &format!("{train} --seed {seed} -o {name}")).output().unwrap();
            assert!(made.status.success(), "{}", text(&made.stderr));
        }
        temporary
    });
    made.path()
}

/// A certificate has the day on it: the same for all runs.
const DAY: &str = "1795824000";

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).env("SOURCE_DATE_EPOCH", DAY).args(arguments.split_whitespace());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The writing end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk without room.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn run(folder: &Path, arguments: &str, out: Stdio) -> Output {
    command(folder, arguments).stdout(out).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

/// Runs under `sh` with descriptors closed as `redirection` says.
fn run_shut(folder: &Path, arguments: &str, redirection: &str) -> Output {
    let script = format!("exec \"$0\" {arguments} {redirection}");
    Command::new("sh")
        .current_dir(folder)
        .env("SOURCE_DATE_EPOCH", DAY)
        .args(["-c", &script, env!("CARGO_BIN_EXE_cardiograd")])
        .output()
        .unwrap()
}

/// The arguments of a writing command with its outputs in a folder.
fn into(folder: &str, (arguments, output): (&str, &str)) -> String {
    let (option, name) = output.split_once(' ').unwrap_or(("", output));
    let arguments = arguments.replace("--medians ", &format!("--medians {folder}/"));
    format!("{arguments} {option} {folder}/{name}")
}

/// What a command complains of. That the bench's networks are worse than the mean is no complaint about the command.
fn complaints(output: &Output) -> String {
    let told = text(&output.stderr);
    told.lines()
        .filter(|line| !line.starts_with("cardiograd: warning: the network is worse than the mean"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn one_line(output: &Output, arguments: &str) -> String {
    let line = complaints(output);
    assert_eq!(line.trim_end().lines().count(), 1, "{arguments}: {line}");
    assert!(!line.contains("panicked"), "{arguments}: {line}");
    line
}

#[test]
fn a_reader_that_is_gone_ends_the_printing_alone() {
    let folder = bench();
    for name in ["usual", "closed", "full", "shut"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    for case in WRITING {
        let arguments = into("usual", case);
        let usual = run(folder, &arguments, Stdio::piped());
        // The audit of a network that has hardly been trained may fail; it does so whoever reads of it.
        let code = usual.status.code();
        assert!(code == Some(0) || arguments.starts_with("audit"), "{arguments}: {}", text(&usual.stderr));
        assert!(!usual.stdout.is_empty(), "{arguments}");
        let output = run(folder, &into("closed", case), closed());
        assert_eq!((output.status.code(), text(&output.stderr)), (code, text(&usual.stderr)), "{arguments}");
        let output = run(folder, &into("full", case), full());
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        let line = one_line(&output, &arguments);
        assert!(line.contains("standard output") || code == Some(1), "{arguments}: {line}");
        let output = run_shut(folder, &into("shut", case), ">&- 2>&-");
        assert_eq!(output.status.code(), code, "{arguments}");
    }
    let usual = tree(&folder.join("usual"));
    for record in ["e.npz", "p.npy", "t.cgm"] {
        assert!(usual.contains_key(&format!("{record}.provenance.json")), "{:?}", usual.keys());
    }
    for name in ["closed", "full", "shut"] {
        let found = tree(&folder.join(name));
        assert_eq!(found.keys().collect::<Vec<_>>(), usual.keys().collect::<Vec<_>>(), "{name}");
        let differ: Vec<&String> = usual.iter().filter(|(path, bytes)| found[*path] != **bytes).map(|(path, _)| path).collect();
        assert!(differ.is_empty(), "{name}: these differ: {differ:?}");
    }
}

#[test]
fn a_verdict_does_not_depend_on_who_reads_it() {
    let folder = bench();
    let made = run(folder, "explain r.cgm -i x.npy -m saliency -o tampered.npz", Stdio::null());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mut bytes = std::fs::read(folder.join("tampered.npz")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.join("tampered.npz"), bytes).unwrap();
    let earlier = run(folder, "audit other.cgm --data data -n 1 -o earlier.json -q", Stdio::null());
    assert!(folder.join("earlier.json").exists(), "{}", text(&earlier.stderr));
    for failing in ["verify tampered.npz --json", "verify tampered.npz", "audit r.cgm --data data -n 1 --certificate earlier.json --json"] {
        for out in [Stdio::piped(), closed(), full()] {
            let output = run(folder, failing, out);
            assert_eq!(output.status.code(), Some(1), "{failing}");
            one_line(&output, failing);
        }
        assert_eq!(run_shut(folder, failing, ">&-").status.code(), Some(1), "{failing}");
        assert_eq!(command(folder, failing).stdout(closed()).stderr(closed()).status().unwrap().code(), Some(1), "{failing}");
        assert_eq!(command(folder, failing).stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(1), "{failing}");
        assert_eq!(run_shut(folder, failing, "2>&-").status.code(), Some(1), "{failing}");
    }
}

#[test]
fn what_only_prints_stops_as_head_wants_it_and_fails_on_a_full_disk() {
    let folder = bench();
    for printing in [
        "measure rhythm.npy",
        "measure rhythm.npy --json",
        "inspect r.cgm",
        "evaluate r.cgm --data data",
        "predict r.cgm -i x.npy",
        "--help",
        "explain --help",
        "--version",
    ] {
        let output = run(folder, printing, closed());
        assert!(output.status.success() && complaints(&output).is_empty(), "{printing}: {}", text(&output.stderr));
        let output = run(folder, printing, full());
        assert_eq!(output.status.code(), Some(1), "{printing}");
        assert!(one_line(&output, printing).contains("standard output"), "{printing}");
        assert!(run_shut(folder, printing, ">&-").status.success(), "{printing}");
    }
    let medians = run(folder, "measure rhythm.npy --medians all.npy", closed());
    assert!(medians.status.success(), "{}", text(&medians.stderr));
    assert_eq!(npy::read_f32(folder.join("all.npy")).unwrap().shape(), [2, 12, 600], "what is written is written whole");
    for wrong in ["explain", "evaluate r.cgm --data nowhere", "--no-such-option", "predict r.cgm -i nowhere.npy"] {
        let code = run(folder, wrong, Stdio::null()).status.code();
        assert!(matches!(code, Some(1 | 2)), "{wrong}: {code:?}");
        for error in [closed(), full()] {
            assert_eq!(command(folder, wrong).stdout(Stdio::null()).stderr(error).status().unwrap().code(), code, "{wrong}");
        }
        assert_eq!(run_shut(folder, wrong, "2>&-").status.code(), code, "{wrong}");
    }
}

/// The inputs as they are, to see that none changed.
fn inputs(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = tree(&folder.join("data"));
    for name in ["x.npy", "rhythm.npy", "r.cgm", "other.cgm", "tiny.json"] {
        all.insert(name.into(), std::fs::read(folder.join(name)).unwrap());
    }
    all
}

#[test]
fn an_output_is_no_input() {
    let folder = bench();
    let before = inputs(folder);
    symlink("x.npy", folder.join("soft.npy")).unwrap();
    std::fs::hard_link(folder.join("x.npy"), folder.join("hard.npy")).unwrap();
    symlink("data", folder.join("linked")).unwrap();
    std::fs::copy(folder.join("r.cgm"), folder.join("n.cgm")).unwrap();
    std::fs::copy(folder.join("tiny.json"), folder.join("n.last.cgm")).unwrap();
    std::fs::copy(folder.join("x.npy"), folder.join("picture.svg")).unwrap();
    let mut refused = vec![
        "audit r.cgm --data data --certificate tiny.json -o tiny.json".to_owned(),
        "audit r.cgm --data data -o data/dataset.json".into(),
        "audit r.cgm --data data -o r.cgm".into(),
        "convert r.cgm r.cgm".into(),
        "convert r.cgm ./data/../r.cgm".into(),
        "convert data/../n.cgm n.cgm --arch tiny.json".into(),
        "measure rhythm.npy -o rhythm.npy".into(),
        "measure data -o data/measurements.csv".into(),
        "measure data -o linked/measurements.csv".into(),
        "measure rhythm.npy --medians rhythm.npy".into(),
        "measure rhythm.npy -o same.csv --medians ./same.csv".into(),
        "render --input picture.svg -o picture.svg".into(),
        "render --input x.npy --heatmap picture.svg -o picture.svg".into(),
        "train data --target r_v5 --input median --arch tiny.json -o tiny.json".into(),
        "train data --target r_v5 --input median --arch n.last.cgm -o n.cgm".into(),
        "train linked --target r_v5 --input median -o data/median.npy".into(),
    ];
    let dataset = ["rhythm.npy", "median.npy", "measurements.csv", "dataset.json"];
    refused.extend(dataset.map(|name| format!("train data --target r_v5 --input median -o data/{name}")));
    for output in ["x.npy", "soft.npy", "hard.npy", "./x.npy", "r.cgm"] {
        refused.push(format!("explain r.cgm -i x.npy -m saliency -o {output}"));
        refused.push(format!("predict r.cgm -i x.npy -o {output}"));
    }
    // One array of a dataset is read, another is named.
    refused.push("explain r.cgm -i data/median.npy -m saliency -o data/rhythm.npy".into());
    refused.push("explain r.cgm -i x.npy -m saliency --baseline data -o data/median.npy".into());
    for arguments in refused {
        let output = run(folder, &arguments, Stdio::piped());
        let line = one_line(&output, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {line}");
        assert!(line.contains("replace") || line.contains("two outputs"), "{arguments}: {line}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    // A name of another format than what is written.
    for arguments in [
        "predict r.cgm -i x.npy -o y.csv",
        "explain r.cgm -i x.npy -m saliency -o maps.npy",
        "measure data -o table.npy",
        "measure data --medians medians.csv",
        "evaluate r.cgm --data data -o figures.json",
        "audit r.cgm --data data -o certificate.html",
    ] {
        let output = run(folder, arguments, Stdio::piped());
        let line = one_line(&output, arguments);
        assert!(output.status.code() == Some(2) && line.contains("it is written as ."), "{arguments}: {line}");
    }
    assert!(inputs(folder) == before);
    // Beside the files of a dataset there is room for more, again and again.
    for _ in 0..2 {
        let output = run(folder, "predict r.cgm -i data/median.npy -o data/predicted.npy", Stdio::null());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    for name in ["predicted.npy", "predicted.npy.provenance.json"] {
        std::fs::remove_file(folder.join("data").join(name)).unwrap();
    }
}

#[test]
fn figures_and_pages_do_not_replace_a_studys_own() {
    let folder = bench();
    let study =
        "study --data data --arch tiny.json --epochs 1 --targets r_v5 -m all --heatmap-ecgs 1 --perturb-ecgs 2 --iterations 16 -o drawn -q";
    let made = run(folder, study, Stdio::null());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let before = tree(&folder.join("drawn"));
    for arguments in ["render --study drawn -o drawn/figures", "render --study drawn -o drawn"] {
        let output = run(folder, arguments, Stdio::null());
        let line = one_line(&output, arguments);
        assert!(output.status.code() == Some(2) && line.contains("replace"), "{arguments}: {line}");
    }
    assert!(tree(&folder.join("drawn")) == before);
    for arguments in ["render --study drawn --dark -o drawn/dark", "survey make drawn --ecgs 1 --raters 1 -o drawn/survey"] {
        for _ in 0..2 {
            let output = run(folder, arguments, Stdio::null());
            assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn what_cannot_be_written_is_found_before_the_work() {
    let folder = bench();
    std::fs::create_dir(folder.join("taken")).unwrap();
    let locked = folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o555)).unwrap();
    let root = File::create(locked.join("try")).is_ok();
    for (arguments, output) in WRITING {
        let (option, name) = output.split_once(' ').unwrap_or(("", output));
        let ending = Path::new(name).extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
        let mut places: Vec<PathBuf> = Vec::new();
        // A folder of results is made with the folders above it; a file is not.
        let makes_folder = ending.is_empty();
        if !makes_folder {
            places.push(format!("nowhere/a{ending}").into());
            std::fs::create_dir_all(folder.join(format!("taken/a{ending}"))).unwrap();
            places.push(format!("taken/a{ending}").into());
        }
        places.push(format!("x.npy/a{ending}").into());
        places.push(format!("/proc/self/a{ending}").into());
        if !root {
            places.push(format!("locked/a{ending}").into());
        }
        // What is read is not there: an error about the output comes first, so nothing was read.
        let unread = arguments.replace("x.npy", "absent.npy").replace("rhythm.npy", "absent.npy").replace("r.cgm", "absent.cgm");
        let unread = unread.replace("-n 2", "-n 1000000").replace("data data", "data absent").replace("train data", "train absent");
        for place in places {
            let arguments = format!("{unread} {option} {}", place.display());
            let output = run(folder, &arguments, Stdio::null());
            let line = one_line(&output, &arguments);
            assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments}: {line}");
            assert!(line.contains(&*place.to_string_lossy()), "{arguments}: {line}");
        }
    }
    assert!(!folder.join("nowhere").exists());
}
