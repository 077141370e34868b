//! The figures, tables and pages of a made-up study. They are written to the test folder of `target/`, to be looked at.

#[path = "sample/keep.rs"]
mod keep;
mod sample;

use cardiograd::dataset::Target;
use cardiograd::evaluation::compare::{by_rank, groups};
use cardiograd::evaluation::ranks;
use cardiograd::evaluation::scores::{self, Scoring};
use cardiograd::report::colour::{Palette, Style};
use cardiograd::report::methods::title;
use cardiograd::report::reproduction::{Named, Reproduction, Verdict};
use cardiograd::report::{
    StudyResults, against, analysis, chart, curve_chart, error_tables, figures, findings, page, pdf, published, rank_chart, store,
    study_tables, training_chart, worst, write,
};
use keep::keep;
use std::path::PathBuf;

/// Every picture of a study can be written as PDF too.
#[test]
fn figures_become_pdf() {
    let study = sample::study(1, 600, 6);
    let analyses: Vec<_> = study.targets.iter().take(1).filter_map(|target| analysis::perturbation(target, study.scoring, 1)).collect();
    for figure in figures::all(&study, &analyses, Style { palette: Palette::Safe, dark: false }) {
        let file = pdf::pdf(&figure.svg.finish()).unwrap_or_else(|error| panic!("{}: {error}", figure.name));
        assert!(file.starts_with(b"%PDF-1.4") && file.ends_with(b"%%EOF\n"), "{}", figure.name);
    }
}

/// What is said of colours is what each method's values are, wherever it is said; nothing says of all of them that they moved the prediction.
#[test]
fn colours_are_explained_by_method() {
    let study = sample::study(1, 600, 0);
    let page = page::page(&study, &[]);
    let slopes = page.split("<li>").find(|item| item.contains("<strong>") && item.contains("Saliency")).expect("an item");
    assert!(slopes.contains("Blue: more positive voltage here would raise the prediction") && slopes.contains("DeepLIFT"), "{slopes}");
    let moved = page.split("<li>").find(|item| item.contains("<strong>Input × gradient</strong>")).expect("an item");
    assert!(moved.contains("Blue: this sample raised the prediction"), "{moved}");
    for said in ["ms² per µV", "a.u., not a slope"] {
        assert!(page.contains(said), "{said}");
    }
    for wrong in ["how much it moved the prediction", "lowers the answer", "Blue raises the prediction"] {
        assert!(!page.contains(wrong) && !cardiograd::survey::guide().contains(wrong), "{wrong}");
    }
    assert!(page.contains("Σ|map|") && page.contains("than on ECG paper"));
}

/// A network that is no better than the mean is announced above its heatmaps, in those words.
#[test]
fn a_worthless_network_is_announced() {
    let mut study = sample::study(1, 600, 0);
    let said = |study: &StudyResults| page::page(study, &[]).contains("\"warning\":\"QT interval: the network is worse than the mean");
    assert!(!said(&study));
    let test = study.targets[2].metrics.iter_mut().find(|metrics| metrics.split == "test").expect("a test split");
    test.mae = 1.2 * test.mae_of_mean;
    assert!(said(&study));
    assert_eq!(error_tables::metrics(&study).markdown().matches("(worse than the mean)").count(), 1);
}

