//! Labels of one's own, as a script asks for them: training, evaluation, the study, and whether heatmaps look where a finding was planted.

use cardiograd::attribution::{Explainer, Method, Settings as AttributionSettings};
use cardiograd::challenge::localisation::segment;
use cardiograd::dataset::{Dataset, DatasetWriter, Entry, InputKind, Origin, Part, Target, TargetKind};
use cardiograd::ecg::simulator::{Kind, Settings, Simulator};
use cardiograd::nn::Model;
use cardiograd::progress::silent;
use cardiograd::tape::Tensor;
use ndarray::Axis;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Simulated ECGs of three kinds in turn, with their exact values and kinds.
fn dataset(folder: &Path, ecgs: u64) {
    let details = [("kinds".to_owned(), "sinus,lbbb,st_elevation".to_owned())].into();
    let mut writer = DatasetWriter::create(folder, Origin { source: "simulator".into(), details, ..Origin::default() }).unwrap();
    let simulator = Simulator::of_kinds(&[Kind::Sinus, Kind::Lbbb, Kind::StElevation], Settings { noise: 0.0, ..Settings::default() }, 4);
    for id in 0..ecgs {
        let ecg = simulator.simulate(id);
        let rhythm = ecg.rhythm.samples().mapv(|v| v as i16);
        let (measurements, truth, kind) = (ecg.truth.clone(), Some(ecg.truth), ecg.kind);
        writer.append(&Entry { id: format!("e{id}"), rhythm, median: ecg.beat, measurements, truth, kind }).unwrap();
    }
    writer.finish().unwrap();
}

/// Labels beside them: some missing, patients of three ECGs, ten folds.
fn labels(folder: &Path, ecgs: u64) {
    let mut text = "id,lbbb,age,sex,patient,fold\n".to_owned();
    for id in (0..ecgs).rev() {
        let lbbb = if id % 7 == 6 { String::new() } else { (id % 3 == 1).to_string() };
        text += &format!("e{id},{lbbb},{},{},p{},{}\n", 40 + id % 3 * 10, ["f", "m"][id as usize / 3 % 2], id / 3, 1 + id / 3 % 10);
    }
    std::fs::write(folder, text).unwrap();
}

fn cardiograd(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn stdout(folder: &Path, arguments: &str) -> String {
    let output = cardiograd(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&stdout(folder, &format!("{arguments} --json"))).unwrap()
}

fn refusal(folder: &Path, arguments: &str, hint: &str) {
    let output = cardiograd(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code().is_some_and(|code| code == 1 || code == 2), "{arguments}: {text}");
    assert!(text.contains(hint) && text.trim_end().lines().count() == 1, "{arguments}: {text}");
}

/// The demonstration of the README in small: one network tells planted findings, and its heatmaps look where they were planted.
#[test]
fn planted_findings_are_found_and_heatmaps_look_where_they_are() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 90);
    stdout(
        folder,
        "train data --labels data/truth.csv --target kind=lbbb@qrs,kind=st_elevation@st,wide:qrs_ms>120 --input median --preset quick \
         --arch standardconv --epochs 8 --seed 2 -o m.cgm",
    );
    let model = Model::load(folder.join("m.cgm")).unwrap();
    let target = model.target.unwrap();
    assert_eq!((target.kind(), target.width()), (TargetKind::MultiLabel, 3));
    let outputs = model.outputs().unwrap();
    assert_eq!(outputs.iter().map(|output| output.name()).collect::<Vec<_>>(), ["lbbb", "st_elevation", "wide"]);
    let found = json(folder, "evaluate m.cgm --data data --labels data/truth.csv");
    for (at, output) in outputs.iter().enumerate() {
        assert_eq!((found[at]["target"].as_str(), found[at]["trained_on_this_dataset"].as_bool()), (Some(output.name()), Some(true)));
        let auroc = &found[at]["figures"]["auroc"];
        assert!(auroc["value"].as_f64().unwrap() > 0.9, "{output}: {auroc}");
        assert!(auroc["low"].as_f64() <= auroc["value"].as_f64() && auroc["value"].as_f64() <= auroc["high"].as_f64(), "{auroc}");
    }

    let dataset = Dataset::open(folder.join("data")).unwrap().read_labels(folder.join("data/truth.csv"), false).unwrap();
    for (column, output) in outputs.iter().enumerate().take(2) {
        let yes: Vec<usize> =
            dataset.split(2).part(Part::Test).iter().copied().filter(|ecg| dataset.target(*ecg, *output) == Some(1.0)).collect();
        let x = dataset.inputs(&yes, InputKind::Median).unwrap();
        let ids: Vec<u64> = yes.iter().map(|ecg| *ecg as u64).collect();
        // Contributions lie on the finding; multipliers alone, the default, say where the network would be sensitive.
        let settings = AttributionSettings { output: column, multiply_by_inputs: true, ..AttributionSettings::default() };
        let maps = Explainer::new(&model.network, &settings).unwrap();
        let maps = maps.explain(&Tensor::from(x.clone().into_dyn()), &ids, &[Method::DeepLift], &silent).unwrap().maps;
        let ratio = |n: usize| {
            let truth = dataset.exact_measurements(yes[n]).unwrap();
            let segment = segment(*output, x.index_axis(Axis(0), n), truth).unwrap();
            let map = maps[0].1.index_axis(Axis(0), n).into_dimensionality().unwrap();
            segment.share(map).unwrap() / segment.points(map)
        };
        let mean = (0..yes.len()).map(ratio).sum::<f64>() / yes.len() as f64;
        assert!(yes.len() > 1 && mean > 1.5, "{output}: {mean} of {} ECGs", yes.len());
    }
}

