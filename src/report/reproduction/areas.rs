//! Areas of Table 4 with those on resamples of ECGs, of a study or as published: what claims are decided by.

use super::verdict::Figure;
use crate::dataset::Target;
use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::ranks::descending;
use crate::evaluation::scores::{self, Scoring};
use crate::report::analysis::sorted;
use crate::report::methods::NINE;
use crate::report::published;
use crate::report::resampled::Resampled;
use crate::report::results::TargetResults;
use ndarray::{Array2, ArrayView1, ArrayView2};

/// The name of the control.
pub(super) const RANDOM: &str = "random";

/// A correlation of two lists, where they have one.
type Correlation = fn(&[f64], &[f64]) -> Option<f64>;

/// The areas of one target by one scoring, and those on resamples of ECGs.
#[derive(Clone, Debug)]
pub(super) struct Areas {
    pub target: Target,
    /// In the order of the study's tables.
    pub methods: Vec<String>,
    /// The area of each method with its interval.
    pub areas: Vec<Estimate>,
    /// (resamples, methods): the areas on the same resamples of the ECGs that every method is scored on.
    pub drawn: Array2<f64>,
    /// For each end from 10 to 25 the rank of each method; empty as published.
    pub ranks_by_end: Vec<(usize, Vec<f64>)>,
}

impl Areas {
    /// Those of a study, with resamples under a seed. `None` where nothing was perturbed or nothing can be scored.
    pub fn of(results: &TargetResults, scoring: Scoring, (seed, resamples): (u64, usize)) -> Option<Self> {
        let perturbed = sorted(results.perturbation.as_ref()?);
        let views: Vec<ArrayView2<'_, f32>> = perturbed.methods.iter().map(|method| method.predictions.view()).collect();
        let rows = scores::usable(&perturbed.truth, &views, scoring);
        if rows.is_empty() || views.is_empty() || !results.target.is_regression() {
            return None;
        }
        let scored =
            |view: &ArrayView2<'_, f32>, rows: &[usize]| scores::scores(*view, &perturbed.truth, perturbed.target_sd, scoring, rows);
        let mut resampled = Resampled::new(seed, resamples);
        let (mut areas, mut drawn) = (Vec::new(), Array2::zeros((resamples, views.len())));
        for (view, mut column) in views.iter().zip(drawn.columns_mut()) {
            let common = scored(view, &rows);
            column.iter_mut().zip(resampled.areas(&common, scoring)).for_each(|(to, area)| *to = area);
            // The study's scripts drop rows for each method by itself.
            let own = (scoring == Scoring::Paper).then(|| scores::finite_rows(*view, &perturbed.truth)).filter(|own| *own != rows);
            areas.push(resampled.area(&own.map_or(common, |own| scored(view, &own)), scoring));
        }
        let curves = scores::curves(&perturbed.truth, perturbed.target_sd, &views, scoring);
        Some(Areas {
            target: results.target,
            methods: perturbed.methods.iter().map(|method| method.method.clone()).collect(),
            areas,
            drawn,
            ranks_by_end: scores::ranks_by_end(&curves),
        })
    }

    /// Those of Table 4 as published: the same on every resample. `None` for a target that the study had not.
    pub fn published(target: Target) -> Option<Self> {
        let mut methods: Vec<String> = NINE.iter().chain(&[RANDOM]).map(|name| (*name).to_owned()).collect();
        crate::report::methods::sort(&mut methods);
        let values: Vec<f64> = methods.iter().map(|method| published::table4(method, target)).collect::<Option<_>>()?;
        let estimate = |value: &f64| Estimate { value: *value, low: *value, high: *value, ecgs: 5000 };
        let areas = values.iter().map(estimate).collect();
        let drawn = Array2::from_shape_vec((1, values.len()), values).ok()?;
        Some(Areas { target, methods, areas, drawn, ranks_by_end: Vec::new() })
    }

    /// The areas on all ECGs.
    pub fn values(&self) -> Vec<f64> {
        self.areas.iter().map(|area| area.value).collect()
    }

    /// Where a method stands.
    pub fn at(&self, method: &str) -> Option<usize> {
        self.methods.iter().position(|name| name == method)
    }

