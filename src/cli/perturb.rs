//! `cardiograd perturb`.

use super::console::complain;
use super::given::{Given, Subject, is_dataset, subjects};
use super::inputs::InputOptions;
use super::method_options::{left_out_json, tell_left_out};
use super::models::{Loaded, ModelOptions, names_differ, warn_if_worse_than_mean};
use super::numbers::{ECGS, ROUNDS, up_to};
use super::provenance::{Files, Input, Recorded, record_at, tell_of_earlier_work};
use super::{Globals, Progress, print};
use crate::atomic::{self, AtomicFolder};
use crate::attribution::catalogue::{LeftOut, able};
use crate::attribution::{Method, Settings as AttributionSettings};
use crate::audit::provenance::Digested;
use crate::dataset::{Dataset, InputKind, Part};
use crate::evaluation::perturbation::PerturbationSettings;
use crate::evaluation::scores::Scoring;
use crate::files::npz::NpzWriter;
use crate::nn::Examples;
use crate::progress::Report;
use crate::report::study_tables::named;
use crate::report::tables::{Cell, Table};
use crate::study::{Judge, Perturbed, area_table, scorings, write_area_tables};
use crate::{Error, Result};
use ndarray::{Array1, Array3};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd perturb`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Models: the project's own files, or PyTorch state dicts with --arch, --target and --input.
    #[arg(required = true, value_parser = super::models::model_path)]
    models: Vec<PathBuf>,
    /// The dataset, of which ECGs are taken from the test part; or a recording of any kind, a folder of recordings or an array .npy or .npz, of which
    /// all are taken. Those with a value of what is predicted, measured or in the labels, are scored by it; where none has one, by the change of the
    /// prediction.
    #[arg(long, value_name = "DATASET|RECORDING|X.npy")]
    data: PathBuf,
    /// Methods separated by commas, or `all`: the nine and `random`.
    #[arg(long, short, value_name = "LIST")]
    method: String,
    /// ECGs to perturb; as many as there are, if fewer.
    #[arg(short = 'n', long, value_name = "ECGS", default_value_t = 5000, value_parser = up_to::<ECGS>)]
    ecgs: usize,
    /// Points to perturb, one an iteration.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = up_to::<ROUNDS>)]
    iterations: usize,
    /// The seed of all draws; also of the split, for models that do not say theirs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    options: ModelOptions,
    #[command(flatten)]
    inputs: InputOptions,
    /// The folder of the results; it must not exist. A killed run is continued by running it again.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command, and records where the curves come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    tell_of_earlier_work(&args.output);
    let (folder, networks, left_out) = curves_of(args, globals)?;
    record_at("perturb", args, folder.partial())?;
    folder.commit()?;
    if globals.quiet { Ok(()) } else { tell(args, &networks, &left_out, globals) }
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs: Vec<_> = self.models.iter_mut().map(|path| ("model", Input::Path(path))).collect();
        inputs.push(("data", Input::Path(&mut self.data)));
        inputs.extend(self.options.files());
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The curves, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    curves_of(args, globals)?.0.commit()
}

/// The curves in a folder that has not got its name yet, and the methods that were left out.
fn curves_of(args: &Args, globals: &Globals) -> Result<(AtomicFolder, Vec<Perturbed>, Vec<LeftOut>)> {
    let mut methods = Method::parse_list(&args.method)?;
    methods.sort();
    if args.ecgs == 0 {
        return Err(Error::Usage("no ECG asked for: -n takes a number from 1".into()));
    }
    if !is_dataset(&args.data, &args.inputs)? {
        let mut subjects = subjects(&args.models, &args.data, &args.options, &args.inputs, globals)?;
        subjects.sort_by_key(|subject| subject.loaded.target);
        let works = subjects.iter().map(|subject| Work::given(subject, args, globals)).collect::<Result<Vec<_>>>()?;
        let made = judged(args, &methods, &works, globals)?;
        write_ids(made.0.partial(), &subjects, &works)?;
        return Ok(made);
    }
    let dataset = args.options.dataset(&args.data, globals)?;
    let mut subjects = args.options.load_all(&args.models, &dataset)?;
    subjects.sort_by_key(|subject| subject.target);
    let kinds: Vec<InputKind> = subjects.iter().map(|subject| subject.input).collect();
    let works = subjects.iter().map(|subject| Work::of_dataset(subject, args, &dataset)).collect::<Result<Vec<_>>>()?;
    dataset.check_arrays(&args.data, &kinds)?;
    judged(args, &methods, &works, globals)
}

/// ECGs by their numbers as one batch, (N, C, L) in µV.
type OwnInputs<'a> = Box<dyn Fn(&[usize]) -> Result<Array3<f32>> + Sync + 'a>;

/// What is perturbed with one network.
struct Work<'a> {
    loaded: &'a Loaded,
    inputs: OwnInputs<'a>,
    /// The ECGs, by their numbers in the dataset, file or folder, and the values of what is predicted; NaN where none of them is known.
    ecgs: Vec<usize>,
    truth: Vec<f64>,
    /// The deviation of those of the training part; NaN where it is not known.
    sd: f64,
    /// What tells these ECGs from others.
    identity: String,
}

impl<'a> Work<'a> {
    /// The test part of a dataset.
    fn of_dataset(loaded: &'a Loaded, args: &Args, dataset: &'a Dataset) -> Result<Self> {
        let split = loaded.split(dataset, Some(loaded.split_seed(args.seed)))?;
        let mut test = Examples::of(dataset, &split, Part::Test, loaded.target);
        test.ecgs.truncate(args.ecgs);
        test.values.truncate(args.ecgs);
        if test.is_empty() {
            let what = format!("{}: no ECG of the test part has a value for {}", args.data.display(), loaded.target);
            return Err(Error::Data(what));
        }
        let train = Examples::of(dataset, &split, Part::Train, loaded.target).values;
        let input = loaded.input;
        Ok(Work {
            loaded,
            inputs: Box::new(move |ecgs| dataset.inputs(ecgs, input)),
            ecgs: test.ecgs,
            truth: test.values,
            sd: crate::study::deviation(&train),
            identity: format!("{:?}", dataset.manifest().map(|manifest| &manifest.digests)),
        })
    }

    /// ECGs that are in no dataset: those of which the value is known, or all where it is of none.
    fn given(Subject { loaded, given }: &'a Subject, args: &Args, globals: &Globals) -> Result<Self> {
        let (given, target): (&Given, _) = (given, loaded.target);
        let numbers = given.ecgs.numbers(0..given.ecgs.len());
        let value = |row: usize| given.facts.target(row, target).filter(|value| value.is_finite());
        let mut known: Vec<(usize, f64)> = numbers.iter().enumerate().filter_map(|(row, number)| Some((*number, value(row)?))).collect();
        if known.is_empty() {
            if args.options.any_labels() && !target.is_measurement() {
                return Err(Error::Data(format!("{}: the labels have a value for {target} of none of its ECGs", args.data.display())));
            }
            if !globals.quiet {
                complain(format_args!("note: no value of {target} is known for these ECGs: the change of the prediction is scored\n"));
            }
            known = numbers.into_iter().map(|number| (number, f64::NAN)).collect();
        }
        known.truncate(args.ecgs);
        let (ecgs, truth) = known.into_iter().unzip();
        let digest = Digested::of("data", &args.data)?.sha256;
        let identity = format!("{digest} {:?}", args.inputs);
        Ok(Work { loaded, inputs: Box::new(|ecgs| given.inputs(ecgs)), ecgs, truth, sd: f64::NAN, identity })
    }
}

/// The curves of everything that is to be perturbed.
fn judged(args: &Args, methods: &[Method], works: &[Work<'_>], globals: &Globals) -> Result<(AtomicFolder, Vec<Perturbed>, Vec<LeftOut>)> {
    names_differ(works.iter().map(|work| work.loaded.name.as_str()))?;
    let programs = works.iter().map(|work| work.loaded.model.network.program());
    let (methods, left_out) = able(methods, args.method != "all", programs, &AttributionSettings::default())?;
    tell_left_out(&left_out, globals);
    let folder = AtomicFolder::resume(&args.output)?;
    // Curves are written at the end: what an earlier run has left of them may be of other models or methods.
    folder.empty()?;
    match fill(args, &methods, works, &folder, globals) {
        // What a kill or a full disk leaves is gone on with; what was asked wrongly leaves nothing.
        Err(error) if !folder.is_continued() && !matches!(error, Error::Io { .. }) => {
            folder.discard();
            Err(error)
        }
        outcome => {
            let networks = outcome?;
            works.iter().for_each(|work| warn_if_worse_than_mean(&work.loaded.model, globals));
            Ok((folder, networks, left_out))
        }
    }
}

/// Perturbs every model and writes curves and tables.
fn fill(args: &Args, methods: &[Method], works: &[Work<'_>], folder: &AtomicFolder, globals: &Globals) -> Result<Vec<Perturbed>> {
    let progress = Progress::new(globals.quiet);
    let mut networks = Vec::new();
    for work in works {
        let mut found = perturbed(args, methods, work, folder, &|step| progress.step(step))?;
        write_curves(&folder.partial().join("curves").join(&work.loaded.name), &found)?;
        if works.iter().filter(|other| other.loaded.target == work.loaded.target).count() == 1 {
            found.name = work.loaded.target.name().into();
        }
        networks.push(found);
    }
    write_area_tables(folder.partial(), &networks)?;
    Ok(networks)
}

fn perturbed(args: &Args, methods: &[Method], work: &Work<'_>, folder: &AtomicFolder, report: Report<'_>) -> Result<Perturbed> {
    let Loaded { name, model, target, digest, column, .. } = work.loaded;
    let attribution =
        AttributionSettings { seed: args.seed, target: target.index().wrapping_add(*column as u32), ..AttributionSettings::default() };
    let perturbation = PerturbationSettings { iterations: args.iterations, seed: args.seed, ..PerturbationSettings::default() };
    let judge = Judge {
        network: &model.network,
        inputs: &*work.inputs,
        methods,
        attribution: &attribution,
        perturbation: &perturbation,
        kept: &[],
        perturbed: &work.ecgs,
    };
    // One output of a network has a place of its own in the cache, and draws of its own as `explain` makes them.
    let output = if *column > 0 { format!(" output {column}") } else { String::new() };
    let identity = format!("{digest}{output} {}", work.identity);
    let judged = judge.run(&folder.beside(format!("{name}.cache")), &identity, &format!("perturbing {name}"), report)?;
    Ok(Perturbed {
        name: name.clone(),
        ecgs: work.ecgs.iter().map(|ecg| *ecg as u64).collect(),
        truth: work.truth.clone(),
        sd: work.sd,
        kind: target.kind(),
        methods: judged.curves.into_iter().map(|(method, curves)| (method.to_string(), curves)).collect(),
    })
}

/// Which ECGs the numbers are.
fn write_ids(folder: &Path, subjects: &[Subject], works: &[Work<'_>]) -> Result<()> {
    let mut ids: BTreeMap<usize, String> = BTreeMap::new();
    for (subject, work) in subjects.iter().zip(works) {
        let ecgs = &subject.given.ecgs;
        let numbers = ecgs.numbers(0..ecgs.len()).into_iter().enumerate();
        ids.extend(numbers.filter(|(_, number)| work.ecgs.contains(number)).map(|(row, number)| (number, ecgs.id(row))));
    }
    let mut table = Table::new("ECGs", ["ecg", "id"]);
    table.rows.extend(ids.into_iter().map(|(number, id)| vec![Cell::number(number as f64, 0), Cell::text(id)]));
    atomic::write(folder.join("ecgs.csv"), table.csv().as_bytes())
}

/// One `.npz` per method: `predictions` (n, iterations + 1), `truth` (n), `ecgs` (n).
fn write_curves(folder: &Path, found: &Perturbed) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let ecgs: Array1<i64> = found.ecgs.iter().map(|ecg| *ecg as i64).collect();
    for (method, predictions) in &found.methods {
        let mut file = NpzWriter::create(folder.join(format!("{method}.npz")))?;
        file.add("predictions", predictions.view())?;
        file.add("truth", Array1::from(found.truth.clone()).view())?;
        file.add("ecgs", ecgs.view())?;
        file.finish()?;
    }
    Ok(())
}

fn tell(args: &Args, networks: &[Perturbed], left_out: &[LeftOut], globals: &Globals) -> Result<()> {
    let first = scorings(networks).first().copied().unwrap_or(Scoring::Paper);
    let table = area_table(networks, first);
    if globals.json {
        let one = |network: &Perturbed| {
            let areas = |scoring: Scoring| -> serde_json::Map<String, serde_json::Value> {
                network.methods.iter().map(|(name, _)| name.clone()).zip(network.areas(scoring).into_iter().map(Into::into)).collect()
            };
            let scorings: serde_json::Map<_, _> =
                network.scorings().iter().map(|scoring| (scoring.name().to_owned(), areas(*scoring).into())).collect();
            serde_json::json!({ "name": network.name, "ecgs": network.ecgs.len(), "areas": scorings, "excluded": network.excluded() })
        };
        let networks: Vec<serde_json::Value> = networks.iter().map(one).collect();
        let mut told = serde_json::json!({ "output": args.output, "networks": networks });
        if !left_out.is_empty() {
            told["left_out"] = left_out_json(left_out);
        }
        return print(format!("{told:#}"));
    }
    let what = match networks.iter().all(Perturbed::is_unknown) {
        true => "Area under the curve of the prediction's change |f(x′) − f(x)| to iteration 15, as in table4.csv:".to_owned(),
        false => format!("Area under the error curve to iteration 15, {} as in table4.csv:", named(first)),
    };
    print(what)?;
    table.plain().lines().try_for_each(print)?;
    let excluded: usize = networks.iter().map(|network| network.excluded().len()).sum();
    let ecgs: Vec<String> = networks.iter().map(|network| format!("{} {}", network.ecgs.len(), network.name)).collect();
    print(format!("ECGs: {}; {excluded} left out of the corrected scorings. Results in {}", ecgs.join(", "), args.output.display()))
}
