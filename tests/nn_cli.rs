//! `train`, `evaluate` and `predict` as a script calls them.

use cardiograd::dataset::{DatasetWriter, Entry, Origin, Target};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::files::npy;
use cardiograd::nn::Model;
use ndarray::Array3;
use std::path::Path;
use std::process::{Command, Output};

/// A dataset of simulated ECGs with their exact values.
fn dataset(folder: &Path, ecgs: u64) {
    let mut writer = DatasetWriter::create(folder, Origin { source: "simulator".into(), ..Origin::default() }).unwrap();
    let simulator = Simulator::new(Settings { noise: 0.0, ..Settings::default() }, 4);
    for id in 0..ecgs {
        let ecg = simulator.simulate(id);
        let rhythm = ecg.rhythm.samples().mapv(|v| v as i16);
        writer.append(&Entry { id: id.to_string(), rhythm, median: ecg.beat, measurements: ecg.truth, truth: None, kind: None }).unwrap();
    }
    writer.finish().unwrap();
}

fn cardiograd(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn stdout(folder: &Path, arguments: &str) -> String {
    let output = cardiograd(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refusal(folder: &Path, arguments: &str, code: i32) -> String {
    let output = cardiograd(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

#[test]
fn train_evaluate_and_predict_agree() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 60);
    let train = "train data --target r_v5 --input median --preset quick --arch standardconv --epochs 3 --seed 2 -o r.cgm";
    let text = stdout(folder, train);
    assert!(text.contains("r_v5    test           12") && text.contains("r.last.cgm"), "{text}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4, "data, two models, a record");
    let first = std::fs::read(folder.join("r.cgm")).unwrap();
    assert_eq!(stdout(folder, &format!("{train} --threads 1 --quiet")), "");
    assert!(std::fs::read(folder.join("r.cgm")).unwrap() == first, "the number of threads changed the model");

    let own = Model::load(folder.join("r.cgm")).unwrap().provenance.unwrap();
    let evaluated: serde_json::Value = serde_json::from_str(&stdout(folder, "evaluate r.cgm r.last.cgm --data data --json")).unwrap();
    let mae = evaluated[0]["metrics"]["mae"].as_f64().unwrap();
    assert_eq!(mae, own.metrics.last().unwrap().mae);
    assert_eq!(evaluated[0]["trained_on_this_dataset"], true);

    let data = cardiograd::dataset::Dataset::open(folder.join("data")).unwrap();
    let test = data.examples(&data.split(2), cardiograd::dataset::Part::Test, Target::RV5);
    let x = data.inputs(&test, cardiograd::dataset::InputKind::Median).unwrap();
    npy::write(folder.join("x.npy"), x.view()).unwrap();
    stdout(folder, "predict r.cgm --input x.npy -o y.npy --quiet");
    let y = npy::read_f32(folder.join("y.npy")).unwrap();
    assert_eq!(y.shape(), [12]);
    let errors = y.iter().zip(&test).map(|(y, ecg)| (f64::from(*y) - data.target(*ecg, Target::RV5).unwrap()).abs());
    assert!((errors.sum::<f64>() / 12.0 / mae - 1.0).abs() < 1e-5);
    let one = x.index_axis(ndarray::Axis(0), 3).mapv(f64::from);
    npy::write(folder.join("one.npy"), one.view()).unwrap();
    let line = stdout(folder, "predict r.cgm --input one.npy");
    assert_eq!(line.trim_end(), format!("{:.4} µV", y[3]));
    // More ECGs than are in hand at a time: each is predicted from as it is alone, from whatever type, and the first fault is the one that is told.
    let many = Array3::from_shape_fn((150, 12, 600), |(ecg, lead, t)| x[[ecg * 7 % 12, lead, t]].round());
    npy::write(folder.join("many.npy"), many.view()).unwrap();
    npy::write(folder.join("whole.npy"), many.mapv(|uv| uv as i16).view()).unwrap();
    npy::write(folder.join("double.npy"), many.mapv(f64::from).view()).unwrap();
    let predicted = |options: &str| stdout(folder, &format!("predict r.cgm {options}"));
    let all = predicted("--input many.npy");
    let rows: Vec<&str> = all.lines().collect();
    assert!(rows.len() == 150 && rows[14..].iter().zip(&rows[2..]).all(|(a, b)| a == b));
    assert_eq!(predicted("--input many.npy --threads 1"), all);
    assert_eq!(predicted("--input whole.npy"), all);
    assert_eq!(predicted("--input double.npy"), all);
    assert_eq!(predicted("--input many.npy --rows 100..103").lines().collect::<Vec<_>>(), rows[100..103]);
    let told: serde_json::Value = serde_json::from_str(&predicted("--input many.npy -o many_y.npy --json")).unwrap();
    let written = npy::read_f32(folder.join("many_y.npy")).unwrap();
    assert!(written.iter().zip(told["predictions"].as_array().unwrap()).all(|(y, told)| f64::from(*y) == told.as_f64().unwrap()));
    let mut faulty = many.clone();
    (faulty[[131, 2, 5]], faulty[[80, 0, 3]]) = (f32::NAN, f32::INFINITY);
    npy::write(folder.join("faulty.npy"), faulty.view()).unwrap();
    let text = refusal(folder, "predict r.cgm --input faulty.npy -o faulty_y.npy", 1);
    assert!(text.contains("faulty.npy: ECG 80, lead I, sample 3: inf is not a voltage"), "{text}");
    npy::write(folder.join("millivolts.npy"), many.mapv(|uv| uv * 1e-3).view()).unwrap();
    assert!(refusal(folder, "predict r.cgm --input millivolts.npy", 1).contains("millivolts.npy: ECG 0: its leads span"));
    assert!(!folder.join("faulty_y.npy").exists());
}

#[test]
fn training_resumes_and_knows_when_it_is_done() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 30);
    let train = |more: &str| format!("train data --target qt --input median --arch standardconv --epochs 4 --quiet {more}");
    stdout(folder, &train("-o whole.cgm"));
    // A process killed after some epoch leaves its checkpoint: here, killed as soon as that is there.
    let mut killed = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    let mut killed = killed.current_dir(folder).args(train("-o cut.cgm").split_whitespace()).spawn().unwrap();
    while !folder.join(".cut.cgm.cardiograd-partial/checkpoint").exists() && killed.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    stdout(folder, &train("-o cut.cgm --resume"));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("cut.cgm") == read("whole.cgm") && read("cut.last.cgm") == read("whole.last.cgm"));
    let written = std::fs::metadata(folder.join("cut.cgm")).unwrap().modified().unwrap();
    stdout(folder, &train("-o cut.cgm --resume"));
    assert_eq!(std::fs::metadata(folder.join("cut.cgm")).unwrap().modified().unwrap(), written);
}

#[test]
fn bad_requests_are_one_line_and_leave_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 10);
    let train = "train data --input median --arch standardconv -o m.cgm";
    refusal(folder, &format!("{train} --target qt --batch 0"), 2);
    assert!(refusal(folder, &format!("{train} --target qt --lr 1e30 --epochs 9"), 1).contains("lower the learning rate"));
    assert!(refusal(folder, "train absent --target qt --input median -o m.cgm", 1).contains("absent"));
    assert!(!folder.join("m.cgm").exists() && !folder.join("m.last.cgm").exists());

    stdout(folder, &format!("{train} --target qt --quiet --epochs 1"));
    let x = |name: &str, shape: (usize, usize, usize), at: f32| {
        let mut x = Array3::<f32>::from_shape_fn(shape, |(.., t)| if t % 300 < 20 { 900.0 } else { 0.0 });
        x[[shape.0 - 1, 8, 17]] = at;
        npy::write(folder.join(name), x.view()).unwrap();
    };
    x("nan.npy", (4, 12, 600), f32::NAN);
    let text = refusal(folder, "predict m.cgm --input nan.npy -o y.npy", 1);
    assert!(text.contains("nan.npy: ECG 3, lead V3, sample 17: NaN is not a voltage"), "{text}");
    x("leads.npy", (1, 11, 600), 0.0);
    let text = refusal(folder, "predict m.cgm --input leads.npy -o y.npy", 1);
    assert!(text.contains("leads.npy") && text.contains("(N, 12, any), found [1, 11, 600]"), "{text}");
    std::fs::write(folder.join("text.npy"), "1, 2, 3").unwrap();
    refusal(folder, "predict m.cgm --input text.npy -o y.npy", 1);
    assert!(!folder.join("y.npy").exists());
    refusal(folder, "evaluate m.cgm --data data --target pr", 2);
}

