//! `cardiograd study` and `perturb` as a script calls them, in small.

#[path = "common/command.rs"]
mod command;
#[path = "common/trees.rs"]
mod trees;

use cardiograd::files::{npy, npz};
use command::{command, refusal, stdout};
use ndarray::Axis;
use std::path::Path;
use std::process::Stdio;
use trees::{assert_same, tree};

/// Small enough for seconds: the smaller network, two targets, three methods.
const SMALL: &str = "study --ecgs 60 --epochs 3 --arch standardconv --targets t_v5,pr --method saliency,random,deeplift \
                     --heatmap-ecgs 2 --perturb-ecgs 5 --iterations 26 --seed 3";

#[test]
fn a_study_depends_on_its_settings_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let text = stdout(folder, &format!("{SMALL} --threads 1 -o one"));
    assert!(text.contains("one/report.html") && text.contains("pr: test MAE"), "{text}");
    let files = tree(&folder.join("one"));
    for name in [
        "report.html",
        "results.json",
        "metrics.csv",
        "table4.csv",
        "table4_per_sd.csv",
        "ranks.csv",
        "models/pr.cgm",
        "models/t_v5.last.cgm",
        "dataset/median.npy",
        "heatmaps/ecgs.npy",
        "heatmaps/pr/deeplift.npy",
        "curves/t_v5/random.npy",
        "study.json",
    ] {
        assert!(files.contains_key(name), "{name} is not among {:?}", files.keys());
    }
    assert!(!files.keys().any(|name| name.contains("cache") || name.contains("checkpoint")), "{:?}", files.keys());
    let csv = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    let table4 = csv("table4.csv");
    let first: Vec<&str> = table4.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(first, ["method", "deeplift", "random", "saliency"]);
    assert_eq!(table4.lines().next(), Some("method,pr,t_v5"));
    assert_eq!(csv("metrics.csv").lines().count(), 1 + 2 * 3);
    assert_eq!(csv("ranks.csv").lines().count(), 1 + 2 * 6 * 16);

    // Two threads, and a kill on the way: the same bytes.
    let mut running = command(folder, &format!("{SMALL} --threads 2 -o two")).stdout(Stdio::null()).spawn().unwrap();
    while running.try_wait().unwrap().is_none() && !folder.join("two/models/pr.cgm").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let summary: serde_json::Value = serde_json::from_str(&stdout(folder, &format!("{SMALL} --threads 2 --json -o two"))).unwrap();
    assert_same(&folder.join("one"), &folder.join("two"));
    an_older_folder_is_gone_on_with(folder);
    assert_eq!(summary["metrics"]["pr"][2]["split"], "test");
    assert!(summary["table4"]["physical"]["t_v5"]["saliency"].as_f64().unwrap() > 0.0);

    what_is_said_is_true(folder, &text);
    perturb_agrees(folder);
    stages_are_kept(folder);
}

