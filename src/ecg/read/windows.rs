//! Recordings too long for memory or for one median beat, in windows: each a recording of its own, read one after the other.

use super::kinds::Kind;
use super::prepare::limb;
use super::ranged::Ranged;
use super::wfdb::Stream;
use super::{Given, Lead, Recording, Source, Unit, edf, ishne, stem};
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::ecg::{LOWEST, SHORTEST};
use crate::files::npy::NpyRows;
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

enum Samples {
    Wfdb(Stream),
    Ranged(Box<dyn Ranged>),
    /// A recording that is read whole, when its first window is asked for.
    Whole {
        source: Arc<Source>,
        at: usize,
        read: Option<Box<Recording>>,
    },
    /// One ECG of an array; where its samples begin, elements from the array's first.
    Array {
        rows: Arc<NpyRows>,
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
    /// The recordings of a file or a folder, in windows of `seconds`. WFDB records, EDF, ISHNE and arrays (`.npy`) are read window by window, however long
    /// they are; of other kinds, and of WFDB records that are packed, in segments or skewed, one recording is in memory at a time. What is left behind the
    /// last whole window is a window of its own if it is long enough for an ECG, else the end of the last one.
    ///
    /// # Errors
    /// As [`Source::open`]; leads that do not make an ECG, a rate that cannot be used, or less than 5 s, of the recording or of a window.
    pub fn open(path: &Path, given: Given, seconds: f64) -> Result<Vec<Self>> {
        Self::open_some(path, given, seconds, &mut Err)
    }

    /// The same, where `refused` is asked about each recording that cannot be used: to pass over it, or to stop.
    ///
    /// # Errors
    /// As [`Source::open`]; what `refused` gives.
    pub fn open_some(path: &Path, given: Given, seconds: f64, refused: &mut dyn FnMut(Error) -> Result<()>) -> Result<Vec<Self>> {
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy")) {
            return Self::of_array(path, given, seconds);
        }
        let source = Arc::new(Source::open(path, given.clone())?);
        let mut all = Vec::new();
        for at in 0..source.len() {
            match Self::of_recording(&source, at, &given, seconds) {
                Ok(windows) => all.push(windows),
                Err(error) => refused(error)?,
            }
        }
        Ok(all)
    }

    fn of_recording(source: &Arc<Source>, at: usize, given: &Given, seconds: f64) -> Result<Self> {
        let (path, id) = (source.path(at), source.id(at));
        let refuse = |problem: String| Error::format(path, problem);
        let kind = if path.is_dir() { None } else { Kind::of(path)?.map(Kind::name) };
        let ranged: Option<Box<dyn Ranged>> = match kind {
            Some("EDF") => Some(Box::new(edf::Stream::open(path, given)?)),
            Some("ISHNE") => Some(Box::new(ishne::Stream::open(path)?)),
            _ => None,
        };
        if let Some(stream) = ranged {
            stream.check().map_err(refuse)?;
            check_leads(&stream.lead_names()).map_err(refuse)?;
            let (rate, total) = (stream.rate(), stream.samples());
            return Self::new(path, id, rate, total, seconds, Samples::Ranged(stream));
        }
        let record = path.extension().is_some_and(|end| end == "hea");
        if let Some(stream) = record.then(|| Stream::open(path)).transpose()?.flatten() {
            check_leads(&stream.lead_names()).map_err(refuse)?;
            let (rate, total) = (stream.rate(), stream.samples());
            return Self::new(path, id, rate, total, seconds, Samples::Wfdb(stream));
        }
        // Read to see what it is, and again when its turn comes.
        let whole = source.read(at)?;
        let names: Vec<&str> = whole.leads.iter().map(|lead| lead.name.as_str()).collect();
        check_leads(&names).map_err(refuse)?;
        let total = whole.leads.iter().map(|lead| lead.samples.len()).min().unwrap_or(0);
        Self::new(path, id, whole.rate, total, seconds, Samples::Whole { source: source.clone(), at, read: None })
    }

    fn of_array(path: &Path, given: Given, seconds: f64) -> Result<Vec<Self>> {
        let rows = Arc::new(NpyRows::open(path)?);
        let shape = rows.header().shape.clone();
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
            let samples = Samples::Array { rows: rows.clone(), first: ecg * leads * total, names, factor };
            let id = if ecgs == 1 { stem(path) } else { format!("{}:{ecg}", stem(path)) };
            Self::new(path, id, given.rate.unwrap_or(RATE), total, seconds, samples)
        };
        (0..ecgs).map(one).collect()
    }

    fn new(path: &Path, id: String, rate: f64, total: usize, seconds: f64, samples: Samples) -> Result<Self> {
        let refuse = |problem: String| Err(Error::format(path, problem));
        if !(seconds >= SHORTEST && seconds.is_finite()) {
            return Err(Error::Usage(format!("windows of {seconds} s: ECGs from {SHORTEST} s can be used")));
        }
        if !(LOWEST..=1000.0).contains(&rate) {
            return refuse(format!("the recording is sampled at {rate} Hz: rates from {LOWEST} to 1000 Hz can be used"));
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
        let (start, last) = (part.start as f64 / self.rate, self.next == self.count());
        let mut notes = Vec::new();
        let leads = match &mut self.samples {
            Samples::Whole { source, at, read } => {
                let whole = match read {
                    Some(whole) => whole,
                    None => read.insert(Box::new(source.read(*at)?)),
                };
                notes.clone_from(&whole.notes);
                let leads = whole.leads.iter().map(|lead| {
                    let cut = "was cut off since it was opened";
                    let samples = lead.samples.get(part.clone()).ok_or_else(|| Error::format(&self.path, cut))?;
                    Ok(Lead::new(lead.name.clone(), samples.to_vec()))
                });
                let leads = leads.collect::<Result<_>>()?;
                if last {
                    *read = None;
                }
                leads
            }
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
        Ok(Some(Window { start, recording: Recording { id: self.id.clone(), leads, rate: self.rate, notes, ..Recording::default() } }))
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
