//! The median beat: the sample-wise median of aligned beats, each at its own level.

use super::shape::{dot, mean, middle, minus};
use super::{BEAT, R_AT};
use crate::ecg::filter::Frame;

/// Whole beats wanted before beats cut by the ends of the recording are left out.
const WHOLE: usize = 5;

/// The median of the beats at `points`. Each beat is levelled on the 16 ms before `onset` (a sample of the median beat) or, while that is
/// not known, on the mean of its surroundings.
pub fn median(level: &[Frame], points: &[usize], onset: Option<usize>) -> Result<Vec<Frame>, String> {
    let whole = |point: usize| point >= R_AT && point - R_AT + BEAT <= level.len();
    let mut used: Vec<usize> = points.iter().copied().filter(|&point| whole(point)).collect();
    if used.len() < WHOLE {
        used = points.iter().copied().filter(|&point| point >= R_AT / 2 && point + R_AT < level.len()).collect();
    }
    if used.len() < 3 {
        return Err(format!("too few beats: {} whole ones, 3 are needed", used.len()));
    }
    let (from, to) = match onset {
        Some(onset) => (onset.saturating_sub(8), onset + 1),
        None => (R_AT - 100, R_AT + 100),
    };
    let zeros: Vec<Frame> = used.iter().map(|&point| mean(part(level, point, from, to))).collect();
    let mut values: Vec<f64> = Vec::with_capacity(used.len());
    let mut beat = vec![[0.0; 8]; BEAT];
    for (t, frame) in beat.iter_mut().enumerate() {
        for (lead, x) in frame.iter_mut().enumerate() {
            values.clear();
            let at =
                used.iter().zip(&zeros).filter_map(|(&point, zero)| Some(level.get((point + t).checked_sub(R_AT)?)?[lead] - zero[lead]));
            values.extend(at);
            *x = centre(&mut values);
        }
    }
    Ok(beat)
}

/// The samples [from, to) of the beat at a point, those that the recording has.
fn part(level: &[Frame], point: usize, from: usize, to: usize) -> &[Frame] {
    let at = |t: usize| (point + t).saturating_sub(R_AT).min(level.len());
    &level[at(from)..at(to)]
}

fn centre(values: &mut [f64]) -> f64 {
    let count = values.len();
    match count {
        0 => 0.0,
        _ if count % 2 == 1 => middle(values),
        _ => {
            values.sort_unstable_by(f64::total_cmp);
            (values[count / 2 - 1] + values[count / 2]) / 2.0
        }
    }
}

/// Whether the part [from, to] of the median beat is there in the single beats: each beat's part, less its mean, is projected on the mean of the
/// others' and compared with the median's energy. Waves that come from somewhere else (flutter, dissociated P waves, noise) leave something in a
/// median, but what one beat has of them the others do not have.
pub fn repeats(level: &[Frame], points: &[usize], beat: &[Frame], weights: &Frame, from: usize, to: usize) -> bool {
    let centred = |frames: &[Frame]| weighed(&centred(frames), weights);
    let usual = centred(&beat[from..=to]);
    let energies = energies(&usual);
    let energy: f64 = energies.iter().sum();
    let mut parts: Vec<Vec<Frame>> =
        points.iter().map(|&point| part(level, point, from, to + 1)).filter(|window| window.len() == to + 1 - from).map(centred).collect();
    if parts.len() < 3 || energy <= 0.0 {
        return false;
    }
    let disturbed = silence_disturbed(&mut parts, &usual, energy);
    let others = (parts.len() - 1) as f64;
    let sum: Vec<Frame> =
        (0..=to - from).map(|t| mean(&parts.iter().map(|part| part[t]).collect::<Vec<_>>()).map(|x| x * (others + 1.0))).collect();
    let share = |(part, disturbed): (&Vec<Frame>, &[bool; 8])| {
        let along: f64 = sum.iter().zip(part).map(|(sum, own)| dot(&minus(sum, own), own)).sum();
        let seen: f64 = energies.iter().zip(disturbed).filter(|(_, disturbed)| !**disturbed).map(|(energy, _)| energy).sum();
        if seen > 0.0 { along / (others * seen) } else { 0.0 }
    };
    let mut shares: Vec<f64> = parts.iter().zip(&disturbed).map(share).collect();
    let usual = middle(&mut shares);
    let present = shares.iter().filter(|&&share| share > 0.4).count();
    usual > 0.5 && present as f64 >= 0.7 * shares.len() as f64
}

/// The energy of each lead.
fn energies(frames: &[Frame]) -> Frame {
    std::array::from_fn(|lead| frames.iter().map(|frame| frame[lead] * frame[lead]).sum())
}

/// In one beat a lead is disturbed, as by a loose electrode, if it lies this much further from the usual beat than it mostly does, and this share of the energy of
/// all leads.
const DISTURBED: (f64, f64) = (16.0, 0.25);

/// Sets leads to zero in the beats in which they are disturbed, and says which.
fn silence_disturbed(parts: &mut [Vec<Frame>], usual: &[Frame], energy: f64) -> Vec<[bool; 8]> {
    let apart = |part: &Vec<Frame>| energies(&part.iter().zip(usual).map(|(own, usual)| minus(own, usual)).collect::<Vec<_>>());
    let distances: Vec<Frame> = parts.iter().map(apart).collect();
    let mostly: Frame = std::array::from_fn(|lead| middle(&mut distances.iter().map(|beat| beat[lead]).collect::<Vec<_>>()));
    let disturbed = |beat: &Frame| std::array::from_fn(|lead| beat[lead] > (DISTURBED.0 * mostly[lead]).max(DISTURBED.1 * energy));
    let disturbed: Vec<[bool; 8]> = distances.iter().map(disturbed).collect();
    for (part, disturbed) in parts.iter_mut().zip(&disturbed) {
        part.iter_mut().for_each(|frame| frame.iter_mut().zip(disturbed).filter(|(_, off)| **off).for_each(|(x, _)| *x = 0.0));
    }
    disturbed
}

fn weighed(frames: &[Frame], weights: &Frame) -> Vec<Frame> {
    super::quality::weigh(frames, weights)
}

fn centred(frames: &[Frame]) -> Vec<Frame> {
    let centre = mean(frames);
    frames.iter().map(|frame| minus(frame, &centre)).collect()
}
