//! Whether a sentence holds: verdicts, and figures with their values on resamples by which they are given.

use crate::evaluation::bootstrap::quantile;
use crate::report::svg::plain;

/// What a study says about a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By its criterion it holds.
    Holds,
    /// By its criterion it does not hold.
    DoesNotHold,
    /// The study does not decide it, or lacks what it takes.
    CannotBeTold,
}

/// The share of resamples from which on something is told, and below whose rest its contrary is.
const SURE: f64 = 0.975;

impl Verdict {
    /// The verdict as it is printed.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::CannotBeTold => "cannot be told",
        }
    }

    /// Of a statement that several others make up.
    pub(super) fn all(parts: impl IntoIterator<Item = Verdict>) -> Self {
        let parts: Vec<Verdict> = parts.into_iter().collect();
        match () {
            () if parts.contains(&Verdict::DoesNotHold) => Verdict::DoesNotHold,
            () if parts.contains(&Verdict::CannotBeTold) || parts.is_empty() => Verdict::CannotBeTold,
            () => Verdict::Holds,
        }
    }

    /// The contrary.
    pub(super) fn not(self) -> Self {
        match self {
            Verdict::Holds => Verdict::DoesNotHold,
            Verdict::DoesNotHold => Verdict::Holds,
            Verdict::CannotBeTold => Verdict::CannotBeTold,
        }
    }

    /// Of what is so or not.
    pub(super) fn of(so: bool) -> Self {
        if so { Verdict::Holds } else { Verdict::DoesNotHold }
    }

    /// Of what is so in a share of resamples.
    pub(super) fn of_share(share: f64) -> Self {
        match share {
            share if share >= SURE => Verdict::Holds,
            share if share <= 1.0 - SURE => Verdict::DoesNotHold,
            _ => Verdict::CannotBeTold,
        }
    }
}

/// A figure on all ECGs, and on resamples of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub value: f64,
    pub drawn: Vec<f64>,
}

impl Figure {
    /// The 95 % interval over resamples; NaN where there are none, or one of them is not a number.
    pub fn interval(&self) -> (f64, f64) {
        let mut sorted = self.drawn.clone();
        sorted.sort_by(f64::total_cmp);
        let end = |share: f64| quantile(&sorted, share).unwrap_or(f64::NAN);
        (end(0.025), end(0.975))
    }

    /// Whether it is at least so much.
    pub fn at_least(&self, limit: f64) -> Verdict {
        match self.interval() {
            (low, _) if low >= limit => Verdict::Holds,
            (_, high) if high < limit => Verdict::DoesNotHold,
            _ => Verdict::CannotBeTold,
        }
    }

    /// Whether it is below.
    pub fn below(&self, limit: f64) -> Verdict {
        self.at_least(limit).not()
    }

    /// `0.71 (0.66 to 0.75)`; without the interval where that is nothing more.
    pub fn said(&self, digits: usize) -> String {
        let (low, high) = self.interval();
        match low == high || !low.is_finite() || !high.is_finite() {
            true => number(self.value, digits),
            false => format!("{} ({} to {})", number(self.value, digits), plain(low, digits), plain(high, digits)),
        }
    }

    /// The mean of several, resample by resample.
    pub fn mean(all: &[Figure]) -> Option<Figure> {
        let count = all.iter().map(|figure| figure.drawn.len()).min()?;
        let over = |of: &dyn Fn(&Figure) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Some(Figure { value: over(&|figure| figure.value), drawn: (0..count).map(|k| over(&|figure| figure.drawn[k])).collect() })
    }

    /// Something of two, resample by resample.
    pub fn with(&self, other: &Figure, of: impl Fn(f64, f64) -> f64) -> Figure {
        let drawn = self.drawn.iter().zip(&other.drawn).map(|(a, b)| of(*a, *b)).collect();
        Figure { value: of(self.value, other.value), drawn }
    }
}

/// A number, or a dash for what is none.
pub(super) fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { plain(value, digits) } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_is_no_surer_than_its_parts() {
        use Verdict::{CannotBeTold, DoesNotHold, Holds};
        assert_eq!(Verdict::all([Holds, Holds]), Holds);
        assert_eq!(Verdict::all([Holds, CannotBeTold]), CannotBeTold);
        assert_eq!(Verdict::all([CannotBeTold, DoesNotHold]), DoesNotHold);
        assert_eq!((Verdict::all([]), Holds.not(), Verdict::of_share(0.5)), (CannotBeTold, DoesNotHold, CannotBeTold));
    }

    #[test]
    fn an_interval_decides() {
        let figure = Figure { value: 0.5, drawn: (0..=100).map(|k| f64::from(k) / 100.0).collect() };
        assert_eq!(figure.said(3), "0.500 (0.025 to 0.975)");
        assert_eq!([0.02, 0.5, 0.98].map(|limit| figure.at_least(limit)), [Verdict::Holds, Verdict::CannotBeTold, Verdict::DoesNotHold]);
        let unknown = Figure { value: f64::NAN, drawn: vec![1.0, f64::NAN] };
        assert_eq!(
            (unknown.at_least(0.0), unknown.below(2.0), unknown.said(1)),
            (Verdict::CannotBeTold, Verdict::CannotBeTold, "–".into())
        );
        assert_eq!(Figure::mean(&[figure.clone(), figure.with(&figure, |a, b| a + b)]).map(|mean| mean.value), Some(0.75));
    }
}
