//! A recording as everything in the program sees it: eight independent leads, 500 Hz, µV.

use super::filter::{Biquad, Frame, zero_phase};
use super::leads::{INDEPENDENT, RATE, twelve};
use crate::unfit::first_unfit;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// The shortest recording that is accepted, seconds.
pub const SHORTEST: f64 = 5.0;
/// The lowest rate that is accepted, Hz; from 250 Hz on intervals are what they should be.
pub const LOWEST: f64 = 100.0;
/// The longest recording that is accepted, seconds; longer ones are almost always not a resting ECG but a file read wrongly.
pub const LONGEST: f64 = 3600.0;

/// A recording of the 8 independent leads at 500 Hz in µV, at least [`SHORTEST`] seconds, every sample finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    samples: Array2<f32>,
}

fn check_length(samples: usize, rate: f64) -> Result<()> {
    let seconds = samples as f64 / rate;
    match (SHORTEST..=LONGEST).contains(&seconds) {
        true => Ok(()),
        false => Err(Error::Data(format!("the recording lasts {seconds:.1} s: ECGs from {SHORTEST} s to {LONGEST} s can be used"))),
    }
}

impl Rhythm {
    /// A recording from (8, T) samples in µV at 500 Hz, leads in the order of [`INDEPENDENT`].
    ///
    /// # Errors
    /// If there are not 8 rows, if it is shorter than 5 s, or if a sample is NaN or infinite.
    pub fn new(samples: Array2<f32>) -> Result<Self> {
        if samples.nrows() != 8 {
            return Err(Error::shape("recording", "(8, T)", samples.dim()));
        }
        check_length(samples.ncols(), RATE)?;
        if let Some(((lead, sample), value)) = first_unfit(&samples, |value| !value.is_finite()) {
            return Err(Error::Value {
                at: format!("recording, lead {}, sample {sample}", INDEPENDENT[lead]),
                problem: format!("{value} is not a voltage"),
            });
        }
        Ok(Rhythm { samples })
    }

    /// A recording from (8, T) samples in µV at another rate (250–1000 Hz), resampled to 500 Hz.
    ///
    /// # Errors
    /// As [`Rhythm::new`], and if the rate is outside 250–1000 Hz.
    pub fn at_rate(samples: ArrayView2<'_, f64>, rate: f64) -> Result<Self> {
        if !(250.0..=1000.0).contains(&rate) {
            return Err(Error::Data(format!("the recording is sampled at {rate} Hz: rates from 250 to 1000 Hz can be used")));
        }
        if samples.nrows() != 8 {
            return Err(Error::shape("recording", "(8, T)", samples.dim()));
        }
        // Before the work of resampling.
        check_length(samples.ncols(), rate)?;
        if let Some(((lead, sample), value)) = first_unfit(&samples, |value| !value.is_finite()) {
            return Err(Error::Value {
                at: format!("recording, lead {}, sample {sample}", INDEPENDENT[lead]),
                problem: format!("{value} is not a voltage"),
            });
        }
        if rate == RATE {
            return Rhythm::new(samples.mapv(|x| x as f32));
        }
        let frames: Vec<Frame> = samples.columns().into_iter().map(|column| std::array::from_fn(|lead| column[lead])).collect();
        let frames = resample(&frames, rate, RATE);
        Rhythm::new(Array2::from_shape_fn((8, frames.len()), |(lead, t)| frames[t][lead] as f32))
    }

