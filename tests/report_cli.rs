//! `render` and `survey` from the command line, with good and with bad input.

mod sample;

use cardiograd::dataset::Target;
use cardiograd::files::{npy, npz::NpzWriter};
use cardiograd::report::store;
use cardiograd::survey::Key;
use ndarray::Array1;
use std::path::Path;
use std::process::{Command, Output};

fn cardiograd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments).output().expect("the program starts")
}

/// Runs a command that must fail, and gives its message.
fn refused(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = cardiograd(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    message
}

fn works(folder: &Path, arguments: &[&str]) -> String {
    let output = cardiograd(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn arrays(folder: &Path) {
    let ecg = sample::ecg(1, 600);
    npy::write(folder.join("x.npy"), ecg.view()).expect("written");
    let mut file = NpzWriter::create(folder.join("maps.npz")).expect("an archive");
    for method in ["saliency", "deeplift", "smoothgrad"] {
        let map = sample::map(&ecg, Target::TV5, method, 1).insert_axis(ndarray::Axis(0));
        file.add(method, map.view()).expect("added");
    }
    file.add("prediction", Array1::<f32>::zeros(1).view()).expect("added");
    file.finish().expect("written");
    std::fs::write(folder.join("m.csv"), "id,p_onset,p_offset,qrs_onset,qrs_offset,t_offset\n0,150,190,225,,440\n").expect("written");
}

#[test]
fn pictures_of_any_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    arrays(folder);
    let draw = |arguments: &[&str], output: &str| {
        let all: Vec<&str> = ["render"].into_iter().chain(arguments.iter().copied()).chain(["-o", output]).collect();
        works(folder, &all);
        std::fs::read(folder.join(output)).expect("a picture")
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let plain = text(draw(&["--input", "x.npy", "--title", "A <plain> ECG"], "plain.svg"));
    assert!(plain.contains("A &lt;plain&gt; ECG") && !plain.contains("lowers"));
    let map = ["--input", "x.npy", "--heatmap", "maps.npz", "--method"];
    let with = |rest: &[&'static str]| map.into_iter().chain(rest.iter().copied()).collect::<Vec<_>>();
    let single = text(draw(&with(&["saliency", "--fiducials", "m.csv", "--unit", "µV per µV"]), "single.svg"));
    assert!(single.contains("QRS on") && !single.contains(">J<") && single.contains("µV per µV") && single.contains("raises"));
    assert!(text(draw(&with(&["deeplift,smoothgrad"]), "pair.svg")).contains("SmoothGrad"));
    assert!(text(draw(&with(&["all", "--dark", "--palette", "safe"]), "grid.svg")).contains("#11151c"));
    assert!(text(draw(&with(&["saliency", "--layout", "averaged"]), "averaged.svg")).contains("mean of |attribution|"));
    assert!(text(draw(&with(&["saliency", "--layout", "paper"]), "paper.svg")).contains("25 mm/s"));
    let png = draw(&with(&["saliency", "--zoom", "1"]), "single.png");
    assert_eq!(png[..4], [0x89, b'P', b'N', b'G']);
    assert_eq!(u32::from_be_bytes(png[16..20].try_into().expect("four bytes")), 720);
}

#[test]
fn what_cannot_be_drawn_is_refused_in_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    arrays(folder);
    let ecg = ["render", "--input", "x.npy"];
    let say = |code: i32, rest: &[&str]| refused(folder, code, &ecg.into_iter().chain(rest.iter().copied()).collect::<Vec<_>>());
    assert!(say(2, &["-o", "x.pdf"]).contains(".svg or .png"));
    assert!(say(2, &["--ecg", "1", "-o", "x.svg"]).contains("numbered from 0"));
    assert!(say(2, &["--heatmap", "maps.npz", "-o", "x.svg"]).contains("choose with --method among deeplift saliency smoothgrad"));
    assert!(say(1, &["--heatmap", "maps.npz", "--method", "magic", "-o", "x.svg"]).contains("no array 'magic'"));
    assert!(say(2, &["--zoom", "1000", "-o", "x.png"]).contains("million"));
    assert!(say(1, &["--fiducials", "maps.npz", "-o", "x.svg"]).contains("maps.npz"));
    for wrong in ["NaN", "1e308", "-3", "601"] {
        std::fs::write(folder.join("bad.csv"), format!("id,p_onset,p_offset,qrs_onset,qrs_offset,t_offset\n0,150,190,225,,{wrong}\n"))
            .expect("written");
        let text = say(1, &["--fiducials", "bad.csv", "-o", "x.svg"]);
        assert!(text.contains(&format!("bad.csv: row 2: t_offset is '{wrong}', outside of the ECG's 600 samples")), "{text}");
    }
    let mut broken = sample::ecg(1, 600);
    broken[[6, 17]] = f32::NAN;
    npy::write(folder.join("x.npy"), broken.view()).expect("written");
    assert!(say(1, &["-o", "x.svg"]).contains("lead V1, sample 17"));
    npy::write(folder.join("x.npy"), broken.t()).expect("written");
    assert!(say(1, &["-o", "x.svg"]).contains("(N, 12, L)"));
    assert!(!folder.join("x.svg").exists() && !folder.join("x.png").exists());
}

#[test]
fn perturbation_curves_as_perturb_writes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let study = sample::study(1, 600, 20);
    let perturbation = study.targets[0].perturbation.as_ref().expect("curves");
    for method in &perturbation.methods {
        let mut file = NpzWriter::create(folder.join(format!("{}.npz", method.method))).expect("an archive");
        file.add("predictions", method.predictions.view()).expect("added");
        file.add("truth", Array1::from(perturbation.truth.clone()).view()).expect("added");
        file.finish().expect("written");
    }
    works(folder, &["render", "--curves", "saliency.npz", "random.npz", "deeplift.npz", "-o", "curves.svg"]);
    let text = std::fs::read_to_string(folder.join("curves.svg")).expect("a picture");
    assert!(text.contains("DeepLIFT") && text.contains("Random") && text.contains("20 ECGs"));
    let mut file = NpzWriter::create(folder.join("other.npz")).expect("an archive");
    file.add("predictions", perturbation.methods[0].predictions.view()).expect("added");
    file.add("truth", Array1::<f64>::ones(20).view()).expect("added");
    file.finish().expect("written");
    assert!(refused(folder, 1, &["render", "--curves", "saliency.npz", "other.npz", "-o", "x.svg"]).contains("other.npz"));
}

#[test]
fn a_study_in_other_colours_and_a_review_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut study = sample::study(2, 80, 4);
    study.input = cardiograd::dataset::InputKind::Median;
    study.targets.truncate(2);
    store::save(&folder.join("study"), &study).expect("saved");
    works(folder, &["render", "--study", "study", "--dark", "-o", "dark"]);
    assert!(std::fs::read_to_string(folder.join("dark/figure3_intervals.svg")).expect("a figure").contains("#11151c"));
    works(folder, &["survey", "make", "study", "--ecgs", "2", "--raters", "2", "--seed", "3", "-o", "survey"]);
    let key = Key::read(&folder.join("survey/key/key.json")).expect("a key");
    assert!(folder.join("survey/pages/rater2.html").exists() && folder.join("survey/pages/guide.html").exists());
    let mut csv = "survey,rater,screen,choice,place,seconds,at\n".to_owned();
    for rater in &key.raters {
        for screen in &rater.screens {
            csv += &format!("{},{},{},{},1,1.0,now\n", key.survey, rater.rater, screen.id, screen.choices[0].0);
        }
    }
    std::fs::write(folder.join("votes.csv"), &csv).expect("written");
    let said = works(folder, &["survey", "tally", "survey/key/key.json", "votes.csv", "--resamples", "50", "-o", "tally"]);
    assert!(said.contains("Table 2. Votes, full heatmaps") && said.contains("Table 3."));
    let table = std::fs::read_to_string(folder.join("tally/table2_full.csv")).expect("a table");
    assert!(table.lines().last().expect("a row").starts_with("All,8,8,16"), "{table}");
    std::fs::write(folder.join("votes.csv"), csv.replace("rater2", "rater7")).expect("written");
    assert!(refused(folder, 1, &["survey", "tally", "survey/key/key.json", "votes.csv"]).contains("unknown rater 'rater7'"));
    assert!(refused(folder, 2, &["survey", "make", "study", "-o", "other"]).contains("--ecgs 51"));
    assert!(refused(folder, 1, &["survey", "make", "nowhere", "-o", "other"]).contains("results.json"));
    assert!(!folder.join("other").exists());
}
