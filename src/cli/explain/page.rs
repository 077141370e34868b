//! `cardiograd explain … -o PAGE.html`: one ECG on one page.

use super::super::outputs::output;
use super::super::provenance::{forget, options};
use super::super::recordings::Ready;
use super::super::{Globals, print};
use super::Args;
use super::one::Shown;
use crate::attribution::{Family, Meaning, Method, Settings, Sum};
use crate::audit::digest::kernel;
use crate::audit::provenance::Digested;
use crate::dataset::{InputKind, Part, Target};
use crate::ecg::Measurements;
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::nn::{Model, Near, double, load_model};
use crate::report::one_ecg::{Answer, Contributions, Map, OneEcg, TestErrors, page};
use crate::tape::{Network, Real, from_vec, slice};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// Whether the output is to be a page.
pub(in super::super) fn wanted(output: &Path) -> bool {
    output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"))
}

/// Explains one ECG and writes its page.
pub(in super::super) fn run(args: &Args, globals: &Globals) -> Result<()> {
    let model = load_model(&args.model, args.arch.as_deref())?;
    let html = match args.precision {
        super::Precision::F32 => made::<f32>(&model.network, args, &model, globals)?,
        super::Precision::F64 => made::<f64>(&double(&args.model, &model)?, args, &model, globals)?,
    };
    forget(&args.output)?;
    crate::atomic::write(&args.output, html.as_bytes())?;
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(serde_json::json!({ "written": args.output })),
        _ => print(format!("one ECG on one page: {}", args.output.display())),
    }
}

fn made<T: Real>(network: &Network<T>, args: &Args, model: &Model, globals: &Globals) -> Result<String> {
    let shown = Shown::of(network, args, model, globals)?;
    let ecg = &shown.ready.ecg;
    let (channels, samples) = ecg.dim();
    if channels != LEADS.len() {
        return Err(Error::format(args.place.path(), format!("its ECGs have {channels} channels: a page shows 12 leads")));
    }
    let answers = Answers { network, output: shown.settings.output, samples };
    let flat = answers.of(&Array2::zeros((12, samples)))?;
    let beginning = Beginning::of(&answers, &shown.settings, shown.several, ecg, flat)?;
    let is_beat = samples == InputKind::Median.samples();
    let Ready { measured, beat, carried, exact, .. } = &shown.ready;
    let target = output(model, shown.settings.output);
    let one = OneEcg {
        name: shown.name(args),
        ecg: ecg.view(),
        beat: beat.as_ref().map(|beat| beat.view()).or(is_beat.then(|| ecg.view())),
        measured: measured.clone(),
        carried: carried.clone(),
        exact: exact.clone(),
        answer: Answer { target, predicted: shown.predicted, flat, errors: errors(model, target), near: near(model, &shown) },
        maps: shown.maps.iter().map(|(method, map)| beginning.map(*method, map.clone(), &shown.settings)).collect(),
        about: about(args, &shown)?,
    };
    page(&one)
}

/// The network's answer to any input.
struct Answers<'a, T: Real> {
    network: &'a Network<T>,
    output: usize,
    samples: usize,
}

impl<T: Real> Answers<'_, T> {
    fn of(&self, x: &Array2<f64>) -> Result<f64> {
        let input = from_vec(&[1, 12, self.samples], x.iter().map(|v| T::of(*v)).collect());
        let y = self.network.predict(&[input])?;
        slice(&y).get(self.output).map(|v| v.f64()).ok_or_else(|| Error::Program("the network gives no such output".into()))
    }
}

/// Where contributions begin: what the baseline differs by from the ECG, and the network's answer to it.
struct Beginning {
    /// x − baseline; `None` for a sample of baselines.
    difference: Option<Array2<f64>>,
    /// The answer on the baseline; on a sample, that on a flat line.
    baseline: (String, f64),
    flat: f64,
    several: bool,
}