    /// A recording from (8, T) samples in µV at 100 Hz and more, below what [`Rhythm::at_rate`] takes: what the rate holds is kept (sinc interpolation),
    /// but where waves begin and end is known no better than its step.
    ///
    /// # Errors
    /// As [`Rhythm::at_rate`].
    pub fn at_low_rate(samples: ArrayView2<'_, f64>, rate: f64) -> Result<Self> {
        if !(LOWEST..=1000.0).contains(&rate) || rate >= RATE / 2.0 {
            return Self::at_rate(samples, rate);
        }
        if samples.nrows() != 8 {
            return Err(Error::shape("recording", "(8, T)", samples.dim()));
        }
        check_length(samples.ncols(), rate)?;
        if let Some(((lead, sample), value)) = first_unfit(&samples, |value| !value.is_finite()) {
            return Err(Error::Value {
                at: format!("recording, lead {}, sample {sample}", INDEPENDENT[lead]),
                problem: format!("{value} is not a voltage"),
            });
        }
        let count = ((samples.ncols() as f64) * RATE / rate + 1e-9).floor() as usize;
        Rhythm::new(Array2::from_shape_fn((8, count), |(lead, t)| sinc_at(samples.row(lead), t as f64 * rate / RATE) as f32))
    }

    /// A recording at `rate` as a recorder of `slow` Hz, below what [`Rhythm::at_rate`] takes, would give it on to a program that wants 500 Hz.
    pub(crate) fn through(samples: ArrayView2<'_, f64>, rate: f64, slow: f64) -> Result<Self> {
        let frames: Vec<Frame> = samples.columns().into_iter().map(|column| std::array::from_fn(|lead| column[lead])).collect();
        let frames = resample(&resample(&frames, rate, slow), slow, RATE);
        Rhythm::new(Array2::from_shape_fn((8, frames.len()), |(lead, t)| frames[t][lead] as f32))
    }

    /// The samples, (8, T), µV.
    pub fn samples(&self) -> ArrayView2<'_, f32> {
        self.samples.view()
    }

    /// The samples, (8, T), µV.
    pub fn into_samples(self) -> Array2<f32> {
        self.samples
    }

    /// All 12 leads, (12, T), µV.
    pub fn twelve(&self) -> Array2<f32> {
        twelve(self.samples.view())
    }

    /// The duration, seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.ncols() as f64 / RATE
    }

    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.samples.columns().into_iter().map(|column| std::array::from_fn(|lead| f64::from(column[lead]))).collect()
    }
}

/// Samples on either side that interpolation looks at.
const REACH: isize = 12;

/// The signal at a place between samples: a sinc under a raised cosine, its weights made to sum to 1; beyond the ends the signal keeps its last value.
fn sinc_at(samples: ArrayView1<'_, f64>, position: f64) -> f64 {
    let (last, at) = (samples.len() as isize - 1, position.floor() as isize);
    let (mut sum, mut weights) = (0.0, 0.0);
    for k in at - REACH + 1..=at + REACH {
        let d = std::f64::consts::PI * (position - k as f64);
        let weight = if d.abs() < 1e-9 { 1.0 } else { d.sin() / d * 0.5 * (1.0 + (d / REACH as f64).cos()) };
        sum += weight * samples[k.clamp(0, last) as usize];
        weights += weight;
    }
    sum / weights
}

/// Leads (C, T) at another rate, any number of them: low-passed below the lower Nyquist frequency when the rate falls, then interpolated.
pub fn resampled(leads: ArrayView2<'_, f64>, from: f64, to: f64) -> Array2<f64> {
    if from == to {
        return leads.to_owned();
    }
    let mut parts = Vec::new();
    // Filters run on frames of eight.
    for eight in leads.axis_chunks_iter(Axis(0), INDEPENDENT.len()) {
        let frames: Vec<Frame> =
            eight.columns().into_iter().map(|column| std::array::from_fn(|lead| column.get(lead).copied().unwrap_or(0.0))).collect();
        let frames = resample(&frames, from, to);
        parts.push(Array2::from_shape_fn((eight.nrows(), frames.len()), |(lead, t)| frames[t][lead]));
    }
    let views: Vec<ArrayView2<'_, f64>> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views).unwrap_or_else(|_| Array2::zeros((0, 0)))
}

