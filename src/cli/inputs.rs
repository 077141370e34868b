//! ECGs as `--input` brings them: an array, (N, C, L) or (C, L), taken as it is; or recordings, folders of them and datasets, made into what the model
//! looks at.

use super::amplitude;
use super::console::complain;
use super::measure::unit;
use super::recordings::{Origin, Ready, Stack, Wanted, twelve};
use super::rows::Rows;
use super::{Globals, provenance::Input};
use crate::dataset::folder::MANIFEST;
use crate::dataset::{Dataset, InputKind};
use crate::ecg::SHORTEST;
use crate::ecg::axes::Axes;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::ecg::read::{Given, Source};
use crate::files::npy::Dtype;
use crate::files::npz;
use crate::nn::Model;
use crate::tape::{Op, Real};
use crate::unfit::first_unfit;
use crate::{Error, Result, intake};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where the ECGs are, as a word behind the model or as an option.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct InputPlace {
    /// ECGs: a recording of any kind that `measure` reads, a folder of recordings, a dataset, or an array .npy or .npz, (N, 12, L) or (12, L), in µV.
    #[arg(value_name = "RECORDING", required_unless_present = "input", conflicts_with = "input")]
    recording: Option<PathBuf>,
    /// The same as an option.
    #[arg(long, short, value_name = "RECORDING|X.npy")]
    input: Option<PathBuf>,
}

impl InputPlace {
    /// The path.
    pub fn path(&self) -> &Path {
        self.input.as_deref().or(self.recording.as_deref()).unwrap_or(Path::new(""))
    }

    /// The path, as an input of the command.
    pub fn as_input(&mut self) -> Input<'_> {
        match &mut self.recording {
            Some(recording) => Input::Path(recording),
            None => Input::Path(self.input.get_or_insert_default()),
        }
    }
}

/// What is said of ECGs that do not say it themselves, and what insists on those that a model of a known input would refuse.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "ECGs")]
pub(super) struct InputOptions {
    /// The unit of ECGs that do not say: uV, mV or V [arrays: uV].
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// The sampling rate of ECGs that do not say, Hz; an array whose rate is said is taken as recordings where the model looks at others.
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// The leads of an array, in its order; of a recording, those that the network looks at: I,II,V5.
    #[arg(long, value_name = "LEADS", value_delimiter = ',')]
    leads: Vec<String>,
    /// The ECGs from A to before B, numbered from 0; each keeps its number, and with it its draws.
    #[arg(long, value_name = "A..B")]
    rows: Option<Rows>,
    /// What a network that does not say looks at in a recording: its median beat or its rhythm [default: rhythm].
    #[arg(long, value_name = "median|rhythm")]
    kind: Option<InputKind>,
    /// The rate at which a network that does not say looks at a rhythm, Hz [default: 500].
    #[arg(long, value_name = "HZ")]
    network_rate: Option<f64>,
    /// The samples to which the rhythm is cut or filled up for a network that does not say [default: its own, else as many as there are].
    #[arg(long, value_name = "SAMPLES", value_parser = super::numbers::up_to::<{ super::numbers::ROUNDS }>)]
    length: Option<usize>,
    /// Take ECGs of another length than the model was trained on.
    #[arg(long)]
    any_length: bool,
    /// Take ECGs whose amplitudes cannot be µV.
    #[arg(long)]
    any_amplitude: bool,
    /// Pass over recordings that cannot be used, naming them, instead of stopping.
    #[arg(long)]
    skip_unreadable: bool,
}

/// The rates that ECGs are sampled at, Hz.
const RATES: std::ops::RangeInclusive<f64> = 20.0..=100_000.0;

impl InputOptions {
    /// What is said of ECGs that are drawn.
    pub fn of_drawn(unit: Option<String>, rate: Option<f64>, leads: Vec<String>) -> Self {
        InputOptions { unit, rate, leads, ..InputOptions::default() }
    }

    /// Whether anything is said.
    pub fn any(&self) -> bool {
        let InputOptions { unit, rate, leads, rows, kind, network_rate, length, any_length, any_amplitude, skip_unreadable } = self;
        let said = unit.is_some() || rate.is_some() || !leads.is_empty() || rows.is_some() || kind.is_some() || network_rate.is_some();
        said || length.is_some() || *any_length || *any_amplitude || *skip_unreadable
    }

