//! The simulator's population beside Pulse2pulse's, and plots of both.
//!
//! ```text
//! cardiograd generate --source pulse2pulse --generator WHEEL -n 400 -o p2p
//! cargo run --release --example population -- p2p/rhythm.npy [--svg FILE]
//! ```
//!
//! Prints a Markdown table: mean ± SD and the 5th, 50th and 95th percentile of each quantity, both populations measured in the same way (`12sl`).

use cardiograd::ecg::Rhythm;
use cardiograd::ecg::leads::RATE;
use cardiograd::ecg::measure::{BEAT, Measured, Thresholds, measure};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::files::npy::NpyRows;
use ndarray::{ArrayView2, Ix2};
use std::error::Error;
use std::fmt::Write;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// At most so many ECGs of each.
const ECGS: usize = 400;
/// Rows of the 12-lead median beat.
const BEAT_LEADS: [(&str, usize); 5] = [("I", 0), ("II", 1), ("V1", 6), ("V2", 7), ("V6", 11)];

/// A name and its value in every ECG that has one.
type Column = (String, Vec<f64>);

/// One ECG with what was measured in it.
struct Ecg {
    rhythm: Rhythm,
    measured: Measured,
}

impl Ecg {
    fn new(rhythm: Rhythm) -> Self {
        let measured = measure(&rhythm, &Thresholds::default());
        Ecg { rhythm, measured }
    }

    /// Every quantity of this ECG, in the order of the table.
    fn quantities(&self) -> Vec<(String, Option<f64>)> {
        let m = &self.measured.measurements;
        let mut all: Vec<(String, Option<f64>)> = [
            ("PR, ms", m.pr_ms),
            ("P duration, ms", m.p_offset.zip(m.p_onset).map(|(off, on)| 2.0 * (off - on))),
            ("QRS, ms", m.qrs_ms),
            ("QT, ms", m.qt_ms),
            ("rate, bpm", m.rate_bpm),
            ("RR SD, ms", m.rate_bpm.and_then(|rate| rr_sd(self.rhythm.samples(), rate))),
            ("R V5, µV", m.r_v5_uv),
            ("J V5, µV", m.j_v5_uv),
            ("T V5, µV", m.t_v5_uv),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, row) in BEAT_LEADS {
            all.push((format!("T {name}, µV"), self.t_wave(row)));
        }
        all.push(("J + 60 ms V5, µV".into(), m.qrs_offset.map(|off| self.beat(10, off as usize + 30))));
        all.push(("P II, µV".into(), self.p_wave(1)));
        let samples = self.rhythm.samples();
        all.push(("noise above 40 Hz, µV RMS".into(), Some(median(samples.rows().into_iter().map(|lead| noise(&lead.to_vec()))))));
        all.push((
            "wander below 0.7 Hz, µV peak to peak".into(),
            Some(median(samples.rows().into_iter().map(|lead| wander(&lead.to_vec())))),
        ));
        all
    }

    fn beat(&self, row: usize, at: usize) -> f64 {
        f64::from(self.measured.median[[row, at.min(BEAT - 1)]])
    }