/// The frames at another rate: low-passed below the lower Nyquist frequency when the rate falls, then interpolated by Catmull–Rom cubics.
fn resample(frames: &[Frame], from: f64, to: f64) -> Vec<Frame> {
    let filtered;
    let source = if to < from {
        let low = Biquad::low_pass(0.4 * to, from);
        filtered = zero_phase(frames, &[low], 100);
        &filtered[..]
    } else {
        frames
    };
    let count = ((frames.len() as f64) * to / from + 1e-9).floor() as usize;
    (0..count).map(|t| cubic_at(source, t as f64 * from / to)).collect()
}

fn cubic_at(frames: &[Frame], position: f64) -> Frame {
    let last = frames.len() as isize - 1;
    let at = position.floor();
    let u = position - at;
    let get = |k: isize| &frames[(at as isize + k).clamp(0, last) as usize];
    let (p0, p1, p2, p3) = (get(-1), get(0), get(1), get(2));
    std::array::from_fn(|lead| {
        let (a, b, c, d) = (p0[lead], p1[lead], p2[lead], p3[lead]);
        b + 0.5 * u * (c - a + u * (2.0 * a - 5.0 * b + 4.0 * c - d + u * (3.0 * (b - c) + d - a)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_recording() {
        assert!(Rhythm::new(Array2::zeros((12, 5000))).is_err());
        assert!(Rhythm::new(Array2::zeros((8, 2000))).is_err());
        let mut samples = Array2::zeros((8, 5000));
        samples[[3, 77]] = f32::NAN;
        let message = Rhythm::new(samples).unwrap_err().to_string();
        assert!(message.contains("V2") && message.contains("77"), "{message}");
        assert!(Rhythm::at_rate(Array2::zeros((8, 2000)).view(), 100.0).is_err());
    }

    #[test]
    fn low_rates_keep_what_they_hold() {
        for rate in [100.0, 128.0, 200.0] {
            let wave = |t: f64| 1000.0 * (std::f64::consts::TAU * 30.0 * t).sin();
            let samples = Array2::from_shape_fn((8, (10.0 * rate) as usize), |(_, t)| wave(t as f64 / rate));
            let rhythm = Rhythm::at_low_rate(samples.view(), rate).unwrap();
            for t in 100..4900 {
                let error = f64::from(rhythm.samples()[[3, t]]) - wave(t as f64 / 500.0);
                assert!(error.abs() < 10.0, "rate {rate}, sample {t}: {error}");
            }
        }
        assert!(Rhythm::at_low_rate(Array2::zeros((8, 2000)).view(), 99.0).is_err());
    }

    #[test]
    fn any_number_of_leads_is_resampled_as_eight_are() {
        let leads = Array2::from_shape_fn((11, 2500), |(lead, t)| (lead as f64 + 1.0) * (t as f64 / 40.0).sin());
        let all = resampled(leads.view(), 250.0, 100.0);
        assert_eq!(all.dim(), (11, 1000));
        let last = resampled(leads.slice_axis(Axis(0), (10..).into()), 250.0, 100.0);
        assert_eq!(all.row(10), last.row(0));
        assert!((all[[0, 500]] - (500.0 * 2.5 / 40.0f64).sin()).abs() < 0.02);
        assert_eq!(resampled(leads.view(), 250.0, 250.0), leads);
    }

    #[test]
    fn resampling_keeps_slow_waves() {
        for rate in [250.0, 360.0, 1000.0] {
            let wave = |t: f64| 1000.0 * (std::f64::consts::TAU * 7.0 * t).sin();
            let count = (10.0 * rate) as usize;
            let samples = Array2::from_shape_fn((8, count), |(_, t)| wave(t as f64 / rate));
            let rhythm = Rhythm::at_rate(samples.view(), rate).unwrap();
            assert_eq!(rhythm.samples().ncols(), 5000);
            for t in 100..4900 {
                let error = f64::from(rhythm.samples()[[0, t]]) - wave(t as f64 / 500.0);
                assert!(error.abs() < 3.0, "rate {rate}, sample {t}: {error}");
            }
        }
    }
}
