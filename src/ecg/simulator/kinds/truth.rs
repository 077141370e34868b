//! The exact measurements of a simulated patient, read off what the machine shows of one beat without noise and without its neighbours.

use super::beats::{Beat, Events};
use super::machine::Machine;
use super::patients::Patient;
use super::waves::{Wave, dipole, span};
use crate::ecg::Measurements;
use crate::ecg::filter::Frame;
use crate::ecg::leads::{RATE, twelve};
use crate::ecg::simulator::heart::Leads;
use crate::ecg::simulator::{BEAT, BEFORE};
use ndarray::Array2;

/// A wave is there where it lies this far from the level in any of the 12 leads, µV: the step in which recordings are stored. What is smaller
/// nobody can find, so it is no part of the wave.
pub const VISIBLE: f64 = 1.0;
/// The step at which waves are looked at, s.
const STEP: f64 = 0.00025;

/// Reads one patient's beat.
pub struct Reader<'a> {
    patient: &'a Patient,
    events: &'a Events,
    machine: &'a Machine,
    /// The median of the gains of the patient's own beats.
    gain: f64,
    r_time: f64,
}

/// The largest deviation over the 12 leads.
fn largest(frame: &Frame) -> f64 {
    let (one, two) = (frame[0], frame[1]);
    let derived = [two - one, (one + two) / 2.0, one - two / 2.0, two - one / 2.0];
    frame.iter().chain(&derived).fold(0.0, |largest: f64, x| largest.max(x.abs()))
}

impl<'a> Reader<'a> {
    pub fn new(patient: &'a Patient, events: &'a Events, machine: &'a Machine) -> Self {
        let mut gains: Vec<f64> = events.beats.iter().filter(|beat| !beat.premature).map(|beat| beat.gain).collect();
        gains.sort_by(f64::total_cmp);
        let count = gains.len().max(1);
        let gain = if gains.is_empty() { 1.0 } else { (gains[(count - 1) / 2] + gains[count / 2]) / 2.0 };
        let mut reader = Reader { patient, events, machine, gain, r_time: 0.0 };
        let energy = |time: f64| reader.seen(&patient.waves.qrs, time).iter().map(|x| x * x).sum::<f64>();
        let (_, end) = span(&patient.waves.qrs).unwrap_or((0.0, 0.0));
        let times = (0..).map(|k| k as f64 * STEP).take_while(|time| *time <= end);
        reader.r_time = times.fold((0.0, 0.0), |best: (f64, f64), time| if energy(time) > best.1 { (time, energy(time)) } else { best }).0;
        reader
    }

    fn seen<'w>(&self, waves: impl IntoIterator<Item = &'w Wave>, time: f64) -> Frame {
        self.machine.shown(Leads::see(&dipole(waves, time))).map(|x| self.gain * x)
    }

    /// The first and the last time at which waves are visible.
    fn visible(&self, waves: &[Wave]) -> Option<(f64, f64)> {
        let (from, to) = span(waves)?;
        let count = ((to - from) / STEP) as usize;
        let mut times = (0..=count).map(|k| from + k as f64 * STEP).filter(|&time| largest(&self.seen(waves, time)) > VISIBLE);
        let first = times.next()?;
        Some((first, times.next_back().unwrap_or(first)))
    }

    /// The values of V5 between two times, relative to QRS onset; none where that lead is dead.
    fn v5(&self, from: f64, to: f64) -> Option<impl Iterator<Item = f64>> {
        const STEPS: usize = 500;
        let lead = move |time: f64| self.seen(self.patient.waves.ventricles(), time)[Leads::V5];
        (!self.machine.is_dead(Leads::V5)).then(|| (0..=STEPS).map(move |k| lead(from + (to - from) * k as f64 / STEPS as f64)))
    }

    /// The truth.
    pub fn measurements(&self, has_p: bool, seconds: f64) -> Measurements {
        let waves = &self.patient.waves;
        let sample = |time: f64| BEFORE + (time - self.r_time) * RATE;
        let (onset, j) = self.visible(&waves.qrs).unwrap_or((0.0, 0.0));
        let p = self.visible(&waves.p).filter(|_| has_p);
        let end = self.visible(&waves.t).map(|(_, end)| end);
        let t_from = waves.t.iter().filter(|wave| matches!(wave, Wave::Lobe(_))).map(|wave| wave.support().0).fold(f64::INFINITY, f64::min);
        let whole = |value: &f64| !self.machine.cuts(*value);
        let furthest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best });
        Measurements {
            pr_ms: p.map(|(on, _)| 1e3 * (onset - on)),
            qrs_ms: Some(1e3 * (j - onset)),
            qt_ms: end.map(|end| 1e3 * (end - onset)),
            rate_bpm: self.rate(seconds),
            r_v5_uv: self.v5(onset, j).map(|values| values.fold(f64::NEG_INFINITY, f64::max)).filter(whole),
            j_v5_uv: self.v5(j, j).and_then(|mut values| values.next()).filter(whole),
            t_v5_uv: end.and_then(|end| self.v5(t_from, end)).map(|mut values| furthest(&mut values)).filter(whole),
            p_onset: p.map(|(on, _)| sample(on)),
            p_offset: p.map(|(_, off)| sample(off)),
            qrs_onset: Some(sample(onset)),
            qrs_offset: Some(sample(j)),
            t_offset: end.map(sample),
            rejected: None,
            further: None,
        }
    }

    /// The beat, (12, 600), µV.
    pub fn beat(&self) -> Array2<f32> {
        let mut eight = Array2::zeros((8, BEAT));
        for sample in 0..BEAT {
            let time = (sample as f64 - BEFORE) / RATE + self.r_time;
            let seen = self.seen(self.patient.waves.p.iter().chain(self.patient.waves.ventricles()), time);
            (0..8).for_each(|lead| eight[[lead, sample]] = seen[lead] as f32);
        }
        twelve(eight.view())
    }

    /// The R peaks inside a recording, in samples, premature beats included.
    pub fn r_peaks(&self, seconds: f64) -> Vec<f64> {
        let premature = self.patient.premature.as_ref().and_then(|waves| match waves.qrs.first() {
            Some(Wave::Lobe(lobe)) => Some(lobe.peak * lobe.off),
            _ => None,
        });
        let peak = |beat: &Beat| beat.onset + premature.filter(|_| beat.premature).unwrap_or(self.r_time);
        let mut peaks: Vec<f64> =
            self.events.beats.iter().map(peak).filter(|time| (0.0..seconds).contains(time)).map(|time| time * RATE).collect();
        peaks.sort_by(f64::total_cmp);
        peaks
    }

    fn rate(&self, seconds: f64) -> Option<f64> {
        let peaks = self.r_peaks(seconds);
        let (first, last) = (peaks.first()?, peaks.last()?);
        (peaks.len() > 1).then(|| 60.0 * RATE * (peaks.len() - 1) as f64 / (last - first))
    }
}
