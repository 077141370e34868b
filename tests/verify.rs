//! `cardiograd verify`: what explain, predict, perturb and train write can be made again, byte for byte, and whatever changed is named.
#![allow(missing_docs)]

use cardiograd::audit::compare::compare;
use cardiograd::audit::provenance::{Digested, Record, record_of};
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

/// All that is told of a result that is not verified, exit code 1: a line for each finding, and the one line of the error.
fn refused(folder: &Path, arguments: &str) -> String {
    failed(folder, arguments, 1)
}

/// The same of a result that could not be compared.
fn not_compared(folder: &Path, arguments: &str) -> String {
    failed(folder, arguments, 3)
}

fn failed(folder: &Path, arguments: &str, code: i32) -> String {
    let output = cardiograd_on("", folder, arguments);
    let line = text(&output.stderr);
    assert!(output.status.code() == Some(code) && line.trim_end().lines().count() == 1, "{arguments}: {:?} {line}", output.status);
    text(&output.stdout) + &line
}

/// The findings, a line each, without the word for their kind that each begins with.
fn findings(folder: &Path, arguments: &str) -> Vec<String> {
    let output = cardiograd_on("", folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {}{}", text(&output.stdout), text(&output.stderr));
    let told = text(&output.stdout);
    let kinds = ["changed  ", "missing  ", "in the record  ", "extra  ", "not compared  "];
    let finding = |line: &str| kinds.iter().find_map(|kind| line.strip_prefix(kind)).map(str::to_owned).unwrap_or_else(|| panic!("{line}"));
    told.lines().map(finding).collect()
}

/// Changes the record of a result and seals it again, as someone does who knows of its digest.
fn forge(result: &Path, change: impl FnOnce(&mut Record)) {
    let mut record = Record::find(result).unwrap().unwrap();
    change(&mut record);
    record.sealed().unwrap().write(result).unwrap();
}

/// The files of a result as a record has them that was written now.
fn files_now(result: &Path) -> Vec<Digested> {
    Record::new("explain", None, Vec::new(), result).unwrap().outputs
}

/// Turns the signs of an array of an archive.
fn flip_signs(path: &Path, name: &str) {
    let arrays: Vec<(String, ArrayD<f32>)> = npz::read(path).unwrap().into_iter().map(|(name, array)| (name, array.into_f32())).collect();
    let mut archive = NpzWriter::create(path).unwrap();
    for (other, array) in &arrays {
        archive.add(other, if other == name { array.mapv(|v| -v) } else { array.clone() }.view()).unwrap();
    }
    archive.finish().unwrap();
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
fn maps_are_made_again_byte_for_byte_on_any_kernel() {
    let folder = explained();
    assert!(done(folder.path(), "verify out.npz").contains("the same bytes"));
    assert!(done(folder.path(), "verify out.npz --threads 1").contains("the same bytes"));
    let record = Record::find(&folder.path().join("out.npz")).unwrap().unwrap();
    let other = cardiograd_on("portable", folder.path(), "verify out.npz --json");
    let told: serde_json::Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!((told["verified"].as_bool(), told["outcome"].as_str()), (Some(true), Some("same")), "{told}");
    assert_eq!((told["kernel"].as_str(), told["kernel_here"].as_str()), (Some(record.kernel.as_str()), Some("portable")), "{told}");
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
    assert!(not_compared(path, "verify out.npz").contains("input x.npy: it is not there"));
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
    record.clone().sealed().unwrap().write(&path).unwrap();
    assert!(refused(folder.path(), "verify out.npz").contains("record: its seed is 3, by its options 4"));
    record.seed = Some(4);
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
    let line = not_compared(path, "verify moved/out.npz");
    assert!(line.contains("there is no record") && line.contains("--record"), "{line}");
    assert!(done(path, "verify moved/out.npz --record out.npz.provenance.json").contains("the same bytes"));
    assert!(not_compared(path, "verify absent.npz").contains("absent.npz"));
    std::fs::write(record_of(&path.join("moved/out.npz")), "{}").unwrap();
    assert!(not_compared(path, "verify moved/out.npz").contains("not a provenance record"));
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
    assert!(not_compared(path, "verify account").contains("model model.safetensors: it is not there"));
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
    // Settings that it was not made with, in a record sealed anew.
    let (mark, study) = (path.join("study/study.json"), path.join("study"));
    let settings = std::fs::read_to_string(&mark).unwrap();
    std::fs::write(&mark, settings.replace("\"epochs\": 1", "\"epochs\": 100")).unwrap();
    forge(&study, |record| record.outputs = files_now(&study));
    assert!(refused(path, "verify study").contains("study.json"));
    std::fs::write(&mark, settings).unwrap();
    forge(&study, |record| record.outputs = files_now(&study));
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

#[test]
fn outputs_left_out_of_a_record_are_named() {
    let folder = explained();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    flip_signs(&out, "saliency");
    forge(&out, |record| record.outputs.clear());
    for option in ["", " --digests"] {
        assert!(refused(path, &format!("verify out.npz{option}")).contains("record: it names no file of the result"));
    }
    let digest = files_now(&out);
    forge(&out, |record| record.outputs = digest);
    let lines = findings(path, "verify out.npz");
    assert!(lines.len() == 1 && lines[0].contains("array 'saliency'") && lines[0].contains("elements differ"), "{lines:?}");
    // Paths that lead elsewhere are named and not read.
    let elsewhere = ["/dev/zero", "../model.safetensors", "x.npy"];
    forge(&out, |record| record.outputs.extend(elsewhere.map(|file| Digested { path: file.into(), ..record.outputs[0].clone() })));
    let lines = findings(path, "verify out.npz");
    assert!(lines[0].contains("array 'saliency'"), "changed bytes first: {lines:?}");
    assert!(
        elsewhere.iter().all(|file| lines.iter().any(|line| line.contains(&format!("it names {file:?}, which is no file of this")))),
        "{lines:?}"
    );
}

#[test]
fn a_file_dropped_together_with_its_line_is_named_and_so_is_one_that_is_added() {
    let folder = explained();
    let (path, account) = (folder.path(), folder.path().join("account"));
    done(path, "trace model.safetensors --arch standardconv -i x.npy --method saliency -o account -q");
    let whole = Record::find(&account).unwrap().unwrap();
    std::fs::rename(account.join("graph.svg"), path.join("graph.svg")).unwrap();
    forge(&account, |record| record.outputs.retain(|output| output.path != Path::new("graph.svg")));
    assert!(done(path, "verify account --digests").contains("nothing was made again"));
    let lines = findings(path, "verify account");
    assert!(lines.iter().any(|line| line == "graph.svg: it is not there; the command makes it"), "{lines:?}");
    // The line alone.
    std::fs::rename(path.join("graph.svg"), account.join("graph.svg")).unwrap();
    assert!(refused(path, "verify account").contains("record: it does not name graph.svg, which the command makes"));
    // One more, with a line; changed bytes come first.
    std::fs::write(account.join("a.csv"), "1").unwrap();
    turn(&account.join("trace.md"), |len| len - 2);
    let now = files_now(&account);
    forge(&account, |record| record.outputs = now);
    let lines = findings(path, "verify account");
    assert!(lines[0].starts_with("trace.md, made again") && lines[1] == "a.csv: the command does not make it", "{lines:?}");
    assert_eq!(lines.len(), 2);
    // Many more: three are named, the rest counted, behind what changed; the error line counts kinds and repeats nothing.
    (0..7).for_each(|k| std::fs::write(account.join(format!("more{k}.csv")), "1").unwrap());
    let now = files_now(&account);
    forge(&account, |record| record.outputs = now);
    let output = cardiograd_on("", path, "verify account");
    let told = text(&output.stdout);
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines.len() == 5
            && lines[0].starts_with("changed  trace.md")
            && lines[4] == "extra  and 5 files more that the command does not make",
        "{told}"
    );
    assert_eq!(text(&output.stderr).trim_end(), "cardiograd: account: not verified: 1 changed, 8 extra; each is a line above");
    let quiet = text(&cardiograd_on("", path, "verify account -q").stderr);
    assert!(quiet.contains("1 changed, 8 extra: trace.md, made again") && quiet.trim_end().lines().count() == 1, "{quiet}");
    (0..7).for_each(|k| std::fs::remove_file(account.join(format!("more{k}.csv"))).unwrap());
    // Two that changed places, with their digests.
    std::fs::remove_file(account.join("a.csv")).unwrap();
    turn(&account.join("trace.md"), |len| len - 2);
    let [a, b] = ["graph.dot", "trace.json"].map(|name| account.join(name));
    let (left, right) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    std::fs::write(&a, &right).unwrap();
    std::fs::write(&b, &left).unwrap();
    let now = files_now(&account);
    forge(&account, |record| record.outputs = now);
    assert_eq!(findings(path, "verify account").len(), 2);
    std::fs::write(&a, &left).unwrap();
    std::fs::write(&b, &right).unwrap();
    whole.write(&account).unwrap();
    assert!(done(path, "verify account").contains("the same bytes"));
    // A link to the same bytes elsewhere, which can change without the result.
    #[cfg(unix)]
    {
        std::fs::rename(account.join("map.npy"), path.join("map.npy")).unwrap();
        std::os::unix::fs::symlink(path.join("map.npy"), account.join("map.npy")).unwrap();
        assert!(refused(path, "verify account").contains("map.npy: it is a link"));
    }
}

#[test]
fn a_record_says_what_its_command_writes() {
    let folder = explained();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let whole = Record::find(&out).unwrap().unwrap();
    let named = |change: &dyn Fn(&mut Record), words: &str| {
        whole.write(&out).unwrap();
        forge(&out, |record| change(record));
        for option in ["", " --digests"] {
            let line = refused(path, &format!("verify out.npz{option}"));
            assert!(line.contains(words), "{line}");
        }
    };
    named(&|record| drop(record.inputs.remove(1)), "record: it does not name the input x.npy");
    named(&|record| record.inputs[1].role = "draws".into(), "record: it names the draws \"x.npy\", which its options do not");
    named(&|record| record.inputs.swap(0, 1), "its inputs are not in the order");
    named(&|record| record.inputs[0].path = "other.safetensors".into(), "it does not name the model model.safetensors");
    named(&|record| record.defaults.retain(|option| option != "--precision=f32"), "record: it does not say --precision=f32");
    named(&|record| record.defaults.push("--seed=9".into()), "\"--seed=9\" is no default of explain");
    named(&|record| record.arguments.retain(|option| option != "--seed=3"), "it does not say --seed=0");
}

#[test]
fn arguments_and_results_of_others_do_not_fit() {
    let folder = explained();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    forge(&out, |record| record.arguments.iter_mut().filter(|a| *a == "--samples=4").for_each(|a| *a = "--samples=5".into()));
    let lines = findings(path, "verify out.npz");
    assert!(lines.len() == 1 && lines[0].contains("array 'smoothgrad'"), "{lines:?}");
    // Options that the command refuses: nothing is known of the result.
    forge(&out, |record| record.arguments.iter_mut().filter(|a| a.starts_with("--method")).for_each(|a| *a = "--method=none".into()));
    assert!(not_compared(path, "verify out.npz").contains("could not be made again"));
    forge(&out, |record| record.arguments.push("--no-such-option".into()));
    assert!(not_compared(path, "verify out.npz").contains("the record's options"));
    // The record of another result.
    done(path, "explain model.safetensors --arch standardconv -i x.npy --method deconvolution -o other.npz");
    let lines = findings(path, "verify other.npz --record out.npz.provenance.json");
    assert!(lines.iter().any(|line| line.starts_with("result other.npz: its bytes changed")), "{lines:?}");
}

#[test]
fn what_cannot_be_compared_is_not_verified() {
    let folder = explained();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let whole = Record::find(&out).unwrap().unwrap();
    let absent = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    for kernel in ["none", "PORTABLE"] {
        forge(&out, |record| record.kernel = kernel.into());
        let lines = findings(path, "verify out.npz");
        assert!(lines.len() == 1 && lines[0] == format!("record: {kernel:?} is no kernel"), "{lines:?}");
    }
    // Of a kernel that this machine has not, too: all give the same bytes.
    forge(&out, |record| record.kernel = absent.into());
    assert!(done(path, "verify out.npz").contains(&format!("(made on {absent}): the same bytes")));
    // So that a tampered table does not pass, whatever kernel it names.
    done(path, "generate --source simulator -n 30 -o data -q");
    done(path, "train data --target r_v5 --input median --arch standardconv --epochs 1 -o trained.cgm -q");
    done(path, "perturb trained.cgm --data data -m saliency,random -n 2 --iterations 16 -o curves -q");
    let (curves, own) = (path.join("curves"), whole.kernel.clone());
    turn(&curves.join("table4.csv"), |len| len - 3);
    let now = files_now(&curves);
    forge(&curves, |record| record.outputs = now);
    for kernel in ["portable", &own, absent] {
        forge(&curves, |record| record.kernel = kernel.into());
        let lines = findings(path, "verify curves");
        assert!(lines.iter().any(|line| line.ends_with(".csv, made again: its bytes differ")), "{lines:?}");
    }
    // Another version.
    forge(&curves, |record| record.version = "cardiograd 99.0.0".into());
    assert!(not_compared(path, "verify curves").contains("tables and pictures differ, and are not compared"));
    forge(&out, |record| (record.version, record.kernel) = ("cardiograd 99.0.0".into(), own.clone()));
    let told = cardiograd_on("", path, "verify out.npz --json");
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((told.status.code(), json["outcome"].as_str(), json["verified"].as_bool()), (Some(3), Some("not_compared"), Some(false)));
    assert!(json["not_compared"][0].as_str().unwrap().contains("99.0.0"), "{json}");
    // A command whose results are not made again.
    forge(&out, |record| record.command = "challenge".into());
    assert!(not_compared(path, "verify out.npz").contains("record"));
}
