//! Finding the beats, aligning them, keeping those of the dominant shape.

use super::shape::{argmax, middle, moving_mean};
use crate::ecg::filter::{Biquad, Frame, zero_phase};
use crate::ecg::leads::RATE;

/// Beats found and aligned.
#[derive(Clone, Debug)]
pub struct Aligned {
    /// Every QRS, as a sample of the recording.
    pub all: Vec<usize>,
    /// The QRSs of the dominant shape, away from the ends, on a common point of their shape.
    pub kept: Vec<usize>,
}

/// Beats needed to make a median.
const FEWEST: usize = 3;
/// Correlation over all leads that a beat of the dominant shape has with the template.
const ALIKE: f64 = 0.85;

/// Samples of the recording at which QRSs have their largest 8–30 Hz spatial velocity (80 ms mean).
pub fn detect(level: &[Frame]) -> Vec<usize> {
    let band = zero_phase(level, &[Biquad::high_pass(8.0, RATE), Biquad::low_pass(30.0, RATE)], 200);
    let speed = moving_mean(&normalised_velocity(&band), 41);
    let mut maxima: Vec<f64> = speed.chunks(RATE as usize).map(|second| second.iter().fold(0.0, |a: f64, &b| a.max(b))).collect();
    let usual = middle(&mut maxima);
    let mut peaks = local_peaks(&speed, 0, speed.len(), 0.4 * usual);
    drop_t_waves(&mut peaks, &speed, &band);
    search_back(&mut peaks, &speed, 0.2 * usual);
    peaks
}

/// Velocity over leads, each lead divided by the median of its 1-s maxima so that no lead rules; a silent lead counts nothing, and none counts more than the second
/// most moved one: a beat is seen in several leads, what a loose electrode does in one.
fn normalised_velocity(band: &[Frame]) -> Vec<f64> {
    let slope = |t: usize, lead: usize| band[t + 1][lead] - band[t - 1][lead];
    let inner = 1..band.len() - 1;
    let weights: Frame = std::array::from_fn(|lead| {
        let mut maxima: Vec<f64> = (1..band.len() - 1)
            .step_by(RATE as usize)
            .map(|from| (from..(from + RATE as usize).min(band.len() - 1)).fold(0.0, |a: f64, t| a.max(slope(t, lead).abs())))
            .collect();
        let usual = middle(&mut maxima);
        if usual > 0.1 { 1.0 / usual } else { 0.0 }
    });
    let mut speed = vec![0.0; band.len()];
    for t in inner {
        let (mut sum, mut most, mut second) = (0.0, 0.0f64, 0.0f64);
        for (lead, weight) in weights.iter().enumerate() {
            let energy = (slope(t, lead) * weight).powi(2);
            sum += energy;
            second = second.max(energy.min(most));
            most = most.max(energy);
        }
        speed[t] = (sum - most + second).sqrt();
    }
    speed
}

/// Peaks above a threshold, none closer than 200 ms to a larger one.
fn local_peaks(speed: &[f64], from: usize, to: usize, threshold: f64) -> Vec<usize> {
    const APART: usize = 100;
    let mut peaks: Vec<usize> = Vec::new();
    let mut t = from;
    while t < to {
        if speed[t] <= threshold {
            t += 1;
            continue;
        }
        let end = (t..to).find(|&u| speed[u] <= threshold).unwrap_or(to);
        let peak = argmax(speed, t, end);
        match peaks.last_mut() {
            Some(last) if peak - *last < APART => {
                if speed[peak] > speed[*last] {
                    *last = peak;
                }
            }
            _ => peaks.push(peak),
        }
        t = end;
    }
    peaks
}

/// A T wave is within 360 ms of its QRS and has less than this share of its velocity, samples …
const T_SLOW: (usize, f64) = (180, 0.5);
/// … or, giant ones being fast but round, within so many samples less than this share of its acceleration.
const T_ROUND: [(usize, f64); 3] = [(170, 0.75), (195, 0.6), (205, 0.4)];

