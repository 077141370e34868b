//! `--segments`: occlusion of whole segments of the beat, by the fiducials that `cardiograd measure` found.

use crate::attribution::occlusion::{Segment, drops};
use crate::attribution::{Settings, of_ecg};
use crate::dataset::read_table;
use crate::tape::{Network, Real, Tensor, slice};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// How much the prediction falls when a segment is replaced by the baseline in all leads: (N, 5) in the order P, PR, QRS, ST, T; NaN where the ECG
/// lacks a fiducial that bounds the segment. Row n of the table belongs to ECG n of `x` (N, C, L), which are median beats.
pub(super) fn segments<T: Real>(network: &Network<T>, settings: &Settings, x: &Tensor<T>, table: &Path) -> Result<Array2<T>> {
    let records = read_table(table)?;
    let &[count, channels, len] = x.shape() else { return Err(Error::shape("the input", "(N, C, L)", x.shape())) };
    if records.len() != count {
        return Err(Error::format(table, format!("it has {} rows for {count} ECGs: one each is expected", records.len())));
    }
    let mut all = Array2::from_elem((count, Segment::ALL.len()), T::of(f64::NAN));
    for (n, (ecg, record)) in slice(x).chunks(channels * len).zip(&records).enumerate() {
        let base = settings.occluder().of(ecg, channels);
        let present = Segment::ALL.iter().enumerate().filter_map(|(at, segment)| Some((at, segment.samples(&record.measurements, len)?)));
        let (places, parts): (Vec<usize>, Vec<_>) = present.map(|(at, range)| (at, (0..channels, range))).unzip();
        let found = drops(network, settings.output, ecg, &base, channels, &parts).map_err(of_ecg(n as u64))?;
        places.into_iter().zip(found).for_each(|(at, drop)| all[[n, at]] = T::of(drop));
    }
    Ok(all)
}