    fn given(&self) -> Result<Given> {
        for (option, rate) in [("--rate", self.rate), ("--network-rate", self.network_rate)] {
            if let Some(rate) = rate.filter(|rate| !RATES.contains(rate)) {
                return Err(Error::Usage(format!("{option} {rate}: no ECG is sampled so")));
            }
        }
        Ok(Given { unit: self.unit.as_deref().map(unit).transpose()?, rate: self.rate, leads: Vec::new() })
    }

    /// What a recording becomes for a model.
    fn wanted(&self, model: &Model) -> Result<Wanted> {
        let leads = (!self.leads.is_empty()).then(|| self.leads.clone());
        match model.input {
            Some(own) if self.kind.is_some_and(|kind| kind != own) || self.network_rate.is_some() || self.length.is_some() => {
                Err(Error::Usage(format!("the model looks at {own} ECGs at 500 Hz: leave --kind, --network-rate and --length out")))
            }
            Some(own) if own == InputKind::Rhythm && self.any_length => Ok(Wanted { samples: None, leads, ..Wanted::of(own) }),
            Some(own) => Ok(Wanted { leads, ..Wanted::of(own) }),
            None => {
                let kind = self.kind.unwrap_or(InputKind::Rhythm);
                // A network of a fixed length says that much.
                let program = model.network.program();
                let own = match &program.node(program.inputs()[program.ecg_input()?]).op {
                    Op::Input { shape } => shape.get(1).copied().flatten(),
                    _ => None,
                };
                let samples = if kind == InputKind::Median { Some(kind.samples()) } else { self.length.or(own) };
                Ok(Wanted { kind, rate: self.network_rate.unwrap_or(RATE), samples, leads })
            }
        }
    }
}

/// Open ECGs, read a batch at a time.
pub(super) struct Ecgs {
    path: PathBuf,
    from: Feed,
    /// Those that are taken, by their number in the file, folder or dataset.
    rows: Taken,
    /// How many there are, taken or not.
    total: usize,
    /// Channels, samples of each.
    example: [usize; 2],
    /// Whether amplitudes that cannot be µV are refused.
    in_microvolts: bool,
    /// What was done to how many of them.
    notes: Mutex<BTreeMap<String, BTreeSet<usize>>>,
    /// Recordings that could not be used, and why.
    passed_over: Vec<String>,
    axes: Option<Axes>,
}

/// Where ECGs come from.
enum Feed {
    /// An array taken as it is, in units of `factor` µV; `eight` leads become twelve.
    Array { stack: Stack, factor: f64, eight: bool },
    /// Recordings made into what is wanted.
    Recordings(Origin, Wanted),
}

/// The ECGs that are taken.
enum Taken {
    Range(Range<usize>),
    Some(Vec<usize>),
}

impl Taken {
    fn len(&self) -> usize {
        match self {
            Taken::Range(range) => range.len(),
            Taken::Some(list) => list.len(),
        }
    }

    fn at(&self, row: usize) -> usize {
        match self {
            Taken::Range(range) => range.start + row,
            Taken::Some(list) => list[row],
        }
    }
}

impl Ecgs {
    /// Opens ECGs that a model can take. A model that says what it looks at takes arrays of that length and in µV only, unless the options insist; of
    /// other models nothing is known but their program.
    ///
    /// # Errors
    /// [`Error::Format`] if an array has another number of axes, holds no ECG, or its ECGs do not fit the model; as the readers of recordings.
    pub fn open(path: &Path, model: &Model, options: &InputOptions) -> Result<Self> {
        let wanted = options.wanted(model)?;
        let program = model.network.program();
        let fits = |example: [usize; 2]| program.input_shapes(1, &example).and_then(|shapes| program.shapes(&shapes)).map(drop);
        let asked = Asked { input: model.input, wanted: &wanted, fits: &fits };
        let mut ecgs = Self::of(path, &asked, options)?;
        ecgs.in_microvolts = matches!(ecgs.from, Feed::Array { .. }) && model.input.is_some() && !options.any_amplitude;
        fits(ecgs.example).map_err(|error| {
            let hint = match ecgs.from {
                Feed::Recordings(..) if model.input.is_none() => {
                    ": say what the network looks at with --kind, --network-rate, --length and --leads"
                }
                _ => "",
            };
            Error::format(path, format!("{error}{hint}"))
        })?;
        Ok(ecgs)
    }

    /// Opens ECGs to be drawn: arrays as they are, recordings as `wanted`.
    ///
    /// # Errors
    /// As [`Ecgs::open`].
    pub fn open_drawn(path: &Path, wanted: &Wanted, options: &InputOptions) -> Result<Self> {
        let asked = Asked { input: None, wanted, fits: &|_| Ok(()) };
        Self::of(path, &asked, options)
    }

