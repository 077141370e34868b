//! `cardiograd perturb`.

use super::method_options::{left_out_json, tell_left_out};
use super::models::{Loaded, ModelOptions, names_differ, warn_if_worse_than_mean};
use super::numbers::{ECGS, ROUNDS, up_to};
use super::provenance::{Files, Input, Recorded, record_at, tell_of_earlier_work};
use super::{Globals, Progress, print};
use crate::atomic::AtomicFolder;
use crate::attribution::catalogue::{LeftOut, able};
use crate::attribution::{Method, Settings as AttributionSettings};
use crate::dataset::{Dataset, InputKind, Part};
use crate::evaluation::perturbation::PerturbationSettings;
use crate::evaluation::scores::Scoring;
use crate::files::npz::NpzWriter;
use crate::nn::Examples;
use crate::progress::Report;
use crate::report::study_tables::named;
use crate::study::{Judge, Perturbed, area_table, scorings, write_area_tables};
use crate::{Error, Result};
use ndarray::Array1;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd perturb`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Models: the project's own files, or PyTorch state dicts with --arch, --target and --input.
    #[arg(required = true, value_parser = super::models::model_path)]
    models: Vec<PathBuf>,
    /// The dataset; ECGs are taken from its test part.
    #[arg(long, value_name = "DATASET")]
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
    let dataset = args.options.dataset(&args.data, globals)?;
    let mut subjects = args.options.load_all(&args.models, &dataset)?;
    subjects.sort_by_key(|subject| subject.target);
    names_differ(subjects.iter().map(|subject| subject.name.as_str()))?;
    let programs = subjects.iter().map(|subject| subject.model.network.program());
    let (methods, left_out) = able(&methods, args.method != "all", programs, &AttributionSettings::default())?;
    tell_left_out(&left_out, globals);
    let kinds: Vec<InputKind> = subjects.iter().map(|subject| subject.input).collect();
    dataset.check_arrays(&args.data, &kinds)?;
    let folder = AtomicFolder::resume(&args.output)?;
    // Curves are written at the end: what an earlier run has left of them may be of other models or methods.
    folder.empty()?;
    match fill(args, &methods, &dataset, &subjects, &folder, globals) {
        // What a kill or a full disk leaves is gone on with; what was asked wrongly leaves nothing.
        Err(error) if !folder.is_continued() && !matches!(error, Error::Io { .. }) => {
            folder.discard();
            Err(error)
        }
        outcome => {
            let networks = outcome?;
            subjects.iter().for_each(|subject| warn_if_worse_than_mean(&subject.model, globals));
            Ok((folder, networks, left_out))
        }
    }
}

/// Perturbs every model and writes curves and tables.
fn fill(
    args: &Args,
    methods: &[Method],
    dataset: &Dataset,
    subjects: &[Loaded],
    folder: &AtomicFolder,
    globals: &Globals,
) -> Result<Vec<Perturbed>> {
    let progress = Progress::new(globals.quiet);
    let mut networks = Vec::new();
    for subject in subjects {
        let mut found = perturbed(args, methods, dataset, subject, folder, &|step| progress.step(step))?;
        write_curves(&folder.partial().join("curves").join(&subject.name), &found)?;
        if subjects.iter().filter(|other| other.target == subject.target).count() == 1 {
            found.name = subject.target.name().into();
        }
        networks.push(found);
    }
    write_area_tables(folder.partial(), &networks)?;
    Ok(networks)
}

fn perturbed(
    args: &Args,
    methods: &[Method],
    dataset: &Dataset,
    subject: &Loaded,
    folder: &AtomicFolder,
    report: Report<'_>,
) -> Result<Perturbed> {
    let Loaded { name, model, target, input, digest, column } = subject;
    let split = subject.split(dataset, Some(subject.split_seed(args.seed)))?;
    let mut test = Examples::of(dataset, &split, Part::Test, *target);
    test.ecgs.truncate(args.ecgs);
    test.values.truncate(args.ecgs);
    if test.is_empty() {
        return Err(Error::Data(format!("{}: no ECG of the test part has a value for {target}", args.data.display())));
    }
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, *input);
    let attribution =
        AttributionSettings { seed: args.seed, target: target.index().wrapping_add(*column as u32), ..AttributionSettings::default() };
    let perturbation = PerturbationSettings { iterations: args.iterations, seed: args.seed, ..PerturbationSettings::default() };
    let judge = Judge {
        network: &model.network,
        inputs: &inputs,
        methods,
        attribution: &attribution,
        perturbation: &perturbation,
        kept: &[],
        perturbed: &test.ecgs,
    };
    // One output of a network has a place of its own in the cache, and draws of its own as `explain` makes them.
    let identity = format!(
        "{digest}{} {:?}",
        if *column > 0 { format!(" output {column}") } else { String::new() },
        dataset.manifest().map(|manifest| &manifest.digests)
    );
    let judged = judge.run(&folder.beside(format!("{name}.cache")), &identity, &format!("perturbing {name}"), report)?;
    let train = Examples::of(dataset, &split, Part::Train, *target).values;
    Ok(Perturbed {
        name: name.clone(),
        ecgs: test.ecgs.iter().map(|ecg| *ecg as u64).collect(),
        truth: test.values,
        sd: crate::study::deviation(&train),
        kind: target.kind(),
        methods: judged.curves.into_iter().map(|(method, curves)| (method.to_string(), curves)).collect(),
    })
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
    print(format!("Area under the error curve to iteration 15, {} as in table4.csv:", named(first)))?;
    table.plain().lines().try_for_each(print)?;
    let excluded: usize = networks.iter().map(|network| network.excluded().len()).sum();
    let ecgs: Vec<String> = networks.iter().map(|network| format!("{} {}", network.ecgs.len(), network.name)).collect();
    print(format!("ECGs: {}; {excluded} left out of the corrected scorings. Results in {}", ecgs.join(", "), args.output.display()))
}
