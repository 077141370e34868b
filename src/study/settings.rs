//! What a study is made of: the settings, and the presets.

use super::NetworkOutput;
use crate::attribution::{Method, Settings as AttributionSettings};
use crate::dataset::{InputKind, Place, SplitBy, Target, Transform};
use crate::ecg::leads::LEADS;
use crate::evaluation::perturbation::PerturbationSettings;
use crate::evaluation::scores::Scoring;
use crate::nn::{ClassWeights, Further, Preset, TrainSettings};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the ECGs come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The parametric simulator.
    Simulator {
        /// How many ECGs.
        ecgs: usize,
    },
    /// The published Pulse2pulse generator.
    Pulse2pulse {
        /// How many ECGs.
        ecgs: usize,
        /// The wheel, or the weights in it.
        generator: PathBuf,
    },
    /// A dataset that is there already.
    Dataset(PathBuf),
}

/// Everything that a study's results depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySettings {
    /// The preset that the settings began with.
    pub preset: Preset,
    /// Where the ECGs come from.
    pub source: DataSource,
    /// What is predicted, one network each.
    pub targets: Vec<Target>,
    /// What the networks look at.
    pub input: InputKind,
    /// The network: a name or a program file, as [`crate::nn::load_program`] takes it.
    pub arch: String,
    /// How networks are trained; its seed is the study's.
    pub training: TrainSettings,
    /// The methods.
    pub methods: Vec<Method>,
    /// Test ECGs whose heatmaps are kept.
    pub heatmap_ecgs: usize,
    /// Test ECGs that are perturbed.
    pub perturb_ecgs: usize,
    /// Points that are perturbed.
    pub iterations: usize,
    /// The one scoring by which methods are ranked, drawn and tested.
    #[serde(default)]
    pub scoring: Scoring,
    /// A table of labels, for targets that are none of the dataset's measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelTable>,
    /// What goes beyond the study's trainings: splits by a column, weights of classes, patience.
    #[serde(default, skip_serializing_if = "is_default")]
    pub further: Further,
}

/// A table of labels of one's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelTable {
    /// The file.
    pub path: PathBuf,
    /// Whether ids that are not in the dataset are passed over.
    pub pass_unknown: bool,
}

fn is_default(further: &Further) -> bool {
    *further == Further::default()
}

impl StudySettings {
    /// The settings of a preset on simulated ECGs. `paper` is the study's: 150 000 ECGs, 100 epochs on raw values, 5000 perturbed ECGs, 200 points.
    /// `full` is that in under 8 h on two cores: 24 000 ECGs, 10 epochs, 1000 perturbed ECGs, with the rate as a seventh target.
    pub fn new(preset: Preset, seed: u64) -> Self {
        let (ecgs, heatmap_ecgs, perturb_ecgs, iterations) = match preset {
            Preset::Quick => (QUICK_ECGS, QUICK_PERTURBED, QUICK_PERTURBED, QUICK_ITERATIONS),
            Preset::Full => (FULL_ECGS, SURVEYED, FULL_PERTURBED, 200),
            Preset::Paper => (150_000, SURVEYED, 5000, 200),
        };
        let mut training = TrainSettings { seed, ..preset.settings() };
        if preset == Preset::Quick {
            training.batch = QUICK_BATCH;
        }
        StudySettings {
            preset,
            source: DataSource::Simulator { ecgs },
            targets: if preset == Preset::Full { Target::ALL.to_vec() } else { Target::STUDY.to_vec() },
            input: InputKind::Median,
            arch: "stevennet".into(),
            training,
            methods: Method::STUDY.to_vec(),
            heatmap_ecgs,
            perturb_ecgs,
            iterations,
            scoring: Scoring::default(),
            labels: None,
            further: Further::default(),
        }
    }

    /// How methods are set for an output of a network.
    pub fn attribution(&self, output: &NetworkOutput) -> AttributionSettings {
        let target = output.target.index().wrapping_add(output.column as u32);
        AttributionSettings { seed: self.seed(), target, ..AttributionSettings::default() }
    }

    /// How ECGs are perturbed.
    pub fn perturbation(&self) -> PerturbationSettings {
        PerturbationSettings { iterations: self.iterations, seed: self.seed(), ..PerturbationSettings::default() }
    }

