//! The gates of measurement, on data that anyone can get, and on the simulator.
//!
//! ```text
//! cargo run --release --example measure_gates -- [--ludb DIR] [--muse DIR] [--pulse2pulse RHYTHM.npy] [--cases]
//! ```
//!
//! `--ludb`: LUDB records (WFDB) with a `reference.csv` of columns `record,pr_ms,qrs_ms,qt_ms,beats,sinus_unpaced`; `--muse`: MUSE XML files;
//! `--pulse2pulse`: (N, 8, 5000) µV, e.g. `rhythm.npy` of a dataset made by `cardiograd generate --source pulse2pulse`.
//! A folder that is not given is skipped aloud; the simulator needs none. `--cases` lists the worst cases. Exit code 1 if a gate does not hold.

use cardiograd::ecg::leads::LEADS;
use cardiograd::ecg::measure::{Measured, Thresholds, measure};
use cardiograd::ecg::read::{muse, wfdb};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::ecg::{Measurements, Rhythm};
use cardiograd::files::npy::NpyRows;
use ndarray::{Array2, Ix2};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What was asked for, and whether every gate so far held.
#[derive(Default)]
struct Gates {
    ludb: Option<PathBuf>,
    muse: Option<PathBuf>,
    pulse2pulse: Option<PathBuf>,
    cases: bool,
    failed: usize,
}

/// The errors of one quantity, with what they are errors of.
#[derive(Default)]
struct Errors {
    all: Vec<(f64, String)>,
    missing: Vec<String>,
}

impl Errors {
    fn add(&mut self, found: Option<f64>, wanted: Option<f64>, name: &str) {
        match (found, wanted) {
            (Some(found), Some(wanted)) => self.all.push((found - wanted, name.to_owned())),
            (None, Some(_)) => self.missing.push(name.to_owned()),
            _ => {}
        }
    }

    fn bias_and_sd(&self) -> (f64, f64) {
        moments(self.all.iter().map(|(error, _)| *error))
    }
}

fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt())
}

impl Gates {
    fn gate(&mut self, what: &str, holds: bool) {
        self.failed += usize::from(!holds);
        println!("{} {what}", if holds { "  ok  " } else { " FAIL " });
    }

    /// Bias and SD of one quantity against their gates.
    fn errors(&mut self, what: &str, errors: &Errors, bias: f64, sd: f64) {
        let (found_bias, found_sd) = errors.bias_and_sd();
        let text = format!(
            "{what:24} bias {found_bias:+6.1} (± {bias}), SD {found_sd:5.1} (≤ {sd}), n {}, missing {}",
            errors.all.len(),
            errors.missing.len()
        );
        self.gate(&text, found_bias.abs() <= bias && found_sd <= sd && !errors.all.is_empty());
        if self.cases {
            let mut worst: Vec<&(f64, String)> = errors.all.iter().collect();
            worst.sort_by(|a, b| (b.0 - found_bias).abs().total_cmp(&(a.0 - found_bias).abs()));
            let list: Vec<String> = worst.iter().take(10).map(|(error, name)| format!("{name} {error:+.0}")).collect();
            println!("         worst: {}; missing: {}", list.join(", "), errors.missing.join(" "));
        }
    }

