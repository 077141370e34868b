//! Where the samples of a dataset's ECGs lie: in memory or in files.

use crate::ecg::leads::INDEPENDENT;
use crate::unfit::first_unfit;
use crate::{Error, Result};
use ndarray::{Array2, Array3, Axis};

/// Leads of a median beat.
pub(super) const MEDIAN_LEADS: usize = 12;
/// Leads of a stored rhythm.
pub(super) const RHYTHM_LEADS: usize = INDEPENDENT.len();

/// A source of samples, one ECG at a time, from any thread.
pub trait Samples: Send + Sync {
    /// Number of ECGs.
    fn len(&self) -> usize;

    /// Whether there is no ECG.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The 10-s recording of the 8 independent leads, (8, T) µV at 500 Hz.
    ///
    /// # Errors
    /// [`Error::Data`] where the source holds no rhythms; what reading brings.
    fn rhythm(&self, ecg: usize) -> Result<Array2<i16>>;

    /// The median beat, (12, L) µV at 500 Hz.
    ///
    /// # Errors
    /// As [`Samples::rhythm`].
    fn median(&self, ecg: usize) -> Result<Array2<f32>>;
}

/// Samples in memory: rhythms (N, 8, T), median beats (N, 12, L), or both.
#[derive(Clone, Debug)]
pub struct InMemory {
    rhythms: Option<Array3<i16>>,
    medians: Option<Array3<f32>>,
    ecgs: usize,
}

impl InMemory {
    /// Takes arrays whose first axis is the ECG.
    ///
    /// # Errors
    /// [`Error::Data`] if there is neither, [`Error::Shape`] if the leads or the numbers of ECGs do not fit,
    /// [`Error::Value`] for a NaN or infinite sample.
    pub fn new(rhythms: Option<Array3<i16>>, medians: Option<Array3<f32>>) -> Result<Self> {
        let ecgs = match (&rhythms, &medians) {
            (Some(rhythms), _) => rhythms.len_of(Axis(0)),
            (None, Some(medians)) => medians.len_of(Axis(0)),
            (None, None) => return Err(Error::Data("a dataset needs rhythms or median beats".into())),
        };
        let wrong = |at: &str, leads: usize, found: &[usize]| Error::Shape {
            at: at.into(),
            expected: format!("({ecgs}, {leads}, T)"),
            found: format!("{found:?}"),
        };
        if let Some(array) = rhythms.as_ref().filter(|array| array.len_of(Axis(1)) != RHYTHM_LEADS) {
            return Err(wrong("rhythms", RHYTHM_LEADS, array.shape()));
        }
        if let Some(array) = &medians {
            if array.len_of(Axis(0)) != ecgs || array.len_of(Axis(1)) != MEDIAN_LEADS {
                return Err(wrong("median beats", MEDIAN_LEADS, array.shape()));
            }
            for (ecg, beat) in array.outer_iter().enumerate() {
                check_finite("median beats", ecg, beat)?;
            }
        }
        Ok(InMemory { rhythms, medians, ecgs })
    }
}

impl Samples for InMemory {
    fn len(&self) -> usize {
        self.ecgs
    }

    fn rhythm(&self, ecg: usize) -> Result<Array2<i16>> {
        row(self.rhythms.as_ref(), ecg, "rhythms")
    }

    fn median(&self, ecg: usize) -> Result<Array2<f32>> {
        row(self.medians.as_ref(), ecg, "median beats")
    }
}

fn row<T: Clone>(array: Option<&Array3<T>>, ecg: usize, what: &str) -> Result<Array2<T>> {
    let array = array.ok_or_else(|| Error::Data(format!("this dataset holds no {what}")))?;
    if ecg >= array.len_of(Axis(0)) {
        return Err(Error::Data(format!("ECG {ecg} asked for, there are {}", array.len_of(Axis(0)))));
    }
    Ok(array.index_axis(Axis(0), ecg).to_owned())
}

/// Refuses NaN and infinite samples, naming the first by ECG, lead and sample.
pub(super) fn check_finite(at: &str, ecg: usize, samples: ndarray::ArrayView2<'_, f32>) -> Result<()> {
    match first_unfit(&samples, |value| !value.is_finite()) {
        None => Ok(()),
        Some(((lead, sample), value)) => {
            let lead = crate::ecg::leads::LEADS.get(lead).copied().unwrap_or("?");
            let at = format!("{at}: ECG {ecg}, lead {lead}, sample {sample}");
            Err(Error::Value { at, problem: format!("{value} is not a voltage") })
        }
    }
}
