use super::*;
use crate::ecg::simulator::Simulator;

fn made(kind: Kind, index: u64) -> Simulated {
    Simulator::of_kinds(&[kind], Settings::default(), 3).simulate(index)
}

#[test]
fn the_table_is_in_order_and_names_come_back() {
    for (at, (kind, name, _)) in TABLE.iter().enumerate() {
        assert_eq!(*kind as usize, at, "{name}");
        assert_eq!(name.parse::<Kind>().unwrap(), *kind);
    }
    let said = "p_wave".parse::<Kind>().unwrap_err().to_string();
    assert!(said.contains("p_wave") && said.contains("p_notched, p_biphasic"), "{said}");
}

#[test]
fn every_kind_has_a_truth_that_can_be_true() {
    for kind in Kind::all() {
        let ecg = made(kind, kind as u64);
        let (name, truth) = (kind.name(), &ecg.truth);
        assert_eq!(ecg.rhythm.samples().ncols(), 5000, "{name}");
        assert_eq!(ecg.kind, Some(kind));
        let fiducials = [truth.p_onset, truth.p_offset, truth.qrs_onset, truth.qrs_offset, truth.t_offset];
        assert!(fiducials.into_iter().flatten().all(|at| (0.0..600.0).contains(&at)), "{name}: {truth:?}");
        assert_eq!(truth.pr_ms.is_some(), kind.has_p(), "{name}");
        let (qrs, qt) = (truth.qrs_ms.unwrap(), truth.qt_ms.unwrap());
        assert!((60.0..190.0).contains(&qrs) && (220.0..560.0).contains(&qt), "{name}: {truth:?}");
        if let (Some(on), Some(off)) = (truth.p_onset, truth.p_offset) {
            assert!(on < off && off < truth.qrs_onset.unwrap(), "{name}: {truth:?}");
        }
        assert!(ecg.r_peaks.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
    }
}

/// Where truth says that a wave ends, the beat lies within what is visible of its level, and a little inside it does not.
#[test]
fn truth_is_where_waves_become_visible() {
    for kind in [Kind::Sinus, Kind::PLow, Kind::Lbbb, Kind::TFlat, Kind::LowGain, Kind::SwapRaLl] {
        let ecg = made(kind, 1);
        let largest = |sample: f64| ecg.beat.column(sample as usize).iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        let (on, end) = (ecg.truth.p_onset.unwrap(), ecg.truth.t_offset.unwrap());
        for (outside, inside) in [((on - 1.0).floor(), (on + 2.0).ceil()), ((end + 1.0).ceil(), (end - 4.0).floor())] {
            assert!(largest(outside) <= 1.0 && largest(inside) > 1.0, "{}: {} {}", kind.name(), largest(outside), largest(inside));
        }
    }
}

#[test]
fn kinds_are_what_they_say() {
    for index in 0..5 {
        let truth = |kind: Kind| made(kind, index).truth;
        assert!(truth(Kind::Tachycardia).rate_bpm.unwrap() > 138.0);
        assert!(truth(Kind::Bradycardia).rate_bpm.unwrap() < 49.0);
        assert!(truth(Kind::Lbbb).qrs_ms.unwrap() > 120.0);
        assert!(truth(Kind::TGiant).t_v5_uv.unwrap().abs() > 300.0);
        let first = truth(Kind::FirstDegreePOnT);
        let rr = 60e3 / first.rate_bpm.unwrap();
        assert!(first.pr_ms.unwrap() > rr - first.qt_ms.unwrap(), "P begins in T: {first:?}");
        let dead = made(Kind::DeadLead, index);
        assert!((0..8).any(|lead| dead.rhythm.samples().row(lead).iter().all(|&x| x == 0.0)));
        let swapped = made(Kind::SwapRaRl, index).beat;
        let size = |row: usize| swapped.row(row).iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        assert!(size(1) < 0.1 * size(0), "II is all but flat: {} {}", size(1), size(0));
        // A premature beat follows every other one.
        let bigeminy = made(Kind::Bigeminy, index).r_peaks;
        let steps: Vec<f64> = bigeminy.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 20.0), "{steps:?}");
    }
}

#[test]
fn an_ecg_of_a_kind_is_the_same_among_others_and_alone() {
    let mixed = Simulator::of_kinds(&[Kind::Lbbb, Kind::PLow], Settings::default(), 3);
    assert_eq!(mixed.simulate(3).rhythm, made(Kind::PLow, 1).rhythm);
    assert_eq!(mixed.simulate(3).kind, Some(Kind::PLow));
    assert_ne!(made(Kind::PLow, 1).rhythm, made(Kind::PLow, 2).rhythm);
    assert_ne!(made(Kind::Sinus, 1).rhythm, Simulator::new(Settings::default(), 3).simulate(1).rhythm);
}