    fn ludb(&mut self) -> Outcome<()> {
        let Some(folder) = self.ludb.clone() else { return skipped("LUDB", "--ludb DIR") };
        println!("\nLUDB, thresholds 'expert', sinus rhythm without pacemaker, against cardiologists' marks (ms)");
        let mut errors: BTreeMap<&str, Errors> = BTreeMap::new();
        let (mut rejected, mut others) = (Vec::new(), Vec::new());
        for line in std::fs::read_to_string(folder.join("reference.csv"))?.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let (id, sinus) = (fields[0], fields[5] == "1");
            let found = measure_file(&folder.join(format!("{id}.hea")), &Thresholds::EXPERT)?.measurements;
            if let Some(reason) = &found.rejected {
                if sinus {
                    rejected.push(format!("{id}: {reason}"))
                } else {
                    others.push(format!("{id}: {reason}"))
                }
                continue;
            }
            if !sinus {
                others.push(format!("{id}: PR {}", found.pr_ms.map_or("absent".into(), |pr| format!("{pr:.0}"))));
                continue;
            }
            let wanted = |at: usize| fields[at].parse::<f64>().ok();
            errors.entry("PR").or_default().add(found.pr_ms, wanted(1), id);
            errors.entry("QRS").or_default().add(found.qrs_ms, wanted(2), id);
            errors.entry("QT").or_default().add(found.qt_ms, wanted(3), id);
        }
        for (name, bias, sd) in [("PR", 5.0, 11.0), ("QRS", 4.0, 8.0), ("QT", 10.0, 15.0)] {
            self.errors(name, &errors[name], bias, sd);
        }
        println!("       rejected: {}; not sinus: {}", join(&rejected), join(&others));
        Ok(())
    }

    fn simulator(&mut self) -> Outcome<()> {
        const ECGS: u64 = 400;
        for noise in [0.0, 1.0, 2.5] {
            let settings = Settings { noise, ..Settings::default() };
            println!("\nSimulator at noise {noise}, thresholds '12sl', {ECGS} ECGs, against the exact truth (ms, bpm, µV)");
            let simulator = Simulator::new(settings, 1);
            let mut errors: BTreeMap<&str, Errors> = BTreeMap::new();
            let (mut rejected, mut far) = (Vec::new(), BTreeMap::from([("R", 0), ("J", 0), ("T", 0), ("rate", 0)]));
            for index in 0..ECGS {
                let ecg = simulator.simulate(index);
                let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
                let name = index.to_string();
                if let Some(reason) = &found.rejected {
                    rejected.push(format!("{name}: {reason}"));
                    continue;
                }
                for (what, a, b) in quantities(&found, &ecg.truth) {
                    errors.entry(what).or_default().add(a, b, &name);
                    if let (Some(a), Some(b), Some(count)) = (a, b, far.get_mut(what)) {
                        *count += usize::from((a - b).abs() > if what == "rate" { 0.3 } else { 25f64.max(0.05 * b.abs()) });
                    }
                }
            }
            for (name, bias, sd) in [("PR", 10.0, 8.0), ("QRS", 6.0, 5.0), ("QT", 12.0, 10.0)] {
                self.errors(name, &errors[name], bias, sd);
            }
            for (name, count) in far {
                let share = 100.0 * count as f64 / ECGS as f64;
                let (bias, sd) = errors[name].bias_and_sd();
                let within = if name == "rate" { "0.3 bpm" } else { "25 µV or 5 %" };
                let (bias_gate, sd_gate) = if name == "rate" { (0.3, 0.3) } else { (25.0, 25.0) };
                let text = format!("{name:24} bias {bias:+6.2}, SD {sd:5.2}; {share:.1} % of ECGs off by more than {within}");
                self.gate(&text, bias.abs() <= bias_gate && sd <= sd_gate && share <= 5.0);
            }
            let share = rejected.len() as f64 / ECGS as f64;
            self.gate(&format!("rejected {} of {ECGS} {}", rejected.len(), join(&rejected)), share <= 0.01);
        }
        Ok(())
    }

    fn muse(&mut self) -> Outcome<()> {
        let Some(folder) = self.muse.clone() else { return skipped("MUSE", "--muse DIR") };
        println!("\nMUSE XML, thresholds '12sl', against the 12SL measurements in the files");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
        files.sort();
        for path in files {
            let recording = muse::read(&path)?;
            let (labels, theirs) = (recording.labels.clone().ok_or("no labels")?, recording.median.clone().ok_or("no median")?);
            let ours = measure(&recording.rhythm(&path)?.0, &Thresholds::default());
            let found = &ours.measurements;
            println!("  {}", recording.id);
            for (name, a, b) in quantities(found, &labels) {
                if name == "P" {
                    println!("       P duration {a:?}, 12SL {b:?} ms");
                    continue;
                }
                let (Some(a), Some(b)) = (a, b) else {
                    self.gate(&format!("{name:5} found {a:?}, 12SL {b:?}"), a.is_none() && b.is_none());
                    continue;
                };
                let within = match name {
                    "R" => 0.015 * b.abs(),
                    "J" => 10.0,
                    // 12SL's own values come in steps of 4.88 µV.
                    "T" => (0.02 * b.abs()).max(4.88),
                    "rate" => 1.0,
                    _ => 12.0,
                };
                self.gate(&format!("{name:5} {a:8.1}, 12SL {b:8.1}, off by {:+6.1} (± {within:.1})", a - b), (a - b).abs() <= within);
            }
            if self.cases {
                self.compare_leads(&ours, &theirs, &labels);
            }
        }
        Ok(())
    }

    /// R, J and T of every lead, ours against 12SL's median beat: for reading, not a gate.
    fn compare_leads(&self, ours: &Measured, theirs: &Array2<f32>, labels: &Measurements) {
        for (row, name) in LEADS.iter().enumerate() {
            let read = |median: &Array2<f32>, m: &Measurements| -> Option<[f64; 3]> {
                let (on, off, end) = (m.qrs_onset? as usize, m.qrs_offset? as usize, m.t_offset? as usize);
                let at = |t: usize| f64::from(median[[row, t]] - median[[row, on]]);
                let r = (on..=off).map(at).fold(f64::MIN, f64::max);
                let t = (off + 20..=end).map(at).fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best });
                Some([r, at(off), t])
            };
            if let (Some(a), Some(b)) = (read(&ours.median, &ours.measurements), read(theirs, labels)) {
                println!("         {name:4} R {:6.0} {:6.0}   J {:5.0} {:5.0}   T {:5.0} {:5.0}", a[0], b[0], a[1], b[1], a[2], b[2]);
            }
        }
    }

    fn pulse2pulse(&mut self) -> Outcome<()> {
        let Some(path) = self.pulse2pulse.clone() else { return skipped("Pulse2pulse", "--pulse2pulse RHYTHM.npy") };
        let rows = NpyRows::open(&path)?;
        println!("\nPulse2pulse, thresholds '12sl', {} ECGs, against 12SL on the generator's training ECGs", rows.len());
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut halves: BTreeMap<&str, Errors> = BTreeMap::new();
        let (mut rejected, mut spent) = (Vec::new(), 0.0);
        for index in 0..rows.len() {
            let samples = rows.row_f32(index)?.into_dimensionality::<Ix2>()?;
            let rhythm = Rhythm::new(samples)?;
            let started = Instant::now();
            let found = measure(&rhythm, &Thresholds::default()).measurements;
            spent += started.elapsed().as_secs_f64();
            if let Some(reason) = &found.rejected {
                rejected.push(format!("{index}: {reason}"));
                continue;
            }
            for (name, value, _) in quantities(&found, &found) {
                values.entry(name).or_default().extend(value);
            }
            let half = |from: usize| {
                let samples = Array2::from_shape_fn((8, 2500), |(lead, t)| rhythm.samples()[[lead, from + t]]);
                Rhythm::new(samples).map(|half| measure(&half, &Thresholds::default()).measurements)
            };
            let (one, two) = (half(0)?, half(2500)?);
            for (name, a, b) in quantities(&one, &two) {
                halves.entry(name).or_default().add(a, b, &index.to_string());
            }
        }
        for (name, wanted, within) in [("PR", 159.3, 5.0), ("QRS", 93.2, 3.0), ("QT", 406.3, 8.0)] {
            let (mean, sd) = moments(values[name].iter().copied());
            let text = format!("{name:5} mean {mean:6.1} (12SL {wanted} ± {within}), SD {sd:4.1}, n {}", values[name].len());
            self.gate(&text, (mean - wanted).abs() <= within);
        }
        for name in ["P", "P on", "Q on", "Q off", "T off", "rate", "R", "J", "T"] {
            let (mean, sd) = moments(values[name].iter().copied());
            println!("       {name:5} mean {mean:6.1}, SD {sd:5.1}");
        }
        let repeat: Vec<String> =
            halves.iter().map(|(name, errors)| format!("{name} {:.1}", errors.bias_and_sd().1 / 2f64.sqrt())).collect();
        println!("       repeatability, first against second 5 s (SD / √2): {}", repeat.join(", "));
        let share = rejected.len() as f64 / rows.len() as f64;
        self.gate(&format!("rejected {} {}", rejected.len(), join(&rejected)), share <= 0.01);
        println!("       {:.0} ECGs a second on one core", rows.len() as f64 / spent);
        Ok(())
    }
}

