//! What probabilities of a yes are worth: ranking (areas under the ROC and precision–recall curves), decisions at a threshold, and calibration.
//!
//! All are scikit-learn's definitions and are checked against its values: ties share a rank in the area under the ROC curve, the area under the
//! precision–recall curve is average precision, a decision is yes at and above the threshold.

/// A label and the score that a network gives it; a larger score is more of a yes.
pub type Scored = (bool, f64);

/// The pairs from the largest score down.
fn sorted(pairs: &[Scored]) -> Vec<Scored> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    sorted
}

/// Counts of yes and no at and above each different score, from the largest down.
fn steps(pairs: &[Scored]) -> Vec<(f64, usize, usize)> {
    let mut steps: Vec<(f64, usize, usize)> = Vec::new();
    let (mut yes, mut no) = (0, 0);
    for (label, score) in sorted(pairs) {
        if label {
            yes += 1
        } else {
            no += 1
        }
        match steps.last_mut().filter(|last| last.0 == score) {
            Some(last) => *last = (score, yes, no),
            None => steps.push((score, yes, no)),
        }
    }
    steps
}

/// The points (1 − specificity, sensitivity) of the ROC curve, from (0, 0) to (1, 1). `None` where only one label occurs.
pub fn roc(pairs: &[Scored]) -> Option<Vec<(f64, f64)>> {
    let steps = steps(pairs);
    let (_, yes, no) = steps.last().copied().filter(|(_, yes, no)| *yes > 0 && *no > 0)?;
    let point = |(_, found, alarms): &(f64, usize, usize)| (*alarms as f64 / no as f64, *found as f64 / yes as f64);
    Some(std::iter::once((0.0, 0.0)).chain(steps.iter().map(point)).collect())
}

/// The area under the ROC curve: how often a yes scores above a no, ties counted half. `None` where only one label occurs, or a score is not a number.
pub fn auroc(pairs: &[Scored]) -> Option<f64> {
    if pairs.iter().any(|pair| pair.1.is_nan()) {
        return None;
    }
    let curve = roc(pairs)?;
    Some(curve.windows(2).map(|two| (two[1].0 - two[0].0) * (two[0].1 + two[1].1) / 2.0).sum())
}

/// Each pair's share in the area under the ROC curve, in their order, so that the mean of all is the area: the share of the other label that it is on the
/// right side of (DeLong's placements, 1988), each label weighing half. `None` as of [`auroc`].
pub fn placements(pairs: &[Scored]) -> Option<Vec<f64>> {
    let counts = |label: bool| pairs.iter().filter(|pair| pair.0 == label).count();
    let (yes, no) = (counts(true), counts(false));
    if yes == 0 || no == 0 || pairs.iter().any(|pair| pair.1.is_nan()) {
        return None;
    }
    let scores = |label: bool| {
        let mut own: Vec<f64> = pairs.iter().filter(|pair| pair.0 == label).map(|pair| pair.1).collect();
        own.sort_by(f64::total_cmp);
        own
    };
    let (of_yes, of_no) = (scores(true), scores(false));
    let below = |sorted: &[f64], score: f64| {
        let (under, upto) = (sorted.partition_point(|other| *other < score), sorted.partition_point(|other| *other <= score));
        (under as f64 + upto as f64) / 2.0
    };
    let weight = |own: usize| pairs.len() as f64 / (2.0 * own as f64);
    let share = |(label, score): &Scored| match label {
        true => weight(yes) * below(&of_no, *score) / no as f64,
        false => weight(no) * (yes as f64 - below(&of_yes, *score)) / yes as f64,
    };
    Some(pairs.iter().map(share).collect())
}

/// Average precision: the sum of precision times the step in recall. `None` without a yes, or where a score is not a number.
pub fn auprc(pairs: &[Scored]) -> Option<f64> {
    let steps = steps(pairs);
    let yes = steps.last()?.1;
    if yes == 0 || pairs.iter().any(|pair| pair.1.is_nan()) {
        return None;
    }
    let mut before = 0;
    let mut sum = 0.0;
    for (_, found, alarms) in steps {
        sum += (found - before) as f64 / yes as f64 * (found as f64 / (found + alarms) as f64);
        before = found;
    }
    // Rounding must not carry a share beyond the whole.
    Some(sum.min(1.0))
}

/// The mean squared error of probabilities (Brier 1950). `None` of nothing.
pub fn brier(pairs: &[Scored]) -> Option<f64> {
    let n = pairs.len();
    (n > 0).then(|| pairs.iter().map(|(label, p)| (p - f64::from(u8::from(*label))).powi(2)).sum::<f64>() / n as f64)
}

/// Counts of decisions at a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// Yes, and decided so.
    pub found: usize,
    /// Yes, and decided no.
    pub missed: usize,
    /// No, and decided yes.
    pub alarms: usize,
    /// No, and decided so.
    pub spared: usize,
}

