//! `cardiograd audit`.

use super::numbers::{ECGS, RUNS, up_to};
use super::outputs::one_output;
use super::places::{Output, Places};
use super::provenance::forget;
use super::{Globals, Progress, print};
use crate::atomic::OutputLock;
use crate::attribution::Settings;
use crate::audit::figure::words;
use crate::audit::{Certificate, Options, prove};
use crate::dataset::{Dataset, InputKind};
use crate::ecg::leads::LEADS;
use crate::nn::load_model;
use crate::random::{Stage, Stream};
use crate::tape::Tensor;
use crate::{Error, Result};
use rand::seq::SliceRandom;
use std::path::PathBuf;

/// Arguments of `cardiograd audit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    model: PathBuf,
    /// The dataset to sample ECGs from.
    #[arg(long, value_name = "DATASET")]
    data: PathBuf,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// What the network looks at, where the model does not say.
    #[arg(long)]
    input: Option<InputKind>,
    /// ECGs to look at.
    #[arg(short = 'n', long = "ecgs", value_name = "N", default_value_t = 3, value_parser = up_to::<ECGS>)]
    ecgs: usize,
    /// The seed of ECGs, points and directions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The completeness error of integrated gradients that its steps are chosen for.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    tolerance: f64,
    /// The most steps of integrated gradients.
    #[arg(long, value_name = "N", default_value_t = 1600, value_parser = up_to::<RUNS>)]
    steps: usize,
    /// Where the certificate goes, as JSON.
    #[arg(long, short, value_name = "CERTIFICATE.json")]
    output: Option<PathBuf>,
    /// The certificate of an earlier audit: program, every parameter and the ECGs must be the same bits.
    #[arg(long, value_name = "EARLIER.json")]
    certificate: Option<PathBuf>,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let arch = self.arch.iter().map(PathBuf::from);
        let reads = [&self.model, &self.data].into_iter().chain(&self.certificate).cloned().chain(arch).collect();
        Places { reads, writes: self.output.iter().cloned().map(Output::File).collect() }
    }
}

/// Runs the command: a certificate whose failing lines make the exit code 1.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if !(args.tolerance.is_finite() && args.tolerance > 0.0) {
        return Err(Error::Usage(format!("--tolerance {} is no number above 0", args.tolerance)));
    }
    let earlier = args.certificate.as_deref().map(Certificate::read).transpose()?;
    let _lock = args.output.as_deref().map(OutputLock::beside).transpose()?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    let data = Dataset::open(&args.data)?;
    let kind = args.input.or(model.input).unwrap_or(InputKind::Median);
    let ids = sample(data.len(), args.ecgs, args.seed)?;
    one_output(&model, &[LEADS.len(), kind.samples()])?;
    let x = Tensor::from(data.inputs(&ids, kind)?.into_dyn());
    let ids: Vec<u64> = ids.into_iter().map(|id| id as u64).collect();
    let options = Options { seed: args.seed, tolerance: args.tolerance, most_steps: args.steps };
    let progress = Progress::new(globals.quiet);
    let mut certificate = prove(&model.network, &Settings::default(), &options, &x, &ids, &|step| progress.step(step))?;
    progress.finish();
    if let Some(earlier) = &earlier {
        certificate.hold_against(earlier);
    }
    let text = serde_json::to_string_pretty(&certificate).map_err(|error| Error::Data(format!("writing the certificate: {error}")))?;
    if let Some(path) = &args.output {
        forget(path)?;
        crate::atomic::write(path, format!("{text}\n").as_bytes())?;
    }
    if !globals.quiet {
        if globals.json { print(&text)? } else { tell(&certificate)? }
    }
    let failed: Vec<String> = certificate.failures().iter().map(|check| format!("{} ({})", check.name, check.detail)).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Data(format!("{} of {} checks failed: {}", failed.len(), certificate.checks.len(), failed.join("; "))))
}

/// `count` ECGs of a dataset, in order, drawn by the seed.
fn sample(ecgs: usize, count: usize, seed: u64) -> Result<Vec<usize>> {
    if count == 0 || ecgs == 0 {
        return Err(Error::Usage(format!("{count} of {ecgs} ECGs leave nothing to look at")));
    }
    let mut all: Vec<usize> = (0..ecgs).collect();
    all.shuffle(&mut Stream::new(seed, Stage::Audit).rng());
    all.truncate(count);
    all.sort_unstable();
    Ok(all)
}

fn tell(certificate: &Certificate) -> Result<()> {
    print(format!(
        "program {} parameters {} kernel {}",
        &certificate.program_sha256[..12],
        &certificate.parameters_sha256[..12],
        certificate.kernel
    ))?;
    for check in &certificate.checks {
        let word = if check.passed { "pass" } else { "FAIL" };
        let figure = words(check.figure).map_or_else(|| format!("{:9.2e}", check.figure), str::to_owned);
        print(format!("{word}  {:<52} {figure} (bound {:.0e})  {}", check.name, check.bound, check.detail))?;
    }
    Ok(())
}
