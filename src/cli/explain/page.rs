//! `cardiograd explain … -o PAGE.html`: one ECG on one page.

use super::super::inputs::Ecgs;
use super::super::outputs::{Column, columns, of_column};
use super::super::provenance::{forget, options};
use super::super::references::{References, explain as explain_against, references};
use super::super::{Globals, Progress, print};
use super::Args;
use crate::attribution::catalogue::able;
use crate::attribution::{Family, Meaning, Method, Settings, Sum};
use crate::audit::digest::kernel;
use crate::dataset::{InputKind, Part, read_table};
use crate::ecg::leads::INDEPENDENT_AT;
use crate::ecg::measure::{Thresholds, measure};
use crate::ecg::{Measurements, Rhythm};
use crate::files::digest::sha256_file;
use crate::nn::{Model, load_model};
use crate::report::one_ecg::{Answer, Contributions, Map, OneEcg, TestErrors, page};
use crate::tape::{Network, Real, Tensor, from_vec, slice};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, Axis};
use std::path::{Path, PathBuf};

/// Options of the page alone.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in super::super) struct PageOptions {
    /// For a page: which ECG of the array, from 0.
    #[arg(long, value_name = "N")]
    ecg: Option<usize>,
    /// For a page: what `measure` found on the ECGs of the array, one row each. A dataset's own tables are found beside its array, and a 10-s ECG is
    /// measured anew.
    #[arg(long, value_name = "MEASUREMENTS.csv")]
    measurements: Option<PathBuf>,
}

impl PageOptions {
    /// The table, as an input of the command.
    pub fn measurements(&mut self) -> Option<&mut PathBuf> {
        self.measurements.as_mut()
    }

    /// Refuses what only a page heeds.
    pub fn check_unused(&self) -> Result<()> {
        match (self.ecg, &self.measurements) {
            (None, None) => Ok(()),
            _ => Err(Error::Usage("--ecg and --measurements belong to a page: -o NAME.html".into())),
        }
    }
}

/// Whether the output is to be a page.
pub(in super::super) fn wanted(output: &Path) -> bool {
    output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"))
}

