//! Does a heatmap look where the measurement is made? The share of |attribution| in the segment that defines the target, against the
//! segment's share of points.
//!
//! Fiducials are samples of the median beat, so this can be asked of networks that look at it only.

use crate::dataset::{Place, Target};
use crate::ecg::Measurements;
use crate::ecg::leads::V5;
use ndarray::{ArrayView1, ArrayView2};
use std::ops::Range;

/// Half widths of the segments around peaks, samples of 2 ms: ± 20 ms for R and J, ± 40 ms for T.
const NARROW: usize = 10;
const WIDE: usize = 20;

/// A rectangle of a heatmap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Leads.
    pub leads: Range<usize>,
    /// Samples.
    pub samples: Range<usize>,
}

/// Where a target is measured, or a label shows, in a median beat (12, 600) with these measurements; ends included. `None` where a fiducial is missing, and for
/// the ventricular rate, which is not in a beat.
///
/// PR: P onset to QRS onset; QRS: onset to offset; QT: QRS onset to T end; all leads. R: its peak in V5 ± 20 ms; J: QRS offset ± 20 ms in V5;
/// T: its peak (largest deviation between QRS offset and T end) in V5 ± 40 ms. A label: its [`Place`], all leads; `None` where it is not known.
pub fn segment(target: Target, beat: ArrayView2<'_, f32>, found: &Measurements) -> Option<Region> {
    let len = beat.ncols();
    let sample = |at: Option<f64>| at.filter(|at| *at >= 0.0 && *at < len as f64).map(|at| at.round() as usize);
    let all = |from: Option<f64>, to: Option<f64>| span(0..beat.nrows(), sample(from)?, sample(to)?, len);
    let v5 = || (beat.nrows() > V5).then(|| beat.row(V5));
    let near = |centre: usize, half: usize| span(V5..V5 + 1, centre.saturating_sub(half), centre + half, len);
    match target {
        Target::Pr => all(found.p_onset, found.qrs_onset),
        Target::Qrs => all(found.qrs_onset, found.qrs_offset),
        Target::Qt => all(found.qrs_onset, found.t_offset),
        Target::RV5 => near(peak(v5()?, sample(found.qrs_onset)?, sample(found.qrs_offset)?, |v| v)?, NARROW),
        Target::JV5 => v5().and(near(sample(found.qrs_offset)?, NARROW)),
        Target::Rate => None,
        Target::TV5 => near(peak(v5()?, sample(found.qrs_offset)?, sample(found.t_offset)?, f32::abs)?, WIDE),
        label => match label.row().place {
            Place::Unknown => None,
            Place::P => all(found.p_onset, found.p_offset),
            Place::Pr => all(found.p_onset, found.qrs_onset),
            Place::Qrs => all(found.qrs_onset, found.qrs_offset),
            Place::St => all(found.qrs_offset, found.t_offset),
            Place::Qt => all(found.qrs_onset, found.t_offset),
            Place::BeforeQrs => all(Some(0.0), found.qrs_onset),
        },
    }
}

fn span(leads: Range<usize>, from: usize, to: usize, len: usize) -> Option<Region> {
    (from <= to && from < len).then(|| Region { leads, samples: from..(to + 1).min(len) })
}

/// The place of the largest `size` in a part of a lead, ends included; the first of equals.
fn peak(lead: ArrayView1<'_, f32>, from: usize, to: usize, size: impl Fn(f32) -> f32) -> Option<usize> {
    (from..=to.min(lead.len() - 1)).max_by(|a, b| size(lead[*a]).total_cmp(&size(lead[*b])).then(b.cmp(a)))
}

impl Region {
    /// Its share of a map's points.
    pub fn points(&self, map: ArrayView2<'_, f32>) -> f64 {
        (self.leads.len() * self.samples.len()) as f64 / map.len() as f64
    }

    /// Its share of a map's |attribution|; `None` for a map of zeros.
    pub fn share(&self, map: ArrayView2<'_, f32>) -> Option<f64> {
        let size = |v: &f32| f64::from(v.abs());
        let whole: f64 = map.iter().map(size).sum();
        let inside: f64 = self.leads.clone().flat_map(|lead| self.samples.clone().map(move |t| (lead, t))).map(|at| size(&map[at])).sum();
        (whole != 0.0).then(|| inside / whole)
    }
}
