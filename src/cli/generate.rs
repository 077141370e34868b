//! `cardiograd generate`: new ECGs, measured, as a dataset.

use super::numbers::{ECGS, up_to};
use super::places::{Output, Places};
use super::provenance::tell_of_earlier_work;
use super::{Globals, Progress, print};
use crate::atomic::tidy;
use crate::dataset::{Dataset, Noise, Origin, Source, Target, generate_folder};
use crate::ecg::generator::{Generator, LEADS, SAMPLES};
use crate::ecg::measure::Thresholds;
use crate::ecg::simulator::{Kind, Settings, Simulator};
use crate::files::digest::sha256_file;
use crate::files::npy::NpyRows;
use crate::unfit::first_unfit;
use crate::{Error, Result};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};
use ndarray::{Array2, Ix2};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the ECGs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceName {
    /// The embedded parametric simulator.
    Simulator,
    /// The published Pulse2pulse generator, from its wheel.
    Pulse2pulse,
}

/// Arguments of `cardiograd generate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where the ECGs come from.
    #[arg(long, value_enum, default_value_t = SourceName::Simulator)]
    source: SourceName,
    /// The wheel deepfake_ecg-1.1.2-py3-none-any.whl, or its g_stat.pt.
    #[arg(long, value_name = "WHEEL_OR_PT")]
    generator: Option<PathBuf>,
    /// How many ECGs.
    #[arg(short = 'n', long, value_name = "N", required_unless_present = "noise", conflicts_with = "noise", value_parser = up_to::<ECGS>)]
    ecgs: Option<usize>,
    /// The generator's noise, (N, 8, 5000) float32 in (-1, 1), one ECG per row.
    #[arg(long, value_name = "NOISE.npy")]
    noise: Option<PathBuf>,
    /// Of the simulator: ECGs that are hard to measure instead of the usual population, several kinds in turn. truth.csv then holds the kind, too;
    /// a wave begins and ends in it where it last lies within 1 µV in every lead.
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', conflicts_with_all = ["generator", "noise"], value_parser = kind_names())]
    kind: Vec<String>,
    /// The seed that every draw follows from.
    #[arg(long, default_value_t = 1, conflicts_with = "noise")]
    seed: u64,
    /// Where waves begin and end: as GE's 12SL sees it, or as cardiologists do (expert).
    #[arg(long, value_name = "12sl|expert", default_value = "12sl")]
    thresholds: String,
    /// The dataset's folder; it must not exist. A killed run is continued by running it again.
    #[arg(short, long, value_name = "DATASET")]
    output: PathBuf,
}

/// What `--kind` takes, described.
fn kind_names() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL_KINDS).help("every kind below, in turn");
    let kinds = Kind::all().into_iter().map(|kind| PossibleValue::new(kind.name()).help(kind.about()));
    PossibleValuesParser::new(std::iter::once(all).chain(kinds))
}

const ALL_KINDS: &str = "all";

/// The kinds behind their names; none for none.
fn kinds(names: &[String]) -> Result<Vec<Kind>> {
    if names.iter().any(|name| name == ALL_KINDS) {
        return match names {
            [_] => Ok(Kind::all()),
            _ => Err(Error::Usage("--kind all stands alone: it is every kind already".into())),
        };
    }
    let kinds: Vec<Kind> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    match kinds.iter().enumerate().find(|(at, kind)| kinds[..*at].contains(kind)) {
        Some((_, twice)) => Err(Error::Usage(format!("--kind names {} twice", twice.name()))),
        None => Ok(kinds),
    }
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let reads = self.generator.iter().chain(&self.noise).cloned().collect();
        Places { reads, writes: vec![Output::NewFolder(self.output.clone())] }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let thresholds: Thresholds = args.thresholds.parse()?;
    if args.output.exists() {
        tidy(&args.output);
        return Err(Error::Usage(format!("{} exists already: remove it or choose another name", args.output.display())));
    }
    let (source, origin, ecgs) = resolve(args)?;
    tell_of_earlier_work(&args.output);
    let progress = Progress::new(globals.quiet);
    generate_folder(&args.output, &source, origin, ecgs, &thresholds, &|step| progress.step(step))?;
    progress.finish();
    if globals.quiet {
        return Ok(());
    }
    report(&args.output, &Dataset::open(&args.output)?, globals.json)
}

