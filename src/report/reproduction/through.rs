//! Where Grad-CAM lets guided backpropagation through: Guided Grad-CAM is their product, and what Grad-CAM's map sets to 0 cannot be ranked
//! (Selvaraju et al. 2017, section 3.1).

use super::areas::Areas;
use super::peaks::places;
use super::tables::{figure, in_percent};
use crate::dataset::{InputKind, Target};
use crate::ecg::leads::RATE;
use crate::evaluation::bootstrap::{Estimate, interval};
use crate::evaluation::errors::share;
use crate::report::methods::title;
use crate::report::results::StudyResults;
use crate::report::tables::{Cell, Table};
use ndarray::{ArrayView2, Axis};

const PRODUCT: &str = "guided_gradcam";
const GUIDED: &str = "guided_backprop";

/// What of an ECG's time is let through, as shares: of all of it, and of what lies at the places that make the measurement.
struct Through {
    all: f64,
    there: f64,
}

/// The share of a time, by samples, in which a heatmap of Guided Grad-CAM is not 0 in every lead.
fn through(map: ArrayView2<'_, f32>, within: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut open, mut all) = (0usize, 0usize);
    for (_, column) in map.axis_iter(Axis(1)).enumerate().filter(|(at, _)| within(*at as f64)) {
        all += 1;
        open += usize::from(column.iter().any(|v| *v != 0.0));
    }
    (all > 0).then(|| open as f64 / all as f64)
}

/// Of a target's ECGs drawn, those whose places are known. `None` where there are no heatmaps of median beats.
fn of(study: &StudyResults, target: Target) -> Option<Vec<Through>> {
    let maps = study.target(target).filter(|_| study.input == InputKind::Median)?.maps_of(PRODUCT)?;
    let one = |(ecg, map): (usize, ArrayView2<'_, f32>)| {
        let places = places(target, study.ecgs.inputs.index_axis(Axis(0), ecg), &study.ecgs.measurements[ecg])?;
        let near = |at: f64| places.iter().any(|(place, reach)| (at - place).abs() <= reach * RATE / 1000.0);
        Some(Through { all: through(map, |_| true)?, there: through(map, near)? })
    };
    Some(maps.axis_iter(Axis(0)).enumerate().filter_map(one).collect())
}

/// The mean of percentages over ECGs, with its bootstrap interval.
fn mean(values: &[f64], resamples: usize, seed: u64) -> Option<Estimate> {
    let of = |units: &[usize]| Some(100.0 * units.iter().map(|unit| values[*unit]).sum::<f64>() / units.len() as f64);
    let (low, high) = interval(values.len(), resamples, seed, of)?;
    let all: Vec<usize> = (0..values.len()).collect();
    Some(Estimate { value: of(&all)?, low, high, ecgs: values.len() })
}

/// The table; without rows where there are no such heatmaps.
pub(super) fn table(study: &StudyResults, areas: &[Areas], resamples: usize) -> Table {
    let caption = "Of Guided Grad-CAM's heatmaps of the ECGs drawn: those that are 0 everywhere; the share of the time, in percent, in which Grad-CAM lets guided backpropagation \
                   through (in some lead the heatmap is not 0), of the whole beat and of what lies at the places that make the measurement (as in the table above); beside them the places \
                   between Random and the winner, of guided backpropagation alone and of what is left of it";
    let header = ["Target", "ECGs", "0 everywhere, %", "Of the beat, %", "At the places, %"].map(str::to_owned);
    let methods = [GUIDED, PRODUCT].map(|method| format!("Place of {}", title(method)));
    let mut table = Table::new(caption, header.into_iter().chain(methods));
    for target in Target::STUDY {
        let Some(found) = of(study, target).filter(|found| !found.is_empty()) else { continue };
        let nothing = share(found.iter().filter(|one| one.all == 0.0).count(), found.len());
        let own = |of: fn(&Through) -> f64| mean(&found.iter().map(of).collect::<Vec<f64>>(), resamples, study.provenance.seed);
        let mut row = vec![Cell::text(target.title()), Cell::number(found.len() as f64, 0), Cell::estimate(nothing.map(in_percent), 0)];
        row.extend([own(|one| one.all), own(|one| one.there)].map(|share| Cell::estimate(share, 0)));
        let areas = areas.iter().find(|areas| areas.target == target);
        row.extend(
            [GUIDED, PRODUCT]
                .map(|method| areas.and_then(|areas| areas.place(method)).map_or_else(|| Cell::text("–"), |place| figure(&place, 2))),
        );
        table.rows.push(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn time_is_let_through_where_some_lead_is_not_0() {
        let mut map = Array2::<f32>::zeros((2, 10));
        (map[[0, 2]], map[[1, 2]], map[[1, 7]]) = (1.0, -3.0, -0.5);
        assert_eq!(through(map.view(), |_| true), Some(0.2));
        assert_eq!(through(map.view(), |at| (at - 2.0).abs() <= 1.0), Some(1.0 / 3.0));
        assert_eq!(through(map.view(), |at| at > 100.0), None);
        let found = mean(&[0.2, 0.4], 200, 1).unwrap();
        assert!((found.value - 30.0).abs() < 1e-12 && found.low >= 20.0 - 1e-12 && found.high <= 40.0 + 1e-12 && found.ecgs == 2);
    }
}