/// Leaves out the peaks that are the T wave of the one before.
fn drop_t_waves(peaks: &mut Vec<usize>, speed: &[f64], band: &[Frame]) {
    let mut kept: Vec<usize> = Vec::with_capacity(peaks.len());
    for &peak in peaks.iter() {
        let t_wave = kept.last().is_some_and(|&last| {
            let after = peak - last;
            let slow = after <= T_SLOW.0 && speed[peak] <= T_SLOW.1 * speed[last];
            let round = T_ROUND.iter().find(|(within, _)| after <= *within);
            slow || round.is_some_and(|(_, share)| bend(band, peak) < share * bend(band, last))
        });
        if !t_wave {
            kept.push(peak);
        }
    }
    *peaks = kept;
}

/// The largest acceleration within 50 ms of a peak.
fn bend(band: &[Frame], peak: usize) -> f64 {
    const STEP: usize = 3;
    let (from, to) = (peak.saturating_sub(25).max(STEP), (peak + 25).min(band.len() - STEP));
    let squared =
        |t: usize| -> f64 { (0..8).map(|lead| (band[t + STEP][lead] - 2.0 * band[t][lead] + band[t - STEP][lead]).powi(2)).sum() };
    (from..to).map(squared).fold(0.0, f64::max).sqrt()
}

/// A gap this long is looked into whatever the rhythm is, samples (1.4 s).
const LONG_GAP: f64 = 700.0;

/// Looks again, with a lower threshold, into every gap of more than 1.6 times the usual RR. What is usual the shorter gaps tell: where premature
/// ventricular beats, which are slow, were missed, half of the gaps can be long ones.
fn search_back(peaks: &mut Vec<usize>, speed: &[f64], threshold: f64) {
    if peaks.len() < 3 {
        return;
    }
    let mut gaps: Vec<usize> = peaks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let usual = (gaps[gaps.len() / 4] as f64).min(LONG_GAP / 1.6);
    let mut found = Vec::new();
    for pair in peaks.windows(2) {
        if (pair[1] - pair[0]) as f64 > 1.6 * usual {
            // A QRS is not expected within 0.4 RR of its neighbours: that is where their T and P waves are.
            let margin = (0.4 * usual) as usize;
            let mut more = local_peaks(speed, pair[0] + margin, pair[1] - margin, threshold);
            more.retain(|&peak| speed[peak] > 0.35 * speed[pair[0]].min(speed[pair[1]]));
            // At an end of the range it may be the flank of a neighbour's peak.
            more.retain(|&peak| speed[peak] >= speed[peak - 1] && speed[peak] >= speed[peak + 1]);
            found.append(&mut more);
        }
    }
    peaks.append(&mut found);
    peaks.sort_unstable();
}

/// Ventricular rate from the first to the last QRS, beats per minute.
pub fn rate(beats: &Aligned) -> f64 {
    let span = beats.all[beats.all.len() - 1] - beats.all[0];
    60.0 * RATE * (beats.all.len() - 1) as f64 / span as f64
}

/// The RR interval of the dominant rhythm, samples: the mean one or, where premature beats come in between, the mean of those from one dominant beat to the next.
pub fn rr_usual(beats: &Aligned) -> f64 {
    let own = |beat: &usize| beats.kept.contains(beat);
    let undisturbed: Vec<f64> = beats.all.windows(2).filter(|pair| pair.iter().all(own)).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = 60.0 * RATE / rate(beats);
    let inner = beats.all.len().saturating_sub(2);
    if undisturbed.len() < 2 || beats.kept.len() >= inner { mean } else { undisturbed.iter().sum::<f64>() / undisturbed.len() as f64 }
}