    /// Something of the areas, on all ECGs and on each resample.
    pub fn figure(&self, of: impl Fn(ArrayView1<'_, f64>) -> f64) -> Figure {
        let whole = self.values();
        Figure { value: of(ArrayView1::from(&whole)), drawn: self.drawn.rows().into_iter().map(of).collect() }
    }

    /// The place of a method between the random control, 0, and the winner, 1. `None` without the control or the method.
    pub fn place(&self, method: &str) -> Option<Figure> {
        let (own, random) = (self.at(method)?, self.at(RANDOM)?);
        Some(self.figure(|areas| place(areas, own, random)))
    }

    /// The share of resamples in which a method has the largest area, shared where several have.
    pub fn first(&self, method: &str) -> Option<f64> {
        let own = self.at(method)?;
        let share = |areas: ArrayView1<'_, f64>| {
            let most = areas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let equal = areas.iter().filter(|area| **area == most).count() as f64;
            if areas[own] == most { 1.0 / equal } else { 0.0 }
        };
        Some(self.drawn.rows().into_iter().map(share).sum::<f64>() / self.drawn.nrows() as f64)
    }

    /// The rank of a method by area among those wanted, 1 for the largest.
    pub fn rank(&self, method: &str, wanted: impl Fn(&str) -> bool) -> Option<Figure> {
        let among: Vec<usize> = (0..self.methods.len()).filter(|m| wanted(&self.methods[*m])).collect();
        let own = among.iter().position(|m| self.methods[*m] == method)?;
        Some(self.figure(|areas| descending(&among.iter().map(|m| areas[*m]).collect::<Vec<_>>())[own]))
    }

    /// The largest area.
    pub fn most(&self) -> Figure {
        self.figure(|areas| areas.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// The method of the largest area.
    pub fn winner(&self) -> Option<&str> {
        let best = self.areas.iter().enumerate().max_by(|a, b| a.1.value.total_cmp(&b.1.value));
        best.map(|(m, _)| self.methods[m].as_str())
    }

    /// The methods that Table 4 as published has too, with its areas: place here, published area.
    pub fn both(&self, with_random: bool) -> Vec<(usize, f64)> {
        let all = self.methods.iter().enumerate().filter(|(_, method)| with_random || *method != RANDOM);
        all.filter_map(|(m, method)| Some((m, published::table4(method, self.target)?))).collect()
    }

    /// A correlation with Table 4 as published.
    pub fn likeness(&self, with_random: bool, of: Correlation) -> Figure {
        let (places, theirs): (Vec<usize>, Vec<f64>) = self.both(with_random).into_iter().unzip();
        self.figure(|areas| of(&places.iter().map(|m| areas[*m]).collect::<Vec<_>>(), &theirs).unwrap_or(f64::NAN))
    }
}

/// The place of an area between that of the random control, 0, and the largest, 1. NaN where the control is not below the largest.
pub(super) fn place(areas: ArrayView1<'_, f64>, own: usize, random: usize) -> f64 {
    let winner = areas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if winner > areas[random] { (areas[own] - areas[random]) / (winner - areas[random]) } else { f64::NAN }
}

/// The mean place of a method over targets, on all ECGs and resample by resample. `None` where one has none.
pub(super) fn mean_place(all: &[&Areas], method: &str) -> Option<Figure> {
    let places: Vec<Figure> = all.iter().map(|areas| areas.place(method)).collect::<Option<_>>()?;
    Figure::mean(&places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::ranks::{kendall, spearman};

    #[test]
    fn the_published_table_by_hand() {
        let qrs = Areas::published(Target::Qrs).expect("a target of the study");
        assert_eq!((qrs.winner(), qrs.first("guided_backprop"), qrs.first("saliency")), (Some("guided_backprop"), Some(1.0), Some(0.0)));
        let place = qrs.place("saliency").expect("a place");
        assert!((place.value - (1.65 - 0.58) / (1.91 - 0.58)).abs() < 1e-12 && place.drawn == [place.value]);
        assert_eq!(qrs.rank("saliency", |method| method != RANDOM).map(|rank| rank.value), Some(2.0));
        assert_eq!([spearman, kendall].map(|of| qrs.likeness(false, of).value), [1.0, 1.0]);
        assert!(Areas::published(Target::Rate).is_none());
        // In T two methods share the largest area.
        assert_eq!(Areas::published(Target::TV5).expect("a target").first("smoothgrad"), Some(0.5));
    }

    #[test]
    fn means_of_places_follow_the_resamples() {
        let all: Vec<Areas> = Target::STUDY.into_iter().filter_map(Areas::published).collect();
        let mean = |method: &str| mean_place(&all.iter().collect::<Vec<_>>(), method).expect("a mean").value;
        // By hand from Table 4.
        assert!((mean("smoothgrad") - 0.911).abs() < 1e-3 && (mean("guided_gradcam") - 0.363).abs() < 1e-3, "{}", mean("guided_gradcam"));
        assert!((mean(RANDOM), mean_place(&[], "saliency").is_none()) == (0.0, true));
    }
}
