//! What training makes small: for each column of a target the loss of its kind, missing values masked, and the mean over the columns.

use super::data::Examples;
use super::settings::ClassWeights;
use crate::dataset::{Target, TargetKind};
use crate::{Error, Result};
use cardiograd_kernels::elementary;
use std::ops::Range;

/// The loss of a target's columns.
#[derive(Clone, Debug)]
pub(super) struct Objective {
    columns: Vec<Column>,
    outputs: usize,
}

/// A column of values, and the outputs that predict it.
#[derive(Clone, Debug)]
struct Column {
    kind: TargetKind,
    outputs: Range<usize>,
    /// Weights of the classes; empty for numbers.
    weights: Vec<f64>,
}

impl Objective {
    /// The objective of a target, its classes weighed by the training examples.
    ///
    /// # Errors
    /// [`Error::Data`] where every training example is of one class, [`Error::Usage`] for weights of classes where there are none.
    pub fn new(target: Target, train: &Examples, weights: ClassWeights) -> Result<Self> {
        let all = target.columns();
        if weights != ClassWeights::Equal && all.iter().all(|one| one.is_regression()) {
            return Err(Error::Usage(format!("'{target}' is a number: --class-weights belong to classes")));
        }
        let mut at = 0;
        let mut columns = Vec::new();
        for (place, one) in all.iter().enumerate() {
            let outputs = at..at + one.width();
            at = outputs.end;
            let weights = if one.is_regression() { Vec::new() } else { class_weights(*one, train.column(place, all.len()), weights)? };
            columns.push(Column { kind: one.kind(), outputs, weights });
        }
        Ok(Objective { columns, outputs: at })
    }

    /// Outputs of a network.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values of an example.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Whether it is the mean squared error of one number, of which a root has a unit.
    pub fn is_one_number(&self) -> bool {
        matches!(&self.columns[..], [Column { kind: TargetKind::Regression, .. }])
    }

    /// The loss of outputs (N, K) against values (N, columns), NaN where missing, and its gradient in the outputs.
    pub fn loss(&self, outputs: &[f32], values: &[f32]) -> (f64, Vec<f32>) {
        let mut gradient = vec![0.0; outputs.len()];
        let mut total = 0.0;
        for (at, column) in self.columns.iter().enumerate() {
            let count = values.iter().skip(at).step_by(self.width()).filter(|value| !value.is_nan()).count();
            if count == 0 {
                continue;
            }
            let mut sum = 0.0;
            for (row, value) in values.iter().skip(at).step_by(self.width()).enumerate().filter(|(_, value)| !value.is_nan()) {
                let own = row * self.outputs + column.outputs.start..row * self.outputs + column.outputs.end;
                sum += column.one(&outputs[own.clone()], *value, count as f32, &mut gradient[own]);
            }
            total += sum / count as f64;
        }
        if self.width() > 1 {
            let share = self.width() as f32;
            gradient.iter_mut().for_each(|v| *v /= share);
            total /= self.width() as f64;
        }
        (total, gradient)
    }
}

impl Column {
    /// The loss of one value and its gradient, which is divided by the number of values.
    fn one(&self, outputs: &[f32], value: f32, count: f32, gradient: &mut [f32]) -> f64 {
        if self.kind == TargetKind::Regression {
            let error = outputs[0] - value;
            gradient[0] = 2.0 / count * error;
            return f64::from(error).powi(2);
        }
        let class = value as usize;
        let weight = self.weights.get(class).copied().unwrap_or(1.0);
        let share = weight / f64::from(count);
        if self.kind == TargetKind::Binary {
            let logit = f64::from(outputs[0]);
            gradient[0] = (share * (sigmoid(logit) - f64::from(value))) as f32;
            return weight * (softplus(logit) - logit * f64::from(value));
        }
        let (probabilities, log_sum) = softmax(outputs);
        for (at, (slot, probability)) in gradient.iter_mut().zip(&probabilities).enumerate() {
            *slot = (share * (probability - f64::from(u8::from(at == class)))) as f32;
        }
        weight * (log_sum - f64::from(outputs[class]))
    }
}

/// 1 / (1 + e⁻ᶻ).
pub fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + elementary::exp(-logit))
}

/// ln(1 + eᶻ), without overflow.
fn softplus(logit: f64) -> f64 {
    logit.max(0.0) + elementary::ln_1p(elementary::exp(-logit.abs()))
}

