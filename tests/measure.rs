//! Measurement against the simulator's exact truth: any rate, short recordings, more leads, rhythms other than sinus, and what must be refused.

use cardiograd::ecg::measure::{Measured, Thresholds, measure};
use cardiograd::ecg::simulator::{Atria, Conduction, Kind, Settings, Simulated, Simulator};
use cardiograd::ecg::{Measurements, Rhythm};
use ndarray::Array2;

const ECGS: u64 = 40;

fn population(settings: Settings) -> Vec<(Simulated, Measurements)> {
    let simulator = Simulator::new(settings, 21);
    (0..ECGS)
        .map(|index| {
            let ecg = simulator.simulate(index);
            let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
            (ecg, found)
        })
        .collect()
}

/// Bias and SD of what was found against the truth, and how many had both.
fn errors(all: &[(Simulated, Measurements)], of: impl Fn(&Measurements) -> Option<f64>) -> (f64, f64, usize) {
    let errors: Vec<f64> = all.iter().filter_map(|(ecg, found)| Some(of(found)? - of(&ecg.truth)?)).collect();
    let count = errors.len().max(1) as f64;
    let bias = errors.iter().sum::<f64>() / count;
    let sd = (errors.iter().map(|error| (error - bias).powi(2)).sum::<f64>() / count).sqrt();
    (bias, sd, errors.len())
}

/// The gates of calibration ECGs (IEC 60601-2-51), at three levels of noise.
#[test]
fn the_simulator_gates_hold() {
    for noise in [0.0, 1.0, 2.5] {
        let all = population(Settings { noise, ..Settings::default() });
        let check = |name: &str, of: fn(&Measurements) -> Option<f64>, bias: f64, sd: f64| {
            let (found_bias, found_sd, count) = errors(&all, of);
            assert!(found_bias.abs() <= bias && found_sd <= sd, "noise {noise}, {name}: {found_bias:.1} ± {found_sd:.1}");
            assert!(count as u64 >= ECGS - 1, "noise {noise}, {name}: {count} measured");
        };
        check("PR", |m| m.pr_ms, 10.0, 8.0);
        check("QRS", |m| m.qrs_ms, 6.0, 5.0);
        check("QT", |m| m.qt_ms, 12.0, 10.0);
        check("rate", |m| m.rate_bpm, 0.3, 0.3);
        check("R", |m| m.r_v5_uv, 25.0, 25.0);
        check("J", |m| m.j_v5_uv, 25.0, 25.0);
        check("T", |m| m.t_v5_uv, 25.0, 25.0);
    }
}

#[test]
fn the_same_recording_gives_the_same_bits() {
    let ecg = Simulator::new(Settings::default(), 3).simulate(0);
    let (one, two) = (measure(&ecg.rhythm, &Thresholds::EXPERT), measure(&ecg.rhythm, &Thresholds::EXPERT));
    assert_eq!(one.measurements, two.measurements);
    assert_eq!(one.median, two.median);
}

/// A recording seen through another sampling rate.
fn sampled_at(ecg: &Simulated, rate: f64) -> Rhythm {
    let samples = ecg.rhythm.samples();
    let count = (samples.ncols() as f64 * rate / 500.0) as usize;
    let at = |lead: usize, t: usize| {
        let position = t as f64 * 500.0 / rate;
        let (low, part) = (position as usize, position.fract());
        let next = (low + 1).min(samples.ncols() - 1);
        f64::from(samples[[lead, low]]) * (1.0 - part) + f64::from(samples[[lead, next]]) * part
    };
    Rhythm::at_rate(Array2::from_shape_fn((8, count), |(lead, t)| at(lead, t)).view(), rate).unwrap()
}

#[test]
fn other_rates_and_short_recordings_agree() {
    let simulator = Simulator::new(Settings { noise: 0.5, ..Settings::default() }, 4);
    for index in 0..6 {
        let ecg = simulator.simulate(index);
        let usual = measure(&ecg.rhythm, &Thresholds::default()).measurements;
        let half = Rhythm::new(Array2::from_shape_fn((8, 2500), |(lead, t)| ecg.rhythm.samples()[[lead, t]])).unwrap();
        let others = [sampled_at(&ecg, 250.0), sampled_at(&ecg, 360.0), sampled_at(&ecg, 1000.0), half];
        for (case, rhythm) in others.iter().enumerate() {
            let found = measure(rhythm, &Thresholds::default()).measurements;
            assert_eq!(found.rejected, None, "ECG {index}, case {case}");
            for (name, a, b) in [("PR", found.pr_ms, usual.pr_ms), ("QRS", found.qrs_ms, usual.qrs_ms), ("QT", found.qt_ms, usual.qt_ms)] {
                let (a, b) = (a.unwrap(), b.unwrap());
                assert!((a - b).abs() <= 14.0, "ECG {index}, case {case}, {name}: {a} and {b}");
            }
        }
    }
}

