//! Thresholds chosen out of fold, and whether 68 % of errors lie within the standard errors.
//!
//! ```text
//! cargo run --release --example measure_folds -- --ludb DIR [--kinds N] [--svg FILE]
//! ```
//!
//! `--ludb`: LUDB records with a `reference.csv` as in `measure_gates`. Its sinus records are dealt into five folds. For each fold, the thresholds around `expert` that
//! do best on the other four are taken, and its own records are measured with them: what is printed comes from records that had no part in the choice. N ECGs of
//! each simulated kind (4) are measured too; what is far off there counts in the choice as on a record. Standard errors are scaled on the four folds so that 68 % of errors lie
//! within them, and looked at on the fifth; errors are taken about their mean over the training folds, since readers and truth put an end by their own convention.

use cardiograd::ecg::Measurements;
use cardiograd::ecg::measure::{Thresholds, measure};
use cardiograd::ecg::read::wfdb;
use cardiograd::ecg::simulator::{Kind, Settings, Simulator};
use rayon::prelude::*;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

const FOLDS: usize = 5;
const NAMES: [&str; 3] = ["PR", "QRS", "QT"];
/// Beyond this an interval is wrong, ms.
const WRONG: f64 = 40.0;
/// A missing interval counts in the choice as an error of this size, ms.
const MISSING: f64 = 40.0;
/// The share of errors that is to lie within one standard error.
const WITHIN: f64 = 0.68;

/// What was found and its standard error where a truth is known; `None`: nothing was found.
type Reading = Option<Option<(f64, f64)>>;

/// PR, QRS and QT of one ECG: error and standard error.
type Readings = [Reading; 3];

fn readings(found: &Measurements, truth: [Option<f64>; 3]) -> Readings {
    let errors = found.further.as_ref().map(|further| further.errors).unwrap_or_default();
    let values = [found.pr_ms, found.qrs_ms, found.qt_ms];
    std::array::from_fn(|at| truth[at].map(|truth| values[at].map(|value| (value - truth, errors[at].unwrap_or(0.0)))))
}

/// `expert` and what lies around it, one threshold at a time.
fn candidates() -> Vec<Thresholds> {
    let base = Thresholds::EXPERT;
    let mut all = vec![base];
    for factor in [0.8, 1.25] {
        all.push(Thresholds { qrs_onset: factor * base.qrs_onset, ..base });
        all.push(Thresholds { qrs_offset: factor * base.qrs_offset, ..base });
        all.push(Thresholds { qrs_lead: (factor * base.qrs_lead.0, factor * base.qrs_lead.1), ..base });
        all.push(Thresholds { t_end: factor * base.t_end, ..base });
        all.push(Thresholds { t_end_lead: factor * base.t_end_lead, ..base });
        all.push(Thresholds { p_onset: factor * base.p_onset, ..base });
    }
    all
}

/// The root mean square error, what is missing included: what is far off counts most.
fn loss<'a>(all: impl Iterator<Item = &'a Readings>, at: usize) -> f64 {
    let sizes: Vec<f64> = all.filter_map(|one| one[at]).map(|one| one.map_or(MISSING, |(error, _)| error.abs())).collect();
    (sizes.iter().map(|size| size * size).sum::<f64>() / sizes.len().max(1) as f64).sqrt()
}

/// The out-of-fold readings of one interval, each with the scale of its standard error and the bias that were found on the other folds.
#[derive(Default)]
struct Held {
    errors: Vec<(f64, f64, f64, f64)>,
    missing: usize,
}

impl Held {
    fn row(&self, name: &str) -> String {
        let count = self.errors.len().max(1) as f64;
        let mean = self.errors.iter().map(|one| one.0).sum::<f64>() / count;
        let sd = (self.errors.iter().map(|one| (one.0 - mean).powi(2)).sum::<f64>() / count).sqrt();
        let wrong = self.errors.iter().filter(|one| one.0.abs() > WRONG).count();
        let share = |scaled: bool| {
            let inside = |&&(error, se, scale, bias): &&(f64, f64, f64, f64)| (error - bias).abs() <= se * if scaled { scale } else { 1.0 };
            100.0 * self.errors.iter().filter(inside).count() as f64 / count
        };
        let scale = self.errors.iter().map(|one| one.2).sum::<f64>() / count;
        format!(
            "| {name} | {mean:+.1} / {sd:.1} | {wrong} | {} | {} | {:.0} % | {scale:.2} | {:.0} % |",
            self.missing,
            self.errors.len(),
            share(false),
            share(true)
        )
    }
}

/// The factor on standard errors within which the wanted share of errors lies.
fn scale<'a>(all: impl Iterator<Item = &'a Readings>, at: usize, bias: f64) -> f64 {
    let mut ratios: Vec<f64> = all.filter_map(|one| one[at]?).map(|(error, se)| (error - bias).abs() / se.max(1e-9)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get((WITHIN * ratios.len() as f64) as usize).copied().unwrap_or(1.0)
}

fn bias<'a>(all: impl Iterator<Item = &'a Readings>, at: usize) -> f64 {
    let errors: Vec<f64> = all.filter_map(|one| one[at]?).map(|(error, _)| error).collect();
    errors.iter().sum::<f64>() / errors.len().max(1) as f64
}

