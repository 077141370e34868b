//! `render`, `survey` and the page of one ECG from the command line, with good and with bad input.

mod sample;

use cardiograd::dataset::{InputKind, Target};
use cardiograd::files::npy;
use cardiograd::files::npz::{self, NpzWriter};
use cardiograd::nn::{Model, initialise};
use cardiograd::report::store;
use cardiograd::survey::Key;
use cardiograd::tape::{Builder, ConvLayer, Network, Op, from_vec};
use ndarray::{Array1, Array3, ArrayD, Axis};
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
    assert!(plain.contains("A &lt;plain&gt; ECG") && !plain.contains("lower"));
    let map = ["--input", "x.npy", "--heatmap", "maps.npz", "--method"];
    let with = |rest: &[&'static str]| map.into_iter().chain(rest.iter().copied()).collect::<Vec<_>>();
    let single = text(draw(&with(&["saliency", "--fiducials", "m.csv", "--unit", "µV per µV"]), "single.svg"));
    assert!(single.contains("QRS on") && !single.contains(">J<") && single.contains("slope, µV per µV") && single.contains("would raise"));
    // Whether DeepLIFT was multiplied by the input, no record says here.
    let unknown = text(draw(&with(&["deeplift"]), "unknown.svg"));
    assert!(unknown.contains(">attribution<") && !unknown.contains("raise"), "nothing is claimed of what is not known");
    assert!(text(draw(&with(&["deeplift,smoothgrad"]), "pair.svg")).contains("SmoothGrad"));
    assert!(text(draw(&with(&["all", "--dark", "--palette", "safe"]), "grid.svg")).contains("#11151c"));
    assert!(
        text(draw(&with(&["saliency", "--layout", "averaged"]), "averaged.svg"))
            .contains("mean over 12 leads of |slope|, prediction per µV")
    );
    let pdf = draw(&with(&["saliency", "--layout", "paper", "--fiducials", "m.csv"]), "paper.pdf");
    assert!(pdf.starts_with(b"%PDF-"));
    assert!(text(draw(&with(&["saliency", "--layout", "paper", "--fiducials", "m.csv"]), "paper.svg")).contains("QRS on"));
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
    assert!(say(2, &["-o", "x.jpg"]).contains(".svg, .pdf or .png"));
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
    // Rows are found by their ids, not by their places.
    std::fs::write(folder.join("other.csv"), "id,p_onset,p_offset,qrs_onset,qrs_offset,t_offset\n7,150,190,225,,440\n").expect("written");
    assert!(say(1, &["--fiducials", "other.csv", "-o", "x.svg"]).contains("other.csv: has no row of the id '0'"));
    works(folder, &["render", "--input", "x.npy", "--fiducials", "other.csv", "--id", "7", "-o", "by_id.svg"]);
    assert!(std::fs::read_to_string(folder.join("by_id.svg")).expect("a picture").contains("QRS on"));
    // Fiducials are of a median beat: on a recording they would stand over its first 1.2 s.
    npy::write(folder.join("long.npy"), sample::ecg(1, 5000).view()).expect("written");
    for layout in ["leads", "averaged", "paper"] {
        let text = refused(folder, 2, &["render", "--input", "long.npy", "--fiducials", "m.csv", "--layout", layout, "-o", "x.svg"]);
        assert!(text.contains("--fiducials marks a median beat of 600 samples; this ECG has 5000"), "{text}");
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

#[test]
fn a_finished_study_is_reported_anew_and_held_against_the_published_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut study = sample::study(1, 80, 6);
    study.input = InputKind::Median;
    study.targets.truncate(2);
    store::save(&folder.join("study"), &study).expect("saved");
    store::save(&folder.join("second"), &study).expect("saved");
    let said = works(
        folder,
        &[
            "report",
            "study",
            "-o",
            "anew",
            "--reproduction",
            "R.md",
            "--against",
            "seed 2=second",
            "--against",
            "second",
            "--resamples",
            "50",
        ],
    );
    assert!(said.contains("anew/report.html") && said.contains("R.md: of the study's sentences "), "{said}");
    assert!(folder.join("anew/figures/training.svg").exists() && folder.join("anew/tables/metrics.csv").exists());
    let text = std::fs::read_to_string(folder.join("R.md")).expect("a document");
    assert!(
        text.contains("| Study | Cells |")
            && text.contains("| seed 2 |")
            && text.contains("--against 'seed 2=DIR' --against 'second=DIR' --resamples 50")
    );
    let sentences = std::fs::read_to_string(folder.join("r/sentences.csv")).expect("a table");
    assert!(sentences.contains("cannot be told,this study has no areas for the QT interval"), "{sentences}");
    assert!(folder.join("r/places.svg").exists());
    let told: serde_json::Value =
        serde_json::from_str(&works(folder, &["report", "study", "--reproduction", "R.md", "--resamples", "50", "--json"])).expect("JSON");
    assert_eq!(told["sentences"]["cannot_be_told"].as_u64().map(|n| n > 20), Some(true), "{told}");
    // The same study, the same bytes.
    let read = || std::fs::read_to_string(folder.join("R.md")).expect("a document");
    let once = read();
    works(folder, &["report", "study", "--reproduction", "R.md", "--resamples", "50", "--threads", "1"]);
    assert_eq!(once, read());
    assert!(refused(folder, 2, &["report", "study", "--reproduction", "R.html"]).contains("ends in .md"));
    assert!(refused(folder, 1, &["report", "nowhere", "-o", "x"]).contains("nowhere/results.json"));
    assert!(refused(folder, 2, &["report", "study", "-o", "study"]).contains("study"));
    assert!(!cardiograd(folder, &["report", "study"]).status.success());
}

/// A model (12, any) → conv → ReLU → mean → linear of `outputs`, scaled so that its answers are of some ms.
fn model(outputs: usize, target: Option<Target>) -> Model {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let conv = build.conv1d("conv", x, ConvLayer::same(12, 4, 5));
    let act = build.relu("act", conv);
    let mean = build.node("mean", Op::GlobalAvgPool, &[act]);
    let y = build.linear("fc", mean, 4, outputs, true);
    let program = build.finish(y).expect("a program");
    let parameters = initialise(&program, 1, 0).expect("parameters");
    Model { target, input: target.map(|_| InputKind::Median), ..Model::new(Network::new(program, parameters).expect("a network")) }
}

/// Three median beats.
fn ecgs() -> Array3<f32> {
    let all: Vec<_> = (0..3).map(|seed| sample::ecg(seed, 600)).collect();
    ndarray::stack(Axis(0), &all.iter().map(|ecg| ecg.view()).collect::<Vec<_>>()).expect("one shape")
}

fn array(folder: &Path, name: &str) -> ArrayD<f64> {
    npz::read_one(folder.join("out.npz"), name).expect("an array").into_f64()
}

fn one(folder: &Path, arguments: &str) -> String {
    works(folder, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// The page says the numbers of the arrays: prediction, answer on a flat line, and for contributions their sums by part of the beat and by lead.
#[test]
fn a_page_of_one_ecg_says_what_the_arrays_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let model = model(1, Some(Target::Qt));
    model.save(path.join("m.cgm")).expect("a result");
    npy::write(path.join("x.npy"), ecgs().view()).expect("a result");
    let header = "id,pr_ms,qrs_ms,qt_ms,rate_bpm,r_v5_uv,j_v5_uv,t_v5_uv,p_onset,p_offset,qrs_onset,qrs_offset,t_offset,status";
    let rows: Vec<String> = (0..3).map(|k| format!("e{k},160,90,39{k},60,1200,-20,300,140,190,220,265,425,ok")).collect();
    std::fs::write(path.join("found.csv"), format!("{header}\n{}\n", rows.join("\n"))).expect("a result");
    let what = "explain m.cgm -i x.npy -m inputxgradient,integrated_gradients,saliency,smoothgrad,random";
    one(path, &format!("{what} -o out.npz"));
    one(path, &format!("{what} --ecg 1 --measurements found.csv -o page.html"));
    let page = std::fs::read_to_string(path.join("page.html")).expect("a result");
    let said = |value: f64| format!("{value:.1} ms").replace('-', "−");
    let signed = |value: f64| format!("{}{}", if value > 0.0 { "+" } else { "" }, said(value));
    let predicted = array(path, "prediction")[[1]];
    let flat = f64::from(model.network.predict(&[from_vec(&[1, 12, 600], vec![0.0; 7200])]).expect("a result")[[0, 0]]);
    for text in [
        format!("<td class=\"value\">{}</td>", said(predicted)),
        format!("<td class=\"value\">{}</td>", said(flat)),
        "<td class=\"value\">391.0 ms</td>".into(),
        format!("by <strong>{}</strong>", signed(predicted - flat)),
        "ECG e1 of x.npy".into(),
    ] {
        assert!(page.contains(&text), "{text}");
    }
    let section =
        |title: &str| page.split(&format!("<h2>{title}</h2>")).nth(1).and_then(|rest| rest.split("</section>").next()).expect("a result");
    let map = array(path, "inputxgradient").index_axis_move(Axis(0), 1);
    let over =
        |range: std::ops::Range<usize>| map.axis_iter(Axis(1)).skip(range.start).take(range.len()).map(|column| column.sum()).sum::<f64>();
    let moved = section("Input × gradient");
    assert!(moved.contains(&format!("<strong>{}</strong>", signed(map.sum()))) && moved.contains("By part of the beat"), "{moved:.900}");
    let part =
        |name: &str, value: f64| format!("{name} {}", signed(value).trim_end_matches(" ms").replace("+0.0", "0.0").replace("−0.0", "0.0"));
    assert!(moved.contains(&part("QRS", over(220..265))) && moved.contains(&part("T", over(345..425))));
    // Integrated gradients are slopes here, which times the voltage add up to the whole difference.
    let whole = section("Integrated gradients");
    for said in ["Blue: more positive voltage here would raise the prediction", "Each slope is multiplied by", "between a flat line"] {
        assert!(whole.contains(said), "{said}: {whole:.900}");
    }
    for (title, text) in [("Saliency", "Slopes"), ("SmoothGrad", "Sizes of slopes"), ("Random", "Random numbers")] {
        assert!(section(title).contains(text) && !section(title).contains("Σ contributions"), "{title}");
    }
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"), "the page needs nothing from elsewhere");
    one(path, "explain m.cgm -i x.npy -m all --ecg 2 -o all.html");
    let all = std::fs::read_to_string(path.join("all.html")).expect("a result");
    assert!(all.len() < 1_000_000 && all.contains("Nothing was measured on this ECG"), "{} bytes", all.len());
}

#[test]
fn a_page_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    model(1, None).save(path.join("m.cgm")).expect("a result");
    model(2, None).save(path.join("two.cgm")).expect("a result");
    npy::write(path.join("x.npy"), ecgs().view()).expect("a result");
    let page = "explain m.cgm -i x.npy -m saliency -o page.html";
    for (arguments, code, words) in [
        (page.to_owned(), 2, "x.npy holds 3 ECGs, a page shows one: choose it with --ecg N"),
        (format!("{page} --ecg 3"), 2, "--ecg 3: x.npy holds 3, numbered from 0"),
        (format!("{page} --ecg 0 --segments none.csv"), 2, "a page takes --measurements"),
        (format!("{page} --ecg 0 --measurements none.csv"), 1, "none.csv"),
        ("explain two.cgm -i x.npy -m saliency -o page.html --ecg 0 --column all".into(), 2, "choose it with --column K"),
        ("explain m.cgm -i x.npy -m saliency -o refused.npz --ecg 0".into(), 2, "--ecg and --measurements belong to a page"),
    ] {
        let text = refused(path, code, &arguments.split_whitespace().collect::<Vec<_>>());
        assert!(text.contains(words), "{arguments}: {text}");
        assert!(!path.join("page.html").exists(), "{arguments}");
    }
}
