//! Very many ECGs measured, looking for the one answer that must not be: a number that is far off or cannot be.
//!
//! ```text
//! cargo run --release --example measure_sweep -- [--simulated N] [--seed S] [--rhythm RHYTHM.npy] [--thresholds 12sl|expert]
//! ```
//!
//! N ECGs of the simulator's default population: an interval off by more than 60 ms is a failure. (M, 8, 5000) µV of `rhythm.npy`, e.g. of a dataset by
//! `cardiograd generate --source pulse2pulse`: no truth, but what goes with what is checked, as for the simulated ones: fiducials in their order, intervals that
//! fiducials and median beat agree with, PR and QT that go into the RR, finite numbers. Exit code 1 if anything fails.

use cardiograd::ecg::measure::{BEAT, Measured, Thresholds, measure};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::ecg::{Measurements, Rhythm};
use cardiograd::files::npy::NpyRows;
use ndarray::Ix2;
use rayon::prelude::*;
use std::error::Error;

/// An interval this far off is a failure, ms.
const FAR: f64 = 60.0;
/// ECGs taken together, so that memory does not grow with their number.
const TOGETHER: u64 = 500;

/// What came of a source.
#[derive(Default)]
struct Tally {
    ecgs: usize,
    refused: usize,
    without: [usize; 3],
    sums: [(f64, f64, usize); 3],
    largest: [f64; 3],
    failures: Vec<String>,
}

/// What of one ECG does not go together.
fn implausible(measured: &Measured) -> Vec<String> {
    let m = &measured.measurements;
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    check(measured.median.iter().all(|x| x.is_finite()), "a sample of the median beat is no number".into());
    let (Some(onset), Some(offset), Some(rate)) = (m.qrs_onset, m.qrs_offset, m.rate_bpm) else {
        return vec!["measured, but without QRS or rate".into()];
    };
    let fiducials: Vec<f64> = [m.p_onset, m.p_offset, m.qrs_onset, m.qrs_offset, m.t_offset].into_iter().flatten().collect();
    check(fiducials.windows(2).all(|pair| pair[0] <= pair[1]), format!("fiducials out of order: {fiducials:?}"));
    check(fiducials.iter().all(|at| (0.0..=BEAT as f64).contains(at)), format!("a fiducial outside of the median beat: {fiducials:?}"));
    let span = |from: Option<f64>, to: f64| from.map(|from| 2.0 * (to - from));
    check(m.pr_ms == span(m.p_onset, onset), format!("PR {:?} is not P onset to QRS onset", m.pr_ms));
    check(m.qrs_ms == Some(2.0 * (offset - onset)), format!("QRS {:?} is not its onset to its offset", m.qrs_ms));
    check(m.qt_ms == m.t_offset.map(|end| 2.0 * (end - onset)), format!("QT {:?} is not QRS onset to T end", m.qt_ms));
    let rr = 60_000.0 / rate;
    check((20.0..=300.0).contains(&rate), format!("rate {rate}"));
    check(m.qrs_ms.is_some_and(|qrs| (40.0..=240.0).contains(&qrs)), format!("QRS {:?}", m.qrs_ms));
    check(m.pr_ms.is_none_or(|pr| (50.0..=450.0).contains(&pr)), format!("PR {:?}", m.pr_ms));
    check(m.qt_ms.zip(m.qrs_ms).is_none_or(|(qt, qrs)| qt > qrs + 40.0), format!("QT {:?} with QRS {:?}", m.qt_ms, m.qrs_ms));
    check(m.pr_ms.zip(m.qt_ms).is_none_or(|(pr, qt)| pr + qt < rr), format!("PR {:?} and QT {:?} in an RR of {rr:.0}", m.pr_ms, m.qt_ms));
    let errors = m.further.as_ref().map(|further| further.errors).unwrap_or_default();
    check(errors.iter().flatten().all(|se| se.is_finite() && *se > 0.0), format!("standard errors {errors:?}"));
    wrong
}