/// The RR interval that the previous T wave is judged by, samples: the usual one, or, where beats are irregular (successive intervals typically
/// differ by more than 8 %, as in fibrillation), the shortest before a dominant beat, since T then ends at
/// another place in every beat.
pub fn rr_before(beats: &Aligned, usual: f64) -> f64 {
    let pairs = || beats.all.windows(2).map(|pair| ((pair[1] - pair[0]) as f64, pair[1]));
    let all: Vec<f64> = pairs().map(|(rr, _)| rr).collect();
    let mut steps: Vec<f64> = all.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let mut before: Vec<f64> = pairs().filter(|(_, beat)| beats.kept.contains(beat)).map(|(rr, _)| rr).collect();
    before.sort_unstable_by(f64::total_cmp);
    let irregular = !steps.is_empty() && middle(&mut steps) > 0.08 * middle(&mut all.clone());
    if irregular && !before.is_empty() { before[0] } else { usual }
}

/// The RR interval that leaves T its room, samples: the usual one, or, where beats are irregular, the shortest after a dominant beat.
pub fn rr_after(beats: &Aligned, usual: f64) -> f64 {
    let shortest = after_dominant(beats, usual).fold(f64::INFINITY, |shortest: f64, (rr, _)| shortest.min(rr));
    usual.min(shortest.max(0.7 * usual))
}

/// The usual interval to a premature beat, samples, where most dominant beats are followed by one, as in bigeminy: it stands in the median beat, too.
pub fn rr_premature(beats: &Aligned, usual: f64) -> Option<f64> {
    let mut premature: Vec<f64> = after_dominant(beats, usual).filter(|(_, premature)| *premature).map(|(rr, _)| rr).collect();
    (2 * premature.len() > after_dominant(beats, usual).count()).then(|| middle(&mut premature))
}

/// The interval after which the next P comes at the earliest, samples: the usual one or, where beats are irregular, the shortest after a dominant beat that does not
/// end with a premature one, which has no P before it.
pub fn rr_to_p(beats: &Aligned, usual: f64) -> f64 {
    let with_p = after_dominant(beats, usual).filter(|(_, premature)| !premature).map(|(rr, _)| rr);
    usual.min(with_p.fold(f64::INFINITY, f64::min).max(0.7 * usual))
}

/// An interval to a beat of another shape that is shorter than this share of the usual one ends with a premature beat.
const PREMATURE: f64 = 0.9;

/// The intervals after dominant beats, samples, and whether a premature beat ends them.
fn after_dominant(beats: &Aligned, usual: f64) -> impl Iterator<Item = (f64, bool)> {
    let own = |beat: &usize| beats.kept.contains(beat);
    beats.all.windows(2).filter(move |pair| own(&pair[0])).map(move |pair| {
        let rr = (pair[1] - pair[0]) as f64;
        (rr, !own(&pair[1]) && rr < PREMATURE * usual)
    })
}

/// Samples of the alignment window before and after a beat's point, and the step at which it is looked at.
const BEFORE: usize = 50;
const AFTER: usize = 60;
const STEP: usize = 2;
/// The furthest a beat is moved, samples.
const FURTHEST: isize = 50;

