//! Measurement against the exact truth of the simulator's hard kinds: a Markdown table, a row a kind.
//!
//! ```text
//! cargo run --release --example measure_kinds -- [N] [--kind NAME,…] [--thresholds 12sl|expert] [--seed S] [--cases]
//! ```
//!
//! N ECGs of each kind (100). Errors are found less true, ms: bias / SD / robust SD (1.4826 × median absolute deviation from the median). Wrong is what is off by
//! more than 40 ms; refused, an ECG without measurements. P is invented where truth has none; missed where it has one of 40 µV or more
//! in two leads and the ECG is not refused. `--cases` lists the ECGs behind the counts.

use cardiograd::ecg::Measurements;
use cardiograd::ecg::measure::{Thresholds, measure};
use cardiograd::ecg::simulator::{Kind, Settings, Simulated, Simulator};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;

/// Beyond this an interval is wrong, ms.
const WRONG: f64 = 40.0;
/// A P wave of this size in two leads must be found, µV.
const SEEN: f32 = 40.0;

/// What to run.
struct Run {
    ecgs: u64,
    seed: u64,
    thresholds: Thresholds,
    kinds: Vec<Kind>,
    cases: bool,
}

/// One interval over the ECGs of a kind.
#[derive(Default)]
struct Errors {
    all: Vec<f64>,
    wrong: Vec<String>,
    missing: usize,
}

/// What came of one kind.
#[derive(Default)]
struct Outcome {
    pr: Errors,
    qrs: Errors,
    qt: Errors,
    refused: BTreeMap<String, usize>,
    invented: Vec<u64>,
    missed: Vec<u64>,
    with_p: usize,
    without_p: usize,
    measured: usize,
}

impl Errors {
    fn add(&mut self, index: u64, found: Option<f64>, truth: Option<f64>) {
        match (found, truth) {
            (Some(found), Some(truth)) => {
                let error = found - truth;
                self.all.push(error);
                if error.abs() > WRONG {
                    self.wrong.push(format!("{index} ({error:+.0})"));
                }
            }
            (None, Some(_)) => self.missing += 1,
            _ => {}
        }
    }

    fn text(&self) -> String {
        if self.all.is_empty() {
            return "–".into();
        }
        let count = self.all.len() as f64;
        let mean = self.all.iter().sum::<f64>() / count;
        let sd = (self.all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let centre = median(self.all.clone());
        let robust = 1.4826 * median(self.all.iter().map(|x| (x - centre).abs()).collect());
        format!("{mean:+.1} / {sd:.1} / {robust:.1}")
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// How large P is in the second of the leads it is largest in, µV.
fn p_size(ecg: &Simulated) -> f32 {
    let (Some(on), Some(off)) = (ecg.truth.p_onset, ecg.truth.p_offset) else { return 0.0 };
    let part = on.ceil() as usize..=off as usize;
    let size = |row: usize| part.clone().fold(0.0, |largest: f32, t| largest.max(ecg.beat[[row, t]].abs()));
    let mut sizes: Vec<f32> = (0..12).map(size).collect();
    sizes.sort_by(f32::total_cmp);
    sizes[10]
}

impl Outcome {
    fn add(&mut self, index: u64, ecg: &Simulated, found: &Measurements) {
        if let Some(reason) = &found.rejected {
            *self.refused.entry(reason.split(':').next().unwrap_or(reason).to_owned()).or_default() += 1;
            return;
        }
        self.measured += 1;
        self.pr.add(index, found.pr_ms, ecg.truth.pr_ms);
        self.qrs.add(index, found.qrs_ms, ecg.truth.qrs_ms);
        self.qt.add(index, found.qt_ms, ecg.truth.qt_ms);
        if ecg.truth.pr_ms.is_none() {
            self.without_p += 1;
            self.invented.extend(found.pr_ms.map(|_| index));
        } else if p_size(ecg) >= SEEN {
            self.with_p += 1;
            if found.pr_ms.is_none() {
                self.missed.push(index);
            }
        }
    }

    fn row(&self, kind: Kind, ecgs: u64) -> String {
        let of = |count: usize, all: usize| if all == 0 { "–".into() } else { format!("{count} of {all}") };
        let wrong = [&self.pr, &self.qrs, &self.qt].map(|errors| errors.wrong.len().to_string()).join(" / ");
        format!(
            "| `{}` | {} | {} | {} | {wrong} | {} | {} | {} | {} / {} |",
            kind.name(),
            self.pr.text(),
            self.qrs.text(),
            self.qt.text(),
            of(ecgs as usize - self.measured, ecgs as usize),
            of(self.invented.len(), self.without_p),
            of(self.missed.len(), self.with_p),
            self.qrs.missing,
            self.qt.missing,
        )
    }

    fn print_cases(&self, kind: Kind) {
        for (what, errors) in [("PR", &self.pr), ("QRS", &self.qrs), ("QT", &self.qt)] {
            if !errors.wrong.is_empty() {
                println!("{}: {what} wrong in {}", kind.name(), errors.wrong.join(", "));
            }
        }
        for (what, ecgs) in [("invented", &self.invented), ("missed", &self.missed)] {
            if !ecgs.is_empty() {
                println!("{}: P {what} in {ecgs:?}", kind.name());
            }
        }
    }
}

impl Run {
    fn outcome(&self, kind: Kind) -> Outcome {
        let simulator = Simulator::of_kinds(&[kind], Settings::default(), self.seed);
        let one = |index: u64| {
            let ecg = simulator.simulate(index);
            let found = measure(&ecg.rhythm, &self.thresholds).measurements;
            (index, ecg, found)
        };
        let all: Vec<(u64, Simulated, Measurements)> = (0..self.ecgs).into_par_iter().map(one).collect();
        let mut outcome = Outcome::default();
        all.iter().for_each(|(index, ecg, found)| outcome.add(*index, ecg, found));
        outcome
    }
}

fn parse() -> Result<Run, Box<dyn Error>> {
    let mut run = Run { ecgs: 100, seed: 1, thresholds: Thresholds::default(), kinds: Kind::all(), cases: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} takes a value"));
        match argument.as_str() {
            "--kind" => run.kinds = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--thresholds" => run.thresholds = value()?.parse()?,
            "--seed" => run.seed = value()?.parse()?,
            "--cases" => run.cases = true,
            number => run.ecgs = number.parse().map_err(|_| format!("'{number}' is neither an option nor a number of ECGs"))?,
        }
    }
    Ok(run)
}

fn main() -> Result<(), Box<dyn Error>> {
    let run = parse()?;
    println!("{} ECGs a kind, seed {}, thresholds `{}`; bias / SD / robust SD in ms.\n", run.ecgs, run.seed, run.thresholds.name);
    println!("| kind | PR | QRS | QT | wrong PR / QRS / QT | refused | P invented | P missed | no QRS / QT |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let outcomes: Vec<(Kind, Outcome)> = run
        .kinds
        .iter()
        .map(|&kind| {
            let outcome = run.outcome(kind);
            println!("{}", outcome.row(kind, run.ecgs));
            (kind, outcome)
        })
        .collect();
    println!("\nRefused:");
    for (kind, outcome) in &outcomes {
        let reasons: Vec<String> = outcome.refused.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        if !reasons.is_empty() {
            println!("- `{}`: {}", kind.name(), reasons.join("; "));
        }
    }
    if run.cases {
        println!();
        outcomes.iter().for_each(|(kind, outcome)| outcome.print_cases(*kind));
    }
    Ok(())
}