#[test]
fn figures_of_a_study() {
    let study = sample::study(3, 600, 60);
    let style = Style::default();
    let analyses: Vec<_> = study.targets.iter().filter_map(|target| analysis::perturbation(target, study.scoring, 1)).collect();
    assert_eq!(analyses.len(), 6);
    let curves = keep("curves", curve_chart::perturbation_curves(&analyses, false, style));
    // Each curve has its name at its end; bands are asked for.
    // Behind it stands its class.
    assert_eq!((curves.matches(">SmoothGrad (1)<").count(), curves.matches(">Random (3)<").count()), (6, 6));
    assert!(figures::curves(&analyses, false, style).caption.contains("best (1), medium (2), poor (3)"));
    assert!(!curves.contains("fill-opacity=\".15\"") && curves.contains("Largest area to 15 points"));
    assert!(curve_chart::perturbation_curves(&analyses, true, style).finish().contains("fill-opacity=\".15\""));
    keep("curves_dark", curve_chart::perturbation_curves(&analyses, true, Style { dark: true, ..style }));
    let ranks = keep("rank_stability", rank_chart::stability(&analyses, style));
    assert_eq!(ranks.matches("<circle").count(), 6 * 10);
    for analysis in &analyses {
        for (method, class) in analysis.methods.iter().zip(analysis.classes(analysis.scoring)) {
            let mark = class.map_or_else(String::new, |class| format!(" ({class})"));
            assert!(ranks.contains(&format!(">{}{mark}<", title(method))), "{method}{mark}");
        }
    }
    keep("predictions", chart::predictions(&study.targets[0], style));
    for analysis in &analyses {
        let drawn = keep("critical_difference", chart::critical_difference(analysis, style).expect("a diagram"));
        // A dot for each method of each bar: what a bar passes without a dot is told apart.
        let bars = groups(analysis.comparison.as_ref().expect("a comparison"), 0.05);
        assert_eq!(drawn.matches("<circle").count(), bars.iter().map(Vec::len).sum::<usize>());
    }
    keep("training", training_chart::training(&study, style).expect("curves"));
    let methods = study.methods();
    let values = analysis::map_correlations(&study.targets[5], &methods);
    keep("correlations", chart::correlations(Target::TV5, &methods, &values, style));
    let random = methods.iter().position(|method| method == "random").expect("the control");
    let saliency = methods.iter().position(|method| method == "saliency").expect("a method");
    assert!(values[random][saliency].expect("a correlation") < values[saliency][saliency + 1].expect("a correlation"));
    assert!((values[saliency][saliency].expect("a correlation") - 1.0).abs() < 1e-9);
}

/// One scoring by name in every caption and file name that depends on one; the others stand apart.
#[test]
fn a_study_has_one_scoring_and_names_it() {
    for scoring in [Scoring::default(), Scoring::MedianPercentage, Scoring::Paper] {
        let study = StudyResults { scoring, ..sample::study(1, 600, 30) };
        let analyses: Vec<_> = study.targets.iter().filter_map(|target| analysis::perturbation(target, scoring, 1)).collect();
        let named = format!("by the scoring {scoring} ({})", scoring.title());
        let figures = [
            figures::curves(&analyses, false, Style::default()),
            figures::stability(&analyses, Style::default()),
            figures::critical_difference(&analyses[0], Style::default()).expect("a diagram"),
        ];
        for figure in figures {
            assert!(figure.name.ends_with(scoring.name()) && figure.caption.contains(&named), "{}: {}", figure.name, figure.caption);
        }
        let tables = [
            study_tables::table4(&analyses, scoring),
            study_tables::stability(&analyses),
            study_tables::differences(&analyses),
            study_tables::all_pairs(&analyses),
            study_tables::holm(&analyses[0]).expect("p values"),
            study_tables::ranks_by_end(&analyses[0]),
            study_tables::experts(&analyses, "simulator"),
        ];
        for table in tables {
            assert!(table.caption.contains(&named), "{}", table.caption);
        }
        for analysis in &analyses {
            // The rank, the curve and the table are of one scoring: the area of the drawn curve is the table's.
            for (curve, area) in analysis.curves.iter().zip(analysis.areas_by(scoring)) {
                assert!((scores::area(&curve.mean, scores::END) - area.value).abs() < 1e-9 * area.value.abs());
                assert!(area.low <= area.value && area.value <= area.high, "{area:?}");
            }
            let classes = analysis.classes(scoring);
            let control = analysis.methods.iter().position(|method| method == "random").expect("the control");
            // By the study's formula areas may be negative, and the control the winner.
            let there = classes.contains(&Some(1)) && classes[control] == Some(3);
            assert!(there || scoring == Scoring::Paper, "{classes:?}");
        }
        assert_eq!(study_tables::all_pairs(&analyses).rows.len(), 6 * 45);
        assert_eq!(study_tables::areas(&analyses).rows.len(), 6 * 6 * 10);
        assert!(
            study_tables::table4(&analyses, scoring).csv().starts_with("Method,PR interval,PR interval low,PR interval high,QRS duration,")
        );
    }
}