impl Decisions {
    /// Counts them.
    pub fn of(pairs: &[Scored], threshold: f64) -> Self {
        let mut counts = Decisions::default();
        for (label, score) in pairs {
            *match (label, *score >= threshold) {
                (true, true) => &mut counts.found,
                (true, false) => &mut counts.missed,
                (false, true) => &mut counts.alarms,
                (false, false) => &mut counts.spared,
            } += 1;
        }
        counts
    }

    /// The share of yes that is found.
    pub fn sensitivity(&self) -> Option<f64> {
        ratio(self.found, self.found + self.missed)
    }

    /// The share of no that is spared.
    pub fn specificity(&self) -> Option<f64> {
        ratio(self.spared, self.spared + self.alarms)
    }

    /// The share of decisions for yes that are right.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.found, self.found + self.alarms)
    }

    /// The harmonic mean of precision and sensitivity.
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.found, 2 * self.found + self.missed + self.alarms)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The threshold of the largest sensitivity + specificity (Youden 1950), the highest of several. `None` where only one label occurs.
pub fn youden(pairs: &[Scored]) -> Option<f64> {
    let curve = roc(pairs)?;
    let best =
        curve.iter().skip(1).zip(steps(pairs)).max_by(|a, b| (a.0.1 - a.0.0).total_cmp(&(b.0.1 - b.0.0)).then(a.1.0.total_cmp(&b.1.0)));
    best.map(|(_, (score, _, _))| score)
}

/// A bin of the calibration curve.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bin {
    /// ECGs in it.
    pub n: usize,
    /// Their mean probability.
    pub predicted: f64,
    /// The share of yes among them.
    pub observed: f64,
}

/// Observed against predicted in so many bins of equal width, each with its upper end; bins without an ECG are left out.
pub fn calibration(pairs: &[Scored], bins: usize) -> Vec<Bin> {
    let mut all = vec![(0usize, 0.0, 0usize); bins];
    for (label, p) in pairs {
        let bin = &mut all[((p * bins as f64).ceil() as usize).clamp(1, bins) - 1];
        *bin = (bin.0 + 1, bin.1 + p, bin.2 + usize::from(*label));
    }
    let bin = |(n, sum, yes): (usize, f64, usize)| Bin { n, predicted: sum / n as f64, observed: yes as f64 / n as f64 };
    all.into_iter().filter(|bin| bin.0 > 0).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<Scored> {
        // Ties within and between the labels.
        let scores = [0.1, 0.4, 0.35, 0.8, 0.8, 0.05, 0.4, 0.9, 0.6, 0.55, 0.2, 0.8];
        let labels = [0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1];
        labels.into_iter().map(|label| label == 1).zip(scores).collect()
    }

    #[test]
    fn figures_are_scikit_learns() {
        // scikit-learn 1.9: roc_auc_score, average_precision_score, brier_score_loss, f1_score, recall_score, precision_score, calibration_curve.
        let (pairs, near) = (pairs(), |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?}"));
        near(auroc(&pairs), 0.763_888_888_888_888_8);
        near(placements(&pairs).map(|all| all.iter().sum::<f64>() / all.len() as f64), 0.763_888_888_888_888_8);
        near(auprc(&pairs), 0.743_055_555_555_555_5);
        near(brier(&pairs), 0.190_625);
        let at = Decisions::of(&pairs, 0.4);
        near(at.f1(), 0.714_285_714_285_714_2);
        near(at.sensitivity(), 0.833_333_333_333_333_3);
        near(at.specificity(), 0.5);
        near(at.precision(), 0.625);
        let bins = calibration(&pairs, 5);
        let wanted = [(3, 0.35 / 3.0, 0.0), (3, 1.15 / 3.0, 2.0 / 3.0), (2, 0.575, 0.5), (3, 0.8, 2.0 / 3.0), (1, 0.9, 1.0)];
        assert!(
            bins.iter()
                .zip(wanted)
                .all(|(bin, (n, x, y))| bin.n == n && (bin.predicted - x).abs() < 1e-12 && (bin.observed - y).abs() < 1e-12),
            "{bins:?}"
        );
    }

    #[test]
    fn what_one_label_cannot_tell_is_not_told() {
        let yes = [(true, 0.3), (true, 0.6)];
        assert_eq!((auroc(&yes), auprc(&yes), youden(&yes), auprc(&[(false, 0.1)])), (None, Some(1.0), None, None));
        assert_eq!(Decisions::of(&[(true, 0.1)], 0.5).precision(), None);
        assert_eq!((auroc(&[(true, f64::NAN), (false, 0.0)]), brier(&[])), (None, None));
        assert_eq!(youden(&[(false, 0.1), (true, 0.3), (false, 0.2), (true, 0.9)]), Some(0.3));
        assert_eq!(auroc(&[(false, 0.5), (true, 0.5)]), Some(0.5));
    }
}
