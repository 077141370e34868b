//! What an SCP-ECG record says was measured: sections 7 (global) and 10 (of each lead).

use crate::ecg::Measurements;
use crate::ecg::read::bytes::{Bytes, Found};
use crate::ecg::read::carried::Printed;
use crate::ecg::read::numbered;

/// From here on a number is none: 29 999 not measured, 29 998 rejected by the device, 19 999 not there.
const NOT_A_VALUE: u16 = 19_999;

fn known(value: u16) -> Option<f64> {
    (value > 0 && value < NOT_A_VALUE).then_some(value.into())
}

/// The intervals and axes of the first beat described, which is the reference beat or stands for all, and the ventricular rate.
pub fn global(mut at: Bytes<'_>) -> Found<Option<Measurements>> {
    let (beats, spikes) = (at.u8()?, at.u8()?);
    let (interval, _atrial) = (at.u16()?, at.u16()?);
    let mut found = Printed { rate_bpm: known(interval).map(|interval| 60_000.0 / interval), ..Printed::default() };
    for beat in 0..beats {
        // P onset and offset, QRS onset and offset, T offset, ms from the beat's beginning.
        let times = [at.u16()?, at.u16()?, at.u16()?, at.u16()?, at.u16()?].map(|time| (time < NOT_A_VALUE).then_some(f64::from(time)));
        let axes = [at.i16()?, at.i16()?, at.i16()?].map(f64::from);
        if beat == 0 {
            let between = |a: Option<f64>, b: Option<f64>| Some(b? - a?);
            let [p_on, p_off, on, off, t_off] = times;
            (found.p_ms, found.pr_ms) = (between(p_on, p_off), between(p_on, on));
            (found.qrs_ms, found.qt_ms) = (between(on, off), between(on, t_off));
            // An axis beyond a turn (999) was not computed.
            found.axes = axes.map(|axis| Some(axis).filter(|axis| axis.abs() <= 360.0));
        }
    }
    // Spikes are told by time and amplitude, then by kind, source, beat and width.
    at.take(usize::from(spikes) * 10).ok();
    let complexes = at.u16().unwrap_or(0);
    let rate = at.take(complexes.into()).and_then(|_| at.u16());
    if let Some(rate) = rate.ok().and_then(known).filter(|rate| (10.0..=400.0).contains(rate)) {
        found.rate_bpm = Some(rate);
    }
    Ok(found.labels())
}

/// The amplitudes of V5, µV.
pub fn of_leads(mut at: Bytes<'_>, found: &mut Measurements) -> Found<()> {
    let (leads, _device) = (at.u16()?, at.u16()?);
    for _ in 0..leads {
        let (number, length) = (at.u16()?, at.u16()?);
        let mut lead = at.part(length.into())?;
        if numbered::lead(number.into()) != Some("V5") {
            continue;
        }
        // P, PR, QRS, QT, Q, R, S, R', S' (ms), then amplitudes of Q, R, S, R', S', J, P+, P−, T+, T−.
        let values: Vec<i16> = std::iter::from_fn(|| lead.i16().ok()).collect();
        let amplitude = |at: usize| values.get(at).copied().filter(|value| value.unsigned_abs() < NOT_A_VALUE).map(f64::from);
        found.r_v5_uv = amplitude(10);
        found.j_v5_uv = amplitude(14);
        found.t_v5_uv = match (amplitude(17), amplitude(18)) {
            (Some(up), Some(down)) => Some(if up.abs() >= down.abs() { up } else { down }),
            (up, down) => up.or(down),
        };
    }
    Ok(())
}
