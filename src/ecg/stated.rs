//! What is said of an ECG, whoever says it: the samples that are measured, and the digits that are told. The command line and the bindings take both from
//! here, so that they say the same of the same ECG.

use super::Measurements;
use ndarray::Array2;

/// No sample of a dataset is larger, µV.
pub const MOST_MICROVOLTS: f32 = 32_000.0;

/// Samples (8, T) in whole µV, a lead that lies outside of 16 bits first set on its mean; and how many leads were.
pub fn whole_microvolts(mut samples: Array2<f32>) -> (Array2<f32>, usize) {
    let mut moved = 0;
    for mut lead in samples.rows_mut() {
        if !lead.iter().all(|x| x.abs() < MOST_MICROVOLTS) {
            let mean = lead.mean().unwrap_or(0.0);
            lead.mapv_inplace(|x| x - mean);
            moved += 1;
        }
    }
    let near = samples.iter().fold(true, |near, x| near & (x.abs() < 65_536.0));
    samples.mapv_inplace(if near { whole } else { f32::round });
    (samples, moved)
}

/// [`f32::round`] of what is below 2¹⁶, by instructions that every processor has: elsewhere it is a call for each sample.
fn whole(x: f32) -> f32 {
    let towards_zero = x as i32 as f32;
    // Exact: a float's fraction is one, too.
    let beyond = (x - towards_zero).abs() >= 0.5;
    (towards_zero.abs() + f32::from(u8::from(beyond))).copysign(x)
}

/// A measurement as it is meant: times to 0.1 ms, rates to 0.1 per minute, amplitudes to 0.1 µV, fiducials to the sample. What is told is these; a
/// dataset keeps all digits, which networks are trained on.
pub fn rounded(m: &Measurements) -> Measurements {
    let tenth = |value: Option<f64>| value.map(|value| (value * 10.0).round() / 10.0);
    let sample = |value: Option<f64>| value.map(f64::round);
    Measurements {
        pr_ms: tenth(m.pr_ms),
        qrs_ms: tenth(m.qrs_ms),
        qt_ms: tenth(m.qt_ms),
        rate_bpm: tenth(m.rate_bpm),
        r_v5_uv: tenth(m.r_v5_uv),
        j_v5_uv: tenth(m.j_v5_uv),
        t_v5_uv: tenth(m.t_v5_uv),
        p_onset: sample(m.p_onset),
        p_offset: sample(m.p_offset),
        qrs_onset: sample(m.qrs_onset),
        qrs_offset: sample(m.qrs_offset),
        t_offset: sample(m.t_offset),
        ..m.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_those_of_the_standard_library_to_the_sign_of_zero() {
        let halves = (-131_070..=131_070).flat_map(|k| {
            let x = k as f32 / 2.0;
            [x, x.next_up(), x.next_down()]
        });
        let others = [0.0, -0.0, 0.3, -0.3, 0.499_999_97, -0.499_999_97, f32::MIN_POSITIVE];
        for x in halves.chain(others) {
            assert_eq!(whole(x).to_bits(), x.round().to_bits(), "{x}");
        }
        let far = ndarray::array![[1e9f32, -1e9, 1e9, -1e9, 0.4]];
        assert_eq!(whole_microvolts(far.clone()), ((&far - far.mean().unwrap()).mapv(f32::round), 1));
    }
}
