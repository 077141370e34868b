//! What every reader of measurements promises.

use cardiograd::ecg::Measurements;

/// Whether no measurement is NaN or infinite.
pub fn finite(m: &Measurements) -> bool {
    let intervals = [m.pr_ms, m.qrs_ms, m.qt_ms, m.rate_bpm, m.r_v5_uv, m.j_v5_uv, m.t_v5_uv];
    let fiducials = [m.p_onset, m.p_offset, m.qrs_onset, m.qrs_offset, m.t_offset];
    intervals.iter().chain(&fiducials).flatten().all(|value| value.is_finite())
}
