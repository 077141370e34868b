//! The pages in a real browser: a review from first vote to tally, the report's explorer, and one ECG on its page. Skipped aloud where there is no Chromium.

#[path = "../sample/mod.rs"]
mod sample;
mod webdriver;

use cardiograd::dataset::Target;
use cardiograd::report::one_ecg::{self, OneEcg};
use cardiograd::report::page;
use cardiograd::report::results::StudyResults;
use cardiograd::survey::{self, Key, Settings, Survey, View};
use std::path::{Path, PathBuf};
use webdriver::Browser;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Two targets, so that two ECGs make 8 screens a presentation.
fn small_study() -> StudyResults {
    let mut study = sample::study(2, 600, 0);
    study.targets.retain(|target| matches!(target.target, Target::Pr | Target::TV5));
    study
}

fn make(folder: &Path, study: &StudyResults) -> Survey {
    let survey = survey::make(study, Settings { ecgs: 2, presentations: 2, raters: 2, seed: 5 }).expect("a survey");
    for (name, page) in &survey.pages {
        std::fs::write(folder.join(name), page).expect("a page");
    }
    std::fs::write(folder.join("guide.html"), survey::guide()).expect("a guide");
    survey
}

fn voted(count: usize) -> String {
    format!("document.getElementById('count').textContent.includes(' {count} voted')")
}

/// Waits until the page shows screen `number`, from 1.
fn shows(browser: &Browser, number: usize) {
    browser.wait(&format!("document.getElementById('count').textContent.startsWith('Screen {number} of')"));
}

/// Votes on every screen by mouse, then by keys, with a reload, a step back and an undo between. Returns the place chosen on each screen.
fn vote_as_first_rater(browser: &Browser, folder: &Path) -> Vec<usize> {
    let mut places: Vec<usize> = (0..16).map(|screen| (screen * 5 + 2) % 9).collect();
    browser.open(&folder.join("rater1.html"));
    browser.picture(&folder.join("start.png"));
    browser.click("#begin");
    for (screen, place) in places.iter().enumerate().take(6) {
        shows(browser, screen + 1);
        if screen == 0 || screen == 5 {
            browser.picture(&folder.join(format!("screen{screen}.png")));
        }
        browser.click(&format!(".choice:nth-child({}) .pick", place + 1));
        browser.wait(&voted(screen + 1));
    }
    shows(browser, 7);
    browser.reload();
    assert!(browser.value("document.getElementById('resume-note').textContent").as_str().expect("a note").contains("6 voted"));
    browser.click("#begin");
    shows(browser, 7);
    // Back by key to the fifth screen, another choice there; the page then goes on to the first open screen.
    browser.press('\u{E012}');
    browser.press('\u{E012}');
    shows(browser, 5);
    assert_eq!(browser.value("document.querySelectorAll('.choice.chosen .number')[0].textContent"), (places[4] + 1).to_string());
    browser.press('9');
    places[4] = 8;
    shows(browser, 7);
    // A vote, undone, cast again.
    browser.press('1');
    browser.wait(&voted(7));
    shows(browser, 8);
    browser.press('u');
    shows(browser, 7);
    browser.wait(&voted(6));
    for (screen, place) in places.iter().enumerate().skip(6) {
        shows(browser, screen + 1);
        browser.press(char::from(b'1' + *place as u8));
    }
    browser.wait("!document.getElementById('done').hidden");
    browser.picture(&folder.join("done.png"));
    browser.click("#done-csv");
    places
}

fn vote_as_second_rater(browser: &Browser, folder: &Path) -> Vec<usize> {
    let places: Vec<usize> = (0..16).map(|screen| (screen * 7 + 1) % 9).collect();
    browser.open(&folder.join("rater2.html"));
    browser.click("#begin");
    for (screen, place) in places.iter().enumerate() {
        shows(browser, screen + 1);
        browser.press(char::from(b'1' + *place as u8));
    }
    browser.wait("!document.getElementById('done').hidden");
    browser.click("#done-json");
    places
}

