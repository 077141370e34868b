//! The calibration pulse that some recorders write before or behind the ECG: the same rectangle of 1 mV in every lead at once, which no heart makes.

use super::prepare::Trimmed;
use std::borrow::Cow;

/// Leads that differ by more than this from one another, each from its own level, no longer carry the pulse, µV.
const ALIKE: f64 = 60.0;
/// The height of the pulse, µV, and how far it may be off.
const HEIGHT: f64 = 1000.0;
const OFF: f64 = 120.0;
/// The least time on top, and of a lead's level before or behind it, s.
const TOP: f64 = 0.06;
/// Where the pulse must have ended, s.
const WITHIN: f64 = 2.0;
/// What moves less than this is no heart, µV.
const STILL: f64 = 12.0;
/// What is cut behind its last edge, s: the recorder's filters ring.
const RINGS: f64 = 0.02;

/// Cuts a pulse at the beginning and at the end off, and says so.
pub(super) fn cut(leads: &mut [Trimmed<'_>], rate: f64, notes: &mut Vec<String>) {
    let length = leads.first().map_or(0, |lead| lead.samples.len());
    // Limb leads alone could be alike; six leads of a heart never are.
    if leads.len() < 6 || length == 0 {
        return;
    }
    let first = pulse(length, leads.len(), rate, |lead, t| leads[lead].samples[t]);
    let last = pulse(length - first, leads.len(), rate, |lead, t| leads[lead].samples[length - 1 - t]);
    for (count, place) in [(first, "beginning"), (last, "end")] {
        if count > 0 {
            notes.push(format!("a calibration pulse at the {place} cut off ({:.2} s)", count as f64 / rate));
        }
    }
    if first + last > 0 {
        for lead in leads {
            lead.samples = Cow::Owned(lead.samples[first..length - last].to_vec());
        }
    }
}

/// Samples up to the end of the pulse; 0 where there is none.
fn pulse(length: usize, leads: usize, rate: f64, at: impl Fn(usize, usize) -> f64) -> usize {
    let most = ((WITHIN * rate) as usize).min(length);
    let mut common = Vec::with_capacity(most);
    for t in 0..most {
        // From the level of each lead before the pulse: electrodes have offsets.
        let values: Vec<f64> = (0..leads).map(|lead| at(lead, t) - at(lead, 0)).collect();
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        if high - low > ALIKE {
            break;
        }
        common.push((high + low) / 2.0);
    }
    // The recording may begin upon the pulse: what counts is the step, whichever way it goes.
    let (low, high) = common.iter().fold((0.0f64, 0.0f64), |(low, high), x| (low.min(*x), high.max(*x)));
    if (high - low - HEIGHT).abs() > OFF {
        return 0;
    }
    let on_top: Vec<bool> = common.iter().map(|x| high - x < OFF).collect();
    let between = common.iter().filter(|x| high - **x >= OFF && **x - low >= OFF).count();
    let top = on_top.iter().filter(|on| **on).count();
    // A rectangle: time on top, and edges that take none to speak of.
    if (top as f64) < TOP * rate || between * 4 > top {
        return 0;
    }
    let end = on_top.iter().rposition(|on| *on).map_or(0, |at| at + 1);
    let end = (end..common.len()).find(|&t| common[t] - low < OFF).unwrap_or(common.len());
    // The recorder's own level goes on, without a heart, until the ECG begins.
    let rung = (end + (RINGS * rate) as usize).min(common.len());
    let level = common.get(rung).copied().unwrap_or(0.0);
    let rest = common[rung..].iter().take_while(|x| (**x - level).abs() < STILL).count();
    // Leads that part while they are on top: the pulse has no end, it was no pulse.
    if end == common.len() && on_top.last() == Some(&true) { 0 } else { rung + rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(of: impl Fn(usize, usize) -> f64, count: usize) -> Vec<Trimmed<'static>> {
        const NAMES: [&str; 8] = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"];
        let lead = |(at, name)| Trimmed { name, samples: Cow::Owned((0..count).map(|t| of(at, t)).collect()) };
        NAMES.into_iter().enumerate().map(lead).collect()
    }

    #[test]
    fn a_pulse_is_cut_and_an_ecg_is_not() {
        let wave = |lead: usize, t: usize| if t % 400 > 380 { 300.0 * (lead as f64 - 3.0) } else { 0.0 };
        let beginning = |lead: usize, t: usize| match t {
            0..50 | 150..200 => 7.0 * lead as f64,
            50..150 => 1000.0 + 7.0 * lead as f64,
            _ => wave(lead, t),
        };
        for (signal, place) in [
            (&beginning as &dyn Fn(usize, usize) -> f64, "beginning"),
            (&|lead, t| if t < 4000 { wave(lead, t) } else { beginning(lead, 4200 - 1 - t) }, "end"),
        ] {
            let (mut cut_off, mut notes) = (leads(signal, 4200), Vec::new());
            cut(&mut cut_off, 500.0, &mut notes);
            assert!(notes.len() == 1 && notes[0].contains(place), "{notes:?}");
            let left = cut_off[0].samples.len();
            assert!((160..=400).contains(&(4200 - left)), "{left}");
        }
        // The same beat in all leads, tall but no rectangle; and a step that has no end.
        let tall = |_: usize, t: usize| (-((t as f64 - 300.0) / 8.0).powi(2)).exp() * 1000.0;
        let step = |lead: usize, t: usize| if t < 100 { 0.0 } else { 1000.0 + if t > 300 { 200.0 * lead as f64 } else { 0.0 } };
        for signal in [&wave as &dyn Fn(usize, usize) -> f64, &tall, &step] {
            let (mut whole, mut notes) = (leads(signal, 4200), Vec::new());
            cut(&mut whole, 500.0, &mut notes);
            assert!(notes.is_empty() && whole[0].samples.len() == 4200, "{notes:?}");
        }
    }
}