#[test]
fn a_training_on_labels_is_the_same_on_any_threads_and_says_how_it_was_made() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 60);
    labels(&folder.join("y.csv"), 60);
    let train = "train data --labels y.csv --target lbbb,age[years],pr --input median --preset quick --arch standardconv --epochs 3 --group patient \
                 --class-weights balanced --augment noise,wander,lead_dropout,shift --patience 2 --seed 1";
    let text = stdout(folder, &format!("{train} --threads 1 -o a.cgm"));
    assert!(text.contains("ECGs of one patient in one part, balanced classes") && text.contains("years"), "{text}");
    stdout(folder, &format!("{train} --threads 3 -o b.cgm"));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("a.cgm") == read("b.cgm"), "the number of threads changed the model");
    let about = Model::load(folder.join("a.cgm")).unwrap().provenance.unwrap();
    assert_eq!((about.outputs.len(), about.outputs[2].target, about.metrics.len()), (3, Target::Pr, 0));
    assert!(about.settings.further.to_string().contains("augmented by noise,wander,lead_dropout,shift"));

    let found = json(folder, "evaluate a.cgm --data data --labels y.csv --by sex --threshold youden -o figures.csv");
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(found[0]["threshold"]["chosen_by"], "youden on validation");
    let groups = found[1]["by"].as_array().unwrap();
    let count = |value: &Value| value["ecgs"].as_u64().unwrap();
    assert_eq!(
        (groups[0]["value"].as_str(), groups.iter().map(count).sum::<u64>()),
        (Some("f"), found[1]["metrics"]["n"].as_u64().unwrap())
    );
    assert!(found[1]["figures"]["r2"]["value"].is_number() && found[1]["unit"] == "years");
    let csv = String::from_utf8(read("figures.csv")).unwrap();
    assert!(csv.contains("a.cgm,lbbb,test,sex=m,auprc") && csv.contains("a.cgm,age,test,,mae,years"), "{csv}");

    // Folds as PTB-XL's; one of several classes; another network to begin from.
    let kinds = "train data --labels data/truth.csv --target kind --input median --preset quick --arch standardconv --epochs 2 --seed 1 -o kind.cgm";
    stdout(folder, kinds);
    let kind = json(folder, "evaluate kind.cgm --data data --labels data/truth.csv");
    assert!(kind[0]["figures"]["accuracy"]["value"].is_number() && kind[0]["figures"]["auroc"]["value"].is_number(), "{kind}");
    stdout(
        folder,
        "train data --labels y.csv --target lbbb --split-column fold --from kind.cgm --input median --preset quick --epochs 1 -o tuned.cgm",
    );
    let tuned = Model::load(folder.join("tuned.cgm")).unwrap().provenance.unwrap();
    assert!(tuned.settings.further.to_string().contains("parts by fold, begun from the model"));
    assert_eq!(
        tuned.metrics(Part::Test).unwrap().n + tuned.metrics(Part::Validation).unwrap().n,
        (0..60).filter(|id| id / 3 % 10 > 7 && id % 7 != 6).count()
    );
}

