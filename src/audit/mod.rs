//! Checks that a heatmap is what it claims to be.