/// Moves the beats onto a common point by cross-correlation over all leads (2–40 Hz) and keeps those of the dominant shape.
pub fn align(level: &[Frame], peaks: &[usize]) -> Result<Aligned, String> {
    let band = zero_phase(level, &[Biquad::high_pass(2.0, RATE), Biquad::low_pass(40.0, RATE)], 500);
    if peaks.len() < FEWEST {
        return Err(format!("too few beats: {} found, {FEWEST} are needed", peaks.len()));
    }
    let margin = BEFORE + 2 * FURTHEST as usize;
    let whole = |peak: usize| peak >= margin && peak + AFTER + 2 * FURTHEST as usize + 1 < band.len();
    let inner: Vec<usize> = peaks.iter().copied().filter(|&peak| whole(peak)).collect();
    let mut energies = Energies(vec![f64::NAN; band.len()]);
    let mut template =
        dominant(&band, &inner, &mut energies).ok_or_else(|| format!("too few beats: {} found, {FEWEST} are needed", inner.len()))?;
    let mut moved: Vec<(usize, f64)> = inner.iter().map(|&peak| (peak, 1.0)).collect();
    for _ in 0..3 {
        for (at, (beat, alike)) in moved.iter_mut().enumerate() {
            (*beat, *alike) = best_lag(&band, &template, inner[at], &mut energies);
        }
        let kept: Vec<usize> = moved.iter().filter(|(_, alike)| *alike > ALIKE).map(|(beat, _)| *beat).collect();
        if kept.len() < FEWEST {
            return Err(format!("too few beats alike: {} of {} share a shape (noise or changing rhythm)", kept.len(), peaks.len()));
        }
        template = mean_window(&band, &kept);
    }
    let first = (0.3 * RATE) as usize;
    let last = level.len() - (0.1 * RATE) as usize;
    let kept: Vec<usize> =
        moved.iter().filter(|&&(beat, alike)| alike > ALIKE && (first..last).contains(&beat)).map(|(beat, _)| *beat).collect();
    if kept.len() < FEWEST {
        return Err(format!("too few beats alike: {} of {} share a shape (noise or changing rhythm)", kept.len(), peaks.len()));
    }
    // Beats too near the ends to be aligned keep their place, corrected by what the others were moved on average.
    let shifts: isize = inner.iter().zip(&moved).map(|(&from, &(to, _))| to as isize - from as isize).sum();
    let usual = shifts / inner.len() as isize;
    let all: Vec<usize> = peaks
        .iter()
        .map(|&peak| match inner.iter().position(|&other| other == peak) {
            Some(at) if moved[at].1 > ALIKE => moved[at].0,
            _ => peak.saturating_add_signed(usual),
        })
        .collect();
    Ok(Aligned { kept: undisturbed(kept, &all), all })
}

/// Of the dominant beats those that another one follows, where they are enough: a premature beat cuts the T wave before it short.
fn undisturbed(kept: Vec<usize>, all: &[usize]) -> Vec<usize> {
    let Some(&last) = kept.last() else { return kept };
    let follower = |beat: usize| all.iter().copied().filter(|&other| other > beat).min();
    let calm: Vec<usize> =
        kept.iter().copied().filter(|&beat| follower(beat).is_none_or(|next| next > last || kept.contains(&next))).collect();
    if calm.len() < kept.len() && calm.len() >= FEWEST { calm } else { kept }
}

fn window(band: &[Frame], at: usize) -> impl Iterator<Item = &Frame> {
    band[at - BEFORE..=at + AFTER].iter().step_by(STEP)
}

fn mean_window(band: &[Frame], beats: &[usize]) -> Vec<Frame> {
    let mut sum = vec![[0.0; 8]; (BEFORE + AFTER) / STEP + 1];
    for &beat in beats {
        for (sum, frame) in sum.iter_mut().zip(window(band, beat)) {
            sum.iter_mut().zip(frame).for_each(|(sum, x)| *sum += x);
        }
    }
    sum
}

/// The energy of runs of frames, summed lead by lead.
fn energy<'a>(frames: impl Iterator<Item = &'a Frame>) -> f64 {
    let mut sums = [0.0; 8];
    for frame in frames {
        sums.iter_mut().zip(frame).for_each(|(sum, x)| *sum += x * x);
    }
    sums.iter().sum()
}

/// The energy of the window at each sample of the recording, reckoned where it is first asked for; NaN before.
struct Energies(Vec<f64>);

impl Energies {
    fn at(&mut self, band: &[Frame], at: usize) -> f64 {
        if self.0[at].is_nan() {
            self.0[at] = energy(window(band, at));
        }
        self.0[at]
    }
}

/// The correlation of a template with the recording at a sample; `energies`: theirs.
fn correlation(template: &[Frame], band: &[Frame], at: usize, energies: (f64, f64)) -> f64 {
    let mut both = [0.0; 8];
    for (t, b) in template.iter().zip(window(band, at)) {
        for lead in 0..8 {
            both[lead] += t[lead] * b[lead];
        }
    }
    let energy = energies.0 * energies.1;
    if energy > 0.0 { both.iter().sum::<f64>() / energy.sqrt() } else { 0.0 }
}