#[test]
fn a_p_wave_that_is_not_there_is_missing() {
    let usual = Settings::default();
    let cases = [
        ("silent atria", Settings { atria: Atria::Silent, ..usual }),
        ("fibrillation", Settings { atria: Atria::Fibrillating, ..usual }),
        ("complete block", Settings { conduction: Conduction::CompleteBlock, ..usual }),
    ];
    for (name, settings) in cases {
        let all = population(settings);
        let guessed = all.iter().filter(|(_, found)| found.pr_ms.is_some()).count();
        let measured = all.iter().filter(|(_, found)| found.qrs_ms.is_some()).count();
        assert!(guessed as u64 * 10 <= ECGS, "{name}: a PR interval in {guessed} of {ECGS}");
        assert!(measured as u64 * 10 >= ECGS * 9, "{name}: {measured} of {ECGS} measured");
    }
}

/// Hum is no reason to refuse; flutter waves are no P; P in T, and two beats of two shapes, give no wrong number.
#[test]
fn hard_kinds_are_measured_right_or_not_at_all() {
    for kind in [Kind::Mains50, Kind::Flutter4To1, Kind::FirstDegreePOnT, Kind::Tachycardia, Kind::Bigeminy] {
        let simulator = Simulator::of_kinds(&[kind], Settings::default(), 1);
        for index in 0..3 {
            let ecg = simulator.simulate(index);
            let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
            let at = format!("{}, ECG {index}", kind.name());
            let notes = found.further.as_ref().map(|further| further.notes.clone()).unwrap_or_default();
            assert!(kind != Kind::Mains50 || found.pr_ms.is_some() && found.qt_ms.is_some(), "{at}: {:?}, {notes}", found.rejected);
            assert!(kind != Kind::Flutter4To1 || found.pr_ms.is_none() && notes.contains("flutter"), "{at}: PR {:?}, {notes}", found.pr_ms);
            for (name, a, b) in
                [("PR", found.pr_ms, ecg.truth.pr_ms), ("QRS", found.qrs_ms, ecg.truth.qrs_ms), ("QT", found.qt_ms, ecg.truth.qt_ms)]
            {
                assert!(a.zip(b).is_none_or(|(a, b)| (a - b).abs() < 40.0), "{at}, {name}: {a:?} for {b:?}");
            }
        }
    }
}

/// A low late r′, a lead that comes loose, a U wave before P, couplets that raise the rate or cut T short, a premature QRS behind T or in the place of the patient's own,
/// the second hump of T, what a stimulus leaves before QRS: each was once taken for something else.
#[test]
fn what_looks_like_another_wave_is_told_from_it() {
    let cases = [
        (Kind::Rbbb, 18),
        (Kind::Rbbb, 20),
        (Kind::LooseLead, 3),
        (Kind::LooseLead, 12),
        (Kind::UWave, 8),
        (Kind::Couplets, 0),
        (Kind::Couplets, 87),
        (Kind::Bigeminy, 1),
        (Kind::Bigeminy, 20),
        (Kind::Bigeminy, 48),
        (Kind::TNotched, 8),
        (Kind::DeadLead, 0),
        (Kind::PacedVentricular, 0),
        (Kind::PacedBipolar, 2),
    ];
    for (kind, index) in cases {
        let ecg = Simulator::of_kinds(&[kind], Settings::default(), 1).simulate(index);
        let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
        for (name, a, b, within) in [
            ("PR", found.pr_ms, ecg.truth.pr_ms, 15.0),
            ("QRS", found.qrs_ms, ecg.truth.qrs_ms, 25.0),
            ("QT", found.qt_ms, ecg.truth.qt_ms, 40.0),
        ] {
            let near = match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < within,
                (a, b) => a.is_none() && b.is_none(),
            };
            assert!(near, "{}, ECG {index}, {name}: {a:?} for {b:?}, {:?}", kind.name(), found.further.map(|further| further.notes));
        }
    }
}

