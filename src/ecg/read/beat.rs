//! The representative beat that a file carries, as ours are: twelve leads, 600 samples at 500 Hz, the QRS where ours have it.

use super::xml::Outcome;
use super::{Block, Recording};
use crate::ecg::leads::{INDEPENDENT, RATE, twelve};
use crate::ecg::measure::{BEAT, R_AT};
use crate::ecg::{LOWEST, resampled};
use ndarray::Array2;

/// How far the steepest point of a beat of our length may lie from where our R peaks do, samples, without being moved.
const NEAR: usize = 40;
/// The shortest and the longest that a beat lasts, s.
const LASTS: std::ops::RangeInclusive<f64> = 0.3..=4.0;

impl Recording {
    /// Keeps the beat that a file carries, or notes why it cannot be kept: the recording is read without it.
    pub(super) fn take_beat(&mut self, block: Outcome<Block>) {
        match block.and_then(|block| beat(&block)) {
            Ok((beat, done)) => {
                self.median = Some(beat);
                self.notes.extend(done.map(|done| format!("representative beat {done}")));
            }
            Err(why) => self.notes.push(format!("representative beat passed over: {why}")),
        }
    }
}

/// A beat as ours are, and what was done to it.
fn beat(block: &Block) -> Outcome<(Array2<f32>, Option<String>)> {
    if !(LOWEST..=8.0 * RATE).contains(&block.rate) {
        return Err(format!("it is sampled at {} Hz", block.rate));
    }
    let samples = block.leads.first().map_or(0, |lead| lead.samples.len());
    let mut own = Array2::zeros((INDEPENDENT.len(), samples));
    for (name, mut row) in INDEPENDENT.iter().zip(own.rows_mut()) {
        let lead = block.leads.iter().find(|lead| lead.name == *name).ok_or(format!("lead {name} is not in it"))?;
        if lead.samples.len() != samples || lead.samples.iter().any(|uv| !uv.is_finite()) {
            return Err(format!("lead {name} has other samples than the first lead, or lacks some"));
        }
        row.iter_mut().zip(&lead.samples).for_each(|(to, from)| *to = *from);
    }
    let lasts = samples as f64 / block.rate;
    if !LASTS.contains(&lasts) {
        return Err(format!("it lasts {lasts:.2} s"));
    }
    let mut done = Vec::new();
    if block.rate != RATE {
        done.push(format!("resampled from {} to {RATE} Hz", block.rate));
        own = resampled(own.view(), block.rate, RATE);
    }
    let speed = |t: usize| own.rows().into_iter().map(|row| (row[t] - row[t - 1]).abs()).sum::<f64>();
    let steepest = (1..own.ncols()).fold(1, |best, t| if speed(t) > speed(best) { t } else { best });
    let moved = if own.ncols() == BEAT && steepest.abs_diff(R_AT) <= NEAR { 0 } else { R_AT as isize - steepest as isize };
    if moved != 0 {
        done.push(format!("moved by {} ms", moved * 2));
    }
    // What is not there is as at its ends.
    let last = own.ncols() as isize - 1;
    let at = |lead: usize, t: usize| own[[lead, (t as isize - moved).clamp(0, last) as usize]] as f32;
    let eight = Array2::from_shape_fn((INDEPENDENT.len(), BEAT), |(lead, t)| at(lead, t));
    Ok((twelve(eight.view()), (!done.is_empty()).then(|| done.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::read::Lead;

    /// A QRS of 80 ms whose steepest rise is at `at` s, in every lead.
    fn block(rate: f64, seconds: f64, at: f64) -> Block {
        let samples = (0..(seconds * rate) as usize).map(|t| 1000.0 * (-((t as f64 / rate - at) / 0.02).powi(2)).exp());
        let samples: Vec<f64> = samples.collect();
        Block { rate, leads: INDEPENDENT.iter().map(|name| Lead::new(*name, samples.clone())).collect() }
    }

    #[test]
    fn beats_come_to_lie_as_ours_do() {
        for (rate, seconds, at) in [(500.0, 1.2, 0.48), (1000.0, 1.2, 0.5), (500.0, 0.7, 0.2), (250.0, 1.0, 0.4)] {
            let (beat, done) = beat(&block(rate, seconds, at)).unwrap();
            let peak = (0..BEAT).max_by(|a, b| beat[[1, *a]].total_cmp(&beat[[1, *b]])).unwrap();
            assert!(peak.abs_diff(R_AT) <= 12 && (beat[[1, peak]] - 1000.0).abs() < 60.0, "{rate}: {peak} {}", beat[[1, peak]]);
            assert_eq!(done.is_none(), rate == 500.0 && seconds == 1.2);
        }
        let mut recording = Recording::default();
        recording.take_beat(Ok(block(500.0, 9.0, 0.5)));
        recording.take_beat(Ok(Block { leads: block(500.0, 1.0, 0.5).leads.split_off(1), rate: 500.0 }));
        assert!(recording.median.is_none() && recording.notes[0].contains("lasts 9.00 s") && recording.notes[1].contains("lead I is not"));
    }
}