    fn of(path: &Path, asked: &Asked<'_>, options: &InputOptions) -> Result<Self> {
        let given = options.given()?;
        let from = match of_array(path, asked, options, &given)? {
            Some(from) => from,
            None if path.is_dir() && path.join(MANIFEST).exists() => {
                let data = Dataset::open_checked(path, &[asked.wanted.kind])?;
                (Feed::Recordings(Origin::Dataset(Box::new(data), path.into()), asked.wanted.clone()), None)
            }
            None => (Feed::Recordings(Origin::Files(Source::open(path, given)?), asked.wanted.clone()), None),
        };
        let (from, own) = from;
        let total = from.len(path)?;
        let rows = options.rows.as_ref().map_or(Ok(0..total), |rows| rows.within(total, path))?;
        let mut ecgs = Ecgs {
            path: path.into(),
            example: [0; 2],
            rows: Taken::Range(rows),
            total,
            from,
            in_microvolts: false,
            notes: Mutex::default(),
            passed_over: Vec::new(),
            axes: None,
        };
        if options.skip_unreadable {
            ecgs.pass_over()?;
        }
        ecgs.example = ecgs.first_shape()?;
        ecgs.axes = ecgs.said_axes(own, asked, options);
        Ok(ecgs)
    }

    /// The shape of the first ECG, which is that of all.
    fn first_shape(&self) -> Result<[usize; 2]> {
        match &self.from {
            Feed::Array { stack, eight, .. } => {
                let [_, channels, samples] = stack.shape(&self.path)?;
                Ok([if *eight { LEADS.len() } else { channels }, samples])
            }
            Feed::Recordings(_, Wanted { samples: Some(samples), leads, kind, .. }) => {
                let leads = leads.as_ref().filter(|_| *kind == InputKind::Rhythm).map_or(LEADS.len(), Vec::len);
                Ok([leads, *samples])
            }
            Feed::Recordings(origin, wanted) => {
                let ecg = origin.ready(self.rows.at(0), wanted)?.ecg;
                Ok([ecg.nrows(), ecg.ncols()])
            }
        }
    }

    /// Leaves out what cannot be used, which reads all of it once.
    fn pass_over(&mut self) -> Result<()> {
        let Feed::Recordings(origin, wanted) = &self.from else { return Ok(()) };
        let tried: Vec<(usize, Option<String>)> = (0..self.rows.len())
            .into_par_iter()
            .map(|row| (self.rows.at(row), origin.ready(self.rows.at(row), wanted).err().map(|error| error.to_string())))
            .collect();
        let usable: Vec<usize> = tried.iter().filter(|(_, error)| error.is_none()).map(|(at, _)| *at).collect();
        if usable.is_empty() {
            let why = tried.into_iter().find_map(|(_, error)| error).unwrap_or_else(|| "there is none".into());
            return Err(Error::Data(format!("{}: none of its recordings can be used; the first: {why}", self.path.display())));
        }
        self.passed_over = tried.into_iter().filter_map(|(_, error)| error).collect();
        self.rows = Taken::Some(usable);
        Ok(())
    }

    /// What travels with results: of recordings always; of an array where its archive or the options say something.
    fn said_axes(&self, own: Option<Axes>, asked: &Asked<'_>, options: &InputOptions) -> Option<Axes> {
        let global = |row: usize| self.rows.at(row);
        match &self.from {
            Feed::Recordings(origin, wanted) => Some(Axes {
                ids: (0..self.len()).map(|row| origin.id(global(row))).collect(),
                leads: if wanted.kind == InputKind::Median { LEADS.map(str::to_owned).to_vec() } else { wanted.names() },
                rate_hz: wanted.rate,
                unit: "uV".into(),
                input: Some(wanted.kind.name().into()),
            }),
            Feed::Array { .. } if own.is_none() && options.rate.is_none() && options.leads.is_empty() => None,
            Feed::Array { .. } => {
                let [channels, _] = self.example;
                let numbered = || (0..channels).map(|lead| format!("channel {lead}")).collect();
                let usual = || match channels {
                    8 => INDEPENDENT.map(str::to_owned).to_vec(),
                    12 => LEADS.map(str::to_owned).to_vec(),
                    _ => numbered(),
                };
                let id = |row: usize| match own.as_ref().and_then(|axes| axes.ids.get(global(row))) {
                    Some(id) => id.clone(),
                    None => self.place(row),
                };
                let said = Some(options.leads.clone()).filter(|leads| leads.len() == channels);
                let leads = said.or_else(|| own.as_ref().map(|axes| axes.leads.clone())).filter(|leads| leads.len() == channels);
                Some(Axes {
                    ids: (0..self.len()).map(id).collect(),
                    leads: leads.unwrap_or_else(usual),
                    rate_hz: options.rate.or(own.as_ref().map(|axes| axes.rate_hz)).unwrap_or(RATE),
                    unit: "uV".into(),
                    input: asked.input.map(|kind| kind.name().to_owned()).or(own.as_ref().and_then(|axes| axes.input.clone())),
                })
            }
        }
    }

