//! Simulated ECGs whose every interval, amplitude and fiducial is known exactly.
//!
//! Gaussian waves never end and so have no onset. Here every wave is a lobe with compact support, a dipole vector in time, seen through Dower's
//! matrix on the eight independent leads; the truth is the ends of the supports and the values of the noise-free beat.

mod atria;
mod chambers;
mod draws;
mod heart;
mod kinds;
mod noise;
mod timeline;
mod wave;

pub use chambers::{Atria, Conduction};
pub use heart::{Heart, Leads};
pub use kinds::Kind;

use super::leads::{RATE, twelve};
use super::{Measurements, Rhythm};
use crate::random::{Stage, Stream};
use ndarray::Array2;

/// Samples of the median beat before its R peak.
const BEFORE: f64 = 240.0;
/// Samples of the median beat.
const BEAT: usize = 600;

/// What to simulate. The defaults give a population of sinus rhythms like that of the study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Duration, s.
    pub seconds: f64,
    /// Factor on all noise and wander: 0 is a clean recording, 1 the usual one.
    pub noise: f64,
    /// Probability that a beat is followed by a premature ventricular beat.
    pub ectopic: f64,
    /// What the atria do.
    pub atria: Atria,
    /// How beats are conducted to the ventricles.
    pub conduction: Conduction,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { seconds: 10.0, noise: 1.0, ectopic: 0.0, atria: Atria::Sinus, conduction: Conduction::Normal }
    }
}

/// One simulated ECG.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The recording.
    pub rhythm: Rhythm,
    /// The exact measurements. Fiducials are in samples (fractional) of a 600-sample beat with the R peak (largest 8-lead magnitude) at 240;
    /// amplitudes are those of the noise-free median beat, relative to QRS onset.
    pub truth: Measurements,
    /// The noise-free median beat, (12, 600), µV, zeroed at QRS onset, without its neighbours.
    pub beat: Array2<f32>,
    /// When each QRS has its R peak, in samples of the recording (fractional), ectopic beats included.
    pub r_peaks: Vec<f64>,
    /// The kind; `None` for the default population.
    pub kind: Option<Kind>,
}

/// Makes ECGs one by one; the n-th ECG of a seed is the same whoever asks for it.
#[derive(Clone, Debug)]
pub struct Simulator {
    settings: Settings,
    kinds: Vec<Kind>,
    seed: u64,
}

impl Simulator {
    /// A simulator of a population.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Simulator { settings, kinds: Vec::new(), seed }
    }

    /// A simulator of hard kinds, in turn: ECG i is of the kind i modulo their number. Of the settings, duration and noise count.
    ///
    /// # Panics
    /// For no kind.
    pub fn of_kinds(kinds: &[Kind], settings: Settings, seed: u64) -> Self {
        assert!(!kinds.is_empty(), "there is at least one kind");
        Simulator { settings, kinds: kinds.to_vec(), seed }
    }

    /// The kinds; none for the default population.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// ECG number `index` of the population.
    ///
    /// # Panics
    /// If the settings ask for less than 5 s or more than an hour, or for a negative or non-finite noise.
    pub fn simulate(&self, index: u64) -> Simulated {
        assert!(self.settings.noise.is_finite() && self.settings.noise >= 0.0, "noise is a factor from 0");
        let turns = self.kinds.len() as u64;
        if turns > 0 {
            return self.kinds[(index % turns) as usize].simulate(&self.settings, self.seed, index / turns);
        }
        let mut rng = Stream::new(self.seed, Stage::Simulator).ecg(index).rng();
        let heart = Heart::draw(&self.settings, &mut rng);
        let timeline = timeline::Timeline::draw(&heart, &self.settings, &mut rng);
        let samples = (self.settings.seconds * RATE).round() as usize;
        let mut recording = timeline.render(&heart, samples);
        noise::add(&mut recording, self.settings.noise, &mut rng);
        let recording = Array2::from_shape_fn((8, samples), |(lead, t)| recording[t][lead] as f32);
        let gain = timeline.median_gain();
        Simulated {
            rhythm: Rhythm::new(recording).expect("the simulator makes finite recordings of the asked length"),
            truth: truth(&heart, &timeline, gain),
            beat: clean_beat(&heart, gain),
            r_peaks: timeline.r_peaks(&heart),
            kind: None,
        }
    }
}

