//! Training: Adam on the loss of the target's kind, epoch by epoch, so that whoever drives it can save and continue.

use super::adam::Adam;
use super::calibrate::{self, calibrate};
use super::checkpoint::{Checkpoint, Within};
use super::data::{Examples, TrainingData, predict_outputs};
use super::initialise;
use super::metrics::column_metrics;
use super::model_file::{Model, store};
use super::near::Near;
use super::objective::Objective;
use super::provenance::{Epoch, OutputMetrics, Provenance, Weights};
use super::scaling::Scaling;
use super::schedule::ScheduleState;
use super::settings::{Further, TrainSettings};
use super::stored::restore;
use crate::dataset::Part;
use crate::progress::{Report, Step};
use crate::random::{Stage, Stream};
use crate::tape::limits::MOST_IN_TRAINING;
use crate::tape::{Mode, Network, Program, RuleSet, Tensor, TrainingPlan, Want, from_vec, slice};
use crate::{Error, Result};
use cardiograd_kernels::awake;
use ndarray::Array3;
use rand::seq::SliceRandom;

/// What a training gives.
#[derive(Clone, Debug)]
pub struct Trained {
    /// With the weights after the epoch of the lowest validation error.
    pub best: Model,
    /// With the weights after the last epoch.
    pub last: Model,
}

/// A training in progress. The state after each epoch depends on program, data and settings alone: not on threads, and not on whether the
/// training was interrupted ([`Trainer::checkpoint`], [`Trainer::resume`]).
pub struct Trainer<'a> {
    pub(super) data: TrainingData<'a>,
    pub(super) settings: TrainSettings,
    pub(super) network: Network<f32>,
    pub(super) adam: Adam,
    pub(super) schedule: ScheduleState,
    pub(super) scaling: Scaling,
    objective: Objective,
    pub(super) best: Network<f32>,
    pub(super) best_epoch: usize,
    pub(super) epochs: Vec<Epoch>,
    /// How far the epoch after these has come.
    within: Within,
    label: String,
    steps: Steps,
}

/// How steps are made, which the shape of the first inputs decides.
enum Steps {
    Undecided,
    Planned(Box<TrainingPlan>),
    OnTape,
}

/// What a training's steps depend on: a state of one is that of the other, calibrated in the end or not.
fn before_calibration(settings: TrainSettings) -> TrainSettings {
    TrainSettings { further: Further { calibrate: false, ..settings.further }, ..settings }
}

/// Trains a network from its initial weights to the end.
///
/// # Errors
/// As [`Trainer::new`] and [`Trainer::epoch`].
pub fn train(program: &Program, data: TrainingData<'_>, settings: &TrainSettings, report: Report<'_>) -> Result<Trained> {
    let mut trainer = Trainer::new(program, data, settings)?;
    while !trainer.is_done() {
        trainer.epoch(report)?;
    }
    trainer.finish("", report)
}

impl<'a> Trainer<'a> {
    /// A training that has not begun, from [`initialise`]d weights. The program takes one input (N, C, L) and gives (N, K), K the target's
    /// [`width`](crate::dataset::Target::width).
    ///
    /// # Errors
    /// [`Error::Usage`] for senseless settings; [`Error::Data`] for parts without examples; [`Error::Program`] if the program has a parameter
    /// without default initialisation, or no place to fold the scales of standardised training into; what reading inputs brings.
    pub fn new(program: &Program, data: TrainingData<'a>, settings: &TrainSettings) -> Result<Self> {
        let network = Network::new(program.clone(), initialise(program, settings.seed, data.target.index())?)?;
        Self::from_network(network, data, settings)
    }