/// One scoring by name, exact values beside measured ones, warnings in words, a picture of each of the worst ECGs, and no debug text.
fn what_is_said_is_true(folder: &Path, text: &str) {
    assert!(text.contains("by the scoring absolute_percentage (mean |y − ŷ| / |y|)") && text.contains("This is a demonstration"), "{text}");
    // Three epochs on 36 ECGs do not always beat the mean: whichever it is, it is said in words, and there is no gain of 0.9.
    assert!(text.contains("times nearer than predicting the mean") || text.contains("worse than the mean"), "{text}");
    let read = |name: &str| std::fs::read_to_string(folder.join("one").join(name)).unwrap();
    let results: serde_json::Value = serde_json::from_str(&read("results.json")).unwrap();
    let truth = std::fs::read_to_string(folder.join("one/dataset/truth.csv")).unwrap();
    let header: Vec<&str> = truth.lines().next().unwrap().split(',').collect();
    let column = header.iter().position(|name| *name == "pr_ms").unwrap();
    let exact = |ecg: u64| -> f64 { truth.lines().nth(ecg as usize + 1).unwrap().split(',').nth(column).unwrap().parse().unwrap() };
    let target = &results["targets"][0];
    let test = target["test"].as_array().unwrap();
    let errors: Vec<f64> = test.iter().map(|p| (p["predicted"].as_f64().unwrap() - exact(p["ecg"].as_u64().unwrap())).abs()).collect();
    let mae = errors.iter().sum::<f64>() / errors.len() as f64;
    let stored = target["metrics"][2]["exact"]["mae"].as_f64().unwrap();
    assert!((mae - stored).abs() < 1e-9 * mae, "{mae} {stored}");
    let evaluated: serde_json::Value =
        serde_json::from_str(&stdout(folder, "evaluate one/models/pr.cgm --data one/dataset --json")).unwrap();
    assert!((evaluated[0]["against_exact"]["mae"].as_f64().unwrap() - mae).abs() < 1e-6 * mae, "{evaluated}");
    assert!(stdout(folder, "evaluate one/models/pr.cgm --data one/dataset").contains("against the exact values of"));
    let metrics = read("metrics.csv");
    assert!(
        metrics.lines().next().unwrap().ends_with("rmse_of_mean,exact_n,exact_mae,exact_rmse,exact_mae_of_measured,exact_rmse_of_measured")
    );
    let report = read("report.html");
    for words in ["This is a demonstration", "by the scoring absolute_percentage", "MAE against exact", "id=\"findings\"", "Other scorings"]
    {
        assert!(report.contains(words), "{words} is not in the report");
    }
    for link in report.split("href=\"figures/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(folder.join("one/figures").join(link).exists(), "{link}");
    }
    assert!(report.matches("href=\"figures/ecg_").count() >= 10);
    for name in ["figures/figure7_perturbation_absolute_percentage.svg", "tables/areas.csv", "tables/metrics.tex", "tables/worst_ecgs.csv"]
    {
        assert!(folder.join("one").join(name).exists(), "{name}");
    }
    let said = stdout(folder, "inspect one");
    assert!(said.contains("a study of 60 ECGs (source: simulator)") && said.contains("MAE against exact values"), "{said}");
    let said = said + &stdout(folder, "inspect one/models/pr.cgm");
    assert!(
        said.contains("settings: 3 epochs of batches of 16") && !said.contains("TrainSettings") && !said.contains("OneCycle"),
        "{said}"
    );
}

/// `perturb` on the study's models gives the study's curves.
fn perturb_agrees(folder: &Path) {
    let models = "one/models/t_v5.cgm one/models/pr.cgm";
    let options = "--data one/dataset --method random,saliency -n 3 --iterations 26 --seed 3";
    stdout(folder, &format!("perturb {models} {options} -o judged"));
    let table4 = std::fs::read_to_string(folder.join("judged/table4.csv")).unwrap();
    assert!(table4.starts_with("method,pr,t_v5\nrandom,"), "{table4}");
    for target in ["pr", "t_v5"] {
        let study = npy::read_f32(folder.join(format!("one/curves/{target}/saliency.npy"))).unwrap();
        let file = folder.join(format!("judged/curves/{target}/saliency.npz"));
        let own = npz::read_one(&file, "predictions").unwrap().into_f32();
        assert_eq!(own.shape(), [3, 27]);
        assert_eq!(own, study.select(Axis(0), &[0, 1, 2]));
        assert_eq!(npz::read_one(&file, "truth").unwrap().shape(), [3]);
        assert_eq!(npz::read_one(&file, "ecgs").unwrap().shape(), [3]);
    }
    assert!(!tree(&folder.join("judged")).keys().any(|name| name.contains("cache")));
    assert!(refusal(folder, &format!("perturb {models} {options} -o judged"), 2).contains("exists already"));
    assert!(refusal(folder, &format!("perturb {models} --data one/dataset --method magic -o other"), 2).contains("magic"));
    assert!(refusal(folder, "perturb one/models/pr.cgm --data absent --method random -o other", 1).contains("absent"));
    let twice = "perturb one/models/pr.cgm two/models/pr.cgm --data one/dataset --method random -o other";
    assert!(refusal(folder, twice, 2).contains("two models are called 'pr'"));
    let many = "perturb one/models/pr.cgm --data one/dataset --method random --iterations 8000 -o other";
    assert!(refusal(folder, many, 2).contains("7200 points"));
    assert!(!folder.join("other").exists() && !folder.join(".other.cardiograd-partial").exists());
}

