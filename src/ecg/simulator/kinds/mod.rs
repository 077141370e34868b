//! Kinds of ECG that are hard to measure, by name, each with its exact truth.
//!
//! A kind is a patient ([`patients`]), the times of his beats ([`beats`]) and a machine that records him ([`machine`]). Truth is read off the
//! noise-free leads as that machine shows them ([`truth`]): a wave begins and ends where it last lies within 1 µV of the level in every one of
//! the 12 leads. That is the step of the stored recordings, so nothing beyond it is there to be found.

mod beats;
mod machine;
mod patients;
mod truth;
mod waves;

use super::{Settings, Simulated};
use crate::random::{Stage, Stream};
use crate::{Error, Result};
use std::str::FromStr;

/// A kind of ECG. The order is part of what is drawn: only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is described by Kind::about")]
pub enum Kind {
    Sinus,
    PNotched,
    PBiphasic,
    PLow,
    PNegative,
    FirstDegreePOnT,
    Lbbb,
    Rbbb,
    LeftAxis,
    DeltaWave,
    SRest,
    TFlat,
    TBiphasic,
    TNotched,
    TInverted,
    TGiant,
    UWave,
    StElevation,
    StDepression,
    PacedAtrial,
    PacedVentricular,
    PacedBoth,
    PacedBipolar,
    Tachycardia,
    Bradycardia,
    SinusArrhythmia,
    Bigeminy,
    Couplets,
    BlockedP,
    Flutter2To1,
    Flutter4To1,
    Fibrillation,
    Mains50,
    Mains60,
    Wander,
    Muscle,
    DeadLead,
    LooseLead,
    SwapRaLa,
    SwapRaLl,
    SwapLaLl,
    SwapRaRl,
    SwapLaRl,
    SwapLlRl,
    SwapV1V2,
    Clipped,
    LowGain,
    Rate250,
    Rate1000,
    Upsampled100,
}

/// Kind, name, and what it is.
const TABLE: [(Kind, &str, &str); 50] = [
    (Kind::Sinus, "sinus", "sinus rhythm without anything else, for comparison"),
    (Kind::PNotched, "p_notched", "P long, of two humps with a notch of 30–90 % between them"),
    (Kind::PBiphasic, "p_biphasic", "P that turns over in most leads"),
    (Kind::PLow, "p_low", "P of 30–60 µV"),
    (Kind::PNegative, "p_negative", "P upside down in the inferior leads (low atrial rhythm), short PR"),
    (Kind::FirstDegreePOnT, "first_degree_p_on_t", "first-degree block at 86–105 a minute: P begins on the end of T"),
    (Kind::Lbbb, "lbbb", "left bundle branch block: QRS 125–170 ms, notched, ST and T against it"),
    (Kind::Rbbb, "rbbb", "right bundle branch block: rsR' in V1, a late and often low terminal part"),
    (Kind::LeftAxis, "left_axis", "left anterior hemiblock: axis −35 to −75°"),
    (Kind::DeltaWave, "delta_wave", "pre-excitation: short PR, a slurred onset of QRS"),
    (Kind::SRest, "s_rest", "an S wave that rests 12–28 ms before it returns"),
    (Kind::TFlat, "t_flat", "T of 60–110 µV"),
    (Kind::TBiphasic, "t_biphasic", "T that turns over in most leads"),
    (Kind::TNotched, "t_notched", "T of two humps"),
    (Kind::TInverted, "t_inverted", "T upside down"),
    (Kind::TGiant, "t_giant", "T of 1–2 mV"),
    (Kind::UWave, "u_wave", "a U wave of 50–130 µV right behind T"),
    (Kind::StElevation, "st_elevation", "ST 150–450 µV up, T rising from it"),
    (Kind::StDepression, "st_depression", "ST 120–350 µV down"),
    (Kind::PacedAtrial, "paced_atrial", "a unipolar spike of 1–4 mV before each P"),
    (Kind::PacedVentricular, "paced_ventricular", "a unipolar spike of 1–4 mV before each wide QRS; no P"),
    (Kind::PacedBoth, "paced_both", "unipolar spikes before P and before the wide QRS"),
    (Kind::PacedBipolar, "paced_bipolar", "bipolar ventricular spikes of 0.1–0.4 mV; no P"),
    (Kind::Tachycardia, "tachycardia", "sinus tachycardia of 140–180 a minute, P in the T before it"),
    (Kind::Bradycardia, "bradycardia", "sinus bradycardia of 35–48 a minute"),
    (Kind::SinusArrhythmia, "sinus_arrhythmia", "RR that breathing changes by 10–25 % either way"),
    (Kind::Bigeminy, "bigeminy", "every second beat a premature ventricular one"),
    (Kind::Couplets, "couplets", "pairs of premature ventricular beats"),
    (Kind::BlockedP, "blocked_p", "every third or fourth P is not conducted"),
    (Kind::Flutter2To1, "flutter_2_to_1", "atrial flutter, every second wave conducted; no P"),
    (Kind::Flutter4To1, "flutter_4_to_1", "atrial flutter, every fourth wave conducted; no P"),
    (Kind::Fibrillation, "fibrillation", "atrial fibrillation; no P"),
    (Kind::Mains50, "mains_50", "50 Hz of 40–200 µV with its third harmonic"),
    (Kind::Mains60, "mains_60", "60 Hz of 40–200 µV with its third harmonic"),
    (Kind::Wander, "wander", "baseline wander of 0.4–1.5 mV"),
    (Kind::Muscle, "muscle", "muscle noise of 20–45 µV RMS"),
    (Kind::DeadLead, "dead_lead", "one of the eight leads is flat"),
    (Kind::LooseLead, "loose_lead", "one lead jumps by millivolts and loses the signal for 0.3–1.2 s, three times"),
    (Kind::SwapRaLa, "swap_ra_la", "right and left arm exchanged"),
    (Kind::SwapRaLl, "swap_ra_ll", "right arm and left leg exchanged"),
    (Kind::SwapLaLl, "swap_la_ll", "left arm and left leg exchanged"),
    (Kind::SwapRaRl, "swap_ra_rl", "right arm and right leg exchanged: II all but flat"),
    (Kind::SwapLaRl, "swap_la_rl", "left arm and right leg exchanged: III all but flat"),
    (Kind::SwapLlRl, "swap_ll_rl", "the legs exchanged: all but nothing changes"),
    (Kind::SwapV1V2, "swap_v1_v2", "V1 and V2 exchanged"),
    (Kind::Clipped, "clipped", "tall waves cut off at 50–80 % of the largest voltage"),
    (Kind::LowGain, "low_gain", "0.2–0.35 of the usual voltages in steps of 5 µV"),
    (Kind::Rate250, "rate_250", "sampled at 250 Hz"),
    (Kind::Rate1000, "rate_1000", "sampled at 1000 Hz"),
    (Kind::Upsampled100, "upsampled_100", "sampled at 100 Hz and interpolated to 500 Hz"),
];

