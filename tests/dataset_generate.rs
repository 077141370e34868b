//! Generated datasets: what is stored is what was generated and measured, for both sources, and bad noise leaves nothing.
#![cfg(feature = "files")]

use cardiograd::Error;
use cardiograd::dataset::{Dataset, Entry, InputKind, Origin, Source, generate_folder};
use cardiograd::ecg::generator::{self, Generator, LEADS, SAMPLES};
use cardiograd::ecg::measure::{Thresholds, measure};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::ecg::{Rhythm, leads};
use cardiograd::nn::initialise;
use cardiograd::progress::silent;
use ndarray::{Array2, Axis};
use std::sync::Mutex;

fn simulator() -> Source {
    Source::Simulator(Simulator::new(Settings::default(), 4))
}

/// A generator with weights of its own, so that no download is needed.
fn random_generator() -> Generator {
    Generator::new(initialise(&generator::program().unwrap(), 1, 0).unwrap()).unwrap()
}

fn collect(source: &Source, ecgs: std::ops::Range<u64>) -> Vec<Entry> {
    let mut entries = Vec::new();
    source
        .generate(ecgs, &Thresholds::default(), &silent, &mut |entry| {
            entries.push(entry);
            Ok(())
        })
        .unwrap();
    entries
}

#[test]
fn an_ecg_does_not_depend_on_where_the_work_began() {
    let (all, tail) = (collect(&simulator(), 0..70), collect(&simulator(), 66..70));
    assert_eq!(all.iter().map(|entry| entry.id.parse().unwrap()).collect::<Vec<usize>>(), (0..70).collect::<Vec<_>>());
    for (a, b) in all[66..].iter().zip(&tail) {
        assert_eq!((&a.id, &a.rhythm, &a.median, &a.measurements, &a.truth), (&b.id, &b.rhythm, &b.median, &b.measurements, &b.truth));
    }
    // The stored whole µV lie within half a µV of what was simulated.
    let exact = Simulator::new(Settings::default(), 4).simulate(66);
    let off = exact.rhythm.samples().iter().zip(&all[66].rhythm).map(|(a, &b)| (a - f32::from(b)).abs()).fold(0.0, f32::max);
    assert!(off <= 0.5, "{off}");
}

#[test]
fn measuring_a_dataset_again_gives_its_measurements() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let steps = Mutex::new(Vec::new());
    let report = |step: cardiograd::progress::Step<'_>| steps.lock().unwrap().push((step.done, step.total));
    generate_folder(&path, &simulator(), Origin::default(), 5, &Thresholds::EXPERT, &report).unwrap();
    let mut steps = steps.into_inner().unwrap();
    steps.sort_unstable();
    assert_eq!(steps, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    let data = Dataset::open(&path).unwrap();
    let origin = &data.manifest().unwrap().origin;
    assert_eq!((origin.source.as_str(), origin.details["thresholds"].as_str()), ("simulator", "expert"));
    for i in 0..5 {
        let mut again = measure(&Rhythm::new(data.rhythm(i).unwrap().mapv(f32::from)).unwrap(), &Thresholds::EXPERT);
        // The amplitudes of every lead stand in tables of `measure` alone.
        again.measurements.further.as_mut().unwrap().leads = None;
        assert_eq!(&again.measurements, data.measurements(i));
        assert_eq!(again.median, data.input(i, InputKind::Median).unwrap());
        let twelve = data.input(i, InputKind::Rhythm).unwrap();
        assert_eq!(twelve.row(leads::V5), data.rhythm(i).unwrap().row(6).mapv(f32::from));
    }
}

#[test]
fn pulse2pulse_rows_are_those_of_the_generator() {
    let seeded = collect(&Source::pulse2pulse(random_generator(), 8), 2..5);
    let noise = Generator::noise(8, 3);
    let alone = random_generator().generate(noise.view().insert_axis(Axis(0)), &silent).unwrap();
    assert_eq!(seeded[1].rhythm, alone.index_axis(Axis(0), 0));
    assert_eq!((seeded[1].id.as_str(), &seeded[1].truth), ("3", &None));
    // Untrained weights make no heart beat: the ECG is kept, as rejected.
    assert!(seeded[1].measurements.rejected.is_some() && seeded[1].median.iter().all(|&v| v == 0.0));
}

#[test]
fn an_error_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let noise = |ecg: u64| match ecg {
        1 => Err(Error::Value { at: "noise.npy: ECG 1".into(), problem: "NaN is not noise".into() }),
        _ => Ok(Array2::zeros((LEADS, SAMPLES))),
    };
    let source = Source::Pulse2pulse { generator: Box::new(random_generator()), noise: Box::new(noise) };
    let error = generate_folder(&path, &source, Origin::default(), 3, &Thresholds::default(), &silent).unwrap_err();
    assert_eq!(error.to_string(), "noise.npy: ECG 1: NaN is not noise");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    let wrong = |_| Ok(Array2::zeros((LEADS, 10)));
    let source = Source::Pulse2pulse { generator: Box::new(random_generator()), noise: Box::new(wrong) };
    assert!(matches!(source.generate(0..1, &Thresholds::default(), &silent, &mut |_| Ok(())), Err(Error::Shape { .. })));
}
