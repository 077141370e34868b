//! Atrial flutter: waves that go on through the whole cycle, so that what stands before QRS is none of the sinus node's P waves.

use super::qrs::Qrs;
use super::shape::{magnitude, minus, moving_mean};
use crate::ecg::filter::Frame;

/// Flutter has one wave in so many samples: 400 to 180 waves a minute.
const PERIOD: (usize, usize) = (75, 166);
/// What stands before QRS and what stands a period before it are alike beyond this cosine of their velocities over all leads, and of nearly the same size, the
/// smaller over the larger: where half a period or more can be compared …
const ALIKE: (f64, f64) = (0.87, 0.65);
/// … and where less, but so many samples (70 ms). A U wave before P is less alike.
const ALIKE_SHORT: (f64, f64) = (0.92, 0.85);
const LEAST: usize = 35;
/// Waves of less than this mean velocity are noise, µV a sample.
const SMALLEST: f64 = 0.8;
/// Flutter knows no level at rest: for no tenth of the time is its velocity (30-ms mean) below this share of the mean. Between a U wave and P it is.
const RESTLESS: f64 = 0.27;

/// The period of flutter waves, samples, if, on the beat as P is delineated on it, the stretch from `t_end` (of the beat before) to QRS is made of them.
pub fn flutter(smooth: &[Frame], qrs: &Qrs, t_end: usize) -> Option<usize> {
    let to = qrs.onset.saturating_sub(8);
    let steps: Vec<Frame> = (0..=to).map(|t| if t < 2 { [0.0; 8] } else { minus(&smooth[t + 2], &smooth[t - 2]) }).collect();
    let mut best: Option<(f64, usize)> = None;
    for period in PERIOD.0..=PERIOD.1 {
        let from = (to.saturating_sub(period)).max(t_end.max(2) + period);
        if from + LEAST > to {
            break;
        }
        let (mut here, mut there, mut both) = (0.0, 0.0, 0.0);
        for t in from..to {
            let (a, b) = (&steps[t], &steps[t - period]);
            for lead in 0..8 {
                here += a[lead] * a[lead];
                there += b[lead] * b[lead];
                both += a[lead] * b[lead];
            }
        }
        let count = 8.0 * (to - from) as f64;
        let size = (here.min(there) / here.max(there).max(1e-9)).sqrt();
        let cosine = both / (here * there).sqrt().max(1e-9);
        let (alike, same_size) = if 2 * (to - from) >= period { ALIKE } else { ALIKE_SHORT };
        if cosine > alike && size > same_size && (here / count).sqrt() / 4.0 > SMALLEST && best.is_none_or(|(most, _)| cosine > most) {
            best = Some((cosine, period));
        }
    }
    best.map(|(_, period)| period).filter(|&period| restless(&steps[to.saturating_sub(2 * period).max(t_end.max(2))..to]))
}

/// Whether the leads never come to rest. `steps`: what they move, sample by sample.
fn restless(steps: &[Frame]) -> bool {
    let speed: Vec<f64> = steps.iter().map(magnitude).collect();
    let mean = speed.iter().sum::<f64>() / speed.len().max(1) as f64;
    let mut even = moving_mean(&speed, 15);
    let tenth = even.len() / 10;
    even.len() > tenth && *even.select_nth_unstable_by(tenth, f64::total_cmp).1 > RESTLESS * mean
}
