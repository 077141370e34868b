//! `cardiograd audit`.

use super::given::is_dataset;
use super::inputs::{Ecgs, InputOptions};
use super::numbers::{ECGS, RUNS, up_to};
use super::outputs::{Column, narrowed, one_column};
use super::places::{Output, Places};
use super::provenance::{forget, options};
use super::{Globals, Progress, Tone, print, print_toned};
use crate::atomic::OutputLock;
use crate::attribution::Settings;
use crate::audit::figure::words;
use crate::audit::provenance::Digested;
use crate::audit::{About, Certificate, Options, page, prove};
use crate::dataset::{Dataset, InputKind};
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::nn::{Model, load_model};
use crate::random::{Stage, Stream};
use crate::tape::Tensor;
use crate::{Error, Result};
use ndarray::{Axis, concatenate};
use rand::seq::SliceRandom;
use std::path::PathBuf;

/// Arguments of `cardiograd audit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    /// The dataset to sample ECGs from; or a recording of any kind, a folder of recordings or an array .npy or .npz.
    #[arg(long, value_name = "DATASET|RECORDING|X.npy")]
    data: PathBuf,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// What the network looks at, where the model does not say.
    #[arg(long)]
    input: Option<InputKind>,
    /// Which output, from 0 or by its name, of a network with several.
    #[arg(long, value_name = "K|NAME")]
    column: Option<Column>,
    #[command(flatten)]
    inputs: InputOptions,
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
    /// Where the certificate goes as a page to print.
    #[arg(long, value_name = "CERTIFICATE.html")]
    page: Option<PathBuf>,
    /// The certificate of an earlier audit: program, every parameter and the ECGs must be the same bits.
    #[arg(long, value_name = "EARLIER.json")]
    certificate: Option<PathBuf>,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let arch = self.arch.iter().map(PathBuf::from);
        let reads = [&self.model, &self.data].into_iter().chain(&self.certificate).cloned().chain(arch).collect();
        let certificate = self.output.iter().map(|path| Output::File(path.clone(), &["json"]));
        let page = self.page.iter().map(|path| Output::File(path.clone(), &["html"]));
        Places { reads, writes: certificate.chain(page).collect() }
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
    let input = args.input.or(model.input);
    let (example, ids, x, digest) = match is_dataset(&args.data, &args.inputs)? {
        true => {
            let data = Dataset::open(&args.data)?;
            let kind = input.unwrap_or(InputKind::Median);
            let ids = sample(data.len(), args.ecgs, args.seed)?;
            let x = data.inputs(&ids, kind)?;
            ([LEADS.len(), kind.samples()], ids, x, data.digest().to_owned())
        }
        false => {
            let ecgs = Ecgs::open(&args.data, &Model { input, ..model.clone() }, &args.inputs)?;
            let rows = sample(ecgs.len(), args.ecgs, args.seed)?;
            let chosen = rows.iter().map(|row| ecgs.batch(*row..row + 1)).collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = chosen.iter().map(|ecg| ecg.view()).collect();
            let x = concatenate(Axis(0), &views).map_err(|error| Error::Data(error.to_string()))?;
            let numbers = rows.into_iter().flat_map(|row| ecgs.numbers(row..row + 1)).collect();
            ecgs.tell(globals);
            (ecgs.example(), numbers, x.mapv(|uv| uv as f32), Digested::of("data", &args.data)?.sha256)
        }
    };
    let column = one_column(&model, &example, args.column.as_ref())?;
    let model = narrowed(model, &example, column)?;
    let x = Tensor::from(x.into_dyn());
    let ids: Vec<u64> = ids.into_iter().map(|id| id as u64).collect();
    let options = Options { seed: args.seed, tolerance: args.tolerance, most_steps: args.steps };
    let progress = Progress::new(globals.quiet);
    let mut certificate = prove(&model.network, &Settings::default(), &options, &x, &ids, &|step| progress.step(step))?;
    progress.finish();
    if let Some(earlier) = &earlier {
        certificate.hold_against(earlier);
    }
    certificate.about = Some(about(args, digest)?);
    let text = serde_json::to_string_pretty(&certificate).map_err(|error| Error::Data(format!("writing the certificate: {error}")))?;
    if let Some(path) = &args.output {
        forget(path)?;
        crate::atomic::write(path, format!("{text}\n").as_bytes())?;
    }
    if let Some(path) = &args.page {
        forget(path)?;
        crate::atomic::write(path, page::html(&certificate).as_bytes())?;
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
        let (tone, word) = if check.passed { (Tone::Good, "pass") } else { (Tone::Bad, "FAIL") };
        let figure = words(check.figure).map_or_else(|| format!("{:9.2e}", check.figure), str::to_owned);
        print_toned(tone, word, format!("{:<52} {figure} (bound {:.0e})  {}", check.name, check.bound, check.detail))?;
    }
    certificate.not_covered.iter().try_for_each(|line| print_toned(Tone::Warning, "not tested", line))
}

/// Where and when the audit is made.
fn about(args: &Args, digest: String) -> Result<About> {
    // As records have it: where the certificate goes is no part of it.
    let (words, _) = options(super::words())?;
    let words: Vec<String> = words.into_iter().filter(|word| !word.starts_with("--page=")).collect();
    Ok(About {
        model: args.model.display().to_string(),
        model_sha256: sha256_file(&args.model)?,
        dataset: args.data.display().to_string(),
        dataset_sha256: digest,
        date: today(),
        command: format!("cardiograd audit {}", words.join(" ")),
    })
}

/// The day in UTC, as in 2026-11-27; that of `SOURCE_DATE_EPOCH`, in seconds, where it is set (reproducible-builds.org), for the same bytes on any day.
fn today() -> String {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    day(given.unwrap_or_else(now) / 86_400)
}

/// The day that is `days` after 1970-01-01, in the Gregorian calendar; years begin in March, so that a leap day is the last of its year.
fn day(days: u64) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{date:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn days_are_those_of_the_calendar() {
        // date -u -d @$((86400 * days)) +%F
        let known = [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_784, "2026-11-27"),
            (47_541, "2100-03-01"),
        ];
        known.into_iter().for_each(|(days, date)| assert_eq!(day(days), date));
    }
}