/// With Random among the methods and without: two figures, each by its name.
#[test]
fn agreement_with_the_study_is_said_with_random_and_without() {
    let study = sample::study(1, 600, 30);
    let analysis = analysis::perturbation(&study.targets[0], study.scoring, 1).expect("an analysis");
    let (with, without) = (analysis.against_published(true), analysis.against_published(false));
    assert_eq!((with.methods, without.methods), (10, 9));
    let own = analysis.areas_by(Scoring::Paper);
    let pairs = analysis.methods.iter().zip(own).filter(|(method, _)| *method != "random");
    let (own, theirs): (Vec<f64>, Vec<f64>) =
        pairs.map(|(method, area)| (area.value, published::table4(method, Target::Pr).expect("an area"))).unzip();
    assert_eq!((without.pearson, without.spearman), (ranks::pearson(&own, &theirs), ranks::spearman(&own, &theirs)));
    assert_ne!(with.pearson, without.pearson);
    let table = study_tables::against_published(&[analysis]);
    assert_eq!(table.header.iter().filter(|name| name.contains("without Random")).count(), 2);
    assert_eq!(table.header.iter().filter(|name| name.contains("Random among the methods")).count(), 2);
}

/// No winner is named that the tests cannot tell from another method; what is worse than the mean is said in those words.
#[test]
fn findings_claim_no_more_than_the_tests() {
    let mut study = sample::study(1, 600, 60);
    let mut analyses: Vec<_> = study.targets.iter().filter_map(|target| analysis::perturbation(target, study.scoring, 1)).collect();
    let first_analysis = analyses[0].clone();
    let saliency = analyses[0].methods.iter().position(|method| method == "saliency").expect("a method");
    let comparison = analyses[0].comparison.as_mut().expect("a comparison");
    let first = by_rank(comparison)[0];
    let text = |study: &StudyResults, analyses: &[analysis::PerturbationAnalysis]| {
        findings::findings(study, analyses).into_iter().map(|finding| finding.text).collect::<Vec<_>>().join("\n")
    };
    for p in [0.5, 0.001] {
        for other in (0..comparison.pairs.len()).filter(|other| *other != first) {
            let p = if other == saliency { p } else { 0.001 };
            (comparison.pairs[first][other], comparison.pairs[other][first]) = (p, p);
        }
        let comparison = comparison.clone();
        let analyses = [analysis::PerturbationAnalysis { comparison: Some(comparison), ..first_analysis.clone() }];
        let told = text(&study, &analyses);
        assert_eq!(told.contains("PR interval: over 60 ECGs no winner can be named"), p == 0.5 && first != saliency, "{told}");
        assert_eq!(told.contains("told apart from every other method by Holm's tests"), p == 0.001, "{told}");
    }
    // Where the methods do not differ, none is among the best.
    let mut alike = analyses.clone();
    alike.iter_mut().for_each(|analysis| analysis.comparison.as_mut().expect("a comparison").f_p = 0.5);
    let told = text(&study, &alike);
    assert!(told.contains("finds no difference between the methods") && !told.contains("mong the best"), "{told}");
    // What is the same for several targets is one sentence.
    let told = text(&study, &analyses);
    assert_eq!(told.matches("SmoothGrad raises the error most").count(), 1, "{told}");
    assert!(
        findings::warnings(&study)[0]
            .contains("its 2000 ECGs are simulated. Networks were trained for 5 epochs, few beside the study's 100")
    );
    let section = findings::section(&study, &analyses);
    let page = page::page(&study, &analyses);
    for anchor in section.split("href=\"#").skip(1).map(|rest| rest.split('"').next().expect("an anchor")) {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor} is nowhere on the page");
    }
    assert_eq!(findings::warnings(&study).len(), 1);
    study.targets[2].metrics[2].mae = 1.5 * study.targets[2].metrics[2].mae_of_mean;
    let warning = findings::warnings(&study).remove(1);
    assert!(warning.starts_with("QT interval: the network is worse than the mean: its mean absolute error is 36.00 ms"), "{warning}");
    assert!(page::page(&study, &[]).contains("the network is worse than the mean") && !warning.contains('×'));
    study.data.source = "import".into();
    assert!(findings::warnings(&study).iter().all(|warning| !warning.contains("demonstration")));
}

