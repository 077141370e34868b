//! The card of a model: what it takes and gives, how it came to be, and how far it is to be trusted, as Markdown that can be made again.

use super::study_tables::digits;
use super::tables::{Cell, Table};
use crate::dataset::{InputKind, Target};
use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::errors::{agreement, calibration, errors, worst, worst_share};
use crate::nn::Provenance;
use std::fmt::Write;

/// Bins of equal number into which the test ECGs are put by their measured value.
const BINS: usize = 10;
/// ECGs of the largest errors that are listed.
const LISTED: usize = 5;

/// Values measured and predicted of a set of ECGs.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// What ECGs these are.
    pub title: String,
    /// Their ids.
    pub ids: Vec<String>,
    /// Measured and predicted, in the target's unit.
    pub pairs: Vec<(f64, f64)>,
    /// ECGs of the set that could not be measured, and have no pair.
    pub unmeasured: usize,
}

/// What a card is made of.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    /// The model's name.
    pub name: &'a str,
    /// What it predicts.
    pub target: Target,
    /// What it looks at.
    pub input: InputKind,
    /// How it came to be.
    pub provenance: &'a Provenance,
    /// The command that trained it, from its record, if it has one.
    pub command: Option<String>,
    /// Where the training ECGs came from.
    pub data: String,
    /// The digest of the file, and how many bytes it has.
    pub file: (String, u64),
    /// What storing weights in 16 bits added to the mean absolute error on the test part, in the target's unit, where that was measured.
    pub rounding: Option<f64>,
    /// The range of the target over the training part.
    pub trained_on: (f64, f64),
    /// The test part.
    pub test: Predictions,
    /// Other ECGs.
    pub others: Vec<Predictions>,
}