/// A folder from before studies were cut into tasks, killed at its second network: its mark knows no scoring. It is gone on with.
fn an_older_folder_is_gone_on_with(folder: &Path) {
    let older = folder.join("older");
    for part in ["dataset", "models"] {
        std::fs::create_dir_all(older.join(part)).unwrap();
        for entry in std::fs::read_dir(folder.join("one").join(part)).unwrap().flatten() {
            if !entry.file_name().to_string_lossy().starts_with("t_v5") {
                std::fs::copy(entry.path(), older.join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    let mark = std::fs::read_to_string(folder.join("one/study.json")).unwrap();
    let mut mark: serde_json::Value = serde_json::from_str(&mark).unwrap();
    assert!(mark["settings"].as_object_mut().unwrap().remove("scoring").is_some());
    std::fs::write(older.join("study.json"), mark.to_string()).unwrap();
    stdout(folder, &format!("{SMALL} -o older --quiet"));
    assert_same(&folder.join("one"), &older);
}

/// What other settings do not change is not made again; what they change is.
fn stages_are_kept(folder: &Path) {
    let made = |name: &str| std::fs::metadata(folder.join("one").join(name)).unwrap().modified().unwrap();
    let before = ["dataset/dataset.json", "models/pr.cgm", "models/t_v5.cgm"].map(made);
    stdout(folder, &format!("{} -o one --quiet", SMALL.replace("--perturb-ecgs 5", "--perturb-ecgs 4")));
    assert_eq!(["dataset/dataset.json", "models/pr.cgm", "models/t_v5.cgm"].map(made), before);
    let curves = |name: &str| npy::read_f32(folder.join(name).join("curves/pr/deeplift.npy")).unwrap();
    assert_eq!(curves("one"), curves("two").select(Axis(0), &[0, 1, 2, 3]));
    // Side by side with another study, and made again so.
    stdout(folder, &format!("{SMALL} -o one --against two --quiet"));
    let page = std::fs::read_to_string(folder.join("one/against.html")).unwrap();
    assert!(page.contains("Two studies side by side") && page.contains("Spearman of the areas, without Random"));
    assert!(stdout(folder, "verify one --digests").contains("digests as recorded"));
    assert!(refusal(folder, &format!("{SMALL} -o one --against absent"), 1).contains("absent/results.json"));
    let other = SMALL.replace("--ecgs 60", "--ecgs 61");
    assert!(refusal(folder, &format!("{other} -o one"), 2).contains("other settings"));
}

/// The path of the full preset, small, killed on the way; on Pulse2pulse ECGs where CARDIOGRAD_PULSE2PULSE names the generator's wheel, else on simulated ones.
#[test]
fn the_full_preset_goes_on_after_a_kill() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let source = std::env::var("CARDIOGRAD_PULSE2PULSE").map_or(String::new(), |wheel| format!("--source pulse2pulse --generator {wheel}"));
    let study = format!(
        "study --preset full {source} --ecgs 60 --epochs 1 --batch 8 --schedule constant --arch standardconv --method random,saliency --heatmap-ecgs 2 --perturb-ecgs 3 --iterations 20"
    );
    let mut running = command(folder, &format!("{study} -o out")).stdout(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while !folder.join("out/models/qrs.cgm").exists() && begun.elapsed().as_secs() < 60 && running.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let text = stdout(folder, &format!("{study} -o out"));
    assert!(text.contains("rate: test MAE"), "{text}");
    let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("out/study.json")).unwrap()).unwrap();
    assert_eq!(stored["settings"]["preset"], "full");
    assert_eq!(stored["settings"]["training"]["standardise"], false);
    let report = std::fs::read_to_string(folder.join("out/report.html")).unwrap();
    assert!(report.contains("--epochs 1 --batch 8 --schedule constant --method"), "the report does not say how it was made");
    assert_eq!(stored["settings"]["targets"].as_array().unwrap().len(), 7);
    let said: Vec<String> = std::fs::read_to_string(folder.join("out/metrics.csv")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(said.len(), 1 + 7 * 3);
    assert!(stdout(folder, "verify out --digests").contains("digests as recorded"));
}

#[test]
fn a_study_that_makes_no_sense_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::create_dir(folder.join("mine")).unwrap();
    std::fs::write(folder.join("mine/thesis.txt"), "years of work").unwrap();
    assert!(refusal(folder, "study -o mine", 2).contains("something other than a study"));
    assert!(refusal(folder, "study --targets pr,heart -o out", 2).contains("heart"));
    assert!(refusal(folder, "study --targets pr,pr -o out", 2).contains("twice"));
    assert!(refusal(folder, "study --source pulse2pulse -o out", 2).contains("--generator"));
    assert!(refusal(folder, "study --generator g.pt -o out", 2).contains("--source pulse2pulse"));
    assert!(refusal(folder, "study --ecgs 3 -o out", 2).contains("too few"));
    assert!(refusal(folder, "study --arch resnet -o out", 2).contains("resnet"));
    assert!(refusal(folder, "study --method magic -o out", 2).contains("magic"));
    assert!(refusal(folder, "study --data absent -o out", 1).contains("absent"));
    assert!(!folder.join("out").exists());
}
