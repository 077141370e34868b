//! The learning rate from step to step and epoch to epoch.

use super::settings::{Schedule, TrainSettings};
use cardiograd_kernels::elementary;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// β₁ of Adam where no schedule moves it.
const BETA1: f64 = 0.9;

/// Where a schedule stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScheduleState {
    schedule: Schedule,
    learning_rate: f64,
    total_steps: u64,
    best: f64,
    bad_epochs: usize,
}

impl ScheduleState {
    pub fn new(settings: &TrainSettings, total_steps: u64) -> Self {
        ScheduleState {
            schedule: settings.schedule,
            learning_rate: settings.learning_rate,
            total_steps,
            best: f64::INFINITY,
            bad_epochs: 0,
        }
    }

    /// Learning rate and β₁ of a step, counted from 0.
    pub fn at(&self, step: u64) -> (f64, f64) {
        match self.schedule {
            Schedule::OneCycle => one_cycle(self.learning_rate, step, self.total_steps),
            _ => (self.learning_rate, BETA1),
        }
    }

    /// Takes the validation loss of an epoch.
    pub fn epoch_ended(&mut self, loss: f64) {
        let Schedule::Plateau { factor, patience, threshold } = self.schedule else { return };
        if loss < self.best * (1.0 - threshold) {
            self.best = loss;
            self.bad_epochs = 0;
            return;
        }
        self.bad_epochs += 1;
        if self.bad_epochs > patience {
            let reduced = self.learning_rate * factor;
            if self.learning_rate - reduced > 1e-8 {
                self.learning_rate = reduced;
            }
            self.bad_epochs = 0;
        }
    }
}

/// PyTorch's `OneCycleLR` with its defaults: 30 % rising, first rate 1/25, last rate 1/10⁴ of the first, β₁ between 0.95 and 0.85.
fn one_cycle(largest: f64, step: u64, total: u64) -> (f64, f64) {
    let first = largest / 25.0;
    let last = first / 1e4;
    let (turn, end, at) = (0.3 * total as f64 - 1.0, total as f64 - 1.0, step as f64);
    let cosine = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + elementary::cos(PI * share));
    if at <= turn {
        let share = if turn > 0.0 { at / turn } else { 1.0 };
        (cosine(first, largest, share), cosine(0.95, 0.85, share))
    } else {
        let turn = turn.max(0.0);
        let share = if end > turn { (at - turn) / (end - turn) } else { 1.0 };
        (cosine(largest, last, share), cosine(0.85, 0.95, share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(Adam(lr=0.004), max_lr=0.004, total_steps=20): steps 0, 3, 5, 6, 12, 19.
        let expected = [
            (0, 0.00015999999999999999, 0.95),
            (3, 0.002673312629199899, 0.8845491502812526),
            (5, 0.004, 0.85),
            (6, 0.00394985602494035, 0.8512536043909088),
            (12, 0.0020000079999999997, 0.8999999999999999),
            (19, 1.6e-08, 0.95),
        ];
        for (step, rate, beta) in expected {
            let (found_rate, found_beta) = one_cycle(0.004, step, 20);
            assert!((found_rate / rate - 1.0).abs() < 1e-9, "step {step}: {found_rate} {rate}");
            assert!((found_beta - beta).abs() < 1e-12, "step {step}: {found_beta} {beta}");
        }
        for total in 1..5 {
            assert!((0..total).all(|step| one_cycle(1.0, step, total).0.is_finite()));
        }
    }

    #[test]
    fn a_plateau_halves_after_more_than_patience_epochs() {
        let mut state = ScheduleState::new(&TrainSettings::paper(), 0);
        state.epoch_ended(1.0);
        for _ in 0..10 {
            state.epoch_ended(0.99995);
        }
        assert_eq!(state.at(0), (0.008, 0.9));
        state.epoch_ended(0.99995);
        assert_eq!(state.at(0), (0.004, 0.9));
        state.epoch_ended(0.9);
        for _ in 0..10 {
            state.epoch_ended(1.0);
        }
        assert_eq!(state.at(0).0, 0.004);
    }
}