impl Card<'_> {
    /// The card.
    pub fn markdown(&self) -> String {
        let (unit, title) = (self.target.unit(), self.target.title());
        let mut out = format!("# {}: {title}\n\n", self.name);
        let samples = self.input.samples();
        let _ = writeln!(
            out,
            "Predicts the {title} in {unit} from {} ECGs (12 leads × {samples} samples at 500 Hz, µV). Trained on our own measurements of generated ECGs, not on \
             readings of cardiologists: it is for research on explanations, not for clinical use.\n",
            self.input
        );
        self.origin(&mut out);
        let _ = writeln!(out, "## Errors on the test part\n");
        self.errors(&mut out, &self.test);
        let _ = writeln!(out, "{}", self.near().markdown());
        self.failures(&mut out);
        for other in &self.others {
            let _ = writeln!(out, "## {}\n", other.title);
            self.errors(&mut out, other);
        }
        if !self.others.is_empty() {
            let text = "The network saw generated ECGs alone; of recordings, those of healthy sinus rhythm are the most like them.\n";
            let _ = writeln!(out, "{text}");
        }
        let _ = writeln!(out, "## Licence\n");
        let text = "MIT or Apache-2.0, as cardiograd. The generator of the training ECGs (Pulse2pulse, deepfake-ecg 1.1.2) is under MIT.";
        let _ = writeln!(out, "{text}");
        out
    }

    fn origin(&self, out: &mut String) {
        let Provenance { version, settings, dataset, train_mean, epochs, best_epoch, .. } = self.provenance;
        let unit = self.target.unit();
        let standardised =
            if settings.standardise { "standardised while training (folded into the weights afterwards)" } else { "raw values" };
        let _ = writeln!(out, "## Origin\n");
        let _ = writeln!(out, "- ECGs: {}; dataset {dataset}; split 60 / 20 / 20 by seed {}.", self.data, settings.seed);
        let _ = writeln!(
            out,
            "- Training: {version}, {} epochs of batches of {}, learning rate {} ({}), {standardised}, seed {}; weights of epoch {}, the best on the validation part.",
            epochs.len(),
            settings.batch,
            settings.learning_rate,
            settings.schedule,
            settings.seed,
            best_epoch + 1
        );
        if let Some(added) = self.provenance.calibration_in_words(self.target) {
            let _ = writeln!(out, "- Calibrated: {added}. Heatmaps are as without.");
        }
        if let Some(command) = &self.command {
            let _ = writeln!(out, "- Made by `{command}`; `cardiograd verify` makes it again from its record.");
        }
        let _ = writeln!(
            out,
            "- Mean of the training part {train_mean:.1} {unit}, range {:.1} to {:.1} {unit}: beyond that range its answers mean nothing.",
            self.trained_on.0, self.trained_on.1
        );
        let (digest, bytes) = &self.file;
        let _ = writeln!(out, "- File: {:.1} MB, SHA-256 {digest}.", *bytes as f64 / 1e6);
        if let Some(added) = self.rounding {
            let mae = errors(&self.test.pairs).map_or(f64::NAN, |found| found.mae);
            let _ = writeln!(
                out,
                "- Weights are stored in 16 bits; that changed the mean absolute error on the test part by {added:+.4} {unit} ({:+.2} %).",
                100.0 * added / mae
            );
        }
        out.push('\n');
    }

    /// A sentence of errors, bias and limits of agreement.
    fn errors(&self, out: &mut String, of: &Predictions) {
        let unit = self.target.unit();
        let Some(found) = errors(&of.pairs) else {
            let _ = writeln!(out, "No ECG of {} could be measured.\n", of.title);
            return;
        };
        let _ =
            write!(out, "{} ECGs: mean absolute error {:.2} {unit}, root mean squared error {:.2} {unit}", found.n, found.mae, found.rmse);
        if of.unmeasured > 0 {
            let _ = write!(out, " ({} more could not be measured)", of.unmeasured);
        }
        out.push_str(".\n");
        let interval = |e: Estimate, digits: usize| format!("{:.digits$} ({:.digits$} to {:.digits$})", e.value, e.low, e.high);
        if let Some(found) = agreement(&of.pairs) {
            let digits = digits(found.sd);
            let _ = writeln!(
                out,
                "Bias (predicted − measured) {} {unit}, limits of agreement {} and {} {unit} (95 % intervals).",
                interval(found.bias, digits),
                interval(found.lower, digits),
                interval(found.upper, digits)
            );
        }
        if let Some(line) = calibration(&of.pairs) {
            let _ = writeln!(out, "Slope of measured on predicted {}.", interval(line.slope, 3));
        }
        out.push('\n');
    }

    /// Errors near each value: the test ECGs in bins of equal number by measured value.
    fn near(&self) -> Table {
        let unit = self.target.unit();
        let mut pairs = self.test.pairs.clone();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut table = Table::new(
            format!("Errors near each value, {unit}: test ECGs in bins of equal number by measured value"),
            ["Measured", "ECGs", "MAE", "RMSE", "Bias"],
        );
        let bins = BINS.min(pairs.len());
        for bin in 0..bins {
            let part = &pairs[pairs.len() * bin / bins..pairs.len() * (bin + 1) / bins];
            let (Some(found), [first, .., last]) = (errors(part), part) else { continue };
            let bias = part.iter().map(|(right, found)| found - right).sum::<f64>() / part.len() as f64;
            table.rows.push(vec![
                Cell::text(format!("{:.1} to {:.1}", first.0, last.0)),
                Cell::number(found.n as f64, 0),
                Cell::number(found.mae, 2),
                Cell::number(found.rmse, 2),
                Cell::number(bias, 2),
            ]);
        }
        table
    }

    fn failures(&self, out: &mut String) {
        let unit = self.target.unit();
        let Some(share) = worst_share(&self.test.pairs) else { return };
        let _ = writeln!(out, "## Where it fails\n");
        let _ = writeln!(
            out,
            "The worst 1 % ({} ECGs) carry {:.0} % of the squared error; without them the root mean squared error is {:.2} {unit}. The largest errors:",
            share.ecgs,
            100.0 * share.share,
            share.without
        );
        for at in worst(&self.test.pairs, LISTED) {
            let (right, found) = self.test.pairs[at];
            let _ = writeln!(out, "- ECG {}: measured {right:.1}, predicted {found:.1} {unit}", self.test.ids[at]);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{TrainSettings, Weights};

    #[test]
    fn a_card_says_what_the_pairs_say() {
        let pairs: Vec<(f64, f64)> = (0..40).map(|i| (350.0 + i as f64, 351.0 + i as f64 + if i == 7 { 20.0 } else { 0.0 })).collect();
        let provenance = Provenance {
            version: "cardiograd 0".into(),
            settings: TrainSettings::quick(),
            dataset: "sha256:ab".into(),
            train_mean: 400.0,
            epochs: Vec::new(),
            best_epoch: 3,
            weights: Weights::Best,
            metrics: Vec::new(),
            outputs: Vec::new(),
            near: Vec::new(),
            calibration: Vec::new(),
        };
        let test = Predictions { title: "test".into(), ids: (0..40).map(|i| i.to_string()).collect(), pairs, unmeasured: 0 };
        let other = Predictions { title: "Recordings".into(), ids: vec!["a".into()], pairs: vec![(400.0, 390.0)], unmeasured: 2 };
        let card = Card {
            name: "family/qt",
            target: Target::Qt,
            input: InputKind::Median,
            provenance: &provenance,
            command: None,
            data: "40 ECGs".into(),
            file: ("cd".into(), 3_300_000),
            rounding: Some(0.01),
            trained_on: (340.0, 460.0),
            test,
            others: vec![other],
        };
        let text = card.markdown();
        for part in [
            "# family/qt: QT interval",
            "40 ECGs: mean absolute error 1.50 ms, root mean squared error 3.46 ms.",
            "Bias (predicted − measured) 1.50",
            "ECG 7: measured 357.0, predicted 378.0 ms",
            "1 ECGs: mean absolute error 10.00 ms, root mean squared error 10.00 ms (2 more could not be measured).",
            "+0.0100 ms (+0.67 %)",
            "340.0 to 460.0 ms",
            "350.0 to 353.0",
            "the best on the validation part",
        ] {
            assert!(text.contains(part), "no '{part}' in {text}");
        }
    }
}
