//! Judging heatmaps: perturbation, scores, agreement.