/// Exact values beside measured ones, the worst ECGs with their share and a picture each, limits with intervals.
#[test]
fn errors_are_said_of_exact_values_of_the_worst_and_of_limits() {
    let mut study = sample::study(2, 600, 0);
    // ECG 1 of the test part is measured 200 ms off: it carries nearly all of the squared error.
    study.targets[0].test[1].predicted += 200.0;
    let metrics = error_tables::metrics(&study);
    assert!(metrics.caption.contains("against measured values") && metrics.header.contains(&"MAE against exact".to_owned()));
    let shares = error_tables::worst_shares(&study);
    assert!(shares.rows[0][3].value.expect("a share") > 90.0 && shares.rows[0][5].value < shares.rows[0][4].value, "{}", shares.plain());
    let worst = error_tables::worst(&study);
    assert_eq!(
        (worst.rows.len(), worst.rows[0][1].text.as_str(), worst.rows[0][1].link.as_deref()),
        (30, "107", Some("figures/ecg_1.svg"))
    );
    assert!(findings::findings(&study, &[]).iter().any(|finding| finding.anchor == "worst" && finding.text.contains("PR interval 9")));
    let limits = error_tables::thresholds(&study);
    let names: Vec<&str> = limits.rows.iter().map(|row| row[0].text.as_str()).collect();
    assert_eq!(
        names,
        ["PR > 200 ms", "PR > 200 ms", "QRS > 120 ms", "QRS > 120 ms", "QTcF > 450 ms", "QTcF > 450 ms", "QTcF > 460 ms", "QTcF > 460 ms"]
    );
    // Fridericia at 70 beats a minute: QT / ∛(60/70).
    let above = study.targets[2].test.iter().filter(|p| p.truth / (60.0f64 / 70.0).cbrt() > 450.0).count();
    assert_eq!(limits.rows[4][2].value, Some(above as f64));
    let agreement = error_tables::agreement(&study);
    assert!(
        agreement.rows[1][5].interval.as_ref().is_some_and(|(_, low, high)| low < high)
            && agreement.csv().contains(",Slope low,Slope high,")
    );
    let pictures = worst::figures(&study, Style::default());
    assert!(
        pictures.len() == 2 && pictures[1].name == "ecg_1" && pictures[1].caption.contains("PR interval measured"),
        "{}",
        pictures[1].caption
    );
    keep("worst", pictures.into_iter().next_back().expect("a picture").svg);
}

#[test]
fn two_studies_stand_side_by_side() {
    let (here, mut there) = (sample::study(1, 600, 30), sample::study(1, 600, 25));
    there.provenance.settings[1].1 = "100".into();
    there.targets[0].metrics[2].mae = 99.0;
    there.targets.pop();
    let pair = against::Pair::new(&here, &there);
    let tables: std::collections::BTreeMap<_, _> = pair.tables().into_iter().collect();
    assert_eq!(tables["against_settings"].csv(), "Setting,This study,The other\nepochs,12,100\n");
    assert!(tables["against_metrics"].csv().contains("PR interval (ms),2.2,99,"), "{}", tables["against_metrics"].csv());
    assert_eq!((tables["against_areas"].rows.len(), tables["against_likeness"].rows.len()), (5 * 10, 5));
    assert!(tables["against_areas"].csv().starts_with("Target,Method,Area,Area low,Area high,Area there,Area there low,"));
    assert!(tables["against_likeness"].rows[0][1].value.expect("a correlation") > 0.8);
}