fn truth(heart: &Heart, timeline: &timeline::Timeline, gain: f64) -> Measurements {
    let sample = |time: f64| BEFORE + (time - heart.r_time()) * RATE;
    let has_p = timeline.has_p();
    let v5 = Leads::V5;
    Measurements {
        pr_ms: has_p.then(|| -1e3 * heart.p.on),
        qrs_ms: Some(1e3 * heart.qrs_seconds),
        qt_ms: Some(1e3 * heart.t_end()),
        rate_bpm: timeline.rate(heart),
        r_v5_uv: Some(gain * heart.largest(v5, 0.0, heart.qrs_seconds)),
        j_v5_uv: Some(gain * heart.ventricles(heart.qrs_seconds)[v5]),
        t_v5_uv: Some(gain * heart.extremum(v5, heart.t.on, heart.t_end())),
        p_onset: has_p.then(|| sample(heart.p.on)),
        p_offset: has_p.then(|| sample(heart.p.off)),
        qrs_onset: Some(sample(0.0)),
        qrs_offset: Some(sample(heart.qrs_seconds)),
        t_offset: Some(sample(heart.t_end())),
        rejected: None,
        further: None,
    }
}

fn clean_beat(heart: &Heart, gain: f64) -> Array2<f32> {
    let mut eight = Array2::zeros((8, BEAT));
    for sample in 0..BEAT {
        let time = (sample as f64 - BEFORE) / RATE + heart.r_time();
        let (p, v) = (heart.atria(time), heart.ventricles(time));
        for lead in 0..8 {
            eight[[lead, sample]] = (gain * (p[lead] + v[lead])) as f32;
        }
    }
    twelve(eight.view())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_index_gives_the_same_ecg() {
        let simulator = Simulator::new(Settings::default(), 5);
        assert_eq!(simulator.simulate(3).rhythm, simulator.simulate(3).rhythm);
        assert_ne!(simulator.simulate(3).rhythm, simulator.simulate(4).rhythm);
        assert_ne!(simulator.simulate(3).rhythm, Simulator::new(Settings::default(), 6).simulate(3).rhythm);
    }

    #[test]
    fn truth_is_read_off_the_clean_beat() {
        let simulator = Simulator::new(Settings::default(), 9);
        for index in 0..20 {
            let ecg = simulator.simulate(index);
            let truth = &ecg.truth;
            let v5 = ecg.beat.row(10);
            let (on, off, end) = (truth.qrs_onset.unwrap(), truth.qrs_offset.unwrap(), truth.t_offset.unwrap());
            assert!((truth.qt_ms.unwrap() - 2.0 * (end - on)).abs() < 1e-9);
            assert!((truth.qrs_ms.unwrap() - 2.0 * (off - on)).abs() < 1e-9);
            assert!((truth.pr_ms.unwrap() - 2.0 * (on - truth.p_onset.unwrap())).abs() < 1e-9);
            // Outside the supports of its waves the beat is exactly zero; inside the first sample of each it is not.
            for t in (0..600).filter(|&t| (t as f64) < truth.p_onset.unwrap() || (t as f64) > end) {
                assert!(ecg.beat.column(t).iter().all(|&x| x == 0.0), "ECG {index}, sample {t}");
            }
            assert!(ecg.beat.column(on.floor() as usize + 1).iter().any(|&x| x != 0.0));
            let r = (on.ceil() as usize..=off as usize).map(|t| f64::from(v5[t])).fold(f64::MIN, f64::max);
            assert!((r - truth.r_v5_uv.unwrap()).abs() < 0.02 * r.abs() + 3.0, "ECG {index}: {r} {:?}", truth.r_v5_uv);
        }
    }

    #[test]
    fn options_change_the_truth_as_they_say() {
        let make = |settings: Settings| Simulator::new(settings, 1).simulate(0);
        let base = Settings::default();
        assert!(make(Settings { atria: Atria::Silent, ..base }).truth.pr_ms.is_none());
        assert!(make(Settings { atria: Atria::Fibrillating, ..base }).truth.pr_ms.is_none());
        assert!(make(Settings { conduction: Conduction::CompleteBlock, ..base }).truth.rate_bpm.unwrap() < 55.0);
        let first = make(Settings { conduction: Conduction::FirstDegreeBlock, ..base });
        assert!(first.truth.pr_ms.unwrap() > 200.0);
        let plain = make(base);
        assert!(make(Settings { ectopic: 0.5, ..base }).r_peaks.len() >= plain.r_peaks.len() / 2);
        assert_eq!(make(Settings { seconds: 20.0, ..base }).rhythm.samples().ncols(), 10_000);
    }
}
