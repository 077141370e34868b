//! New ECGs: generated, measured and handed on in order, many at a time and never many in memory.

use crate::ecg::generator::Generator;
use crate::ecg::measure::{Thresholds, measure};
use crate::ecg::simulator::{Kind, Simulator};
use crate::ecg::{Measurements, Rhythm};
use crate::progress::{Report, Step};
use crate::{Error, Result};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// ECGs in flight. Enough to keep every core busy; 7 MB.
const CHUNK: u64 = 64;
/// What the progress line says.
const LABEL: &str = "generating";

/// One ECG on its way into a dataset.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, unique in the dataset.
    pub id: String,
    /// The recording, (8, 5000) µV.
    pub rhythm: Array2<i16>,
    /// The median beat, (12, 600) µV; zeros for a rejected ECG.
    pub median: Array2<f32>,
    /// What was measured.
    pub measurements: Measurements,
    /// The exact values, of simulated ECGs. All entries of a dataset have them or none.
    pub truth: Option<Measurements>,
    /// The kind, of ECGs simulated by kind. All entries of a dataset have one or none.
    pub kind: Option<Kind>,
}

/// The noise of an ECG by its number, (8, 5000) on [−1, 1].
pub type Noise = Box<dyn Fn(u64) -> Result<Array2<f32>> + Send + Sync>;

/// Where new ECGs come from. ECG number i is the same whatever else is asked for.
pub enum Source {
    /// The parametric simulator; its ECGs have exact values beside the measured ones.
    Simulator(Simulator),
    /// The Pulse2pulse generator on given noise.
    Pulse2pulse {
        /// The network.
        generator: Box<Generator>,
        /// Its input.
        noise: Noise,
    },
}

impl Source {
    /// Pulse2pulse on noise drawn under a seed.
    pub fn pulse2pulse(generator: Generator, seed: u64) -> Self {
        Source::Pulse2pulse { generator: Box::new(generator), noise: Box::new(move |ecg| Ok(Generator::noise(seed, ecg))) }
    }

    /// The name on the command line and in `dataset.json`.
    pub fn name(&self) -> &'static str {
        match self {
            Source::Simulator(_) => "simulator",
            Source::Pulse2pulse { .. } => "pulse2pulse",
        }
    }

    /// Makes and measures the ECGs numbered `ecgs` and hands them to `take` in order. Recordings are in whole µV, and what is measured
    /// is what is handed on, so measuring the dataset again gives the same. An ECG that cannot be measured is handed on as rejected.
    ///
    /// # Errors
    /// What the generator or its noise brings; `take`'s own, which ends the work.
    pub fn generate(
        &self,
        ecgs: Range<u64>,
        thresholds: &Thresholds,
        report: Report<'_>,
        take: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let total = ecgs.end;
        let mut first = ecgs.start;
        while first < total {
            let chunk = first..total.min(first + CHUNK);
            first = chunk.end;
            let recordings = self.recordings(chunk.clone(), total, report)?;
            let entries: Vec<Entry> = recordings
                .into_par_iter()
                .with_max_len(1)
                .enumerate()
                .map(|(i, made)| entry(chunk.start + i as u64, made, thresholds))
                .collect::<Result<_>>()?;
            entries.into_iter().try_for_each(&mut *take)?;
        }
        Ok(())
    }

    fn recordings(&self, chunk: Range<u64>, total: u64, report: Report<'_>) -> Result<Vec<Made>> {
        let first = chunk.start;
        match self {
            Source::Simulator(simulator) => {
                let done = AtomicU64::new(first);
                let simulate = |ecg| {
                    let made = simulator.simulate(ecg);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    report(Step { label: LABEL, done, total, unit: "ECGs", note: "" });
                    // A conversion from float to integer saturates.
                    Made { rhythm: made.rhythm.samples().mapv(|v| v.round() as i16), truth: Some(made.truth), kind: made.kind }
                };
                Ok(chunk.collect::<Vec<_>>().into_par_iter().with_max_len(1).map(simulate).collect())
            }
            Source::Pulse2pulse { generator, noise } => {
                let rows: Vec<Array2<f32>> = chunk.map(noise).collect::<Result<_>>()?;
                let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
                let batch = ndarray::stack(Axis(0), &views).map_err(|error| Error::Data(format!("the noise: {error}")))?;
                let within = |step: Step<'_>| report(Step { label: LABEL, done: first + step.done, total, ..step });
                let made = generator.generate(batch.view(), &within)?;
                Ok(made.outer_iter().map(|rhythm| Made { rhythm: rhythm.to_owned(), truth: None, kind: None }).collect())
            }
        }
    }
}

/// A recording before it is measured.
struct Made {
    rhythm: Array2<i16>,
    truth: Option<Measurements>,
    kind: Option<Kind>,
}

fn entry(ecg: u64, made: Made, thresholds: &Thresholds) -> Result<Entry> {
    let Made { rhythm, truth, kind } = made;
    let measured = measure(&Rhythm::new(rhythm.mapv(f32::from))?, thresholds);
    Ok(Entry { id: ecg.to_string(), rhythm, median: measured.median, measurements: measured.measurements, truth, kind })
}