impl Kind {
    /// All kinds, in order.
    pub fn all() -> Vec<Kind> {
        TABLE.iter().map(|row| row.0).collect()
    }

    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// What it is, in a line.
    pub fn about(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// What drives the ventricles: `sinus` (or another place in the atria that has a P), `paced`, `flutter` or `fibrillation`.
    pub fn rhythm(self) -> &'static str {
        match self {
            Kind::PacedAtrial | Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => "paced",
            Kind::Flutter2To1 | Kind::Flutter4To1 => "flutter",
            Kind::Fibrillation => "fibrillation",
            _ => "sinus",
        }
    }

    /// Whether there is a P wave before the QRS that truth speaks of.
    pub fn has_p(self) -> bool {
        let none = [Kind::PacedVentricular, Kind::PacedBipolar, Kind::Flutter2To1, Kind::Flutter4To1, Kind::Fibrillation];
        !none.contains(&self)
    }

    /// ECG number `index` of this kind. Of the settings, the duration and the factor on the usual noise count.
    pub(super) fn simulate(self, settings: &Settings, seed: u64, index: u64) -> Simulated {
        // Target 0 is the default population.
        let mut rng = Stream::new(seed, Stage::Simulator).target(self as u32 + 1).ecg(index).rng();
        let patient = patients::Patient::draw(self, &mut rng);
        let events = beats::Events::draw(&patient, settings.seconds, &mut rng);
        let machine = machine::Machine::draw(self, &patient, &mut rng);
        let rhythm = machine.record(&patient, &events, settings, &mut rng);
        let truth = truth::Reader::new(&patient, &events, &machine);
        Simulated {
            rhythm,
            truth: truth.measurements(self.has_p(), settings.seconds),
            beat: truth.beat(),
            r_peaks: truth.r_peaks(settings.seconds),
            kind: Some(self),
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = || TABLE.map(|row| row.1).join(", ");
        TABLE
            .iter()
            .find(|row| row.1 == text)
            .map(|row| row.0)
            .ok_or_else(|| Error::Usage(format!("unknown kind of simulated ECG '{text}': the kinds are {}", known())))
    }
}

#[cfg(test)]
mod tests;