/// The study in small held against the published one: every table, verdicts that follow from what was put in, the size said, other studies beside it.
#[test]
fn a_study_is_held_against_the_published_one() {
    const RESAMPLES: usize = 60;
    let mut study = sample::study(1, 600, 16);
    // Far from 0, where the published formula divides by small values of either sign.
    for target in &mut study.targets[4..] {
        let perturbed = target.perturbation.as_mut().expect("curves");
        perturbed.truth.iter_mut().for_each(|uv| *uv += 1000.0);
        perturbed.methods.iter_mut().for_each(|method| method.predictions += 1000.0);
    }
    let mut other = sample::study(1, 600, 8);
    other.provenance.settings[1].1 = "100".into();
    other.targets.remove(1);
    let others = [Named { name: "longer".into(), results: other }];
    let held = Reproduction::new(&study, &others, RESAMPLES).expect("a study of the published targets");
    let judged = held.judgements();
    let of = |says: &str| judged.iter().find(|judged| judged.says.starts_with(says)).expect("a sentence");
    // Made up so that Deconvolution goes with Random, SmoothGrad is steepest everywhere and nobody voted.
    assert_eq!(of("Deconvolution is at the level").verdict, Verdict::Holds, "{:?}", of("Deconvolution is at the level"));
    assert_eq!(of("No method is the best").verdict, Verdict::DoesNotHold, "{:?}", of("No method is the best"));
    assert_eq!(of("Perturbation favours DeepLIFT for the R").verdict, Verdict::DoesNotHold);
    assert_eq!(of("Perturbation favours SmoothGrad for the PR").verdict, Verdict::Holds);
    assert_eq!(of("Experts agree more").verdict, Verdict::CannotBeTold);
    // Values are far from 0: both formulas say the same.
    assert!(judged.iter().all(|judged| judged.absolute.is_none_or(|absolute| absolute == judged.verdict)));
    assert!(judged.iter().all(|judged| judged.published.is_none_or(|published| published == Verdict::Holds) && !judged.figure.is_empty()));
    let all = held.tables();
    let text = held.document(&all, "cardiograd report out --reproduction R.md", "r");
    let tables: std::collections::BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!((tables["table4_cells"].rows.len(), tables["table4_counts"].rows.len(), tables["errors"].rows.len()), (60, 7, 6));
    // Each cell by hand from the areas of the report's own table.
    let analyses: Vec<_> = study.targets.iter().filter_map(|target| analysis::perturbation(target, study.scoring, 1)).collect();
    let cells = tables["table4_cells"].rows.chunks(10).zip(&analyses);
    let (mut near, mut of_one) = (0, 0);
    for (rows, analysis) in cells {
        let (areas, classes) = (analysis.areas_by(Scoring::Paper), analysis.classes(Scoring::Paper));
        for (m, row) in rows.iter().enumerate() {
            let there = published::table4(&analysis.methods[m], analysis.target).expect("an area");
            assert_eq!((row[2].value, row[3].value, row[4].value), (Some(areas[m].value), Some(there), Some(areas[m].value / there)));
            assert_eq!(row[5].text == "yes", (areas[m].value / there - 1.0).abs() <= 0.25);
            assert_eq!(row[6].value, classes[m].map(|class| class as f64));
            near += usize::from(row[5].text == "yes");
            of_one += usize::from(row[8].text == "yes");
        }
    }
    let sums = tables["table4_counts"].rows.last().expect("sums");
    assert_eq!([&sums[1], &sums[2], &sums[3]].map(|cell| cell.value), [60.0, near as f64, of_one as f64].map(Some));
    // With Random and without, and each inside its interval.
    for (row, analysis) in tables["likeness"].rows.iter().zip(&analyses) {
        let wanted = [analysis.against_published(true).spearman, analysis.against_published(false).spearman];
        assert_eq!([row[2].value, row[3].value], wanted);
        for cell in &row[2..6] {
            let (_, low, high) = cell.interval.as_ref().expect("an interval");
            let value = cell.value.expect("a correlation");
            assert!(*low - 1e-9 <= value && value <= *high + 1e-9 && *low >= -1.0 && *high <= 1.0, "{cell:?}");
        }
        assert!(row[7].value <= row[6].value && row[8].value <= row[7].value);
    }
    assert_eq!(tables["ablation_settings"].csv(), "Setting,this study,longer\nepochs,12,100\n");
    assert_eq!(tables["ablation_likeness"].rows.len(), 2);
    for said in [
        "**2000 ECGs (source: simulator), 6 networks for median beats, trained for 5 epochs, and 16 ECGs perturbed**",
        "shows what the program does",
        "cardiograd study --preset quick -o out\ncardiograd report out --reproduction R.md",
        &format!("Of 60 cells of Table 4 {near} are within 25 % of the published (the goal is 50)"),
        "(r/places.svg)",
        "| this study |",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // Every anchor that a sentence leads to is a heading.
    let anchors: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-").replace(|c: char| !c.is_alphanumeric() && c != '-', ""))
        .collect();
    assert!(judged.iter().all(|judged| anchors.iter().any(|anchor| anchor == judged.behind.0)), "{anchors:?}");
    assert!(!text.contains("NaN") && !text.contains("inf ") && text.contains("over 60 bootstrap resamples"));
    // Without perturbation and heatmaps nothing is made up.
    let mut bare = study.clone();
    bare.targets.iter_mut().for_each(|target| target.perturbation = None);
    let bare = Reproduction::new(&bare, &[], RESAMPLES).expect("a study");
    assert!(bare.judgements().iter().filter(|judged| judged.published.is_some()).all(|judged| judged.verdict == Verdict::CannotBeTold));
    let mut foreign = study.clone();
    foreign.targets.clear();
    assert!(
        Reproduction::new(&foreign, &[], RESAMPLES).err().expect("refused").to_string().contains("none of what the published study did")
    );
}

#[test]
fn a_study_goes_to_its_folder_and_comes_back() {
    let study = sample::study(2, 600, 5);
    let folder = tempfile::tempdir().expect("a folder");
    store::save(folder.path(), &study).expect("saved");
    let back = store::load(folder.path()).expect("loaded");
    assert_eq!(serde_json::to_string(&back).expect("JSON"), serde_json::to_string(&study).expect("JSON"));
    assert_eq!(back.ecgs.inputs, study.ecgs.inputs);
    assert_eq!(back.methods(), study.methods());
    for (a, b) in back.targets.iter().zip(&study.targets) {
        for method in &b.maps {
            assert_eq!(a.maps_of(&method.method), Some(&method.maps));
        }
        let (a, b) = (a.perturbation.as_ref().expect("curves"), b.perturbation.as_ref().expect("curves"));
        for method in &b.methods {
            assert!(a.methods.iter().any(|other| other.method == method.method && other.predictions == method.predictions));
        }
    }
    // What too few ECGs cannot tell is NaN and null in the file; what overflowed is refused before it is written.
    let mut few = study.clone();
    (few.targets[0].metrics[0].mae, few.data.targets[0].sd) = (f64::NAN, f64::NAN);
    store::save(folder.path(), &few).expect("saved");
    let back = store::load(folder.path()).expect("loaded");
    assert!(back.targets[0].metrics[0].mae.is_nan() && back.data.targets[0].sd.is_nan());
    few.targets[0].metrics[0].mae = f64::INFINITY;
    assert!(store::save(folder.path(), &few).expect_err("refused").to_string().contains("errors for"));
    few.targets[0].metrics[0].mae = 1.0;
    few.targets[0].predicted = vec![f64::NAN];
    assert!(store::save(folder.path(), &few).expect_err("refused").to_string().contains("predictions for"));
    // Curves lie in files of their own, which may be damaged apart from the rest.
    store::save(folder.path(), &study).expect("saved");
    let target = &study.targets[0];
    let method = &target.perturbation.as_ref().expect("curves").methods[0];
    let path = folder.path().join(format!("curves/{}/{}.npy", target.target, method.method));
    let mut wrong = method.predictions.clone();
    wrong[[0, 1]] = f32::NAN;
    for (curves, hint) in [
        (wrong.view(), "element 1: is not a finite number"),
        (method.predictions.slice_axis(ndarray::Axis(1), (..5).into()), "expected shape"),
    ] {
        cardiograd::files::npy::write(&path, curves).expect("written");
        let message = store::load(folder.path()).expect_err("refused").to_string();
        assert!(message.contains("results.json: perturbation curves of") && message.contains(hint), "{message}");
    }
    // A method whose file was taken away is not left out of the tables with no word; a kind of files may be left out whole.
    std::fs::remove_file(&path).expect("removed");
    let message = store::load(folder.path()).expect_err("refused").to_string();
    assert!(message.contains(&format!("'{}' is among the heatmaps of", method.method)) && message.contains("taken away"), "{message}");
    store::save(folder.path(), &study).expect("saved");
    std::fs::remove_dir_all(folder.path().join("heatmaps").join(target.target.name())).expect("removed");
    assert!(store::load(folder.path()).expect("loaded").targets[0].maps.is_empty());
    std::fs::write(folder.path().join("results.json"), "{}").expect("written");
    let message = store::load(folder.path()).expect_err("refused").to_string();
    assert!(message.contains("results.json") && !message.contains('\n'), "{message}");
}

#[test]
fn a_report_is_one_file_that_needs_nothing_else() {
    let study = sample::study(4, 600, 40);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("study");
    write::write(&folder, &study).expect("written");
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a page");
    for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(outside);
        assert!(!found, "the page refers to {outside}");
    }
    for (opening, closing) in
        [("<figure", "</figure>"), ("<table", "</table>"), ("<section", "</section>"), ("<details", "</details>"), ("<svg", "</svg>")]
    {
        assert_eq!(page.matches(opening).count(), page.matches(closing).count(), "{opening}");
    }
    assert!(page.contains("sha256:0123456789abcdef") && page.contains("cardiograd study --preset quick -o out"));
    assert_eq!(page.matches("role=\"img\" aria-label=").count(), page.matches("<svg").count());
    // What takes arrow keys is no picture.
    assert_eq!(page.matches("<canvas").count(), page.matches("role=\"application\" aria-roledescription=").count());
    for file in [
        "figures/figure3_intervals.svg",
        "figures/figure7_perturbation_absolute_percentage.png",
        "figures/training.svg",
        "tables/pairs_absolute_percentage.csv",
        "tables/thresholds.tex",
        "tables/table4_paper.csv",
        "tables/metrics.md",
        "tables/experts.html",
    ] {
        assert!(folder.join(file).metadata().expect(file).len() > 100, "{file}");
    }
    for entry in std::fs::read_dir(folder.join("tables")).expect("tables") {
        let path = entry.expect("a table").path();
        if path.extension().is_some_and(|ending| ending == "tex") {
            let text = std::fs::read_to_string(&path).expect("LaTeX");
            let foreign = text.chars().find(|c| !c.is_ascii());
            assert!(foreign.is_none() && text.contains("\\begin{tabular}"), "{}: {foreign:?} is no LaTeX", path.display());
        }
    }
    let table = std::fs::read_to_string(folder.join("tables/table4_paper.csv")).expect("a table");
    let names: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').next().expect("a name")).collect();
    assert_eq!(names[..3], ["Deconvolution", "DeepLIFT", "Gradient SHAP"]);
    assert_eq!(names.len(), 10);
}

