//! The blinded review: nothing in a page gives a method away, and votes are counted as they were cast.

mod sample;

use cardiograd::dataset::Target;
use cardiograd::report::methods::{NINE, title};
use cardiograd::report::published::{VOTES_AVERAGED, VOTES_FULL};
use cardiograd::report::results::StudyResults;
use cardiograd::survey::{self, Key, Settings, Survey, View, Vote};
use proptest::prelude::*;
use std::path::PathBuf;

fn settings(ecgs: usize) -> Settings {
    Settings { ecgs, presentations: 2, raters: 3, seed: 11 }
}

/// The study with each method's heatmaps under another method's name.
fn permuted(mut study: StudyResults) -> StudyResults {
    for target in &mut study.targets {
        let nine: Vec<usize> = (0..target.maps.len()).filter(|i| NINE.contains(&target.maps[*i].method.as_str())).collect();
        let names: Vec<String> = nine.iter().map(|i| target.maps[*i].method.clone()).collect();
        for (k, i) in nine.iter().enumerate() {
            target.maps[*i].method = names[(k + 4) % names.len()].clone();
        }
    }
    study
}

#[test]
fn pages_do_not_depend_on_which_method_has_which_name() {
    let study = sample::study(4, 80, 0);
    let one = survey::make(&study, settings(4)).expect("a survey");
    let other = survey::make(&permuted(study), settings(4)).expect("a survey");
    assert!(one.pages == other.pages, "a page depends on the names of the methods");
    assert_ne!(one.key.raters, other.key.raters);
}

#[test]
fn a_page_names_no_method_and_no_ecg() {
    let mut study = sample::study(3, 80, 0);
    study.ecgs.ids = vec!["patient-4711".into(), "patient-4712".into(), "patient-4713".into()];
    let survey = survey::make(&study, settings(3)).expect("a survey");
    for (_, page) in &survey.pages {
        let text = without_data(page).to_lowercase();
        for method in NINE {
            for name in [method, title(method), method.trim_end_matches("s")] {
                assert!(!text.contains(&name.to_lowercase()), "the page says {name}");
            }
        }
        for word in ["grad", "cam", "shap", "lift", "backprop", "deconv", "random", "patient-", "471"] {
            assert!(!text.contains(word), "the page says {word}");
        }
    }
}

/// The page without its base64 and its random ids, in which any three letters may come together.
fn without_data(page: &str) -> String {
    let mut text = String::new();
    for part in page.split("<script type=\"text/plain\"") {
        text += part.split_once("</script>").filter(|_| text.len() > 10).map_or(part, |(_, rest)| rest);
    }
    let start = text.find("\"screens\":").expect("screens");
    let end = start + text[start..].find("</script>").expect("an end");
    text.replace_range(start..end, "");
    text
}

#[test]
fn blocks_are_equal_in_size_and_ids_come_once() {
    let survey = survey::make(&sample::study(4, 80, 0), settings(4)).expect("a survey");
    let mut seen = std::collections::HashSet::new();
    for (_, page) in &survey.pages {
        let lengths: std::collections::BTreeMap<usize, usize> =
            page.split("<script type=\"text/plain\" id=\"b").skip(1).fold(std::collections::BTreeMap::new(), |mut counts, part| {
                let block = part.split_once('>').and_then(|(_, rest)| rest.split_once("</script>")).expect("a block").0;
                *counts.entry(block.len()).or_default() += 1;
                counts
            });
        assert_eq!(lengths.values().copied().collect::<Vec<_>>(), [24, 24], "two sizes: full and averaged");
    }
    for screen in survey.key.raters.iter().flat_map(|rater| &rater.screens) {
        assert!(seen.insert(screen.id.clone()), "screen id {} comes twice", screen.id);
        for (id, _) in &screen.choices {
            assert!(seen.insert(id.clone()), "choice id {id} comes twice");
        }
        assert_eq!(screen.choices.len(), 9);
    }
}

/// The place of a heatmap inside the page says nothing either: here one method's maps sort before all others by their bytes, and yet they
/// lie at each place of their blocks about equally often (χ² with 8 degrees of freedom, 1 in 10⁶ at 43).
#[test]
fn the_order_inside_a_page_does_not_follow_the_content() {
    let mut study = sample::study(12, 40, 0);
    for maps in study.targets.iter_mut().flat_map(|target| &mut target.maps) {
        let first = if maps.method == "smoothgrad" { 0.0 } else { 1e6 };
        maps.maps.outer_iter_mut().for_each(|mut map| map[[0, 0]] = first);
    }
    let survey = survey::make(&study, settings(12)).expect("a survey");
    let page = &survey.pages[0].1;
    let meta = page.split_once("id=\"meta\">").and_then(|(_, rest)| rest.split_once("</script>")).expect("data").0;
    let meta: serde_json::Value = serde_json::from_str(meta).expect("JSON");
    let smoothgrad = survey.key.methods.iter().position(|method| method == "smoothgrad").expect("the method");
    let mut counts = [0.0_f64; 9];
    for (shown, screen) in meta["screens"].as_array().expect("screens").iter().zip(&survey.key.raters[0].screens) {
        let fields: Vec<&String> = shown.as_object().expect("a screen").keys().collect();
        assert_eq!(fields, ["id", "ecg", "target", "averaged", "block", "order", "choices"]);
        let place = screen.choices.iter().position(|choice| choice.1 == smoothgrad).expect("the method");
        if screen.presentation == 0 {
            counts[shown["order"][place].as_u64().expect("a place") as usize] += 1.0;
        }
    }
    let wanted = counts.iter().sum::<f64>() / 9.0;
    assert_eq!(wanted, 16.0);
    let chi: f64 = counts.iter().map(|n| (n - wanted).powi(2) / wanted).sum();
    assert!(chi < 43.0, "χ² = {chi}: {counts:?}");
}