fn downloaded(path: PathBuf) -> PathBuf {
    for _ in 0..200 {
        if path.exists() {
            return path;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} was not saved", path.display());
}

/// The method chosen on each screen, straight from the key.
fn methods(key: &Key, rater: usize, places: &[usize]) -> Vec<usize> {
    key.raters[rater].screens.iter().zip(places).map(|(screen, place)| screen.choices[*place].1).collect()
}

#[test]
fn a_review_from_first_vote_to_tally() {
    let folder = folder("survey");
    let survey = make(&folder, &small_study());
    let Some(browser) = Browser::start(&folder) else { return };
    let places = [vote_as_first_rater(&browser, &folder), vote_as_second_rater(&browser, &folder)];
    let files = [downloaded(folder.join("rater1.csv")), downloaded(folder.join("rater2.json"))];
    let votes: Vec<_> = files.iter().flat_map(|file| survey::read(file).expect("votes")).collect();
    assert_eq!(votes.len(), 32);
    let checked = survey::check(&survey.key, &votes).expect("fine votes");
    assert!(checked.notes.is_empty(), "{:?}", checked.notes);
    let chosen: Vec<Vec<usize>> = places.iter().enumerate().map(|(rater, places)| methods(&survey.key, rater, places)).collect();
    let tally = survey::tally(&survey.key, &checked, 50, 1);
    for ((view, table), column) in tally.votes.iter().flat_map(|table| [(table, 0), (table, 1)]) {
        let target = survey.key.targets[column];
        for method in 0..9 {
            let of = |r: usize| {
                survey.key.raters[r].screens.iter().zip(&chosen[r]).filter(|(s, m)| s.view == *view && s.target == target && **m == method)
            };
            let wanted = (of(0).count() + of(1).count()) as f64;
            assert_eq!(table.rows[method][column + 1].value, Some(wanted), "{target}, method {method}");
        }
    }
    let kappa = tally.between[0].1.rows[0][1].value.expect("κ");
    assert!((kappa - by_hand(&survey.key, &chosen)).abs() < 1e-12);
}

/// Cohen's κ of the two raters on full heatmaps for PR, as one would with pencil and paper.
fn by_hand(key: &Key, chosen: &[Vec<usize>]) -> f64 {
    let mut pairs = Vec::new();
    for (k, screen) in key.raters[0].screens.iter().enumerate().filter(|(_, s)| s.view == View::Full && s.target == Target::Pr) {
        let same = |s: &&(usize, &survey::ScreenKey)| {
            s.1.view == View::Full && s.1.target == Target::Pr && s.1.ecg == screen.ecg && s.1.presentation == screen.presentation
        };
        let other = key.raters[1].screens.iter().enumerate().find(|s| same(&s)).expect("the same screen").0;
        pairs.push((chosen[0][k], chosen[1][other]));
    }
    let n = pairs.len() as f64;
    let agree = pairs.iter().filter(|(a, b)| a == b).count() as f64 / n;
    let chance: f64 =
        (0..9).map(|m| pairs.iter().filter(|p| p.0 == m).count() as f64 * pairs.iter().filter(|p| p.1 == m).count() as f64 / (n * n)).sum();
    (agree - chance) / (1.0 - chance)
}

#[test]
fn the_explorer_reads_what_the_arrays_hold() {
    let folder = folder("report");
    let mut study = sample::study(3, 600, 0);
    study.targets[5].predicted = vec![311.0, 350.0, 300.0];
    std::fs::write(folder.join("report.html"), page::page(&study, &[])).expect("a page");
    let Some(browser) = Browser::start(&folder) else { return };
    browser.open(&folder.join("report.html"));
    browser.wait("document.documentElement.classList.contains('js')");
    browser.picture(&folder.join("report.png"));
    // The large view is ECG paper, and says so; the stretched one says by how much.
    assert_eq!(browser.value("document.getElementById('view').value"), "paper");
    let cart = browser.value("document.getElementById('cart').textContent");
    assert!(cart.as_str().expect("text").starts_with("Rate 70/min · PR 157 ms"), "{cart}");
    let says = browser.value("document.getElementById('says-left').textContent");
    let says = says.as_str().expect("text");
    assert!(
        says.contains("more positive voltage here would raise the prediction") && says.contains("Contributions (slope × voltage) sum to"),
        "{says}"
    );
    browser.value(
        "(() => { document.getElementById('target').value = 5; document.getElementById('target').dispatchEvent(new Event('change')); })()",
    );
    browser.click("#next");
    // The reading point starts at V5, sample 300; one step right is sample 301.
    browser.value("document.getElementById('canvas-left').focus()");
    browser.press('\u{E014}');
    let readout = browser.value("document.getElementById('readout').textContent");
    let readout = readout.as_str().expect("text");
    let voltage = study.ecgs.inputs[[1, 10, 301]];
    assert!(readout.starts_with("602 ms · lead V5 · ") && readout.contains("DeepLIFT"), "{readout}");
    let shown: f32 =
        readout.split(" · ").nth(2).and_then(|part| part.trim_end_matches(" µV").replace('−', "-").parse().ok()).expect("a voltage");
    assert!((shown - voltage).abs() <= 1.0, "{shown} is not {voltage}");
    let facts = browser.value("document.getElementById('facts').textContent");
    assert!(facts.as_str().expect("text").starts_with("ECG 107: measured T amplitude in V5 310.0 µV"), "{facts}");
    // The largest errors of the target first; the next ECG is the next in that order.
    let sorted = "(() => { const s = document.getElementById('order'); s.value = 'error'; s.dispatchEvent(new Event('change')); \
                  return [...document.getElementById('ecg').options].map(o => o.text).join('; '); })()";
    assert_eq!(browser.value(sorted), "ECG 107, off by 40.0 µV; ECG 114, off by 10.0 µV; ECG 100, off by 1.0 µV");
    browser.click("#next");
    let facts = browser.value("document.getElementById('facts').textContent");
    assert!(facts.as_str().expect("text").starts_with("ECG 114: measured"), "{facts}");
}

/// A network that answers 350 ms on a flat line and moves by a thousandth of the voltage of V5 at the R peak.
fn page_of_one(study: &StudyResults) -> String {
    let ecg = study.ecgs.inputs.index_axis(ndarray::Axis(0), 1);
    let mut values = ndarray::Array2::<f32>::zeros((12, 600));
    values[[10, 240]] = 0.001;
    let moved = 0.001 * f64::from(ecg[[10, 240]]);
    let meaning = |method: &str| cardiograd::report::methods::meaning(method, false, None).expect("a method");
    let contributions = one_ecg::Contributions {
        values: values.mapv(f64::from) * ecg.mapv(f64::from),
        from: 350.0,
        beginning: "a flat line".into(),
        made: None,
    };
    let map = |method: &str, contributions| one_ecg::Map {
        title: cardiograd::report::methods::title(method).into(),
        meaning: meaning(method),
        values: sample::map(&ecg.to_owned(), Target::Qt, method, 1),
        contributions,
    };
    let page = OneEcg {
        name: "ECG 107 of median.npy".into(),
        ecg,
        beat: Some(ecg),
        measured: Some(study.ecgs.measurements[1].clone()),
        carried: None,
        exact: None,
        answer: one_ecg::Answer { target: Some(Target::Qt), predicted: 350.0 + moved, flat: 350.0, errors: None, near: None },
        maps: vec![map("deeplift", Some(contributions)), map("guided_gradcam", None), map("smoothgrad", None)],
        about: vec![("Model".into(), "qt.cgm".into())],
    };
    one_ecg::page(&page).expect("a page")
}

/// The page of one ECG: pictures keep paper's proportion whatever the width, wide ones scroll in their own frames, and print takes A4.
#[test]
fn one_ecg_is_read_and_printed() {
    let folder = folder("one_ecg");
    let study = sample::study(3, 600, 0);
    let html = page_of_one(&study);
    assert!(html.len() < 300_000, "{} bytes", html.len());
    std::fs::write(folder.join("page.html"), html).expect("a page");
    let Some(browser) = Browser::start(&folder) else { return };
    browser.open(&folder.join("page.html"));
    browser.picture(&folder.join("page.png"));
    let text = browser.value("document.body.innerText");
    let text = text.as_str().expect("text");
    let moved = 0.001 * f64::from(study.ecgs.inputs[[1, 10, 240]]);
    for said in [format!("+{moved:.1} ms"), "On a flat line".into(), "QTcF".into(), "changed gradient".into()] {
        assert!(text.contains(&said), "{said}: {text}");
    }
    // The beat's 30 mm and the 10 mm of a mV keep their proportion; the shared traces are drawn in every picture.
    let ratio = "(() => { const s = document.querySelector('#ecg svg'), b = s.viewBox.baseVal, r = s.getBoundingClientRect(); return Math.abs(r.width / b.width - r.height / b.height) < 0.01; })()";
    assert_eq!(browser.value(ratio), true);
    let used = "[...document.querySelectorAll('.map .wide svg use')].filter(u => u.getBBox().width > 100).length";
    assert_eq!(browser.value(used), 6);
    // On a phone nothing but the frames of wide pictures is wider than the screen, and those can be focused.
    browser.resize(390, 800);
    browser.picture(&folder.join("phone.png"));
    assert_eq!(browser.value("document.documentElement.scrollWidth <= window.innerWidth"), true);
    let frames = "[...document.querySelectorAll('.wide')].filter(f => f.scrollWidth > f.clientWidth).every(f => f.tabIndex === 0)";
    assert_eq!(browser.value(frames), true);
    let cues = "[...document.querySelectorAll('.wide')].filter(f => f.scrollWidth > f.clientWidth).every(f => getComputedStyle(f.parentNode.querySelector('.cue')).display === 'block')";
    assert_eq!(browser.value(cues), true);
    assert_eq!(browser.value("document.querySelectorAll('.wide').length"), 4);
}
