//! From the leads of a file to the eight that the program works with: what is redundant is compared, what is missing derived.

use super::{Lead, Recording, calibration};
use crate::ecg::Rhythm;
use crate::ecg::amplitude::extent;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::{Error, Result};
use ndarray::Array2;
use std::borrow::Cow;
use std::path::Path;

/// What a limb lead is in terms of I and II.
pub(super) fn limb(name: &str) -> Option<[f64; 2]> {
    Some(match name {
        "I" => [1.0, 0.0],
        "II" => [0.0, 1.0],
        "III" => [-1.0, 1.0],
        "aVR" => [-0.5, -0.5],
        "aVL" => [1.0, -0.5],
        "aVF" => [-0.5, 1.0],
        _ => return None,
    })
}

/// Limb leads that contradict I and II by more than this share of their own RMS (and [`CONTRADICTION_UV`]) are mislabelled.
const CONTRADICTION: f64 = 0.35;
const CONTRADICTION_UV: f64 = 40.0;
/// What the best combination of I and II may leave unexplained of another limb lead, a share of its RMS.
const UNEXPLAINED: f64 = 0.5;

impl Recording {
    /// The recording as eight leads at 500 Hz, and in a few words what was done to get there.
    ///
    /// # Errors
    /// If leads are missing, doubled, of different lengths or contradict each other, if a sample is not finite, if the rate or the
    /// duration is outside what can be used, or if the voltages cannot be those of an ECG.
    pub fn rhythm(&self, path: &Path) -> Result<(Rhythm, Vec<String>)> {
        let refuse = |problem: String| Error::format(path, problem);
        let mut notes = self.notes.clone();
        let leads: Vec<&Lead> = self.leads.iter().filter(|lead| LEADS.contains(&lead.name.as_str())).collect();
        let beyond: Vec<&str> = self.leads.iter().map(|lead| lead.name.as_str()).filter(|name| !LEADS.contains(name)).collect();
        if !beyond.is_empty() {
            notes.push(format!("passed over what is none of the twelve leads: {}", beyond.join(", ")));
        }
        let length = leads.first().map_or(0, |lead| lead.samples.len());
        for (at, lead) in leads.iter().enumerate() {
            if leads[..at].iter().any(|other| other.name == lead.name) {
                return Err(refuse(format!("lead {} is there twice", lead.name)));
            }
            if lead.samples.len() != length {
                return Err(refuse(format!("lead {} has {} samples, others {length}", lead.name, lead.samples.len())));
            }
        }
        let leads = self.without_gaps(leads, &mut notes).map_err(refuse)?;
        let mut leads: Vec<Trimmed> =
            leads.into_iter().map(|lead| Trimmed { name: &lead.name, samples: Cow::Borrowed(&lead.samples) }).collect();
        calibration::cut(&mut leads, self.rate, &mut notes);
        let length = leads.first().map_or(0, |lead| lead.samples.len());
        let pair = self.limb_pair(&leads, &mut notes).map_err(refuse)?;
        check_limbs(&leads, &pair, &mut notes).map_err(refuse)?;
        let mut eight = Array2::zeros((8, length));
        for (row, name) in INDEPENDENT.into_iter().enumerate() {
            let samples = match row {
                0 | 1 => &pair[row][..],
                _ => match leads.iter().find(|lead| lead.name == name) {
                    Some(lead) => &lead.samples,
                    None => {
                        let there = self.there();
                        return Err(refuse(format!("lead {name} is not there, and cannot be derived from the others{there}")));
                    }
                },
            };
            eight.row_mut(row).iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
        }
        check_scale(&eight).map_err(refuse)?;
        if self.rate != RATE {
            notes.push(format!("resampled from {} to {RATE} Hz", self.rate));
        }
        if self.rate < RATE / 2.0 {
            let step = 1000.0 / self.rate;
            notes.push(format!("sampled at {} Hz: intervals are uncertain by {step:.0} ms and more", self.rate));
        }
        let rhythm = Rhythm::at_low_rate(eight.view(), self.rate).map_err(|error| refuse(error.to_string()))?;
        Ok((rhythm, notes))
    }

    /// What the file has, for a message about what it has not.
    fn there(&self) -> String {
        let names: Vec<&str> = self.leads.iter().map(|lead| lead.name.as_str()).collect();
        let passed: String = self.notes.iter().map(|note| format!("; {note}")).collect();
        format!(" (there: {}{passed})", if names.is_empty() { "none".into() } else { names.join(", ") })
    }