impl Beginning {
    fn of<T: Real>(answers: &Answers<'_, T>, settings: &Settings, several: bool, ecg: &Array2<f32>, flat: f64) -> Result<Self> {
        let values: Vec<f64> = ecg.iter().map(|uv| f64::from(*uv)).collect();
        let baseline =
            Array2::from_shape_vec(ecg.dim(), settings.baseline.of(&values, 12)).map_err(|error| Error::Data(error.to_string()))?;
        let name = if baseline.iter().all(|v| *v == 0.0) { "a flat line" } else { "the baseline" };
        let at = answers.of(&baseline)?;
        let difference = (!several).then(|| ecg.mapv(f64::from) - &baseline);
        Ok(Beginning { difference, baseline: (name.into(), at), flat, several })
    }

    /// A method's heatmap, with its contributions where its values are some, or are when multiplied by what differs from the baseline.
    fn map(&self, method: Method, values: Array2<f64>, settings: &Settings) -> Map {
        let row = method.row();
        let meaning = row.meaning(settings.multiply_by_inputs, settings.absolute);
        Map {
            title: row.title.into(),
            meaning,
            contributions: self.contributions(row.sum, meaning, &values),
            values: values.mapv(|v| v as f32),
        }
    }

    fn contributions(&self, sum: Sum, meaning: Meaning, values: &Array2<f64>) -> Option<Contributions> {
        if !meaning.signed {
            return None;
        }
        let from = |(beginning, from): (String, f64), values: Array2<f64>, made| Contributions { values, from, beginning, made };
        let flat = ("a flat line".to_owned(), self.flat);
        match (meaning.family, sum) {
            (Family::Relevance, _) => {
                Some(from(("nothing".into(), 0.0), values.clone(), Some("Relevance shares out the whole answer, from 0.")))
            }
            // Against several baselines the answer that contributions begin at is none of a single input.
            (Family::Contribution, Sum::Difference | Sum::DifferenceInExpectation) if self.several => None,
            (Family::Contribution, Sum::Difference | Sum::DifferenceInExpectation) => {
                Some(from(self.baseline.clone(), values.clone(), None))
            }
            (Family::Contribution, _) => {
                Some(from(flat, values.clone(), Some("This method's values do not promise to add up to the difference.")))
            }
            (Family::Slope, Sum::Difference) => {
                let made = "Each slope is multiplied by what its sample differs by from the baseline.";
                Some(from(self.baseline.clone(), values * self.difference.as_ref()?, Some(made)))
            }
            _ => None,
        }
    }
}

/// The errors on the model's test set.
fn errors(model: &Model, target: Option<Target>) -> Option<TestErrors> {
    let about = model.provenance.as_ref()?;
    let of_one = about.outputs.iter().filter(|output| Some(output.target) == target).flat_map(|output| &output.metrics);
    let test = about.metrics.iter().chain(of_one).find(|metrics| metrics.part == Part::Test)?;
    (test.n > 0).then_some(TestErrors { n: test.n, mae: test.mae, mae_of_mean: test.mae_of_mean })
}

/// The errors on test ECGs whose values are near this ECG's: near what was measured, or stands in the file, or is predicted.
fn near(model: &Model, shown: &Shown) -> Option<Near> {
    let ready = &shown.ready;
    let known = |m: &Option<Measurements>| model.target.and_then(|target| target.value(m.as_ref()?));
    let value = known(&ready.measured).or_else(|| known(&ready.carried)).unwrap_or(shown.predicted);
    Near::to(&model.provenance.as_ref()?.near, value).copied()
}

/// What the page was made from.
fn about(args: &Args, shown: &Shown) -> Result<Vec<(String, String)>> {
    let digest = |path: &Path| Ok::<_, Error>(format!("{}, sha256:{}", path.display(), sha256_file(path)?));
    let (given, _) = options(crate::cli::words())?;
    let command = format!("cardiograd explain {} -o {}", given.join(" "), args.output.display());
    let input = args.place.path();
    let input = format!("{}, sha256:{}", input.display(), Digested::of("input", input)?.sha256);
    let mut all = vec![("Model", digest(&args.model)?), ("Input", input), ("ECG", format!("number {}, from 0", shown.number))];
    if !shown.ready.notes.is_empty() {
        all.push(("Made ready", shown.ready.notes.join("; ")));
    }
    all.push(("Command", command));
    all.push(("Program", format!("cardiograd {}, {}", env!("CARGO_PKG_VERSION"), kernel())));
    Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