    /// The value furthest from zero between 40 ms after J and T end.
    fn t_wave(&self, row: usize) -> Option<f64> {
        let m = &self.measured.measurements;
        let span = m.qrs_offset? as usize + 20..=m.t_offset? as usize;
        span.map(|at| self.beat(row, at)).max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    fn p_wave(&self, row: usize) -> Option<f64> {
        let m = &self.measured.measurements;
        (m.p_onset? as usize..=m.p_offset? as usize).map(|at| self.beat(row, at)).max_by(f64::total_cmp)
    }
}

/// The SD of the intervals between R peaks, ms; `None` with fewer than three of them.
fn rr_sd(samples: ArrayView2<'_, f32>, rate: f64) -> Option<f64> {
    let speed: Vec<f64> =
        (0..samples.ncols() - 10).map(|t| samples.rows().into_iter().map(|lead| f64::from(lead[t + 10] - lead[t]).powi(2)).sum()).collect();
    let smooth: Vec<f64> = speed.windows(41).map(|window| window.iter().sum()).collect();
    let apart = (0.5 * 60.0 * RATE / rate) as usize;
    let largest = smooth.iter().copied().fold(0.0, f64::max);
    let peaks: Vec<usize> = (0..smooth.len())
        .filter(|&t| smooth[t] > 0.15 * largest)
        .filter(|&t| smooth[t.saturating_sub(apart)..(t + apart).min(smooth.len())].iter().all(|x| *x <= smooth[t]))
        .collect();
    let intervals: Vec<f64> = peaks.windows(2).map(|pair| 1000.0 * (pair[1] - pair[0]) as f64 / RATE).collect();
    (intervals.len() > 2).then(|| moments(&intervals).1)
}

/// The RMS of what lies above 40 Hz, from the median magnitude, so that QRS complexes do not count.
fn noise(lead: &[f32]) -> f64 {
    let low = low_pass(lead, 40.0 / RATE, 50);
    let rest = median((50..lead.len() - 50).map(|t| (f64::from(lead[t]) - low[t - 50]).abs()));
    rest / 0.6745
}

/// The peak to peak of what lies below 0.7 Hz.
fn wander(lead: &[f32]) -> f64 {
    const EVERY: usize = 25;
    let coarse: Vec<f32> = lead.chunks_exact(EVERY).map(|chunk| chunk.iter().sum::<f32>() / EVERY as f32).collect();
    let low = low_pass(&coarse, 0.7 * EVERY as f64 / RATE, 20);
    let (least, most) = low.iter().fold((f64::MAX, f64::MIN), |(least, most), &x| (least.min(x), most.max(x)));
    most - least
}

/// Low-pass with a Hamming-windowed sinc of 2 `half` + 1 taps; `cut` in cycles a sample. `half` samples are lost at each end.
fn low_pass(samples: &[f32], cut: f64, half: usize) -> Vec<f64> {
    use std::f64::consts::PI;
    let taps: Vec<f64> = (0..=2 * half)
        .map(|k| {
            let x = k as f64 - half as f64;
            let sinc = if x == 0.0 { 2.0 * cut } else { (2.0 * PI * cut * x).sin() / (PI * x) };
            sinc * (0.54 + 0.46 * (PI * x / half as f64).cos())
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    samples.windows(taps.len()).map(|window| window.iter().zip(&taps).map(|(&x, tap)| f64::from(x) * tap).sum::<f64>() / sum).collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

/// Of sorted values, the nearest rank.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted.get((share * (sorted.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

fn columns(ecgs: &[Ecg]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (index, ecg) in ecgs.iter().enumerate() {
        for (at, (name, value)) in ecg.quantities().into_iter().enumerate() {
            if index == 0 {
                columns.push((name, Vec::new()));
            }
            columns[at].1.extend(value);
        }
    }
    columns
}

fn describe(values: &[f64]) -> String {
    let (mean, sd) = moments(values);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, middle, high] = [0.05, 0.5, 0.95].map(|share| percentile(&sorted, share));
    let digits = usize::from(mean.abs() < 20.0 && sd < 5.0);
    format!("{mean:.digits$} ± {sd:.digits$} | {low:.digits$} / {middle:.digits$} / {high:.digits$}").replace('-', "−")
}

/// The correlation of R with T in V5.
fn r_with_t(ecgs: &[Ecg]) -> f64 {
    let both = ecgs.iter().filter_map(|ecg| ecg.measured.measurements.r_v5_uv.zip(ecg.measured.measurements.t_v5_uv));
    let (r, t): (Vec<f64>, Vec<f64>) = both.unzip();
    let ((mean_r, sd_r), (mean_t, sd_t)) = (moments(&r), moments(&t));
    let products: Vec<f64> = r.iter().zip(&t).map(|(r, t)| (r - mean_r) * (t - mean_t)).collect();
    moments(&products).0 / (sd_r * sd_t)
}

/// Four ECGs of each: II and V5 over 3 s, and II, V5 and V1 of the median beat.
fn plot(simulated: &[Ecg], generated: &[Ecg]) -> String {
    let mut svg =
        String::from(r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 640" font-family="sans-serif" font-size="12">"##);
    svg.push_str(r##"<rect width="940" height="640" fill="#fff"/>"##);
    for (left, name, ecgs) in [(10.0, "Simulator", simulated), (480.0, "Pulse2pulse", generated)] {
        write!(svg, r##"<text x="{left}" y="18">{name}: II (black) and V5 (blue), 3 s</text>"##).ok();
        write!(svg, r##"<text x="{}" y="18">median, with V1 (red)</text>"##, left + 320.0).ok();
        for (row, ecg) in ecgs.iter().filter(|ecg| ecg.measured.measurements.rejected.is_none()).take(4).enumerate() {
            let top = 30.0 + 150.0 * row as f64;
            let samples = ecg.rhythm.samples();
            let strip = |lead: usize| (1000..2500).step_by(2).map(move |t| f64::from(samples[[lead, t]])).collect::<Vec<_>>();
            line(&mut svg, &strip(1), (left, top + 60.0), 300.0, "#000");
            line(&mut svg, &strip(6), (left, top + 120.0), 300.0, "#1f5fbf");
            for (lead, colour) in [(1, "#000"), (10, "#1f5fbf"), (6, "#c0392b")] {
                let beat: Vec<f64> = (0..BEAT).step_by(2).map(|t| ecg.beat(lead, t)).collect();
                line(&mut svg, &beat, (left + 320.0, top + 90.0), 120.0, colour);
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A curve from a point over a width, 32 units a millivolt.
fn line(svg: &mut String, values: &[f64], (left, base): (f64, f64), width: f64, colour: &str) {
    let step = width / values.len() as f64;
    let points: Vec<String> =
        values.iter().enumerate().map(|(t, x)| format!("{:.1},{:.1}", left + step * t as f64, base - 0.032 * x)).collect();
    writeln!(svg, r##"<polyline fill="none" stroke="{colour}" stroke-width="0.8" points="{}"/>"##, points.join(" ")).ok();
}

fn main() -> Outcome<()> {
    let usage = "usage: population RHYTHM.npy [--svg FILE]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, svg) = match arguments.as_slice() {
        [path] => (path, None),
        [path, option, file] if option == "--svg" => (path, Some(file)),
        _ => return Err(usage.into()),
    };
    let rows = NpyRows::open(path)?;
    let ecgs = rows.len().min(ECGS);
    let simulator = Simulator::new(Settings::default(), 1);
    let simulated: Vec<Ecg> = (0..ecgs as u64).map(|index| Ecg::new(simulator.simulate(index).rhythm)).collect();
    let mut generated = Vec::with_capacity(ecgs);
    for index in 0..ecgs {
        generated.push(Ecg::new(Rhythm::new(rows.row_f32(index)?.into_dimensionality::<Ix2>()?)?));
    }
    println!("| {ecgs} ECGs each | simulator | 5 / 50 / 95 % | Pulse2pulse | 5 / 50 / 95 % |\n|---|---|---|---|---|");
    for ((name, ours), (_, theirs)) in columns(&simulated).into_iter().zip(columns(&generated)) {
        println!("| {name} | {} | {} |", describe(&ours), describe(&theirs));
    }
    println!("| correlation of R with T in V5 | {:.2} | | {:.2} | |", r_with_t(&simulated), r_with_t(&generated));
    if let Some(file) = svg {
        std::fs::write(file, plot(&simulated, &generated))?;
    }
    Ok(())
}
