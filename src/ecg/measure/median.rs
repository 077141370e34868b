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
    let mut values: Vec<Frame> = Vec::with_capacity(used.len());
    let mut centres = Centres::default();
    let one = |t: usize| {
        values.clear();
        values.extend(used.iter().zip(&zeros).filter_map(|(&point, zero)| Some(minus(level.get((point + t).checked_sub(R_AT)?)?, zero))));
        centres.of(&mut values)
    };
    Ok((0..BEAT).map(one).collect())
}

/// The samples [from, to) of the beat at a point, those that the recording has.
fn part(level: &[Frame], point: usize, from: usize, to: usize) -> &[Frame] {
    let at = |t: usize| (point + t).saturating_sub(R_AT).min(level.len());
    &level[at(from)..at(to)]
}

/// Up to so many beats are put in order by a network, whose exchanges do not depend on the values; of more the middle is looked for lead by lead.
const FEW: usize = 48;

/// Finds the median of each lead over several beats.
#[derive(Default)]
struct Centres {
    /// How many beats the exchanges are for, and the exchanges.
    count: usize,
    exchanges: Vec<(usize, usize)>,
}

impl Centres {
    /// The median of each lead; of an even number the mean of the two in the middle. The values are left in another order.
    fn of(&mut self, values: &mut [Frame]) -> Frame {
        let count = values.len();
        if count == 0 {
            return [0.0; 8];
        }
        if count > FEW {
            return std::array::from_fn(|lead| centre(&mut values.iter().map(|frame| frame[lead]).collect::<Vec<_>>()));
        }
        if self.count != count {
            (self.count, self.exchanges) = (count, exchanges(count));
        }
        for &(low, high) in &self.exchanges {
            let (x, y) = (values[low], values[high]);
            values[low] = std::array::from_fn(|lead| if y[lead] < x[lead] { y[lead] } else { x[lead] });
            values[high] = std::array::from_fn(|lead| if y[lead] < x[lead] { x[lead] } else { y[lead] });
        }
        match (count % 2, values[(count - 1) / 2], values[count / 2]) {
            (1, middle, _) => middle,
            (_, low, high) => std::array::from_fn(|lead| (low[lead] + high[lead]) / 2.0),
        }
    }
}

/// The exchanges that put the middle of so many values in its place: those of Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2 M) on which
/// the middle depends.
fn exchanges(count: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let largest = count.next_power_of_two() / 2;
    let mut p = largest;
    while p > 0 {
        let (mut q, mut r, mut d) = (largest, 0, p);
        loop {
            all.extend((0..count - d).filter(|i| i & p == r).map(|i| (i, i + d)));
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    let mut matters = vec![false; count];
    (matters[(count - 1) / 2], matters[count / 2]) = (true, true);
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for &(low, high) in all.iter().rev().filter(|_| count > 1) {
        if matters[low] || matters[high] {
            (matters[low], matters[high]) = (true, true);
            kept.push((low, high));
        }
    }
    kept.reverse();
    kept
}

/// The median of at least one value.
fn centre(values: &mut [f64]) -> f64 {
    let count = values.len();
    let upper = middle(values);
    if count % 2 == 1 {
        return upper;
    }
    let lower = values[..count / 2].iter().fold(f64::NEG_INFINITY, |a: f64, &b| if b > a { b } else { a });
    (lower + upper) / 2.0
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The network, the search and a full sort agree to the bit, whatever the number of beats.
    #[test]
    fn the_middle_of_any_number_of_beats() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) % 50) as f64 / 8.0 - 3.0
        };
        let mut centres = Centres::default();
        for count in 1..70 {
            let mut values: Vec<Frame> = (0..count).map(|_| std::array::from_fn(|_| draw())).collect();
            let sorted = |lead: usize| {
                let mut column: Vec<f64> = values.iter().map(|frame| frame[lead]).collect();
                column.sort_unstable_by(f64::total_cmp);
                column
            };
            let expected: Frame = std::array::from_fn(|lead| (sorted(lead)[(count - 1) / 2] + sorted(lead)[count / 2]) / 2.0);
            assert_eq!(std::array::from_fn(|lead| centre(&mut sorted(lead))), expected, "{count} beats");
            assert_eq!(centres.of(&mut values), expected, "{count} beats");
        }
        assert_eq!(centres.of(&mut []), [0.0; 8]);
    }
}