/// The source, what there is to say of it, and how many ECGs it shall give.
fn resolve(args: &Args) -> Result<(Source, Origin, usize)> {
    let mut origin = Origin { seed: Some(args.seed), ..Origin::default() };
    let ecgs = args.ecgs.unwrap_or(0);
    if args.source == SourceName::Simulator {
        if args.generator.is_some() || args.noise.is_some() {
            return Err(Error::Usage("--generator and --noise belong to --source pulse2pulse".into()));
        }
        let simulator = match &kinds(&args.kind)?[..] {
            [] => Simulator::new(Settings::default(), args.seed),
            kinds => Simulator::of_kinds(kinds, Settings::default(), args.seed),
        };
        return Ok((Source::Simulator(simulator), origin, at_least_one(ecgs)?));
    }
    if !args.kind.is_empty() {
        return Err(Error::Usage("--kind belongs to --source simulator".into()));
    }
    let Some(file) = &args.generator else {
        let text = "--source pulse2pulse needs --generator WHEEL: pip download --no-deps deepfake-ecg==1.1.2";
        return Err(Error::Usage(text.into()));
    };
    let generator = Generator::load(file)?;
    origin.details.insert("generator_sha256".into(), sha256_file(file)?);
    let Some(noise) = &args.noise else {
        return Ok((Source::pulse2pulse(generator, args.seed), origin, at_least_one(ecgs)?));
    };
    let (rows, noise_of) = noise_rows(noise)?;
    origin.seed = None;
    origin.details.insert("noise_sha256".into(), sha256_file(noise)?);
    Ok((Source::Pulse2pulse { generator: Box::new(generator), noise: noise_of }, origin, at_least_one(rows)?))
}

fn at_least_one(ecgs: usize) -> Result<usize> {
    if ecgs == 0 { Err(Error::Usage("no ECG asked for: -n takes a number from 1".into())) } else { Ok(ecgs) }
}

/// The rows of a noise file, read one by one, and how many there are.
fn noise_rows(path: &Path) -> Result<(usize, Noise)> {
    let rows = NpyRows::open(path)?;
    if rows.row_shape() != [LEADS, SAMPLES] {
        return Err(Error::shape(path.display().to_string(), ("N", LEADS, SAMPLES), &rows.header().shape));
    }
    let count = rows.len();
    let read = move |ecg: u64| -> Result<Array2<f32>> {
        let row = rows.row_f32(ecg as usize)?;
        let row = row.into_dimensionality::<Ix2>().map_err(|error| Error::format(rows.path(), error.to_string()))?;
        match first_unfit(&row, |value| !(-1.0..=1.0).contains(&value)) {
            None => Ok(row),
            Some(((channel, sample), value)) => Err(Error::Value {
                at: format!("{}: ECG {ecg}, channel {channel}, sample {sample}", rows.path().display()),
                problem: format!("{value} is not noise in (-1, 1)"),
            }),
        }
    };
    Ok((count, Box::new(read)))
}

/// Mean and standard deviation of a target over the ECGs that have it.
pub(super) struct Summary {
    pub(super) target: Target,
    pub(super) count: usize,
    pub(super) mean: f64,
    pub(super) sd: f64,
}

pub(super) fn summarise(data: &Dataset) -> Vec<Summary> {
    let summary = |target: Target| {
        let values: Vec<f64> = (0..data.len()).filter_map(|i| data.target(i, target)).collect();
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
        Summary { target, count, mean, sd }
    };
    Target::ALL.map(summary).into_iter().filter(|summary| summary.count > 0).collect()
}

/// How often each reason of rejection occurs.
pub(super) fn rejections(data: &Dataset) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for reason in data.records().iter().filter_map(|record| record.measurements.rejected.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    reasons
}

/// Prints what a dataset holds.
pub(super) fn report(path: &Path, data: &Dataset, as_json: bool) -> Result<()> {
    let (summaries, reasons) = (summarise(data), rejections(data));
    let rejected: usize = reasons.values().sum();
    if as_json {
        let targets: serde_json::Map<_, _> = summaries
            .iter()
            .map(|s| (s.target.name().into(), json!({ "ecgs": s.count, "mean": s.mean, "sd": s.sd, "unit": s.target.unit() })))
            .collect();
        let value = json!({
            "path": path, "kind": "dataset", "ecgs": data.len(), "measured": data.len() - rejected, "rejected": reasons,
            "targets": targets, "manifest": data.manifest(),
        });
        return print(format_args!("{value:#}"));
    }
    let origin = data.manifest().map(|manifest| &manifest.origin);
    let source = origin.map_or(String::new(), |origin| {
        let seed = origin.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
        format!(" from {}{seed}", origin.source)
    });
    print(format_args!("{}: {} ECGs{source}, {} measured", path.display(), data.len(), data.len() - rejected))?;
    for (reason, count) in reasons {
        print(format_args!("  {count} rejected: {reason}"))?;
    }
    for s in summaries {
        print(format_args!("  {:<18} {:>8.1} ± {:>6.1} {:<3} ({} ECGs)", s.target.title(), s.mean, s.sd, s.target.unit(), s.count))?;
    }
    Ok(())
}