    /// A training that starts from given weights (which see standardised inputs where the settings ask for that).
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`Error::Program`] if a batch norm's running mean or variance is computed.
    pub fn from_network(network: Network<f32>, data: TrainingData<'a>, settings: &TrainSettings) -> Result<Self> {
        settings.check()?;
        data.check()?;
        network.check_running_averages()?;
        if settings.further.calibrate {
            calibrate::check(network.program(), data.target)?;
        }
        let scaling = if settings.standardise { Scaling::of(network.program(), &data)? } else { Scaling::identity(data.target) };
        let objective = Objective::new(data.target, data.train, settings.further.class_weights)?;
        let steps = settings.epochs as u64 * data.train.len().div_ceil(settings.batch) as u64;
        Ok(Trainer {
            settings: *settings,
            adam: Adam::new(&network),
            schedule: ScheduleState::new(settings, steps),
            scaling,
            objective,
            best: network.clone(),
            best_epoch: 0,
            epochs: Vec::new(),
            within: Within::default(),
            label: format!("training {}", data.target),
            network,
            data,
            steps: Steps::Undecided,
        })
    }

    /// A training that begins from a trained network, which sees µV and gives the target's unit. Where its last layer is that of other outputs, that layer
    /// alone begins anew.
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`Error::Usage`] if anything but the last layer differs from the program's.
    pub fn continuing(program: &Program, from: &Network<f32>, data: TrainingData<'a>, settings: &TrainSettings) -> Result<Self> {
        let mut parameters = initialise(program, settings.seed, data.target.index())?;
        let last: Vec<_> = program.node(program.output()).inputs.iter().map(|id| program.node(*id).name.clone()).collect();
        for (name, value) in from.parameters() {
            match parameters.get_mut(&name) {
                Some(own) if own.shape() == value.shape() => *own = value,
                Some(_) if last.contains(&name) => {}
                _ => {
                    return Err(Error::Usage(format!(
                        "the model to begin from has another network: its '{name}' has no place in this one"
                    )));
                }
            }
        }
        let mut trainer = Self::from_network(Network::new(program.clone(), parameters)?, data, settings)?;
        trainer.network = trainer.scaling.unfold(trainer.network)?;
        trainer.best = trainer.network.clone();
        trainer.adam = Adam::new(&trainer.network);
        Ok(trainer)
    }

    /// Continues where a checkpoint left off.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is of another training: other settings, program or examples.
    pub fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let differs = [
            ("settings", checkpoint.settings != before_calibration(self.settings)),
            ("target", checkpoint.target != self.data.target),
            ("input", checkpoint.input != self.data.input),
            ("network", checkpoint.program != *self.network.program()),
            ("examples", checkpoint.fingerprint != self.data.fingerprint()),
        ];
        if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
            return Err(Error::Usage(format!("the checkpoint is of a training with other {what}: resume that one, or start afresh")));
        }
        let bind = |stored| restore(stored).and_then(|parameters| Network::new(checkpoint.program.clone(), parameters));
        let network = bind(checkpoint.network)?;
        let (epochs, within) = (checkpoint.epochs.len(), checkpoint.within);
        if checkpoint.best_epoch >= epochs && (checkpoint.best_epoch, epochs) != (0, 0) {
            return Err(Error::Data(format!("the checkpoint's best epoch is {} of {epochs}", checkpoint.best_epoch)));
        }
        self.best = bind(checkpoint.best)?;
        let adam = Adam::restore(&network, checkpoint.adam)?;
        let per_epoch = self.steps_of_an_epoch();
        if adam.steps() != epochs as u64 * per_epoch + within.steps || within.steps >= per_epoch || !within.sum.is_finite() {
            let steps = adam.steps();
            return Err(Error::Data(format!(
                "the checkpoint tells of {steps} steps: {epochs} epochs of {per_epoch} and {} do not make that",
                within.steps
            )));
        }
        self.adam = adam;
        self.within = within;
        self.network = network;
        self.best_epoch = checkpoint.best_epoch;
        self.schedule = checkpoint.schedule;
        self.epochs = checkpoint.epochs;
        Ok(())
    }

    /// The state after the epochs done so far, and the steps of one that has begun.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            settings: before_calibration(self.settings),
            target: self.data.target,
            input: self.data.input,
            program: self.network.program().clone(),
            fingerprint: self.data.fingerprint(),
            network: store(&self.network.parameters()),
            best: store(&self.best.parameters()),
            best_epoch: self.best_epoch,
            adam: self.adam.store(&self.network),
            schedule: self.schedule.clone(),
            epochs: self.epochs.clone(),
            within: self.within,
        }
    }

    /// The epochs done so far.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Whether all epochs are done, or so many since the best one that training is to end.
    pub fn is_done(&self) -> bool {
        let since = self.epochs.len().saturating_sub(self.best_epoch + 1);
        self.epochs.len() >= self.settings.epochs || self.settings.further.patience.is_some_and(|patience| since >= patience)
    }

    /// Trains one epoch and validates.
    ///
    /// # Errors
    /// [`Error::Value`] when the loss is no longer finite; if the inputs do not fit the program; what reading inputs brings.
    pub fn epoch(&mut self, report: Report<'_>) -> Result<()> {
        self.epoch_keeping(report, &mut |_| Ok(()))
    }

    fn steps_of_an_epoch(&self) -> u64 {
        self.data.train.len().div_ceil(self.settings.batch) as u64
    }

    /// The same, from where a checkpoint of within the epoch left it. `keep` is called between steps: a [`Trainer::checkpoint`] that it makes is continued from there.
    ///
    /// # Errors
    /// As [`Trainer::epoch`]; what `keep` brings.
    pub fn epoch_keeping(&mut self, report: Report<'_>, keep: &mut dyn FnMut(&Self) -> Result<()>) -> Result<()> {
        let number = self.epochs.len();
        let mut order: Vec<usize> = (0..self.data.train.len()).collect();
        let stream = Stream::new(self.settings.seed, Stage::Epoch).target(self.data.target.index()).ecg(number as u64);
        order.shuffle(&mut stream.rng());
        let per_epoch = self.steps_of_an_epoch();
        let one_number = self.objective.is_one_number();
        let note = self.epochs.last().map_or(String::new(), |epoch| match one_number {
            true => format!("epoch {number}: validation RMSE {:.4} {}", epoch.validation_rmse, self.data.target.unit()),
            false => format!("epoch {number}: validation loss {:.4}", epoch.validation_rmse),
        });
        let mut learning_rate = 0.0;
        for batch in order.chunks(self.settings.batch).skip(self.within.steps as usize) {
            if self.within.steps > 0 {
                keep(self)?;
            }
            let rates = self.schedule.at(self.adam.steps());
            learning_rate = rates.0;
            self.within.sum += self.step(batch, rates)? * batch.len() as f64;
            self.within.steps += 1;
            let total = self.settings.epochs as u64 * per_epoch;
            report(Step { label: &self.label, done: self.adam.steps(), total, unit: "steps", note: &note });
        }
        let within = std::mem::take(&mut self.within);
        self.finite_parameters()?;
        let loss = self.validate()?;
        self.schedule.epoch_ended(loss);
        let rmse = |loss: f64| if one_number { self.scaling.error(loss.sqrt()) } else { loss };
        let epoch = Epoch { train_rmse: rmse(within.sum / order.len() as f64), validation_rmse: rmse(loss), learning_rate };
        if self.epochs.is_empty() || epoch.validation_rmse < self.epochs[self.best_epoch].validation_rmse {
            self.best = self.network.clone();
            self.best_epoch = number;
        }
        self.epochs.push(epoch);
        Ok(())
    }

    /// One step on the training examples at these places; gives the batch's loss before it.
    fn step(&mut self, batch: &[usize], rates: (f64, f64)) -> Result<f64> {
        let ecgs: Vec<usize> = batch.iter().map(|at| self.data.train.ecgs[*at]).collect();
        let mut x = (self.data.inputs)(&ecgs)?;
        let Further { augment, .. } = self.settings.further;
        if augment.any() {
            for (ecg, row) in ecgs.iter().zip(x.outer_iter_mut()) {
                augment.change(row, self.settings.seed, self.data.target.index(), *ecg, self.epochs.len());
            }
        }
        let x = self.scaled(x);
        let targets: Vec<f32> = batch.iter().flat_map(|at| self.targets(self.data.train, *at)).collect();
        if let Steps::Undecided = self.steps {
            self.fits(x.shape())?;
            self.steps = TrainingPlan::new(&self.network, &x.shape()[1..]).map_or(Steps::OnTape, |plan| Steps::Planned(Box::new(plan)));
        }
        // Out of the trainer for the step, which changes both.
        let mut steps = std::mem::replace(&mut self.steps, Steps::OnTape);
        let loss = match &mut steps {
            Steps::Planned(plan) => self.planned_step(plan, &x, &targets, rates),
            _ => self.unplanned_step(x, &targets, rates),
        };
        self.steps = steps;
        loss
    }

    /// Refuses what would not fit memory before it is begun.
    fn fits(&self, shape: &[usize]) -> Result<()> {
        let one = [&[1], &shape[1..]].concat();
        let values = self.network.program().values(&[one])?.saturating_mul(self.settings.batch);
        if values <= MOST_IN_TRAINING {
            return Ok(());
        }
        let batch = self.settings.batch;
        Err(Error::Usage(format!("a batch of {batch} keeps {values} values, at most {MOST_IN_TRAINING} are allowed: a smaller --batch")))
    }

    fn planned_step(&mut self, plan: &mut TrainingPlan, x: &Tensor<f32>, targets: &[f32], rates: (f64, f64)) -> Result<f64> {
        let network = &self.network;
        let (loss, seed) = self.loss(&awake(|| plan.forward(network, x))?, targets)?;
        let gradients = awake(|| plan.backward(network, &seed))?;
        self.adam.step(&mut self.network, &gradients, rates.0, rates.1);
        self.network.update_running_averages(|id| plan.statistics(id))?;
        Ok(loss)
    }

    /// The same on the tape, for programs that plans do not train.
    fn unplanned_step(&mut self, x: Tensor<f32>, targets: &[f32], rates: (f64, f64)) -> Result<f64> {
        let tape = self.network.run_in(&[x], Mode::Training)?;
        let (loss, seed) = self.loss(tape.output(), targets)?;
        let want = Want::trainable(self.network.program());
        let gradients = self.network.backward(&tape, seed, &RuleSet::plain(), None, &want)?;
        self.adam.step(&mut self.network, &gradients, rates.0, rates.1);
        self.network.update_running_averages(|id| tape.statistics(id))?;
        Ok(loss)
    }

    /// The scaled values of an example.
    fn targets<'e>(&'e self, examples: &'e Examples, at: usize) -> impl Iterator<Item = f32> + 'e {
        let width = self.objective.width();
        examples.values[at * width..(at + 1) * width].iter().enumerate().map(|(column, value)| self.scaling.target(column, *value))
    }

    /// The loss of outputs (N, K) and its gradient in them.
    fn loss(&self, output: &Tensor<f32>, targets: &[f32]) -> Result<(f64, Tensor<f32>)> {
        let shape = [targets.len() / self.objective.width(), self.objective.outputs()];
        self.check_outputs(output, shape)?;
        let (loss, gradient) = self.objective.loss(slice(output), targets);
        self.finite(loss, "loss")?;
        Ok((loss, from_vec(&shape, gradient)))
    }

    fn check_outputs(&self, output: &Tensor<f32>, shape: [usize; 2]) -> Result<()> {
        if output.shape() == shape {
            return Ok(());
        }
        let [examples, outputs] = shape;
        Err(Error::Program(format!("the network gives shape {:?}, training needs ({examples}, {outputs})", output.shape())))
    }

    /// The loss on the validation part.
    fn validate(&self) -> Result<f64> {
        let examples = self.data.validation;
        let (mut outputs, mut targets) = (Vec::new(), Vec::new());
        for (number, ecgs) in examples.ecgs.chunks(64).enumerate() {
            let x = self.scaled((self.data.inputs)(ecgs)?);
            let output = self.network.predict(&[x])?;
            self.check_outputs(&output, [ecgs.len(), self.objective.outputs()])?;
            outputs.extend_from_slice(slice(&output));
            targets.extend((0..ecgs.len()).flat_map(|at| self.targets(examples, number * 64 + at)));
        }
        let (loss, _) = self.objective.loss(&outputs, &targets);
        self.finite(loss, "validation loss")?;
        Ok(loss)
    }

    fn scaled(&self, x: Array3<f32>) -> Tensor<f32> {
        let mut x = x.into_dyn().into_shared();
        self.scaling.input(&mut x);
        x
    }

    /// A ReLU's derivative at NaN is 0, so that a channel can be lost without the loss showing it.
    fn finite_parameters(&self) -> Result<()> {
        for id in self.network.program().parameters() {
            let sum: f64 = slice(self.network.parameter(id)).iter().map(|value| f64::from(*value)).sum();
            self.finite(sum, &format!("sum of parameter '{}'", self.network.program().node(id).name))?;
        }
        Ok(())
    }

    fn finite(&self, loss: f64, what: &str) -> Result<()> {
        if loss.is_finite() {
            return Ok(());
        }
        let at = format!("{}, epoch {}, step {}", self.label, self.epochs.len() + 1, self.adam.steps());
        Err(Error::Value { at, problem: format!("the {what} is {loss}: lower the learning rate, or look for extreme inputs") })
    }

    /// Both sets of weights as models in µV and the target's unit, with their errors on every part. `dataset` goes into the provenance.
    ///
    /// # Errors
    /// [`Error::Usage`] before the first epoch; as [`predict_ecgs`].
    pub fn finish(&self, dataset: &str, report: Report<'_>) -> Result<Trained> {
        if self.epochs.is_empty() {
            return Err(Error::Usage("the training has not begun: there is nothing to finish".into()));
        }
        let best = self.model(&self.best, Weights::Best, dataset, report)?;
        let mut last = best.clone();
        if self.best_epoch + 1 < self.epochs.len() {
            last = self.model(&self.network, Weights::Last, dataset, report)?;
        } else if let Some(provenance) = &mut last.provenance {
            provenance.weights = Weights::Last;
        }
        Ok(Trained { best, last })
    }

    fn model(&self, network: &Network<f32>, weights: Weights, dataset: &str, report: Report<'_>) -> Result<Model> {
        let mut network = self.scaling.fold(network.clone())?;
        let calibration = if self.settings.further.calibrate { calibrate(&self.data, &mut network, report)? } else { Vec::new() };
        let columns = self.data.target.columns();
        let all: Vec<usize> = (0..self.objective.outputs()).collect();
        let (mut outputs, mut near): (Vec<OutputMetrics>, Vec<Near>) = (Vec::new(), Vec::new());
        for part in Part::ALL.into_iter().filter(|part| !self.data.part(*part).is_empty()) {
            let examples = self.data.part(part);
            let label = format!("evaluating {} on the {part} part", self.data.target);
            let predicted = predict_outputs(&network, &all, self.data.inputs, &examples.ecgs, &label, report)?;
            let found = column_metrics(self.data.target, part, &predicted, examples, self.data.train);
            if part == Part::Test && self.data.target.is_regression() {
                near = Near::of(&predicted, &examples.values);
            }
            if outputs.is_empty() {
                outputs = found.iter().zip(&columns).map(|(one, target)| OutputMetrics::new(*target, one.0)).collect();
            }
            outputs.iter_mut().zip(found).for_each(|(output, (_, metrics))| output.metrics.extend(metrics));
            if part == Part::Test && columns.len() == 1 && columns[0].is_regression() {
                near = Near::of(&predicted, &examples.values);
            }
        }
        // What a network of one output is worth stands where it always has.
        let (train_mean, metrics) = match &outputs[..] {
            [one] => (one.train_mean, one.metrics.clone()),
            _ => (0.0, Vec::new()),
        };
        outputs.retain(|_| columns.len() > 1);
        let provenance = Provenance {
            version: concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into(),
            settings: self.settings,
            dataset: dataset.into(),
            train_mean,
            epochs: self.epochs.clone(),
            best_epoch: self.best_epoch,
            weights,
            metrics,
            outputs,
            near,
            calibration,
        };
        Ok(Model { network, target: Some(self.data.target), input: Some(self.data.input), provenance: Some(provenance) })
    }
}