/// A picture: for each interval, the standard error against the size of the error.
fn picture(held: &[Held; 3]) -> String {
    let mut svg = String::from(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 330" font-family="sans-serif" font-size="12"><rect width="930" height="330" fill="#fff"/>"##,
    );
    for (at, (held, name)) in held.iter().zip(NAMES).enumerate() {
        let (left, base, side, most) = (50.0 + 305.0 * at as f64, 285.0, 250.0, 40.0);
        let place = |value: f64| side * (value / most).min(1.0);
        write!(
            svg,
            r##"<path d="M{left} {}V{base}H{}" fill="none" stroke="#000"/><path d="M{left} {base}L{} {}" stroke="#1f5fbf"/>"##,
            base - side,
            left + side,
            left + side,
            base - side
        )
        .ok();
        for tick in [0.0, 10.0, 20.0, 30.0, 40.0] {
            write!(svg, r##"<text x="{}" y="{}" text-anchor="middle">{tick}</text>"##, left + place(tick), base + 16.0).ok();
            write!(svg, r##"<text x="{}" y="{}" text-anchor="end">{tick}</text>"##, left - 5.0, base - place(tick) + 4.0).ok();
        }
        for (error, se, _, bias) in &held.errors {
            write!(
                svg,
                r##"<circle cx="{:.1}" cy="{:.1}" r="2.2" fill="none" stroke="#000"/>"##,
                left + place(*se),
                base - place((error - bias).abs())
            )
            .ok();
        }
        write!(
            svg,
            r##"<text x="{}" y="20" text-anchor="middle">{name}: error less bias (up) against standard error, ms</text>"##,
            left + side / 2.0
        )
        .ok();
    }
    svg.push_str("</svg>\n");
    svg
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut folder, mut each, mut file) = (None, 4u64, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(format!("{argument} takes a value"))?;
        match argument.as_str() {
            "--ludb" => folder = Some(PathBuf::from(value)),
            "--kinds" => each = value.parse()?,
            "--svg" => file = Some(value),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let folder = folder.ok_or("usage: measure_folds --ludb DIR [--kinds N] [--svg FILE]")?;
    let mut recordings = Vec::new();
    for line in std::fs::read_to_string(folder.join("reference.csv"))?.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields[5] == "1" {
            let path = folder.join(format!("{}.hea", fields[0]));
            recordings.push((wfdb::read(&path)?.rhythm(&path)?.0, [1, 2, 3].map(|at| fields[at].parse::<f64>().ok())));
        }
    }
    let simulated: Vec<_> = Kind::all()
        .into_iter()
        .flat_map(|kind| {
            let simulator = Simulator::of_kinds(&[kind], Settings::default(), 1);
            (0..each).map(move |index| simulator.simulate(index)).collect::<Vec<_>>()
        })
        .collect();
    let candidates = candidates();
    let measured: Vec<(Vec<Readings>, Vec<Readings>)> = candidates
        .par_iter()
        .map(|thresholds| {
            let records = recordings.iter().map(|(rhythm, truth)| readings(&measure(rhythm, thresholds).measurements, *truth)).collect();
            let kinds = simulated
                .iter()
                .map(|ecg| readings(&measure(&ecg.rhythm, thresholds).measurements, [ecg.truth.pr_ms, ecg.truth.qrs_ms, ecg.truth.qt_ms]))
                .collect();
            (records, kinds)
        })
        .collect();

    let mut held: [Held; 3] = Default::default();
    for fold in 0..FOLDS {
        for (at, held) in held.iter_mut().enumerate() {
            let training =
                |all: &'_ [Readings]| all.iter().enumerate().filter(|(k, _)| k % FOLDS != fold).map(|(_, one)| *one).collect::<Vec<_>>();
            // What is far off in a kind counts; how a convention differs from exact truth does not.
            let far = |kinds: &[Readings]| {
                let count = kinds.iter().filter_map(|one| one[at]?).filter(|(error, _)| error.abs() > WRONG).count();
                MISSING * count as f64 / kinds.len().max(1) as f64
            };
            let score = |which: &usize| loss(training(&measured[*which].0).iter(), at) + far(&measured[*which].1);
            let best = (0..candidates.len()).min_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0);
            let others = training(&measured[best].0);
            let bias = bias(others.iter(), at);
            let scale = scale(others.iter(), at, bias);
            for one in measured[best].0.iter().enumerate().filter(|(k, _)| k % FOLDS == fold).filter_map(|(_, one)| one[at]) {
                match one {
                    Some((error, se)) => held.errors.push((error, se, scale, bias)),
                    None => held.missing += 1,
                }
            }
        }
    }
    println!(
        "LUDB, {} sinus records in {FOLDS} folds, thresholds around `expert` chosen on the other folds and {} simulated ECGs.\n",
        recordings.len(),
        simulated.len()
    );
    println!("| | bias / SD | off by > {WRONG} ms | missing | n | within one SE | scale on the other folds | within it, scaled |");
    println!("|---|---|---|---|---|---|---|---|");
    held.iter().zip(NAMES).for_each(|(held, name)| println!("{}", held.row(name)));

    println!("\nSimulated kinds, `expert`, errors about the middle one of their kind: share within one standard error.\n");
    for (at, name) in NAMES.iter().enumerate() {
        let (mut inside, mut count) = (0, 0);
        for kind in measured[0].1.chunks(each.max(1) as usize) {
            let mut errors: Vec<f64> = kind.iter().filter_map(|one| one[at]?).map(|(error, _)| error).collect();
            errors.sort_by(f64::total_cmp);
            // Of one or two, the middle one says nothing.
            let Some(&middle) = errors.get(errors.len() / 2).filter(|_| errors.len() > 2) else { continue };
            let all = kind.iter().filter_map(|one| one[at]?);
            inside += all.clone().filter(|(error, se)| (error - middle).abs() <= *se).count();
            count += all.count();
        }
        println!("{name}: {:.0} % of {count}", 100.0 * inside as f64 / count.max(1) as f64);
    }
    if let Some(file) = file {
        std::fs::write(file, picture(&held))?;
    }
    Ok(())
}
