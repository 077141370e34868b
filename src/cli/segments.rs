//! `--segments`: occlusion of whole segments of the beat, by the fiducials that `cardiograd measure` found.

use crate::attribution::occlusion::{Segment, drops};
use crate::attribution::{Settings, of_ecg};
use crate::dataset::{Record, read_table};
use crate::tape::{Network, Real, Tensor, slice};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// The segments' bounds: a row of the table for each of the ECGs.
pub(super) fn bounds(table: &Path, ecgs: usize) -> Result<Vec<Record>> {
    let records = read_table(table)?;
    if records.len() != ecgs {
        return Err(Error::format(table, format!("it has {} rows for {ecgs} ECGs: one each is expected", records.len())));
    }
    Ok(records)
}

/// How much the prediction falls when a segment is replaced by the baseline in all leads: (N, 5) in the order P, PR, QRS, ST, T; NaN where the ECG
/// lacks a fiducial that bounds the segment. `records` are those of the ECGs `x` (N, C, L), numbered `ids`, which are median
/// beats.
pub(super) fn segments<T: Real>(
    network: &Network<T>,
    settings: &Settings,
    x: &Tensor<T>,
    ids: &[u64],
    records: &[Record],
) -> Result<Array2<T>> {
    let &[count, channels, len] = x.shape() else { return Err(Error::shape("the input", "(N, C, L)", x.shape())) };
    let mut all = Array2::from_elem((count, Segment::ALL.len()), T::of(f64::NAN));
    for (n, (ecg, record)) in slice(x).chunks(channels * len).zip(records).enumerate() {
        let base = settings.occluder().of(ecg, channels);
        let present = Segment::ALL.iter().enumerate().filter_map(|(at, segment)| Some((at, segment.samples(&record.measurements, len)?)));
        let (places, parts): (Vec<usize>, Vec<_>) = present.map(|(at, range)| (at, (0..channels, range))).unzip();
        let found = drops(network, settings.output, ecg, &base, channels, &parts, 1).map_err(of_ecg(ids[n]))?;
        places.into_iter().zip(found).for_each(|(at, drop)| all[[n, at]] = T::of(drop));
    }
    Ok(all)
}