#[test]
fn what_labels_cannot_tell_is_refused_in_a_line() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 12);
    labels(&folder.join("y.csv"), 12);
    labels(&folder.join("more.csv"), 13);
    std::fs::write(folder.join("one.csv"), format!("id,same\n{}", (0..12).map(|id| format!("e{id},1\n")).collect::<String>())).unwrap();
    let train = |rest: &str| format!("train data --input median --epochs 1 --arch standardconv --preset quick -o m.cgm {rest}");
    for (rest, hint) in [
        ("--target age", "a label of your own comes with --labels"),
        ("--target agee --labels y.csv", "no column 'agee': they have lbbb, age"),
        ("--target age --labels more.csv", "1 ids are not in the dataset: 'e12'"),
        ("--target sex --loss bce --labels y.csv", "is neither 0 nor 1"),
        ("--target pr --loss bce --labels y.csv", "is a number"),
        ("--target lbbb,lbbb --labels y.csv", "listed twice"),
        ("--target same --labels one.csv", "of one class: there is nothing to learn"),
        ("--target age --labels y.csv --class-weights balanced", "is a number"),
        ("--target lbbb --labels y.csv --group doctor", "no column 'doctor'"),
        ("--target lbbb --labels y.csv --split-column sex", "is no part"),
        ("--target lbbb --labels y.csv --augment nose", "unknown augmentation"),
    ] {
        refusal(folder, &train(rest), hint);
    }
    assert!(!folder.join("m.cgm").exists());
    stdout(folder, &train("--target age --labels more.csv --pass-unknown-ids"));
    refusal(folder, "evaluate m.cgm --data data", "'age' is a label, which the dataset has not: --labels");
    refusal(folder, "evaluate m.cgm --data data --labels one.csv", "no column 'age'");
    refusal(folder, "study --labels y.csv --targets lbbb -o s", "--labels are of a dataset");
}

#[test]
fn a_study_of_ones_own_question_goes_to_its_report() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 60);
    labels(&folder.join("y.csv"), 60);
    let study = "study --data data --labels y.csv --targets lbbb@qrs,age[years] --arch standardconv --epochs 2 --method saliency,deeplift,random \
                 --heatmap-ecgs 2 --perturb-ecgs 12 --iterations 26 --group patient -o s";
    let text = stdout(folder, study);
    assert!(
        text.contains("by the scoring logit") && text.contains("by the scoring absolute_percentage") && text.contains("report.html"),
        "{text}"
    );
    let read = |name: &str| std::fs::read_to_string(folder.join("s").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("table4.csv").starts_with("method,age\n") && read("table4_auroc.csv").starts_with("method,lbbb\n"));
    let probability = read("table4_probability.csv");
    assert!(
        probability.lines().skip(1).all(|line| line.split(',').nth(1).is_some_and(|area| area.parse::<f64>().is_ok_and(f64::is_finite)))
    );
    let report = read("report.html");
    assert!(report.contains("AUROC") && report.contains("Yes or no") && !report.contains("NaN"));
    assert!(read("tables/classes.csv").starts_with("Target,ECGs,Yes,AUROC,AUROC low"));
    assert!(folder.join("s/figures/predictions_lbbb.svg").exists() && folder.join("s/models/lbbb.cgm").exists());

    // Nothing is done again, and the same comes out.
    let before = read("results.json");
    assert!(stdout(folder, study).contains("report.html") && before == read("results.json"));
    let told = stdout(folder, "challenge s --targets lbbb --criteria localisation -n 12 -o c");
    assert!(told.contains("lbbb"), "{told}");
    assert!(std::fs::read_to_string(folder.join("c/challenge.html")).unwrap().contains("in which the label is yes"));
    stdout(folder, "perturb s/models/lbbb.cgm --data data --labels y.csv -m saliency,random -n 12 --iterations 20 -o p");
    assert!(std::fs::read_to_string(folder.join("p/table4.csv")).unwrap().starts_with("method,lbbb\n"));
}