/// Where within 100 ms a beat is most like the template, and how alike it is.
fn best_lag(band: &[Frame], template: &[Frame], from: usize, energies: &mut Energies) -> (usize, f64) {
    let mut best = (from, f64::NEG_INFINITY);
    let own = energy(template.iter());
    let mut consider = |lag: isize, best: &mut (usize, f64)| {
        let at = from.saturating_add_signed(lag);
        let alike = correlation(template, band, at, (own, energies.at(band, at)));
        if alike > best.1 {
            *best = (at, alike);
        }
    };
    (-FURTHEST / 3..=FURTHEST / 3).for_each(|k| consider(3 * k, &mut best));
    let coarse = best.0 as isize - from as isize;
    [-2, -1, 1, 2].into_iter().for_each(|k| consider(coarse + k, &mut best));
    best
}

/// A second shape counts if this share of the beats has it that has the first.
const RIVAL: f64 = 0.6;
/// Beats of a shape are premature if they come this much sooner than those of the other: the ratio of the usual RR intervals before them.
const SOONER: f64 = 0.9;
/// A beat of the second shape has at least this share of the energy of the first, and of its largest acceleration: a P wave has not. …
const LARGE: (f64, f64) = (0.03, 0.5);
/// … Or it has this share of the acceleration, and so many times more than its size lets expect: a narrow QRS beside large premature ones. P and T are round.
const SHARP: (f64, f64) = (0.25, 1.2);

/// The beat that most others resemble, as a template. Where two shapes are about as frequent, as in bigeminy, the one that does not come too soon.
fn dominant(band: &[Frame], beats: &[usize], energies: &mut Energies) -> Option<Vec<Frame>> {
    if beats.len() < FEWEST {
        return None;
    }
    // Each is compared with each: of a long window some beats, evenly taken, say as much as all.
    const COMPARED: usize = 40;
    let beats: Vec<usize> = beats.iter().copied().step_by(beats.len().div_ceil(COMPARED)).collect();
    // Resemblance counts as membership first and as likeness second.
    let mut alike = |template: &[Frame], own: f64, other: usize| -> f64 {
        let best = (-4..=4)
            .map(|k: isize| other.saturating_add_signed(4 * k))
            .map(|at| correlation(template, band, at, (own, energies.at(band, at))))
            .fold(-1.0, f64::max);
        if best > ALIKE { 1.0 + 0.01 * best } else { 0.0 }
    };
    let template = |beat: usize| -> Vec<Frame> { window(band, beats[beat]).copied().collect() };
    let likeness: Vec<Vec<f64>> = (0..beats.len())
        .map(|at| {
            let own = template(at);
            let size = energy(own.iter());
            beats.iter().map(|&other| alike(&own, size, other)).collect()
        })
        .collect();
    let scores: Vec<f64> = likeness.iter().map(|row| row.iter().sum()).collect();
    let first = argmax(&scores, 0, scores.len());
    let rivals: Vec<f64> = (0..beats.len()).map(|at| if likeness[first][at] > 0.0 { 0.0 } else { scores[at] }).collect();
    let second = argmax(&rivals, 0, rivals.len());
    let usual_before = |of: usize| -> f64 {
        let mut before: Vec<f64> =
            (1..beats.len()).filter(|&at| likeness[of][at] > 0.0).map(|at| (beats[at] - beats[at - 1]) as f64).collect();
        if before.is_empty() { 0.0 } else { middle(&mut before) }
    };
    let size = |at: usize| window(band, beats[at]).flatten().map(|x| x * x).sum::<f64>();
    let (size, bend) = (size(second) / size(first).max(1e-9), bend(band, beats[second]) / bend(band, beats[first]).max(1e-9));
    let large = size > LARGE.0 && bend > LARGE.1;
    let sharp = bend > SHARP.0.max(SHARP.1 * size.sqrt());
    let rival = (large || sharp) && rivals[second] >= RIVAL * scores[first] && usual_before(first) < SOONER * usual_before(second);
    Some(template(if rival { second } else { first }))
}