/// Each method stands at each place about equally often: χ² with 64 degrees of freedom (8 for each of 8 free rows), 1 in 10⁶ at 134.
#[test]
fn every_method_stands_everywhere() {
    for study in [sample::study(12, 40, 0), permuted(sample::study(12, 40, 0))] {
        let survey = survey::make(&study, settings(12)).expect("a survey");
        let mut counts = [[0.0_f64; 9]; 9];
        for screen in survey.key.raters.iter().flat_map(|rater| &rater.screens) {
            screen.choices.iter().enumerate().for_each(|(place, choice)| counts[choice.1][place] += 1.0);
        }
        let wanted = counts.iter().flatten().sum::<f64>() / 81.0;
        let chi: f64 = counts.iter().flatten().map(|n| (n - wanted).powi(2) / wanted).sum();
        assert!(chi < 134.0, "χ² = {chi}");
    }
}

#[test]
fn raters_have_orders_of_their_own_and_repeats_are_far_apart() {
    let survey = survey::make(&sample::study(5, 40, 0), settings(5)).expect("a survey");
    let order = |r: usize| survey.key.raters[r].screens.iter().map(|s| (s.ecg, s.target, s.view, s.presentation)).collect::<Vec<_>>();
    assert_ne!(order(0), order(1));
    let screens = &survey.key.raters[0].screens;
    assert_eq!(screens.len(), 5 * 6 * 2 * 2);
    assert!(screens[..60].iter().all(|s| s.presentation == 0) && screens[60..].iter().all(|s| s.presentation == 1));
}

fn vote(key: &Key, rater: usize, screen: usize, method: usize) -> Vote {
    let entry = &key.raters[rater].screens[screen];
    let choice = entry.choices.iter().find(|choice| choice.1 == method).expect("a choice").0.clone();
    Vote {
        survey: key.survey.clone(),
        rater: key.raters[rater].rater.clone(),
        screen: entry.id.clone(),
        choice,
        file: "votes.csv".into(),
        line: 7,
    }
}

fn small() -> Survey {
    survey::make(&sample::study(2, 40, 0), settings(2)).expect("a survey")
}

#[test]
fn the_studys_table_2_as_votes_gives_back_its_sums() {
    let key = survey::make(&sample::study(51, 24, 0), settings(51)).expect("a survey").key;
    let mut votes = Vec::new();
    for (view, table) in [(View::Full, VOTES_FULL), (View::Averaged, VOTES_AVERAGED)] {
        for (column, target) in Target::STUDY.into_iter().enumerate() {
            let mut stock: Vec<usize> = (0..9).flat_map(|m| std::iter::repeat_n(m, table[m][column] as usize)).collect();
            for (r, rater) in key.raters.iter().enumerate() {
                for (k, _) in rater.screens.iter().enumerate().filter(|(_, s)| s.view == view && s.target == target) {
                    votes.push(vote(&key, r, k, stock.pop().expect("a vote for each screen")));
                }
            }
            assert!(stock.is_empty());
        }
    }
    assert_eq!(votes.len(), 3 * 1224);
    let checked = survey::check(&key, &votes).expect("fine votes");
    assert!(checked.notes.is_empty());
    let tally = survey::tally(&key, &checked, 50, 1);
    for ((_, table), wanted) in tally.votes.iter().zip([VOTES_FULL, VOTES_AVERAGED]) {
        for (m, row) in table.rows.iter().take(9).enumerate() {
            let numbers: Vec<f64> = row[1..7].iter().map(|cell| cell.value.expect("a number")).collect();
            assert_eq!(numbers, wanted[m].map(f64::from), "{}", row[0].text);
        }
        assert!(table.rows[9][1..7].iter().all(|cell| cell.value == Some(306.0)));
        assert_eq!(table.rows[9][7].value, Some(1836.0));
    }
    // Everybody chose Input × gradient for the R wave.
    let r_wave = &tally.between[0].1.rows[3];
    assert_eq!((r_wave[1].value, r_wave[3].text.as_str(), r_wave[7].text.as_str()), (Some(1.0), "perfect", "1.00 (1.00, 1.00)"));
}