fn quantities(a: &Measurements, b: &Measurements) -> [(&'static str, Option<f64>, Option<f64>); 12] {
    let p = |m: &Measurements| Some(2.0 * (m.p_offset? - m.p_onset?));
    [
        ("PR", a.pr_ms, b.pr_ms),
        ("QRS", a.qrs_ms, b.qrs_ms),
        ("QT", a.qt_ms, b.qt_ms),
        ("rate", a.rate_bpm, b.rate_bpm),
        ("R", a.r_v5_uv, b.r_v5_uv),
        ("J", a.j_v5_uv, b.j_v5_uv),
        ("T", a.t_v5_uv, b.t_v5_uv),
        ("P", p(a), p(b)),
        ("P on", a.p_onset, b.p_onset),
        ("Q on", a.qrs_onset, b.qrs_onset),
        ("Q off", a.qrs_offset, b.qrs_offset),
        ("T off", a.t_offset, b.t_offset),
    ]
}

fn measure_file(path: &Path, thresholds: &Thresholds) -> Outcome<Measured> {
    let (rhythm, _) = wfdb::read(path)?.rhythm(path)?;
    Ok(measure(&rhythm, thresholds))
}

fn join(list: &[String]) -> String {
    if list.is_empty() { "none".into() } else { list.join("; ") }
}

fn skipped(what: &str, how: &str) -> Outcome<()> {
    println!("\n{what}: SKIPPED, give it by {how}");
    Ok(())
}

fn main() -> Outcome<()> {
    let mut gates = Gates::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut path = || arguments.next().map(PathBuf::from).ok_or(format!("{argument} takes a path"));
        match argument.as_str() {
            "--ludb" => gates.ludb = Some(path()?),
            "--muse" => gates.muse = Some(path()?),
            "--pulse2pulse" => gates.pulse2pulse = Some(path()?),
            "--cases" => gates.cases = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    gates.ludb()?;
    gates.simulator()?;
    gates.muse()?;
    gates.pulse2pulse()?;
    println!("\n{} gates do not hold", gates.failed);
    if gates.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