    /// The leads without those that lack samples and follow from others: limb leads beyond two whole ones.
    fn without_gaps<'a>(&self, leads: Vec<&'a Lead>, notes: &mut Vec<String>) -> std::result::Result<Vec<&'a Lead>, String> {
        let missing = |lead: &Lead| lead.samples.iter().filter(|x| !x.is_finite()).count();
        let whole = leads.iter().filter(|lead| limb(&lead.name).is_some() && missing(lead) == 0).count();
        let mut kept = Vec::new();
        for lead in leads {
            match lead.samples.iter().position(|x| !x.is_finite()) {
                None => kept.push(lead),
                Some(_) if whole >= 2 && limb(&lead.name).is_some() => {
                    notes.push(format!("lead {} lacks {} samples: derived anew from other limb leads", lead.name, missing(lead)));
                }
                Some(at) => return Err(format!("lead {}, sample {at} is missing or not a number", lead.name)),
            }
        }
        Ok(kept)
    }

    /// I and II, as they are or from two other limb leads.
    fn limb_pair(&self, leads: &[Trimmed<'_>], notes: &mut Vec<String>) -> std::result::Result<[Vec<f64>; 2], String> {
        let limbs: Vec<(&Trimmed, [f64; 2])> = leads.iter().filter_map(|lead| Some((lead, limb(lead.name)?))).collect();
        let find = |name: &str| limbs.iter().find(|(lead, _)| lead.name == name).map(|(lead, _)| lead.samples.to_vec());
        if let (Some(one), Some(two)) = (find("I"), find("II")) {
            return Ok([one, two]);
        }
        let [(a, p), (b, q), ..] = limbs[..] else {
            let there = self.there();
            return Err(format!("leads I and II are not there, nor two limb leads to derive them from{there}"));
        };
        let determinant = p[0] * q[1] - p[1] * q[0];
        notes.push(format!("I and II derived from {} and {}", a.name, b.name));
        let solve =
            |u: f64, v: f64| -> Vec<f64> { a.samples.iter().zip(b.samples.iter()).map(|(x, y)| (u * x + v * y) / determinant).collect() };
        Ok([solve(q[1], -p[1]), solve(-q[0], p[0])])
    }
}

/// One of the twelve leads, without what was cut off.
pub(super) struct Trimmed<'a> {
    pub name: &'a str,
    pub samples: Cow<'a, [f64]>,
}

/// Every other limb lead must be what I and II say it is. Files exist (LUDB among them) whose leads were scaled one by one: there a limb
/// lead is still a combination of I and II of the right signs, and a note says so; anything else is a mislabelled lead.
fn check_limbs(leads: &[Trimmed<'_>], pair: &[Vec<f64>; 2], notes: &mut Vec<String>) -> std::result::Result<(), String> {
    let mut odd = Vec::new();
    for lead in leads {
        let Some(law @ [a, b]) = limb(lead.name) else { continue };
        let size = spread(lead.samples.iter().copied());
        let residual = |a: f64, b: f64| spread(lead.samples.iter().enumerate().map(|(t, x)| x - a * pair[0][t] - b * pair[1][t]));
        let wrong = residual(a, b);
        if wrong <= CONTRADICTION_UV || wrong <= CONTRADICTION * size {
            continue;
        }
        let fit = fit_pair(&lead.samples, pair);
        let signs = law.iter().zip(fit).all(|(law, fit)| law * fit > 0.0);
        if !signs || residual(fit[0], fit[1]) > UNEXPLAINED * size {
            return Err(format!(
                "lead {} is not what I and II say it should be (off by {wrong:.0} of {size:.0} µV RMS): leads mislabelled or in different units",
                lead.name
            ));
        }
        odd.push(lead.name);
    }
    if !odd.is_empty() {
        notes.push(format!("the gains of the limb leads do not agree ({} against I and II): amplitudes are doubtful", odd.join(", ")));
    }
    Ok(())
}

/// The least-squares combination of two leads that gives a third.
fn fit_pair(lead: &[f64], [one, two]: &[Vec<f64>; 2]) -> [f64; 2] {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len().max(1) as f64;
    let (ml, m1, m2) = (mean(lead), mean(one), mean(two));
    let mut sums = [0.0; 5];
    for ((x, a), b) in lead.iter().zip(one).zip(two) {
        let (x, a, b) = (x - ml, a - m1, b - m2);
        sums.iter_mut().zip([a * a, a * b, b * b, a * x, b * x]).for_each(|(sum, term)| *sum += term);
    }
    let [aa, ab, bb, ax, bx] = sums;
    let determinant = aa * bb - ab * ab;
    if determinant > 0.0 { [(ax * bb - bx * ab) / determinant, (bx * aa - ax * ab) / determinant] } else { [0.0; 2] }
}

/// The standard deviation.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Voltages that are 1000 times too small or too large betray a wrong unit.
fn check_scale(eight: &Array2<f64>) -> std::result::Result<(), String> {
    let mut spans: Vec<f64> = eight.rows().into_iter().map(extent).collect();
    spans.sort_by(f64::total_cmp);
    let scale = match spans[4] {
        span if span > 0.0 && span < 20.0 => {
            Err(format!("the leads span {span:.3} µV, too little for an ECG: is the file in mV? say so with --unit mV"))
        }
        span if span > 100_000.0 => {
            let span = if span < 1e9 { format!("{:.0} mV", span / 1e3) } else { format!("{span:.0e} µV") };
            Err(format!("the leads span {span}, too much for an ECG: the unit or the gain is not what the file says"))
        }
        _ => Ok(()),
    };
    scale?;
    let farthest = eight.iter().fold(0f64, |most, x| most.max(x.abs()));
    if farthest > FARTHEST_UV {
        return Err(format!("the leads lie {farthest:.0e} µV from zero, where no electrode is: the baseline is not what the file says"));
    }
    Ok(())
}

/// The farthest from zero that a sample may lie: some thirty times the offset of a bad electrode. In f32, in which ECGs are held, it is still a µV.
const FARTHEST_UV: f64 = 1e7;