/// Two raters, two ECGs, one target: κ by hand.
#[test]
fn agreement_is_that_of_a_hand_computation() {
    let key = small().key;
    let mut votes = Vec::new();
    // PR, full: (ECG, presentation) → method of rater 1, rater 2. Agreement 3/4, chance (2·1 + 2·3)/16 = 1/2, κ = 1/2.
    let chosen = |ecg: usize, presentation: usize| match (ecg, presentation) {
        (0, 0) => [1, 1],
        (0, 1) => [1, 2],
        _ => [2, 2],
    };
    for (r, rater) in key.raters.iter().enumerate().take(2) {
        for (k, s) in rater.screens.iter().enumerate().filter(|(_, s)| s.view == View::Full && s.target == Target::Pr) {
            votes.push(vote(&key, r, k, chosen(s.ecg, s.presentation)[r]));
        }
    }
    let checked = survey::check(&key, &votes).expect("fine votes");
    assert_eq!(checked.notes.len(), 3, "{:?}", checked.notes);
    let tally = survey::tally(&key, &checked, 200, 1);
    let row = &tally.between[0].1.rows[0];
    assert!((row[1].value.expect("κ") - 0.5).abs() < 1e-12 && row[3].text == "moderate");
    // α: 8 votes, 3 of method 1 and 5 of method 2; disagreement 2/8 over 30/(8·7): 1 − 0.25/0.5357 = 0.5333.
    assert!((row[5].value.expect("α") - (1.0 - 0.25 / (30.0 / 56.0))).abs() < 1e-12);
    // Within: rater 1 chose alike both times; rater 2 did on one ECG of two: agreement 1/2, chance 1/2, κ = 0.
    let within = &tally.within.rows[0];
    assert_eq!((within[2].value, within[3].value), (Some(1.0), Some(0.0)));
    assert_eq!(within[4].text, "–");
}

#[test]
fn votes_that_do_not_fit_are_refused_with_their_place() {
    let key = small().key;
    let good = vote(&key, 0, 0, 3);
    let refused = |change: &dyn Fn(&mut Vote), says: &str| {
        let mut bad = good.clone();
        change(&mut bad);
        let message = survey::check(&key, &[vote(&key, 0, 1, 0), bad]).expect_err("refused").to_string();
        assert!(message.contains("votes.csv, line 7") && message.contains(says) && !message.contains('\n'), "{message}");
    };
    refused(&|v| v.survey = "0".into(), "survey '0'");
    refused(&|v| v.rater = "rater9".into(), "unknown rater");
    refused(&|v| v.screen = key.raters[1].screens[0].id.clone(), "no screen");
    refused(&|v| v.choice = "deadbeef".into(), "no choice");
    let other = vote(&key, 0, 0, 4);
    assert!(survey::check(&key, &[good.clone(), other]).expect_err("refused").to_string().contains("two different votes"));
    let notes = survey::check(&key, &[good.clone(), good]).expect("one vote").notes;
    assert!(notes.iter().any(|note| note.contains("came twice")) && notes.iter().any(|note| note == "rater2: no votes"), "{notes:?}");
}

#[test]
fn files_of_votes_are_read_and_bad_ones_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let csv = put("a.csv", "survey,rater,screen,choice,place,seconds,at\ns,rater1,x,y,3,1.5,now\n");
    let json = put("a.json", r#"{"survey":"s","rater":"rater1","votes":[{"screen":"x","choice":"y","place":3}]}"#);
    for path in [csv, json] {
        let votes = survey::read(&path).expect("votes");
        assert_eq!((votes.len(), votes[0].survey.as_str(), votes[0].rater.as_str(), votes[0].choice.as_str()), (1, "s", "rater1", "y"));
    }
    for path in [put("b.csv", "survey,rater\ns,r\n"), put("b.json", "[1,2"), put("c.csv", "\u{0}\u{1}\nx,y,z\n")] {
        let message = survey::read(&path).expect_err("refused").to_string();
        assert!(message.contains(path.file_name().and_then(|name| name.to_str()).expect("a name")), "{message}");
    }
}

#[test]
fn a_survey_that_cannot_be_made_says_why() {
    let study = sample::study(2, 40, 0);
    let refused = |study: &StudyResults, settings| survey::make(study, settings).err().expect("refused").to_string();
    assert!(refused(&study, settings(3)).contains("from 1 to 2"));
    assert!(refused(&study, Settings { raters: 0, ..settings(1) }).contains("raters"));
    let mut lacking = study;
    lacking.targets[2].maps.retain(|maps| maps.method != "saliency");
    assert!(refused(&lacking, settings(1)).contains("no heatmaps of Saliency for QT interval"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_file_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), json in any::<bool>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(if json { "v.json" } else { "v.csv" });
        std::fs::write(&path, &bytes).expect("written");
        let _ = survey::read(&path);
        let _ = Key::read(&path);
    }
}