#[test]
fn the_course_of_a_training_is_chosen() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 40);
    let train = "train data --target pr --input median --arch standardconv --preset quick --epochs 1 --batch 7 --lr 0.001 -o m.cgm";
    let said = stdout(folder, &format!("{train} --schedule plateau --standardise no"));
    assert!(said.contains("1 epochs in batches of 7"), "{said}");
    let card = stdout(folder, "inspect m.cgm");
    let wanted = "1 epochs of batches of 7, learning rate 0.001 (× 0.5 after more than 10 epochs without an improvement of 0.0001 (relative)), raw values";
    assert!(card.contains(wanted), "{card}");
    let message = refusal(folder, &format!("{train} --schedule cosine"), 2);
    assert!(message.contains("cosine") && message.contains("constant, plateau or one_cycle"), "{message}");
    assert!(refusal(folder, &format!("{train} --standardise perhaps"), 2).contains("perhaps"));
}

#[test]
fn shipped_models_have_names_and_cards() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 60);
    let train = "train data --target r_v5 --input median --preset quick --arch standardconv --epochs 1 --seed 2";
    stdout(folder, &format!("{train} -o r32.cgm"));
    std::fs::create_dir_all(folder.join("shipped/family")).unwrap();
    stdout(folder, &format!("{train} --weights f16 -o shipped/family/r_v5.cgm"));
    let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
    assert!(size("shipped/family/r_v5.cgm") < size("r32.cgm"));
    assert!(stdout(folder, "verify shipped/family/r_v5.cgm").contains("the same bytes"));
    stdout(folder, "convert r32.cgm converted.cgm --weights f16");
    assert_eq!(std::fs::read(folder.join("converted.cgm")).unwrap(), std::fs::read(folder.join("shipped/family/r_v5.cgm")).unwrap());
    assert!(refusal(folder, "convert r32.cgm r.pt --weights f16", 2).contains("--weights"));

    stdout(folder, "models card shipped/family/r_v5.cgm --data data --whole r32.cgm --name family/r_v5 -o shipped/family/r_v5.md");
    let named = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
        let output =
            command.current_dir(folder).env("CARDIOGRAD_MODELS", folder.join("shipped")).args(arguments.split_whitespace()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let list = named("models");
    assert!(list.contains("family/r_v5") && list.contains("R amplitude in V5"), "{list}");
    let card = named("inspect family/r_v5");
    for part in
        ["| # family/r_v5: R amplitude in V5", "limits of agreement", "Weights are stored in 16 bits", "--weights=f16", "Where it fails"]
    {
        assert!(card.contains(part), "no '{part}' in {card}");
    }
    let by_name: serde_json::Value = serde_json::from_str(&named("evaluate family/r_v5 --data data --json")).unwrap();
    let by_path: serde_json::Value = serde_json::from_str(&stdout(folder, "evaluate shipped/family/r_v5.cgm --data data --json")).unwrap();
    assert_eq!(by_name[0]["metrics"], by_path[0]["metrics"]);
    assert!(refusal(folder, "models card shipped/family/r_v5.cgm --data nowhere -o c.md", 1).contains("nowhere"));
}