#[test]
fn long_pr_and_ectopic_beats() {
    let block = population(Settings { conduction: Conduction::FirstDegreeBlock, ..Settings::default() });
    let (bias, sd, count) = errors(&block, |m| m.pr_ms);
    assert!(bias.abs() <= 10.0 && sd <= 12.0 && count as u64 * 10 >= ECGS * 9, "long PR: {bias:.1} ± {sd:.1}, {count} found");
    let ectopic = population(Settings { ectopic: 0.2, ..Settings::default() });
    for (name, of, most) in
        [("QRS", (|m| m.qrs_ms) as fn(&Measurements) -> Option<f64>, 8.0), ("QT", |m| m.qt_ms, 14.0), ("R", |m| m.r_v5_uv, 40.0)]
    {
        let (bias, sd, count) = errors(&ectopic, of);
        assert!(bias.abs() <= most && sd <= 2.0 * most && count as u64 * 10 >= ECGS * 9, "ectopic, {name}: {bias:.1} ± {sd:.1}, {count}");
    }
}

fn reason(samples: Array2<f32>) -> String {
    let Measured { measurements, median } = measure(&Rhythm::new(samples).unwrap(), &Thresholds::default());
    assert!(median.iter().all(|x| x.is_finite()));
    let reason = measurements.rejected.clone().unwrap_or_default();
    if !reason.is_empty() {
        assert_eq!(Measurements { rejected: None, ..measurements }, Measurements::default(), "a rejected ECG has no measurement");
    }
    reason
}

#[test]
fn what_cannot_be_measured_is_rejected_with_its_reason() {
    let ecg = Simulator::new(Settings::default(), 6).simulate(1);
    let samples = ecg.rhythm.samples().to_owned();
    assert_eq!(reason(samples.clone()), "");
    let mut flat = samples.clone();
    (0..3).for_each(|lead| flat.row_mut(lead).fill(3.0));
    assert!(reason(flat).contains("flat lead I"), "one or two are left out, three are too many");
    let mut clipped = samples.clone();
    clipped.row_mut(6).mapv_inplace(|x| (x * 20.0).clamp(-5000.0, 5000.0));
    assert!(reason(clipped).contains("saturation in lead V5"));
    // The arm electrodes exchanged: I turns over, II becomes III.
    let mut swapped = samples.clone();
    for t in 0..5000 {
        let (one, two) = (samples[[0, t]], samples[[1, t]]);
        swapped[[0, t]] = -one;
        swapped[[1, t]] = two - one;
    }
    assert!(reason(swapped).contains("lead swap"), "{:?}", ecg.truth);
    let mut state = 1u64;
    let noise = Array2::from_shape_fn((8, 5000), |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / 16384.0 - 512.0
    });
    assert_ne!(reason(noise), "");
    let mut lonely = Array2::from_elem((8, 5000), 0.0f32);
    for t in 0..5000 {
        let hum = 10.0 * (t as f32 * 0.9).sin();
        lonely.column_mut(t).fill(hum + if (2400..2440).contains(&t) { 1000.0 } else { 0.0 });
    }
    assert_ne!(reason(lonely), "", "a single beat");
}

/// Whatever finite samples come, measuring ends in an answer: no panic, no NaN.
#[test]
fn extremes_do_not_panic() {
    let wild: [&dyn Fn(usize, usize) -> f32; 6] = [
        &|_, _| 0.0,
        &|_, t| t as f32,
        &|lead, t| if t == 100 * lead { f32::MAX / 4.0 } else { 0.0 },
        &|_, t| if t % 2 == 0 { 1e4 } else { -1e4 },
        &|lead, t| ((t * (lead + 1)) as f32 * 0.02).sin() * 500.0,
        &|_, t| if t % 100 < 5 { 1500.0 } else { 0.0 },
    ];
    for samples in [2500usize, 5000, 60_000] {
        for make in wild {
            let found =
                measure(&Rhythm::new(Array2::from_shape_fn((8, samples), |(lead, t)| make(lead, t))).unwrap(), &Thresholds::default());
            assert!(found.median.iter().all(|x| x.is_finite()));
        }
    }
}
