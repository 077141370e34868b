//! Files that users bring and take away: arrays, weights, recordings.
