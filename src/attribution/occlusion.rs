//! Occlusion (Zeiler & Fergus 2014, section 4.2): how much the prediction falls when a part of the ECG is replaced: by the
//! baseline, or by a value of its own ([`Settings::occluder`](super::Settings::occluder)).
//! A part is a window of one lead, or a segment of the beat in all leads (P, PR, QRS, ST, T).

use super::extent::Extent;
#[cfg(feature = "std")]
use crate::ecg::Measurements;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Real, Tensor, from_vec, slice};
use crate::{Error, Result};
use core::ops::Range;

/// A segment of the beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// P onset to P offset.
    P,
    /// P offset to QRS onset.
    Pr,
    /// QRS onset to QRS offset.
    Qrs,
    /// QRS offset to the middle between it and the T end.
    St,
    /// From there to the T end.
    T,
}

impl Segment {
    /// Every segment, in the order of the beat.
    pub const ALL: [Segment; 5] = [Segment::P, Segment::Pr, Segment::Qrs, Segment::St, Segment::T];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Segment::P => "P",
            Segment::Pr => "PR",
            Segment::Qrs => "QRS",
            Segment::St => "ST",
            Segment::T => "T",
        }
    }

    /// The samples of the median beat that the segment covers, `None` where the ECG lacks a fiducial that bounds it.
    #[cfg(feature = "std")]
    pub fn samples(self, m: &Measurements, len: usize) -> Option<Range<usize>> {
        let middle = || Some((m.qrs_offset? + m.t_offset?) / 2.0);
        let (from, to) = match self {
            Segment::P => (m.p_onset?, m.p_offset?),
            Segment::Pr => (m.p_offset?, m.qrs_onset?),
            Segment::Qrs => (m.qrs_onset?, m.qrs_offset?),
            Segment::St => (m.qrs_offset?, middle()?),
            Segment::T => (middle()?, m.t_offset?),
        };
        let at = |v: f64| (v.max(0.0).round() as usize).min(len);
        (at(from) < at(to)).then(|| at(from)..at(to))
    }
}

/// Sliding windows over a row of `len` samples: starts `stride` apart, the last window reaching or passing the end, where it is cut.
pub(crate) fn windows(len: usize, window: usize, stride: usize) -> Vec<Range<usize>> {
    let window = window.clamp(1, len.max(1));
    let count = (len - window.min(len)).div_ceil(stride.max(1)) + 1;
    (0..count).map(|k| (k * stride).min(len)..(k * stride + window).min(len)).filter(|range| !range.is_empty()).collect()
}

/// f(x) − f(x with the values in each list of ranges replaced by the baseline's), by `predict`, which takes examples one after another; `batch` of them
/// at a time.
pub(super) fn falls<T: Real>(
    predict: &dyn Fn(Vec<T>) -> Result<Tensor<T>>,
    output: usize,
    x: &[T],
    baseline: &[T],
    parts: &[Vec<Range<usize>>],
    batch: usize,
) -> Result<Vec<f64>> {
    let predict = |inputs: Vec<T>| -> Result<Vec<f64>> {
        let y = predict(inputs)?;
        let &[_, columns] = y.shape() else {
            return Err(Error::Program(format!("the output has shape {:?}, occlusion needs (N, K)", y.shape())));
        };
        if output >= columns {
            return Err(Error::Usage(format!("output {output} was asked for, the network has {columns}")));
        }
        let values: Vec<f64> = slice(&y).iter().skip(output).step_by(columns).map(|v| v.f64()).collect();
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(values),
            Some(value) => {
                let problem = format!("the network gives {value} in {}, from which no fall can be told", T::NAME);
                Err(Error::Value { at: "an occluded input".into(), problem })
            }
        }
    };
    let whole = predict(x.to_vec())?[0];
    let mut all = Vec::with_capacity(parts.len());
    for some in parts.chunks(batch.max(1)) {
        let mut inputs = Vec::with_capacity(some.len() * x.len());
        for ranges in some {
            let mut occluded = x.to_vec();
            for range in ranges {
                occluded[range.clone()].copy_from_slice(&baseline[range.clone()]);
            }
            inputs.extend(occluded);
        }
        all.extend(predict(inputs)?.into_iter().map(|occluded| whole - occluded));
    }
    Ok(all)
}

/// f(x) − f(x with the samples of `leads` in each range replaced by the baseline's), one value per (leads, range), of one ECG (C·L values).
/// `batch` of them run at a time; results do not depend on it.
///
/// # Errors
/// If the network cannot run on the input, or has no such output; [`Error::Value`] if it gives what is not finite.
pub fn drops<T: Real>(
    network: &Network<T>,
    output: usize,
    x: &[T],
    baseline: &[T],
    channels: usize,
    parts: &[(Range<usize>, Range<usize>)],
    batch: usize,
) -> Result<Vec<f64>> {
    let len = x.len() / channels.max(1);
    let predict = |inputs: Vec<T>| network.predict(&[from_vec(&[inputs.len() / x.len(), channels, len], inputs)]);
    let rows = |(leads, range): &(Range<usize>, Range<usize>)| {
        leads.clone().map(|lead| lead * len + range.start..lead * len + range.end).collect()
    };
    falls(&predict, output, x, baseline, &parts.iter().map(rows).collect::<Vec<_>>(), batch)
}

/// The map of one example: each sample's mean fall over the windows of its lead that cover it, and the fall when a value beside the ECG is replaced.
/// Windows have a length and a distance from start to start, samples.
///
/// # Errors
/// As [`drops`].
pub(super) fn map<T: Real>(
    network: &Network<T>,
    output: usize,
    x: &[T],
    baseline: &[T],
    extent: &Extent,
    (window, stride): (usize, usize),
    batch: usize,
) -> Result<Vec<T>> {
    let ranges = windows(extent.len, window, stride);
    let leads = (0..extent.channels).flat_map(|lead| ranges.iter().map(move |range| (lead * extent.len, range)));
    let parts = leads.map(|(from, range)| from + range.start..from + range.end).chain((extent.ecg()..x.len()).map(|at| at..at + 1));
    let parts: Vec<Vec<Range<usize>>> = parts.map(|range| vec![range]).collect();
    let falls = falls(&|inputs| network.predict(&extent.tensors(inputs)), output, x, baseline, &parts, batch)?;
    let (mut sums, mut counts) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for (part, fall) in parts.into_iter().flatten().zip(falls) {
        for at in part {
            sums[at] += fall;
            counts[at] += 1.0;
        }
    }
    Ok(sums.into_iter().zip(counts).map(|(sum, count)| T::of(if count > 0.0 { sum / count } else { 0.0 })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_row() {
        assert_eq!(windows(10, 4, 3), [0..4, 3..7, 6..10]);
        assert_eq!(windows(10, 4, 4), [0..4, 4..8, 8..10]);
        assert_eq!(windows(3, 7, 2), vec![0..3; 1]);
        assert_eq!(windows(5, 1, 1).len(), 5);
    }

    #[test]
    fn segments_follow_the_fiducials() {
        let m = Measurements {
            p_onset: Some(140.0),
            p_offset: Some(190.0),
            qrs_onset: Some(220.0),
            qrs_offset: Some(265.0),
            t_offset: Some(425.0),
            ..Measurements::default()
        };
        let all: Vec<_> = Segment::ALL.iter().map(|segment| segment.samples(&m, 600)).collect();
        assert_eq!(all, [Some(140..190), Some(190..220), Some(220..265), Some(265..345), Some(345..425)]);
        assert_eq!(Segment::P.samples(&Measurements { p_onset: None, ..m }, 600), None);
    }
}