/// 10-s inputs: the sheet of ECG paper is among the figures, and the page stays small by pooling in time.
#[test]
fn a_report_of_ten_seconds() {
    let mut study = sample::study(2, 5000, 0);
    study.targets.truncate(1);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("study10");
    write::write(&folder, &study).expect("written");
    assert!(folder.join("figures/paper.svg").metadata().expect("a sheet").len() > 10_000);
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a page");
    assert!(
        page.contains("On ECG paper") && page.contains("one network that reads the 10-s recording") && page.len() < 40_000_000,
        "{} bytes",
        page.len()
    );
    let made = cardiograd::survey::make(&study, cardiograd::survey::Settings { ecgs: 2, presentations: 1, raters: 1, seed: 1 });
    for (name, page) in made.expect("a survey").pages {
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        std::fs::write(folder.join(name), page).expect("written");
    }
}

#[test]
fn the_same_results_give_the_same_page() {
    let study = sample::study(2, 600, 12);
    let analyse = || study.targets.iter().filter_map(|target| analysis::perturbation(target, study.scoring, 1)).collect::<Vec<_>>();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let single = pool.install(|| page::page(&study, &analyse()));
    assert!(single == page::page(&study, &analyse()), "the page depends on the threads");
}

#[test]
fn hostile_names_stay_text() {
    let mut study = sample::study(1, 600, 3);
    let hostile = "</script><script>alert(1)</script>";
    study.ecgs.ids[0] = hostile.into();
    study.provenance.command = hostile.into();
    study.data.source = hostile.into();
    let text = page::page(&study, &[]);
    assert!(!text.contains("<script>alert"), "a name became a script");
}
