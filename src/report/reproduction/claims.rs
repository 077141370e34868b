//! What the study says in its results, discussion and conclusion, sentence by sentence in our words, each with the criterion that decides it here.
//!
//! A criterion reads areas, errors and heatmaps; it is tried on Table 4 as published too, so that a criterion that the study itself does not meet is
//! seen to be one.

use super::criteria::{
    Evidence, Judged, all_but_r, at_the_peak, each_mean, each_place, errors, experts_disagree, experts_on_r, first, ineffective,
    intervals_rise_less, maps_differ, mean_is, no_best, others_miss_r, peak_costs, place_is, ranked, recommended, same_at_every_end,
    t_peak, votes,
};
use crate::dataset::Target;

/// A sentence.
pub(super) struct Claim {
    /// Where the study says it.
    pub from: &'static str,
    /// What it says, in our words.
    pub says: &'static str,
    /// What decides it here.
    pub criterion: &'static str,
    /// Decides it.
    pub judge: fn(&Evidence<'_>) -> Judged,
    /// The table or picture behind it, as an anchor of the document.
    pub behind: (&'static str, &'static str),
}

const CELLS: (&str, &str) = ("table-4-beside-the-published", "Table 4");
const PLACES: (&str, &str) = ("places-between-random-and-the-winner", "places");
const RANKS: (&str, &str) = ("ranks-over-ends-10-to-25", "ranks");
const METRICS: (&str, &str) = ("prediction-errors", "errors");
const EXPERTS: (&str, &str) = ("experts-against-perturbation", "experts");
const AVERAGED: (&str, &str) = ("averaged-heatmaps", "averaged heatmaps");
const NONE: (&str, &str) = ("what-differs-from-the-study", "what differs");

/// Every sentence, in the study's order.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        from: "Results",
        says: "No method is the best for every measurement.",
        criterion: "every method has a target on which its area is the largest in at most 2.5 % of resamples; a method that is largest on all six in at least 97.5 % speaks against it",
        judge: no_best,
        behind: PLACES,
    },
    Claim {
        from: "Results",
        says: "The networks predict about as well as those of earlier work.",
        criterion: "the mean absolute error of each of the six networks is at most 1.25 times the published one, with its interval over test ECGs",
        judge: errors,
        behind: METRICS,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "The error rises less for intervals than for amplitudes.",
        criterion: "the largest area of every interval is below the largest area of every amplitude, with the intervals of their ratio",
        judge: intervals_rise_less,
        behind: CELLS,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "DeepLIFT, Gradient SHAP, Saliency and SmoothGrad do well throughout, with steep curves.",
        criterion: "the mean over six targets of the place between Random (0) and the winner (1) is at least 2/3 for each of the four",
        judge: |e| each_mean(e, &["deeplift", "gradient_shap", "saliency", "smoothgrad"], 2.0 / 3.0),
        behind: PLACES,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "Guided backpropagation and Input × gradient do well, but not for the R amplitude.",
        criterion: "for both the mean place over the other five targets is at least 1/2, and the place for R is below 1/3",
        judge: all_but_r,
        behind: PLACES,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "Integrated gradients are stable.",
        criterion: "their place is at least 1/3 on each target, so that they are nowhere of the poor class",
        judge: |e| each_place(e, "integrated_gradients", |place| place.at_least(1.0 / 3.0)),
        behind: PLACES,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "Guided Grad-CAM does less well than most.",
        criterion: "its mean place over six targets is below 1/2",
        judge: |e| mean_is(e, "guided_gradcam", |place| place.below(0.5)),
        behind: PLACES,
    },
    Claim {
        from: "Results, objective evaluation",
        says: "Deconvolution is at the level of random heatmaps.",
        criterion: "its place is below 1/3 on each target, so that it is everywhere of the poor class",
        judge: |e| each_place(e, "deconvolution", |place| place.below(1.0 / 3.0)),
        behind: PLACES,
    },
    Claim {
        from: "Methods, objective evaluation",
        says: "The order of the methods is the same wherever the area ends between 10 and 25 points.",
        criterion: "on each target the ranks of all methods are the same for all 16 ends",
        judge: same_at_every_end,
        behind: RANKS,
    },
    Claim {
        from: "Discussion",
        says: "Methods range from highly effective to ineffective.",
        criterion: "on each target some method of the nine has a place below 1/3, the winner having 1",
        judge: ineffective,
        behind: PLACES,
    },
    Claim {
        from: "Discussion",
        says: "Perturbation favours SmoothGrad for the PR interval.",
        criterion: "the share of resamples in which it has the largest area",
        judge: |e| first(e, Target::Pr, "smoothgrad"),
        behind: CELLS,
    },
    Claim {
        from: "Table 4",
        says: "Guided backpropagation has the largest area for the QRS duration.",
        criterion: "the share of resamples in which it has the largest area",
        judge: |e| first(e, Target::Qrs, "guided_backprop"),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "SmoothGrad is acceptable for the QRS duration.",
        criterion: "its place there is at least 1/3",
        judge: |e| place_is(e, Target::Qrs, "smoothgrad", |place| place.at_least(1.0 / 3.0)),
        behind: PLACES,
    },
    Claim {
        from: "Table 4",
        says: "DeepLIFT has the largest area for the QT interval.",
        criterion: "the share of resamples in which it has the largest area",
        judge: |e| first(e, Target::Qt, "deeplift"),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "SmoothGrad is second for the QT interval.",
        criterion: "its rank among the nine on resamples is 2",
        judge: |e| ranked(e, Target::Qt, "smoothgrad", 2.0),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "Perturbation favours DeepLIFT for the R amplitude.",
        criterion: "the share of resamples in which it has the largest area",
        judge: |e| first(e, Target::RV5, "deeplift"),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "Input × gradient is sixth of nine for the R amplitude.",
        criterion: "its rank among the nine on resamples is 6",
        judge: |e| ranked(e, Target::RV5, "inputxgradient", 6.0),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "Perturbation favours SmoothGrad for the J-point amplitude.",
        criterion: "the share of resamples in which it has the largest area",
        judge: |e| first(e, Target::JV5, "smoothgrad"),
        behind: CELLS,
    },
    Claim {
        from: "Discussion",
        says: "Perturbation favours SmoothGrad for the T amplitude.",
        criterion: "the share of resamples in which it has the largest area, shared with a method that equals it (as published with Input × gradient)",
        judge: |e| first(e, Target::TV5, "smoothgrad"),
        behind: CELLS,
    },
    Claim {
        from: "Results",
        says: "Experts and perturbation disagree considerably.",
        criterion: "on at least three of six targets the method of most published votes (full heatmaps) has the largest area in at most 2.5 % of resamples",
        judge: experts_disagree,
        behind: EXPERTS,
    },
    Claim {
        from: "Discussion",
        says: "They disagree most on Input × gradient for the R amplitude, which experts chose unanimously.",
        criterion: "of the nine methods, it has the largest difference between the rank by published votes and that by area, in at least 97.5 % of resamples",
        judge: experts_on_r,
        behind: EXPERTS,
    },
    Claim {
        from: "Discussion",
        says: "Perturbation prefers methods that do not stress the R peak, since noise there changes a tall wave little.",
        criterion: "over the nine methods, Spearman's correlation of the area for R with the share of the first 15 points that lie within 10 ms of the R peak in V5 is below 0",
        judge: peak_costs,
        behind: AVERAGED,
    },
    Claim {
        from: "Discussion",
        says: "Input × gradient finds the R peak.",
        criterion: "its averaged heatmap is largest within 20 ms of the R peak in at least half of the ECGs drawn, with Wilson's interval",
        judge: |e| at_the_peak(e, Target::RV5, &["inputxgradient"]),
        behind: AVERAGED,
    },
    Claim {
        from: "Discussion",
        says: "Most other methods miss the R peak.",
        criterion: "at least five of the other eight are largest there in less than half of the ECGs drawn",
        judge: others_miss_r,
        behind: AVERAGED,
    },
    Claim {
        from: "Discussion",
        says: "All methods but Deconvolution find the T peak.",
        criterion: "each of the eight is largest within 40 ms of the T peak in at least half of the ECGs drawn, Deconvolution in less than half",
        judge: t_peak,
        behind: AVERAGED,
    },
    Claim {
        from: "Discussion",
        says: "Methods differ much on one and the same ECG.",
        criterion: "Spearman's correlation of |attribution|, mean over pairs of the nine methods and over targets, is below 1/2",
        judge: maps_differ,
        behind: AVERAGED,
    },
    Claim {
        from: "Results, expert evaluation",
        says: "Deconvolution is never chosen by experts; DeepLIFT, guided backpropagation, Input × gradient, Saliency and SmoothGrad are chosen often.",
        criterion: "votes of experts on this study's heatmaps",
        judge: |_| votes(),
        behind: NONE,
    },
    Claim {
        from: "Results, expert evaluation",
        says: "Experts agree with themselves (κ 0.6 to 0.9), and with each other from perfectly (R) to poorly (J).",
        criterion: "votes of experts on this study's heatmaps",
        judge: |_| votes(),
        behind: NONE,
    },
    Claim {
        from: "Discussion",
        says: "Experts agree more on averaged heatmaps than on full ones.",
        criterion: "votes of experts on this study's heatmaps",
        judge: |_| votes(),
        behind: NONE,
    },
    Claim {
        from: "Recommendations",
        says: "Use DeepLIFT, guided backpropagation, Input × gradient, Saliency or SmoothGrad, and not Deconvolution.",
        criterion: "of perturbation alone: the mean place over six targets is at least 1/2 for each of the five, and below 1/3 for Deconvolution",
        judge: recommended,
        behind: PLACES,
    },
    Claim {
        from: "Conclusion",
        says: "Several methods should be tried to find the one that suits.",
        criterion: "as the first sentence: no method is the best for every measurement",
        judge: no_best,
        behind: PLACES,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reproduction::areas::Areas;
    use crate::report::reproduction::verdict::Verdict;

    /// A criterion that the study's own table does not meet would say nothing of a rerun.
    #[test]
    fn the_published_table_meets_the_criteria() {
        let all: Vec<Areas> = Target::STUDY.into_iter().filter_map(Areas::published).collect();
        let evidence = Evidence { areas: all.iter().collect(), study: None, peaks: None };
        let mut judged = 0;
        for claim in CLAIMS {
            if let Ok((verdict, figure)) = (claim.judge)(&evidence) {
                // All ends of Table 4 are one: 15.
                assert_eq!(verdict, Verdict::Holds, "{}: {figure}", claim.says);
                judged += 1;
            }
        }
        assert_eq!(judged, 21);
        let five = Evidence { areas: all.iter().skip(1).collect(), study: None, peaks: None };
        assert_eq!(no_best(&five), Err("this study has no areas for the PR interval".into()));
    }
}