    /// How networks are trained, with what goes beyond the study's trainings.
    pub fn training(&self) -> TrainSettings {
        TrainSettings { further: self.further, ..self.training }
    }

    /// The master seed.
    pub fn seed(&self) -> u64 {
        self.training.seed
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Usage(what.into()));
        if self.targets.is_empty() || self.methods.is_empty() {
            return wrong("a study needs at least one target and one method");
        }
        if self.perturb_ecgs == 0 || self.heatmap_ecgs == 0 {
            return wrong("a study needs at least one ECG to perturb and one to draw");
        }
        // Settings come from files too.
        self.training.check()?;
        let generated = match &self.source {
            DataSource::Simulator { ecgs } | DataSource::Pulse2pulse { ecgs, .. } => *ecgs,
            DataSource::Dataset(_) => 0,
        };
        if let Some(many) = [self.perturb_ecgs, self.heatmap_ecgs, generated].into_iter().find(|ecgs| *ecgs > MOST_ECGS) {
            return Err(Error::Usage(format!("{many} ECGs: a study takes at most {MOST_ECGS}")));
        }
        let twice = |names: Vec<&'static str>| (1..names.len()).find(|at| names[..*at].contains(&names[*at])).map(|at| names[at]);
        let doubled = twice(self.targets.iter().map(|target| target.name()).collect())
            .or_else(|| twice(self.methods.iter().map(|method| method.name()).collect()));
        if let Some(name) = doubled {
            return Err(Error::Usage(format!("'{name}' is listed twice")));
        }
        self.check_outputs()?;
        let points = LEADS.len() * self.input.samples();
        if self.iterations > points {
            return Err(Error::Usage(format!("{} points to perturb: an ECG of this input has {points}", self.iterations)));
        }
        match &self.source {
            DataSource::Simulator { ecgs } | DataSource::Pulse2pulse { ecgs, .. } if *ecgs < LEAST_ECGS => Err(Error::Usage(format!(
                "{ecgs} ECGs are too few for a study: training, validation and test part need at least {LEAST_ECGS}"
            ))),
            _ => Ok(()),
        }
    }

    /// The scorings by which targets of each kind are ranked.
    fn scorings(&self) -> String {
        let mut own: Vec<&str> = self.targets.iter().map(|target| self.scoring.for_kind(target.kind()).name()).collect();
        own.sort_by_key(|name| *name != self.scoring.name());
        own.dedup();
        own.join(" ")
    }

    /// The settings by name, in the order in which a person would read them.
    pub fn listed(&self) -> Vec<(String, String)> {
        let names = |names: Vec<&str>| names.join(" ");
        let source = match &self.source {
            DataSource::Simulator { ecgs } => format!("{ecgs} simulated ECGs"),
            DataSource::Pulse2pulse { ecgs, .. } => format!("{ecgs} Pulse2pulse ECGs"),
            DataSource::Dataset(_) => "a given dataset".into(),
        };
        let TrainSettings { epochs, batch, learning_rate, schedule, standardise, .. } = self.training;
        let rows = [
            ("preset", self.preset.name().to_owned()),
            ("seed", self.seed().to_string()),
            ("ECGs", source),
            ("input", self.input.to_string()),
            ("targets", names(self.targets.iter().map(|target| target.name()).collect())),
            ("network", self.arch.clone()),
            ("epochs", epochs.to_string()),
            ("batch", batch.to_string()),
            ("learning rate", learning_rate.to_string()),
            ("schedule", schedule.to_string()),
            ("standardised while training", if standardise { "yes" } else { "no" }.into()),
            ("methods", names(self.methods.iter().map(|method| method.name()).collect())),
            ("ECGs with heatmaps", self.heatmap_ecgs.to_string()),
            ("ECGs perturbed", self.perturb_ecgs.to_string()),
            ("points perturbed", self.iterations.to_string()),
            ("scoring", self.scorings()),
        ];
        let further = Some(("further", self.further.to_string())).filter(|(_, words)| !words.is_empty());
        let labels = self.labels.as_ref().map(|_| ("labels", "a table of one's own".to_owned()));
        let rows = rows.into_iter().chain(labels).chain(further);
        rows.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The command that makes this study, threads and places left out.
    pub fn command(&self) -> String {
        let fresh = StudySettings::new(self.preset, self.seed());
        let mut command = format!("cardiograd study --preset {} --seed {}", self.preset.name(), self.seed());
        let mut option = |name: &str, value: String, differs: bool| {
            if differs {
                command += &format!(" --{name} {value}");
            }
        };
        match &self.source {
            DataSource::Simulator { ecgs } => option("ecgs", ecgs.to_string(), self.source != fresh.source),
            DataSource::Pulse2pulse { ecgs, .. } => option("source", format!("pulse2pulse --generator WHEEL --ecgs {ecgs}"), true),
            DataSource::Dataset(_) => option("data", "DATASET".into(), true),
        }
        option("labels", "Y.csv".into(), self.labels.is_some());
        option("targets", self.targets.iter().map(|t| request(*t)).collect::<Vec<_>>().join(","), self.targets != fresh.targets);
        match self.further.split {
            SplitBy::Ecg => {}
            SplitBy::Group(word) => option("group", word.text().into(), true),
            SplitBy::Column(word) => option("split-column", word.text().into(), true),
        }
        option("patience", self.further.patience.unwrap_or(0).to_string(), self.further.patience.is_some());
        match self.further.class_weights {
            ClassWeights::Equal => {}
            ClassWeights::Balanced => option("class-weights", "balanced".into(), true),
            ClassWeights::Yes(weight) => option("class-weights", weight.to_string(), true),
        }
        option("input", self.input.to_string(), self.input != fresh.input);
        option("arch", self.arch.clone(), self.arch != fresh.arch);
        let (course, preset) = (self.training, fresh.training);
        option("epochs", course.epochs.to_string(), course.epochs != preset.epochs);
        option("batch", course.batch.to_string(), course.batch != preset.batch);
        option("lr", course.learning_rate.to_string(), course.learning_rate != preset.learning_rate);
        option("schedule", course.schedule.name().into(), course.schedule != preset.schedule);
        option("standardise", if course.standardise { "yes" } else { "no" }.into(), course.standardise != preset.standardise);
        option("method", self.methods.iter().map(|m| m.name()).collect::<Vec<_>>().join(","), self.methods != fresh.methods);
        option("heatmap-ecgs", self.heatmap_ecgs.to_string(), self.heatmap_ecgs != fresh.heatmap_ecgs);
        option("perturb-ecgs", self.perturb_ecgs.to_string(), self.perturb_ecgs != fresh.perturb_ecgs);
        option("iterations", self.iterations.to_string(), self.iterations != fresh.iterations);
        option("scoring", self.scoring.to_string(), self.scoring != fresh.scoring);
        command + " -o out"
    }
}