    /// An array's ECG by the file and its number there.
    fn place(&self, row: usize) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        if self.total == 1 { stem.into_owned() } else { format!("{stem}:{}", self.rows.at(row)) }
    }

    /// The id of one of those taken.
    pub fn id(&self, row: usize) -> String {
        self.axes.as_ref().and_then(|axes| axes.ids.get(row)).cloned().unwrap_or_else(|| self.place(row))
    }

    /// The shape of one ECG.
    pub fn example(&self) -> [usize; 2] {
        self.example
    }

    /// Number of ECGs that are taken.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number of ECGs that there are, taken or not.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The numbers of some of those taken in the whole file, folder or dataset, which key their draws.
    pub fn numbers(&self, ecgs: Range<usize>) -> Vec<usize> {
        ecgs.map(|row| self.rows.at(row)).collect()
    }

    /// What is known of the axes, where more is known than the numbers.
    pub fn axes(&self) -> Option<&Axes> {
        self.axes.as_ref()
    }

    /// Whether they are recordings made into what is wanted, of which more is known than samples.
    pub fn are_recordings(&self) -> bool {
        matches!(self.from, Feed::Recordings(..))
    }

    /// One of the ECGs with what is known of it.
    ///
    /// # Errors
    /// As [`Ecgs::batch`].
    pub fn ready(&self, row: usize) -> Result<Ready> {
        let index = self.rows.at(row);
        let ready = match &self.from {
            Feed::Array { .. } => {
                let ecg = self.batch(row..row + 1)?.index_axis_move(Axis(0), 0).mapv(|uv| uv as f32);
                Ready { ecg, ..Ready::default() }
            }
            Feed::Recordings(origin, wanted) => origin.ready(index, wanted)?,
        };
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for note in &ready.notes {
            notes.entry(note.clone()).or_default().insert(index);
        }
        Ok(ready)
    }

    /// Some of the ECGs in a network's precision, (N, C, L), in µV.
    ///
    /// # Errors
    /// As [`Ecgs::batch`].
    pub fn inputs<T: Real>(&self, ecgs: Range<usize>) -> Result<Array3<T>> {
        let [channels, samples] = self.example;
        let mut batch = Array3::from_elem((ecgs.len(), channels, samples), T::ZERO);
        let filled = match (&mut batch as &mut dyn Any).downcast_mut() {
            Some(batch) => self.fill(ecgs.clone(), batch)?,
            None => false,
        };
        if filled { Ok(batch) } else { Ok(self.batch(ecgs)?.mapv(T::of)) }
    }

    /// Reads recordings, or rows of an array as they lie in the file, into a batch; false, and nothing is said of the batch, where something else is to be
    /// done to them, or where a sample is none, which [`Ecgs::batch`] names.
    fn fill(&self, ecgs: Range<usize>, batch: &mut Array3<f32>) -> Result<bool> {
        match (&self.from, &self.rows) {
            (Feed::Recordings(..), _) => {
                let read = |(row, mut ecg): (usize, ArrayViewMut2<'_, f32>)| {
                    let ready = self.ready(row)?;
                    self.check_shape(row, &ready.ecg)?;
                    ecg.assign(&ready.ecg);
                    Ok(())
                };
                let done: Vec<Result<()>> = ecgs.into_par_iter().zip(batch.axis_iter_mut(Axis(0))).map(read).collect();
                // The first that cannot be read is told of.
                done.into_iter().collect::<Result<()>>()?;
                Ok(all_finite(batch))
            }
            (Feed::Array { stack: Stack::Rows(rows), factor: 1.0, eight: false }, Taken::Range(taken)) => {
                let Some(values) = batch.as_slice_mut().filter(|_| rows.header().dtype != Dtype::F64) else { return Ok(false) };
                rows.fill_f32(taken.start + ecgs.start, values)?;
                if !all_finite(batch) {
                    return Ok(false);
                }
                ecgs.zip(batch.outer_iter()).try_for_each(|(row, samples)| self.check_amplitude(self.rows.at(row), samples))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Some of the ECGs, (N, C, L), in µV: of an array as in the file, which is in µV unless its unit is said.
    ///
    /// # Errors
    /// [`Error::Value`] for a NaN or infinite sample, by ECG, lead and sample, and for an ECG that cannot be in µV; [`Error::Io`]; as the readers of
    /// recordings.
    pub fn batch(&self, ecgs: Range<usize>) -> Result<Array3<f64>> {
        let [channels, samples] = self.example;
        let mut batch = Array3::zeros((ecgs.len(), channels, samples));
        match &self.from {
            Feed::Array { stack, factor, eight } => {
                for (row, mut ecg) in ecgs.clone().zip(batch.outer_iter_mut()) {
                    let mut values = stack.row(self.rows.at(row))?;
                    if *factor != 1.0 {
                        values.mapv_inplace(|value| value * factor);
                    }
                    ecg.assign(&if *eight { twelve(values.view()) } else { values });
                }
            }
            Feed::Recordings(..) => {
                let all: Vec<Ready> = ecgs.clone().into_par_iter().map(|row| self.ready(row)).collect::<Result<_>>()?;
                for ((row, ready), mut ecg) in ecgs.clone().zip(all).zip(batch.outer_iter_mut()) {
                    self.check_shape(row, &ready.ecg)?;
                    ecg.assign(&ready.ecg.mapv(f64::from));
                }
            }
        }
        ecgs.clone().zip(batch.outer_iter()).try_for_each(|(row, samples)| self.check_finite(self.rows.at(row), samples))?;
        ecgs.zip(batch.outer_iter()).try_for_each(|(row, samples)| self.check_amplitude(self.rows.at(row), samples))?;
        Ok(batch)
    }

    fn check_shape(&self, row: usize, ecg: &Array2<f32>) -> Result<()> {
        let [channels, samples] = self.example;
        if ecg.dim() == (channels, samples) {
            return Ok(());
        }
        let Feed::Recordings(origin, _) = &self.from else { return Ok(()) };
        let what = format!("it has {} × {} samples, the first recording {channels} × {samples}", ecg.nrows(), ecg.ncols());
        Err(Error::format(origin.path(self.rows.at(row)), format!("{what}: give --length to cut or fill up")))
    }

    /// Refuses an ECG that cannot be in µV, where the model looks at such.
    fn check_amplitude<T: Copy + Into<f64>>(&self, ecg: usize, samples: ArrayView2<'_, T>) -> Result<()> {
        if !self.in_microvolts {
            return Ok(());
        }
        amplitude::check(|| format!("{}: ECG {ecg}", self.path.display()), samples)
    }

    fn check_finite(&self, ecg: usize, samples: ArrayView2<'_, f64>) -> Result<()> {
        let Some(((channel, at), value)) = first_unfit(&samples, |value| !(value as f32).is_finite()) else { return Ok(()) };
        let channel = if samples.nrows() == LEADS.len() { format!("lead {}", LEADS[channel]) } else { format!("channel {channel}") };
        let at = format!("{}: ECG {ecg}, {channel}, sample {at}", self.path.display());
        Err(Error::Value { at, problem: format!("{value} is not a voltage") })
    }

    /// What was done to recordings, and which were passed over, a line each.
    pub fn told(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let many = self.len() > 1;
        let done = notes.iter().map(|(note, ecgs)| if many { format!("{} × {note}", ecgs.len()) } else { note.clone() });
        done.chain(self.passed_over.iter().map(|why| format!("passed over: {why}"))).collect()
    }

    /// Says on standard error what was done to recordings, and which were passed over.
    pub fn tell(&self, globals: &Globals) {
        if !globals.quiet {
            self.told().iter().for_each(|line| complain(format_args!("note: {line}\n")));
        }
    }
}

impl Feed {
    fn len(&self, path: &Path) -> Result<usize> {
        match self {
            Feed::Array { stack, .. } => Ok(stack.shape(path)?[0]),
            Feed::Recordings(origin, _) => origin.len(),
        }
    }
}

/// Whether every sample is a number.
fn all_finite(batch: &Array3<f32>) -> bool {
    batch.iter().fold(true, |finite, value| finite & value.is_finite())
}

/// For whom ECGs are opened.
struct Asked<'a> {
    input: Option<InputKind>,
    wanted: &'a Wanted,
    fits: &'a dyn Fn([usize; 2]) -> Result<()>,
}

/// The ECGs of an array: as they are where they fit, or as recordings where their rate or leads are said; `None` for what is no array.
fn of_array(path: &Path, asked: &Asked<'_>, options: &InputOptions, given: &Given) -> Result<Option<(Feed, Option<Axes>)>> {
    let archive = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) && path.is_file();
    if !archive && !is_npy(path)? {
        return Ok(None);
    }
    let axes = if archive { Axes::of_archive(path)? } else { None };
    let stack = if archive { Stack::Memory(npz::ecgs(path)?) } else { Stack::open(path)? };
    let [ecgs, channels, samples] = stack.shape(path)?;
    if let Some(axes) = axes.as_ref().filter(|axes| axes.ids.len() != ecgs || axes.leads.len() != channels) {
        let text = format!("{} ids and {} leads are named for {ecgs} ECGs of {channels} leads", axes.ids.len(), axes.leads.len());
        return Err(Error::format(path, text));
    }
    if !options.leads.is_empty() && options.leads.len() != channels && axes.is_none() {
        let text = format!("--leads names {} leads, {} has {channels}", options.leads.len(), path.display());
        return Err(Error::Usage(text));
    }
    // What stands beside a dataset's table is at the dataset's rate.
    let beside = path.parent().is_some_and(|folder| folder.join(MANIFEST).is_file()).then_some(RATE);
    let rate = given.rate.or(axes.as_ref().map(|axes| axes.rate_hz)).or(beside);
    let factor = given.unit.map_or(1.0, |unit| unit.microvolts());
    let named = Some(options.leads.clone()).filter(|leads| leads.len() == channels).or(axes.as_ref().map(|axes| axes.leads.clone()));
    let twelve = named.as_ref().is_none_or(|names| *names == LEADS || *names == INDEPENDENT);
    let eight = channels == INDEPENDENT.len() && (asked.fits)([channels, samples]).is_err() && (asked.fits)([LEADS.len(), samples]).is_ok();
    let as_it_is = match asked.input {
        Some(kind) => (kind.samples() == samples || options.any_length) && rate.is_none_or(|rate| rate == RATE) && twelve,
        None => {
            options.kind.is_none()
                && options.network_rate.is_none_or(|wanted| rate.is_none_or(|rate| rate == wanted))
                && options.length.is_none()
        }
    };
    if as_it_is {
        return Ok(Some((Feed::Array { stack, factor, eight }, axes)));
    }
    let usual = match channels {
        8 => Some(INDEPENDENT.map(str::to_owned).to_vec()),
        12 => Some(LEADS.map(str::to_owned).to_vec()),
        _ => None,
    };
    // Less than that is no recording.
    let lasts = |rate: &f64| samples as f64 / rate >= SHORTEST;
    let (Some(rate), Some(names)) = (rate.filter(lasts), named.or(usual)) else {
        let Some(kind) = asked.input else {
            return Err(Error::Usage(format!("{}: as recordings its ECGs need 8 or 12 leads or --leads, and a --rate", path.display())));
        };
        let (name, wanted) = (kind.name(), kind.samples());
        let at = rate.filter(|rate| *rate != RATE).map_or_else(String::new, |rate| format!(" at {rate} Hz"));
        let what = format!("its ECGs have {samples} samples{at}; the model looks at {name} ECGs of {wanted} samples at 500 Hz");
        let recordings = if rate.is_none() && lasts(&RATE) { ", say the --rate of recordings" } else { "" };
        return Err(Error::format(path, format!("{what}: give those{recordings}, or insist with --any-length")));
    };
    let ids = axes.as_ref().map(|axes| axes.ids.clone());
    // Leads that are named for the array are not those that are chosen for the network.
    let leads = asked.wanted.leads.clone().filter(|_| asked.input.is_none() && names != LEADS && names != INDEPENDENT);
    let wanted = Wanted { leads, ..asked.wanted.clone() };
    Ok(Some((Feed::Recordings(Origin::Array { path: path.into(), stack, names, rate, microvolts: factor, ids }, wanted), axes)))
}

/// Whether a file is an array: by its name, or by its first bytes.
fn is_npy(path: &Path) -> Result<bool> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        return Ok(!path.is_dir());
    }
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = [0; 6];
    let count = intake::open(path)?.0.take(6).read(&mut start).map_err(|source| Error::io(path, source))?;
    Ok(&start[..count] == b"\x93NUMPY")
}
