//! Recordings too long for memory or for one median beat, in windows: each a recording of its own, read one after the other.

use super::kinds::Kind;
use super::prepare::limb;
use super::ranged::Ranged;
use super::wfdb::Stream;
use super::{Given, Lead, Recording, Unit, edf, ishne, stem};
use crate::ecg::SHORTEST;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::files::npy::NpyRows;
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

enum Samples {
    Wfdb(Stream),
    Ranged(Box<dyn Ranged>),
    /// One ECG of an array; where its samples begin, elements from the array's first.
    Array {
        rows: NpyRows,
        first: usize,
        names: &'static [&'static str],
        factor: f64,
    },
}

/// One recording in windows.
pub struct Windows {
    path: PathBuf,
    id: String,
    rate: f64,
    total: usize,
    length: usize,
    next: usize,
    samples: Samples,
}

/// One window.
#[derive(Clone, Debug)]
pub struct Window {
    /// When it begins, s from the beginning of the recording.
    pub start: f64,
    /// Its samples.
    pub recording: Recording,
}

impl Windows {
    /// The recordings of a file, in windows of `seconds`: one of a WFDB record (`.hea`), an EDF or an ISHNE file, one an
    /// ECG of an array (`.npy`). What is left behind the
    /// last whole window is a window of its own if it is long enough for an ECG, else the end of the last one.
    ///
    /// # Errors
    /// For another kind of file, leads that do not make an ECG, a rate that cannot be used, or less than 5 s.
    pub fn open(path: &Path, given: Given, seconds: f64) -> Result<Vec<Self>> {
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_lowercase();
        match extension.as_str() {
            "npy" => Self::of_array(path, given, seconds),
            "hea" | "dat" | "" => Self::of_record(&path.with_extension("hea"), seconds).map(|one| vec![one]),
            _ => match Kind::of(path)?.map(Kind::name) {
                Some("EDF") => Self::of_stream(path, Box::new(edf::Stream::open(path, &given)?), seconds).map(|one| vec![one]),
                Some("ISHNE") => Self::of_stream(path, Box::new(ishne::Stream::open(path)?), seconds).map(|one| vec![one]),
                _ => {
                    Err(Error::Usage(format!("{}: windows are read from WFDB records (.hea), EDF, ISHNE and .npy arrays", path.display())))
                }
            },
        }
    }

    fn of_stream(path: &Path, stream: Box<dyn Ranged>, seconds: f64) -> Result<Self> {
        let refuse = |problem: String| Error::format(path, problem);
        stream.check().map_err(refuse)?;
        check_leads(&stream.lead_names()).map_err(refuse)?;
        let (rate, total) = (stream.rate(), stream.samples());
        Self::new(path, stem(path), rate, total, seconds, Samples::Ranged(stream))
    }

    fn of_record(path: &Path, seconds: f64) -> Result<Self> {
        let stream = Stream::open(path)?;
        check_leads(&stream.lead_names()).map_err(|problem| Error::format(path, problem))?;
        let (rate, total) = (stream.rate(), stream.samples());
        Self::new(path, stem(path), rate, total, seconds, Samples::Wfdb(stream))
    }

    fn of_array(path: &Path, given: Given, seconds: f64) -> Result<Vec<Self>> {
        let shape = NpyRows::open(path)?.header().shape.clone();
        let (ecgs, leads, total) = match shape[..] {
            [leads, total] => (1, leads, total),
            [ecgs, leads, total] => (ecgs, leads, total),
            _ => (0, 0, 0),
        };
        let names: &[&str] = match leads {
            8 if ecgs > 0 => &INDEPENDENT,
            12 if ecgs > 0 => &LEADS,
            _ => return Err(Error::shape(path.display().to_string(), "(N, 8 or 12, T)", shape)),
        };
        let factor = given.unit.unwrap_or(Unit::Microvolt).microvolts();
        let one = |ecg: usize| {
            let samples = Samples::Array { rows: NpyRows::open(path)?, first: ecg * leads * total, names, factor };
            let id = if ecgs == 1 { stem(path) } else { format!("{}:{ecg}", stem(path)) };
            Self::new(path, id, given.rate.unwrap_or(RATE), total, seconds, samples)
        };
        (0..ecgs).map(one).collect()
    }

    fn new(path: &Path, id: String, rate: f64, total: usize, seconds: f64, samples: Samples) -> Result<Self> {
        let refuse = |problem: String| Err(Error::format(path, problem));
        if !(250.0..=1000.0).contains(&rate) {
            return refuse(format!("the recording is sampled at {rate} Hz: rates from 250 to 1000 Hz can be used"));
        }
        let lasts = total as f64 / rate;
        if lasts < SHORTEST {
            return refuse(format!("the recording lasts {lasts:.1} s: ECGs from {SHORTEST} s can be used"));
        }
        Ok(Windows { path: path.into(), id, rate, total, length: (seconds * rate).round() as usize, next: 0, samples })
    }

    /// The name of the recording.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many windows there are.
    pub fn count(&self) -> usize {
        let rest = self.total % self.length;
        (self.total / self.length + usize::from(rest as f64 >= SHORTEST * self.rate)).max(1)
    }

    fn part(&self, window: usize) -> Range<usize> {
        let end = if window + 1 == self.count() { self.total } else { (window + 1) * self.length };
        window * self.length..end
    }

    /// The next window; `None` behind the last.
    ///
    /// # Errors
    /// [`Error::Io`], or if the file contradicts itself.
    pub fn take_next(&mut self) -> Result<Option<Window>> {
        if self.next == self.count() {
            return Ok(None);
        }
        let part = self.part(self.next);
        self.next += 1;
        let start = part.start as f64 / self.rate;
        let leads = match &mut self.samples {
            Samples::Wfdb(stream) => stream.take(part.len())?,
            Samples::Ranged(stream) => stream.leads(part).map_err(|problem| Error::format(&self.path, problem))?,
            Samples::Array { rows, first, names, factor } => {
                let lead = |(row, name): (usize, &&'static str)| {
                    let values = rows.values_f32(*first + row * self.total + part.start, part.len())?;
                    Ok(Lead::new(*name, values.into_iter().map(|x| f64::from(x) * *factor).collect()))
                };
                names.iter().enumerate().map(lead).collect::<Result<_>>()?
            }
        };
        Ok(Some(Window { start, recording: Recording { id: self.id.clone(), leads, rate: self.rate, ..Recording::default() } }))
    }
}

/// Every lead once, the precordial ones all, and two limb leads.
fn check_leads(names: &[&str]) -> std::result::Result<(), String> {
    if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(format!("lead {name} is there twice"));
    }
    if let Some(name) = INDEPENDENT[2..].iter().find(|name| !names.contains(name)) {
        return Err(format!("lead {name} is not there, and cannot be derived from the others"));
    }
    match names.iter().filter(|name| limb(name).is_some()).count() {
        0 | 1 => Err("leads I and II are not there, nor two limb leads to derive them from".into()),
        _ => Ok(()),
    }
}