/// A target as it is asked for.
fn request(target: Target) -> String {
    let row = target.row();
    let place = if row.place == Place::Unknown { String::new() } else { format!("@{}", row.place.name()) };
    match &row.transform {
        _ if target.is_measurement() => row.name.clone(),
        Transform::None if row.name == row.column => format!("{}{place}", row.name),
        Transform::None => format!("{}:{}{place}", row.name, row.column),
        Transform::Equals(text) => format!("'{}:{}={text}{place}'", row.name, row.column),
        Transform::Above(limit) => format!("'{}:{}>{limit}{place}'", row.name, row.column),
    }
}

/// The most ECGs of any part of a study, as of a dataset: no number of a file overflows or asks for ever.
const MOST_ECGS: usize = 100_000_000;
/// Fewer ECGs leave a part of the split empty.
const LEAST_ECGS: usize = 10;
/// The ECGs whose heatmaps the study's experts saw.
const SURVEYED: usize = 51;
/// The quick preset's sizes: every target beats predicting the mean threefold, the whole takes under 4 minutes on two cores. The ECGs perturbed are
/// those drawn.
const QUICK_ECGS: usize = 2000;
const QUICK_PERTURBED: usize = 12;
const QUICK_ITERATIONS: usize = 30;
/// Its batches: in batches of 32, 1200 training ECGs are too few steps (test MAE of PR after 5 epochs: 6.8 ms, in batches of 16 3.1; after 4 epochs 4.7).
const QUICK_BATCH: usize = 16;
/// The full preset's: what two cores do in a night, with intervals of 1000 ECGs.
const FULL_ECGS: usize = 24_000;
const FULL_PERTURBED: usize = 1000;
