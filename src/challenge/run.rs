//! A challenge of one network: the criteria one after another, each kept when it is done.

use super::control::Control;
use super::criteria::{Bench, Found, check};
use super::explain::{attribution, maps};
use super::findings::{Criterion, Findings};
use super::settings::Settings;
use super::subject::Subject;
use crate::attribution::Method;
use crate::files::digest::sha256;
use crate::progress::{Report, Step};
use crate::{Error, Result};
use std::path::Path;

/// What the criteria found for one network.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// The network's name.
    pub name: String,
    /// What it predicts.
    pub target: crate::dataset::Target,
    /// The methods, in the order of the tables.
    pub methods: Vec<Method>,
    /// One entry per criterion.
    pub findings: Vec<Findings>,
}

impl Challenged {
    /// What one criterion found.
    pub fn of(&self, criterion: Criterion) -> Option<&Findings> {
        self.findings.iter().find(|findings| findings.criterion == criterion)
    }
}

/// Asks the criteria of one network's heatmaps. Findings go to `folder/values/NAME/CRITERION.json`, networks that are trained for comparison to
/// `folder/networks`; what is there already and depended on the same things is not done again.
///
/// # Errors
/// [`Error::Usage`] for senseless settings; [`Error::Data`] without test ECGs; as the explainer, the trainer and files.
pub fn challenge(
    subject: &Subject<'_>,
    methods: &[Method],
    criteria: &[Criterion],
    settings: &Settings,
    folder: &Path,
    report: Report<'_>,
) -> Result<Challenged> {
    settings.check()?;
    check(subject)?;
    let (values, networks) = (folder.join("values").join(&subject.name), folder.join("networks"));
    std::fs::create_dir_all(&values).map_err(|source| Error::io(&values, source))?;
    let mut bench: Option<Bench<'_>> = None;
    let mut findings = Vec::new();
    for criterion in criteria {
        let path = values.join(format!("{criterion}.json"));
        let digest = digest(subject, methods, settings, *criterion);
        if let Some(found) = Findings::load(&path, &digest)? {
            findings.push(found);
            continue;
        }
        let bench = match &mut bench {
            Some(bench) => bench,
            None => bench.insert(prepare(subject, methods, settings, &networks, report)?),
        };
        let Found { ecgs, measures, remarks } = bench.ask(*criterion)?;
        let found = Findings { criterion: *criterion, digest, ecgs, measures, remarks };
        found.save(&path)?;
        findings.push(found);
    }
    Ok(Challenged { name: subject.name.clone(), target: subject.target, methods: methods.to_vec(), findings })
}

/// The files that a criterion leaves of a network, below the folder of a challenge with so many other seeds: its findings, and the networks that it compares with.
pub fn left(name: &str, criterion: Criterion, seeds: usize) -> Vec<String> {
    let controls = match criterion {
        Criterion::PermutedLabels => vec![Control::PermutedLabels],
        Criterion::Seeds => (1..=seeds).map(Control::OtherSeed).collect(),
        _ => Vec::new(),
    };
    let networks = controls.into_iter().map(|control| format!("networks/{name}.{}.cgm", control.name()));
    std::iter::once(format!("values/{name}/{criterion}.json")).chain(networks).collect()
}

/// Explains the network's own predictions.
fn prepare<'a>(
    subject: &'a Subject<'a>,
    methods: &'a [Method],
    settings: &'a Settings,
    networks: &'a Path,
    report: Report<'a>,
) -> Result<Bench<'a>> {
    let batch = subject.batch(settings.ecgs)?;
    let label = format!("{} heatmaps", subject.name);
    let within = |step: Step<'_>| report(Step { label: &label, ..step });
    let maps = maps(&subject.model.network, &batch, methods, &attribution(subject, settings), 0, &within)?;
    Ok(Bench { subject, settings, methods, batch, maps, networks, report })
}

/// Everything that one criterion's findings depend on.
fn digest(subject: &Subject<'_>, methods: &[Method], settings: &Settings, criterion: Criterion) -> String {
    let Subject { name, target, input, model_digest, dataset_digest, .. } = subject;
    let text = format!(
        "{} {name} {target} {input} {model_digest} {dataset_digest}\n{methods:?}\n{settings:?}\n{criterion} {:?}",
        env!("CARGO_PKG_VERSION"),
        subject.test_ecgs()
    );
    format!("sha256:{}", sha256(text.as_bytes()))
}