/// A label of several classes is one network, explained class by class, in one piece and in tasks alike.
#[test]
fn a_study_of_classes_explains_each_of_them() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    dataset(&folder.join("data"), 60);
    let kinds = ["sinus", "LBBB, complete", "st"];
    let rows: String = (0..60).map(|id| format!("e{id},\"{}\",{}\n", kinds[id % 3], 40 + id % 3 * 10)).collect();
    std::fs::write(folder.join("y.csv"), format!("id,kind,age\n{rows}")).unwrap();
    std::fs::write(folder.join("net.json"), NETWORK).unwrap();
    let options = "--data data --labels y.csv --targets kind@qrs,age --arch net.json --epochs 2 --method saliency,deeplift,random --heatmap-ecgs 2 \
                   --perturb-ecgs 12 --iterations 26";
    stdout(folder, &format!("study {options} -o s"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let names = ["kind_LBBB__complete", "kind_sinus", "kind_st"];
    let head = read("s/table4_logit.csv").lines().next().unwrap().to_owned();
    assert!(head.split(',').count() == 4 && names.iter().all(|name| head.contains(name)), "{head}");
    assert!(read("s/table4.csv").starts_with("method,age\n") && !folder.join("s/table4_probability.csv").exists());
    assert!(folder.join("s/models/kind.cgm").exists() && !folder.join("s/models/kind_st.cgm").exists(), "one network tells all of them");
    for name in names {
        assert!(folder.join("s/heatmaps").join(name).join("deeplift.npy").exists(), "{name}");
    }
    let metrics = read("s/metrics.csv");
    assert_eq!(metrics.lines().filter(|line| line.starts_with("kind_")).count(), 9, "{metrics}");
    let several = read("s/tables/several_classes.csv");
    // The figures are those that evaluate tells of the same network.
    let told = json(folder, "evaluate s/models/kind.cgm --data data --labels y.csv");
    let cell = |column: usize| several.lines().nth(1).unwrap().split(',').nth(column).unwrap().parse::<f64>().unwrap();
    // Each figure stands there with the ends of its interval.
    for (name, column) in [("accuracy", 3), ("auroc", 6), ("f1", 9)] {
        let theirs = told[0]["figures"][name]["value"].as_f64().unwrap();
        assert!((cell(column) - theirs).abs() < 1e-9, "{name}: {several} {told}");
    }
    let report = read("s/report.html");
    assert!(report.contains("class by class") && !report.contains("NaN"));
    // A curve begins with the logit that explain explains.
    stdout(folder, "predict s/models/kind.cgm --input data --column kind_st -o y.npy");
    let predicted = cardiograd::files::npy::read_f32(folder.join("y.npy")).unwrap();
    stdout(
        folder,
        "perturb s/models/kind.cgm --data data --labels y.csv --column all -m saliency,deeplift,random -n 12 --iterations 26 --seed 1 -o p",
    );
    let curves = |path: &str| cardiograd::files::npy::read_f32(folder.join(path)).unwrap();
    let study = curves("s/curves/kind_st/random.npy");
    let alone = cardiograd::files::npz::read_one(folder.join("p/curves/kind.kind_st/random.npz"), "predictions").unwrap().into_f32();
    assert_eq!(study, alone, "perturb draws as the study does");
    let ecgs = cardiograd::files::npz::read_one(folder.join("p/curves/kind.kind_st/random.npz"), "ecgs").unwrap().into_f32();
    ecgs.iter().enumerate().for_each(|(row, ecg)| assert!((study[[row, 0]] - predicted[[*ecg as usize]]).abs() < 1e-4));
    // Where a class shows is asked of each.
    let told = stdout(folder, "challenge s --targets kind_st --criteria localisation -n 12 -o c");
    assert!(told.contains("kind_st"), "{told}");
    // In tasks the same bytes.
    stdout(folder, &format!("plan {options} -o plan"));
    assert!(read("plan/tasks.csv").contains("judge-kind_st-") && read("plan/tasks.csv").matches("train-").count() == 2);
    stdout(folder, "run plan");
    stdout(folder, "merge plan -o merged");
    assert_eq!(read("merged/results.json"), read("s/results.json"));
    refusal(folder, &format!("study {} -o x", options.replace("kind@qrs", "kind,kind_st:age")), "two outputs would be called 'kind_st'");
}

const NETWORK: &str = r#"{"nodes": [
  {"name": "x", "op": {"input": {"shape": [12, null]}}},
  {"name": "conv.weight", "op": {"parameter": {"shape": [8, 12, 9], "trainable": true}}},
  {"name": "conv.bias", "op": {"parameter": {"shape": [8], "trainable": true}}},
  {"name": "conv", "op": {"conv1d": {"stride": 2, "dilation": 1, "padding": [4, 4]}}, "inputs": ["x", "conv.weight", "conv.bias"]},
  {"name": "relu", "op": "relu", "inputs": ["conv"]},
  {"name": "pool", "op": "global_avg_pool", "inputs": ["relu"]},
  {"name": "fc.weight", "op": {"parameter": {"shape": [1, 8], "trainable": true}}},
  {"name": "fc.bias", "op": {"parameter": {"shape": [1], "trainable": true}}},
  {"name": "fc", "op": "linear", "inputs": ["pool", "fc.weight", "fc.bias"]}],
 "output": "fc"}"#;
