//! When the beats of a patient come, with their P waves and the pacemaker's spikes.

use super::patients::{Patient, Pattern};
use crate::ecg::simulator::draws::{normal, uniform};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

/// One beat: the time of its QRS onset and its gain.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    pub onset: f64,
    pub gain: f64,
    /// A premature ventricular beat instead of the patient's own.
    pub premature: bool,
}

/// What happens in a recording.
#[derive(Clone, Debug)]
pub struct Events {
    pub beats: Vec<Beat>,
    /// The times to which P waves belong (QRS onset, or where it would have come), and their gains.
    pub atrial: Vec<(f64, f64)>,
}

impl Events {
    /// Draws the beats of a recording of `seconds`, from before its start to after its end.
    pub fn draw(patient: &Patient, seconds: f64, rng: &mut ChaCha8Rng) -> Self {
        let rr = 60.0 / patient.rate;
        let phase = uniform(rng, 0.0, TAU);
        let mut events = Events { beats: Vec::new(), atrial: Vec::new() };
        let mut onset = -uniform(rng, 0.0, rr) - rr;
        let mut turn = 0;
        while onset < seconds + 1.0 {
            let step = match patient.pattern {
                Pattern::Fibrillating => rr * uniform(rng, 0.65, 1.45),
                Pattern::Exact => rr,
                Pattern::Breathing { depth, hertz } => rr * (1.0 + depth * (TAU * hertz * onset + phase).sin()) + normal(rng, 0.0, 0.010),
                _ => rr + 0.020 * (TAU * 0.25 * onset + phase).sin() + normal(rng, 0.0, 0.008),
            };
            events.next(patient, onset, turn, rng);
            onset += step * events.pause(patient, onset, turn, rr, rng);
            turn += 1;
        }
        events
    }

    /// The beat due at `onset`, unless it is blocked, and its P.
    fn next(&mut self, patient: &Patient, onset: f64, turn: usize, rng: &mut ChaCha8Rng) {
        let gain = 1.0 + normal(rng, 0.0, 0.06);
        self.atrial.push((onset, gain));
        let blocked = matches!(patient.pattern, Pattern::Blocked { every } if turn % every == every - 1);
        if !blocked {
            self.beats.push(Beat { onset, gain, premature: false });
        }
    }

    /// Premature beats that follow the one at `onset`, and how many RR intervals it takes until the next of the patient's own.
    fn pause(&mut self, patient: &Patient, onset: f64, turn: usize, rr: f64, rng: &mut ChaCha8Rng) -> f64 {
        let pair = match patient.pattern {
            Pattern::Bigeminy => false,
            Pattern::Couplets if turn % 4 == 2 => true,
            _ => return 1.0,
        };
        // Late in the cycle, behind T; a second one at the same distance.
        let early = (patient.t_end() + 0.06).max(0.58 * rr);
        let mut add = |at: f64| self.beats.push(Beat { onset: onset + at, gain: 1.0 + normal(rng, 0.0, 0.06), premature: true });
        add(early);
        if !pair {
            return 2.0;
        }
        let second = early + early.max(0.45);
        add(second);
        // The sinus node's next beat that finds the ventricles ready.
        ((second + 0.62) / rr).ceil()
    }
}