impl Tally {
    fn add(&mut self, name: &str, measured: &Measured, truth: Option<&Measurements>) {
        self.ecgs += 1;
        let m = &measured.measurements;
        if m.rejected.is_some() {
            self.refused += 1;
            return;
        }
        self.failures.extend(implausible(measured).into_iter().map(|what| format!("{name}: {what}")));
        let of = |m: &Measurements| [m.pr_ms, m.qrs_ms, m.qt_ms];
        for (at, value) in of(m).into_iter().enumerate() {
            let Some(value) = value else {
                self.without[at] += 1;
                continue;
            };
            self.sums[at].0 += value;
            self.sums[at].1 += value * value;
            self.sums[at].2 += 1;
            if let Some(truth) = truth.and_then(|truth| of(truth)[at]) {
                self.largest[at] = self.largest[at].max((value - truth).abs());
                if (value - truth).abs() > FAR {
                    self.failures.push(format!("{name}: {} {value:.0} ms for {truth:.0}", ["PR", "QRS", "QT"][at]));
                }
            }
        }
    }

    /// Prints what came of it; whether nothing failed.
    fn print(&self, source: &str, known: bool) -> bool {
        println!("{source}: {} ECGs, {} refused", self.ecgs, self.refused);
        for (at, name) in ["PR", "QRS", "QT"].iter().enumerate() {
            let (sum, squares, count) = self.sums[at];
            let mean = sum / count.max(1) as f64;
            let sd = (squares / count.max(1) as f64 - mean * mean).max(0.0).sqrt();
            let largest = if known { format!(", largest error {:.0} ms", self.largest[at]) } else { String::new() };
            println!("  {name}: {mean:.1} ± {sd:.1} ms, empty in {}{largest}", self.without[at]);
        }
        println!("  failures: {}", self.failures.len());
        self.failures.iter().take(50).for_each(|failure| println!("    {failure}"));
        self.failures.is_empty()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut simulated, mut seed, mut file, mut thresholds) = (0u64, 1u64, None, Thresholds::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(format!("{argument} takes a value"))?;
        match argument.as_str() {
            "--simulated" => simulated = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--rhythm" => file = Some(value),
            "--thresholds" => thresholds = value.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let mut all_well = true;
    if simulated > 0 {
        let simulator = Simulator::new(Settings::default(), seed);
        let mut tally = Tally::default();
        for from in (0..simulated).step_by(TOGETHER as usize) {
            let one = |index: u64| {
                let ecg = simulator.simulate(index);
                (index, measure(&ecg.rhythm, &thresholds), ecg.truth)
            };
            let part: Vec<_> = (from..(from + TOGETHER).min(simulated)).into_par_iter().map(one).collect();
            part.iter().for_each(|(index, measured, truth)| tally.add(&format!("ECG {index}"), measured, Some(truth)));
        }
        all_well &= tally.print(&format!("Simulator, seed {seed}, thresholds `{}`", thresholds.name), true);
    }
    if let Some(file) = file {
        let rows = NpyRows::open(&file)?;
        let mut tally = Tally::default();
        for from in (0..rows.len()).step_by(TOGETHER as usize) {
            let part: Vec<Rhythm> = (from..(from + TOGETHER as usize).min(rows.len()))
                .map(|index| Ok(Rhythm::new(rows.row_f32(index)?.into_dimensionality::<Ix2>()?)?))
                .collect::<Result<_, Box<dyn Error>>>()?;
            let part: Vec<Measured> = part.par_iter().map(|rhythm| measure(rhythm, &thresholds)).collect();
            part.iter().enumerate().for_each(|(at, measured)| tally.add(&format!("ECG {}", from + at), measured, None));
        }
        all_well &= tally.print(&format!("{file}, thresholds `{}`", thresholds.name), false);
    }
    if !all_well {
        std::process::exit(1);
    }
    Ok(())
}