/// The softmax of logits, and the logarithm of the sum of their exponentials.
pub(super) fn softmax(logits: &[f32]) -> (Vec<f64>, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(f64::from(*logit)));
    let exponentials: Vec<f64> = logits.iter().map(|logit| elementary::exp(f64::from(*logit) - largest)).collect();
    let sum: f64 = exponentials.iter().sum();
    (exponentials.into_iter().map(|value| value / sum).collect(), largest + elementary::ln(sum))
}

fn class_weights(target: Target, values: impl Iterator<Item = f64>, weights: ClassWeights) -> Result<Vec<f64>> {
    let classes = target.width().max(2);
    let mut counts = vec![0usize; classes];
    values.filter(|value| value.is_finite()).for_each(|value| counts[(value as usize).min(classes - 1)] += 1);
    let n: usize = counts.iter().sum();
    if counts.iter().filter(|count| **count > 0).count() < 2 {
        return Err(Error::Data(format!(
            "every one of the {n} training ECGs that have '{target}' is of one class: there is nothing to learn"
        )));
    }
    Ok(match weights {
        ClassWeights::Equal => vec![1.0; classes],
        ClassWeights::Balanced => counts.iter().map(|count| n as f64 / (classes as f64 * (*count).max(1) as f64)).collect(),
        ClassWeights::Yes(weight) if target.kind() == TargetKind::Binary => vec![1.0, weight],
        ClassWeights::Yes(_) => return Err(Error::Usage(format!("'{target}' is not of yes and no: --class-weights balanced, or equal"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Place, Row, Transform};

    fn target(name: &str, kind: TargetKind, classes: &[&str]) -> Target {
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        let (unit, column, transform, place) = (String::new(), name.to_owned(), Transform::None, Place::Unknown);
        Target::own(Row { name: name.into(), title: name.into(), unit, kind, column, transform, classes, place }).unwrap()
    }

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        // torch 2: binary_cross_entropy_with_logits, cross_entropy and mse_loss of the columns, each mean over what is there, and their mean.
        let nan = f32::NAN;
        let binary = target("objective_b", TargetKind::Binary, &[]);
        let number = target("objective_n", TargetKind::Regression, &[]);
        let both = Target::several(&[binary, number]).unwrap();
        let train = Examples { ecgs: vec![0, 1, 2], values: vec![0.0, 1.0, 1.0, 2.0, 1.0, f64::NAN] };
        let objective = Objective::new(both, &train, ClassWeights::Equal).unwrap();
        let (loss, gradient) = objective.loss(&[0.5, 2.0, -1.0, 1.0, 2.0, 9.0], &[1.0, 1.0, 0.0, nan, 1.0, 3.0]);
        let bce = (0.474_076_984 + 0.313_261_688 + 0.126_928_011) / 3.0;
        assert!((loss - (bce + (1.0 + 36.0) / 2.0) / 2.0).abs() < 1e-7, "{loss}");
        let wanted = [-0.377_540_67 / 6.0, 0.5, 0.268_941_42 / 6.0, 0.0, -0.119_202_92 / 6.0, 3.0];
        assert!(gradient.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{gradient:?}");
        let classes = target("objective_c", TargetKind::MultiClass, &["a", "b", "c"]);
        let train = Examples { ecgs: vec![0, 1, 2, 3], values: vec![0.0, 1.0, 1.0, 1.0] };
        let objective = Objective::new(classes, &train, ClassWeights::Balanced).unwrap();
        let (loss, gradient) = objective.loss(&[1.0, 2.0, 3.0], &[1.0]);
        let weight = 4.0 / 9.0;
        assert!((loss - weight * 1.407_605_96).abs() < 1e-7, "{loss}");
        let wanted = [0.090_030_57, 0.244_728_47 - 1.0, 0.665_240_96].map(|v| weight as f32 * v);
        assert!(gradient.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{gradient:?}");
        let extreme = Objective::new(binary, &Examples { ecgs: vec![0, 1], values: vec![0.0, 1.0] }, ClassWeights::Yes(3.0)).unwrap();
        assert_eq!(extreme.loss(&[-1000.0], &[1.0]), (3000.0, vec![-3.0]));
        assert!(Objective::new(binary, &Examples { ecgs: vec![0, 1], values: vec![1.0, 1.0] }, ClassWeights::Equal).is_err());
        assert!(Objective::new(Target::Pr, &train, ClassWeights::Balanced).is_err());
    }
}