/// Explains one ECG and writes its page.
pub(in super::super) fn run(args: &Args, globals: &Globals) -> Result<()> {
    let model = load_model(&args.model, args.arch.as_deref())?;
    let html = match args.precision {
        super::Precision::F32 => made::<f32>(&model.network, args, &model, globals)?,
        super::Precision::F64 => made::<f64>(&model.network.cast(), args, &model, globals)?,
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
    if args.segments.is_some() {
        return Err(Error::Usage("--segments fills an array: give -o OUT.npz; a page takes --measurements".into()));
    }
    let ecgs = Ecgs::open(&args.input, model, &args.inputs)?;
    let [channels, samples] = ecgs.example();
    if channels != 12 {
        return Err(Error::format(&args.input, format!("its ECGs have {channels} channels: a page shows 12 leads")));
    }
    let index = chosen(args, ecgs.len())?;
    if args.column == Some(Column::All) {
        return Err(Error::Usage("a page shows one output of the network: choose it with --column K".into()));
    }
    let column = columns(model, &ecgs.example(), args.column)?[0];
    let mut settings = args.settings(model, samples)?;
    let sample = match references("--baseline", &args.baseline, args.baselines, args.baseline_use, model, args.seed, samples)? {
        References::One(baseline) => {
            settings.baseline = baseline;
            None
        }
        References::Sample(sample) => Some(sample),
    };
    let settings = of_column(&settings, column);
    let (methods, left_out) = able(&Method::parse_list(&args.method)?, args.method != "all", [network.program()], &settings)?;
    super::tell_left_out(&left_out, globals);
    let x = ecgs.batch(index..index + 1)?;
    let tensor = Tensor::from(x.mapv(T::of).into_dyn());
    let progress = Progress::new(globals.quiet);
    let found = explain_against(network, &settings, sample.as_deref(), &tensor, &[index as u64], &methods, &|step| progress.step(step))?;
    progress.finish();

    let ecg = x.index_axis(Axis(0), 0).mapv(|uv| uv as f32);
    let facts = facts(args, (index, ecgs.len()), ecg.view())?;
    let answers = Answers { network, output: settings.output, samples };
    let flat = answers.of(&Array2::zeros((12, samples)))?;
    let beginning = Beginning::of(&answers, &settings, sample.is_some(), &ecg, flat)?;
    let maps = found.maps.iter().map(|(method, map)| {
        let values = Array2::from_shape_vec((12, samples), slice(map).iter().map(|v| v.f64()).collect());
        let values = values.map_err(|error| Error::Data(format!("a heatmap of {method}: {error}")))?;
        Ok(beginning.map(*method, values, &settings))
    });
    let is_beat = samples == InputKind::Median.samples();
    let one = OneEcg {
        name: format!("ECG {} of {}", facts.id.as_deref().unwrap_or(&index.to_string()), file_name(&args.input)),
        ecg: ecg.view(),
        beat: facts.beat.as_ref().map(|beat| beat.view()).or(is_beat.then(|| ecg.view())),
        measured: facts.measured,
        exact: facts.exact,
        answer: Answer { target: model.target, predicted: found.prediction[0].f64(), flat, errors: errors(model) },
        maps: maps.collect::<Result<_>>()?,
        about: about(args, index)?,
    };
    page(&one)
}

/// The ECG that the page shows.
fn chosen(args: &Args, count: usize) -> Result<usize> {
    match args.page.ecg {
        None if count == 1 => Ok(0),
        None => Err(Error::Usage(format!("{} holds {count} ECGs, a page shows one: choose it with --ecg N, from 0", args.input.display()))),
        Some(ecg) if ecg < count => Ok(ecg),
        Some(ecg) => Err(Error::Usage(format!("--ecg {ecg}: {} holds {count}, numbered from 0", args.input.display()))),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What is known of the ECG beside its samples.
#[derive(Default)]
struct Facts {
    id: Option<String>,
    measured: Option<Measurements>,
    exact: Option<Measurements>,
    beat: Option<Array2<f32>>,
}

/// From the table given, from the tables of the dataset that the array belongs to, or measured anew.
fn facts(args: &Args, (index, count): (usize, usize), ecg: ArrayView2<'_, f32>) -> Result<Facts> {
    let row = |table: &Path| {
        let records = read_table(table)?;
        if records.len() != count {
            return Err(Error::format(table, format!("it has {} rows for {count} ECGs: one each is expected", records.len())));
        }
        Ok(records.into_iter().nth(index))
    };
    let beside = |name: &str| {
        let folder = args.input.parent().unwrap_or(Path::new(""));
        Some(folder.join(name)).filter(|table| folder.join("dataset.json").is_file() && table.is_file())
    };
    let mut facts = Facts::default();
    if let Some(record) =
        args.page.measurements.clone().or_else(|| beside("measurements.csv")).map(|table| row(&table)).transpose()?.flatten()
    {
        (facts.id, facts.measured) = (Some(record.id), Some(record.measurements));
    }
    facts.exact = beside("truth.csv").map(|table| row(&table)).transpose()?.flatten().map(|record| record.measurements);
    if ecg.ncols() == InputKind::Rhythm.samples() {
        let found = measure(&Rhythm::new(ecg.select(Axis(0), &INDEPENDENT_AT))?, &Thresholds::default());
        facts.beat = found.measurements.rejected.is_none().then_some(found.median);
        facts.measured.get_or_insert(found.measurements);
    }
    Ok(facts)
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
fn errors(model: &Model) -> Option<TestErrors> {
    let test = model.provenance.as_ref()?.metrics(Part::Test)?;
    (test.n > 0).then_some(TestErrors { n: test.n, mae: test.mae, mae_of_mean: test.mae_of_mean })
}

/// What the page was made from.
fn about(args: &Args, index: usize) -> Result<Vec<(String, String)>> {
    let digest = |path: &Path| Ok::<_, Error>(format!("{}, sha256:{}", path.display(), sha256_file(path)?));
    let (given, _) = options(std::env::args_os())?;
    let command = format!("cardiograd explain {} -o {}", given.join(" "), args.output.display());
    let all = [
        ("Model", digest(&args.model)?),
        ("Input", digest(&args.input)?),
        ("ECG", format!("number {index}, from 0")),
        ("Command", command),
        ("Program", format!("cardiograd {}, {}", env!("CARGO_PKG_VERSION"), kernel())),
    ];
    Ok(all.map(|(name, value)| (name.to_owned(), value)).to_vec())
}
