//! `cardiograd render`: any ECG, heatmap or set of perturbation curves as SVG, PDF or PNG, or a study's figures in other colours.

use super::Globals;
use super::inputs::{Ecgs, InputOptions};
use super::numbers::{ECGS, up_to};
use super::pictures::{Drawing, Layout, Mapped, bytes, ending};
use super::places::{Output, Places};
use super::provenance::forget;
use super::recordings::Wanted;
use crate::attribution::{Meaning, Method, Unit};
use crate::audit::provenance::Record;
use crate::dataset::InputKind;
use crate::ecg::Measurements;
use crate::ecg::axes::Axes;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE, twelve};
use crate::evaluation::scores::{END, Scoring, area, scores, usable};
use crate::files::atomic::{self, OutputLock};
use crate::files::npy::{self, NpyArray};
use crate::files::npz;
use crate::intake::{self, Most};
use crate::report::analysis::{self, LabelledCurves};
use crate::report::colour::{Palette, Style};
use crate::report::methods::{NINE, meaning, title};
use crate::report::svg::Svg;
use crate::report::{curve_chart, store, write};
use crate::unfit::first_unfit;
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd render`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["input", "curves", "study"]))]
pub struct Args {
    /// ECGs: an array .npy or .npz, (N, 12, L) or (12, L), in µV, a recording of any kind that `measure` reads, a folder of recordings, or a dataset.
    #[arg(long, value_name = "RECORDING|X.npy")]
    input: Option<PathBuf>,
    /// Heatmaps of the same shape: one array (.npy), or one per method (.npz, as `explain` writes).
    #[arg(long, value_name = "FILE", requires = "input")]
    heatmap: Option<PathBuf>,
    /// Methods of an .npz: one gives its picture, two stand side by side, more (or `all`) make a grid of averaged heatmaps.
    #[arg(long, value_name = "LIST", requires = "heatmap")]
    method: Option<String>,
    /// The unit of ECGs that do not say: uV, mV or V [arrays: uV].
    #[arg(long, value_name = "UNIT", requires = "input")]
    ecg_unit: Option<String>,
    /// The sampling rate of ECGs that do not say, Hz [arrays: 500].
    #[arg(long, value_name = "HZ", requires = "input")]
    rate: Option<f64>,
    /// The leads of an array, in its order, or those of a recording to draw: I,II,V5.
    #[arg(long, value_name = "LEADS", value_delimiter = ',', requires = "input")]
    leads: Vec<String>,
    /// What to draw of a recording: its median beat or its rhythm [default: what the heatmaps are of, else the rhythm].
    #[arg(long, value_name = "median|rhythm", requires = "input")]
    kind: Option<InputKind>,
    /// Which output's heatmaps, from 0, of an archive of `explain --column all`.
    #[arg(long, value_name = "K", requires = "heatmap", value_parser = up_to::<ECGS>)]
    column: Option<usize>,
    /// Which ECG of the array or folder, from 0; with the heatmaps of recordings, of those.
    #[arg(long, default_value_t = 0, value_parser = up_to::<ECGS>)]
    ecg: usize,
    /// How leads stand: 12 below each other, V5 with the averaged heatmap, or on ECG paper (25 mm/s, 10 mm/mV): a median beat whole in 3 × 4 cells, a
    /// recording in 3 × 4 and a rhythm strip.
    #[arg(long, value_enum, default_value_t = Layout::Leads)]
    layout: Layout,
    /// Fiducials of a median beat to mark: a CSV as `measure` writes it. The row is the one whose id is --id.
    #[arg(long, value_name = "MEASUREMENTS.csv", requires = "input")]
    fiducials: Option<PathBuf>,
    /// The id of the ECG in --fiducials [default: its number in the array].
    #[arg(long, value_name = "ID", requires = "fiducials")]
    id: Option<String>,
    /// The heading.
    #[arg(long)]
    title: Option<String>,
    /// The unit of the attributions, for the colour bar [default: what the method's values are in, of the prediction].
    #[arg(long, default_value = "")]
    unit: String,
    /// Perturbation curves of one model, one file a method, as `perturb` writes them.
    #[arg(long, value_name = "METHOD.npz", num_args = 1..)]
    curves: Vec<PathBuf>,
    /// Puts 95 % bootstrap bands behind the curves.
    #[arg(long, requires = "curves")]
    bands: bool,
    /// A study's folder: all of its figures, into the folder given by --output.
    #[arg(long, value_name = "DIR")]
    study: Option<PathBuf>,
    /// rdbu (the study's red and blue) or safe (orange and blue, for colour-blind readers).
    #[arg(long, default_value = "rdbu")]
    palette: Palette,
    /// Light on dark.
    #[arg(long)]
    dark: bool,
    /// Pixels of a PNG per unit of the picture, of which there are 96 to the inch; 3.125 gives 300 dpi.
    #[arg(long, default_value_t = 2.0)]
    zoom: f32,
    /// The picture, .svg, .pdf or .png; a folder with --study.
    #[arg(long, short)]
    output: PathBuf,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let one = [&self.input, &self.heatmap, &self.fiducials, &self.study];
        let reads = one.into_iter().flatten().chain(&self.curves).cloned().collect();
        let output = self.output.clone();
        let output = if self.study.is_some() { Output::Folder(output, Vec::new()) } else { Output::File(output, &[]) };
        Places { reads, writes: vec![output] }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let style = Style { palette: args.palette, dark: args.dark };
    let _lock = if args.study.is_some() { OutputLock::inside(&args.output) } else { OutputLock::beside(&args.output) }?;
    if let Some(study) = &args.study {
        write::figures(&args.output, &store::load(study)?, style)?;
    } else {
        let Some(ending) = ending(&args.output) else {
            return Err(Error::Usage(format!("{}: a picture's name ends in .svg, .pdf or .png", args.output.display())));
        };
        let picture = match &args.input {
            Some(input) => ecg(args, input, style)?,
            None => curves(&args.curves, args.bands, style)?,
        };
        let bytes =
            bytes(picture, ending, args.zoom).map_err(|error| args.input.iter().fold(error, |error, input| error.of_file(input)))?;
        forget(&args.output)?;
        atomic::write(&args.output, &bytes)?;
    }
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => super::print(serde_json::json!({ "written": args.output })),
        _ => super::print(args.output.display()),
    }
}

fn ecg(args: &Args, input: &Path, style: Style) -> Result<Svg> {
    let of_maps = args.heatmap.as_deref().filter(|path| is_archive(path)).map(Axes::of_archive).transpose()?.flatten();
    let Subject { ecg, axes, fiducials: own, name } = subject(args, input, of_maps)?;
    let measured = args.fiducials.as_deref().map(|path| fiducials(args, path, ecg.ncols())).transpose()?;
    let plain = name.unwrap_or_else(|| format!("ECG {}", args.ecg));
    let mapped = |(method, values): (String, Array2<f32>)| Mapped {
        heading: match (&args.title, method.is_empty()) {
            (Some(title), _) => title.clone(),
            (None, true) => plain.clone(),
            (None, false) => format!("{}, {plain}", title(&method)),
        },
        meaning: said(args, &method),
        method,
        values,
    };
    let maps: Vec<Mapped> = maps(args, ecg.dim())?.into_iter().map(mapped).collect();
    let drawing = Drawing {
        ecg: &ecg,
        axes: axes.as_ref(),
        maps: &maps,
        title: args.title.clone().unwrap_or(plain.clone()),
        unit: &args.unit,
        fiducials: measured.as_ref().or(own.as_ref()),
        layout: args.layout,
    };
    drawing.draw(style)
}

/// The ECG that is drawn.
struct Subject {
    ecg: Array2<f32>,
    axes: Option<Axes>,
    /// Of a recording's own median beat.
    fiducials: Option<Measurements>,
    name: Option<String>,
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

/// Reads the ECG: an array's as it is, a recording as the heatmaps are of it.
fn subject(args: &Args, input: &Path, of_maps: Option<Axes>) -> Result<Subject> {
    let of_name = |text: &str| -> Result<InputKind> { text.parse() };
    let maps_kind = of_maps.as_ref().and_then(|axes| axes.input.as_deref()).map(of_name).transpose()?;
    let kind = args.kind.or(maps_kind).unwrap_or(InputKind::Rhythm);
    let rate = of_maps.as_ref().map_or(RATE, |axes| axes.rate_hz);
    let samples = of_maps.as_ref().and(args.heatmap.as_deref()).map(samples_of).transpose()?;
    let leads = Some(args.leads.clone()).filter(|leads| !leads.is_empty());
    let leads = leads.or_else(|| of_maps.as_ref().map(|axes| axes.leads.clone())).filter(|leads| *leads != LEADS);
    let wanted = Wanted { kind, rate, samples: if kind == InputKind::Median { Some(kind.samples()) } else { samples }, leads };
    let options = InputOptions::of_drawn(args.ecg_unit.clone(), args.rate, args.leads.clone());
    let ecgs = Ecgs::open_drawn(input, &wanted, &options)?;
    // Heatmaps of recordings belong to them by name, whatever else lies in the folder.
    let id = of_maps.as_ref().filter(|_| ecgs.are_recordings()).map(|axes| {
        axes.ids
            .get(args.ecg)
            .cloned()
            .ok_or_else(|| Error::Usage(format!("--ecg {}: the heatmaps are of {} ECGs", args.ecg, axes.ids.len())))
    });
    let row = match id.transpose()? {
        Some(id) => ecgs
            .axes()
            .and_then(|axes| axes.ids.iter().position(|own| *own == id))
            .ok_or_else(|| Error::format(input, format!("there is no recording '{id}', which the heatmaps are of")))?,
        None => args.ecg,
    };
    if row >= ecgs.len() {
        return Err(Error::Usage(format!("--ecg {row}: {} holds {}, numbered from 0", input.display(), ecgs.len())));
    }
    let recordings = ecgs.are_recordings();
    // An archive of maps knows the axes of an array that does not say them itself.
    let mut axes = ecgs.axes().cloned().or(of_maps);
    let [channels, samples] = ecgs.example();
    let named = axes.as_ref().map_or(LEADS.len(), |axes| axes.leads.len());
    let eight =
        !recordings && channels == INDEPENDENT.len() && axes.as_ref().is_none_or(|axes| axes.leads == INDEPENDENT || named != channels);
    if samples < 2 || channels != named && !eight {
        let text = format!("(N, 12, L) or (12, L) is expected, it is {channels} × {samples}: name its leads with --leads");
        return Err(Error::format(input, text));
    }
    let ready = ecgs.ready(row)?;
    let ecg = if eight { twelve(ready.ecg.view()) } else { ready.ecg };
    axes = axes.map(|axes| if eight { Axes { leads: LEADS.map(str::to_owned).to_vec(), ..axes } } else { axes });
    let fiducials = ready.measured.filter(|_| recordings && wanted.kind == InputKind::Median);
    let name = axes.as_ref().filter(|_| recordings).and_then(|axes| axes.ids.get(row).cloned());
    Ok(Subject { ecg, axes, fiducials, name })
}

/// The samples of the maps of an archive.
fn samples_of(path: &Path) -> Result<usize> {
    let names = npz::names(path)?;
    let Some(name) = names.iter().find(|name| !["prediction", "occlusion_segments"].contains(&name.as_str())) else {
        return Err(Error::format(path, "it holds no heatmap"));
    };
    Ok(npz::read_one(path, name)?.shape().last().copied().unwrap_or(0))
}

/// The heatmaps asked for, by name; zeros without a name where there are none.
fn maps(args: &Args, shape: (usize, usize)) -> Result<Vec<(String, Array2<f32>)>> {
    let Some(path) = &args.heatmap else { return Ok(vec![(String::new(), Array2::zeros(shape))]) };
    if !is_archive(path) {
        if args.method.is_some() {
            return Err(Error::Usage(format!("{}: --method chooses among the arrays of an .npz", path.display())));
        }
        return Ok(vec![(String::new(), fitting(one(npy::read_f32(path)?, args.ecg, path)?, shape, path)?)]);
    }
    let names = chosen(args.method.as_deref(), npz::names(path)?, path)?;
    let map = |name: String| {
        let array = of_column(args, npz::read_one(path, &name)?.into_f32(), path)?;
        Ok((name, fitting(one(array, args.ecg, path)?, shape, path)?))
    };
    names.into_iter().map(map).collect()
}

/// The maps of one output, (N, C, L), out of those of all, (N, K, C, L).
fn of_column(args: &Args, maps: ArrayD<f32>, path: &Path) -> Result<ArrayD<f32>> {
    let outputs = if maps.ndim() == 4 { maps.shape()[1] } else { 1 };
    match (maps.ndim(), args.column) {
        (4, Some(column)) if column < outputs => Ok(maps.index_axis_move(Axis(1), column)),
        (4, None) => Err(Error::Usage(format!("{} holds the maps of {outputs} outputs: choose one with --column K", path.display()))),
        (_, Some(column)) if column >= outputs => Err(Error::Usage(format!("--column {column}: {} holds {outputs}", path.display()))),
        _ => Ok(maps),
    }
}

fn chosen(wanted: Option<&str>, present: Vec<String>, path: &Path) -> Result<Vec<String>> {
    let mut maps: Vec<String> = present.into_iter().filter(|name| !["prediction", "occlusion_segments"].contains(&name.as_str())).collect();
    crate::report::methods::sort(&mut maps);
    match wanted {
        Some("all") => Ok(maps),
        Some(list) => Ok(list.split(',').map(|name| name.trim().to_owned()).collect()),
        None if maps.len() == 1 => Ok(maps),
        None => Err(Error::Usage(format!("{}: choose with --method among {}, or all", path.display(), maps.join(" ")))),
    }
}

/// One (12, L) array out of (N, 12, L) or (12, L), all of it finite.
fn one(array: ArrayD<f32>, ecg: usize, path: &Path) -> Result<Array2<f32>> {
    let shape = array.shape().to_vec();
    let count = if shape.len() == 3 { shape[0] } else { 1 };
    if !(2..=3).contains(&shape.len()) || shape[shape.len() - 1] < 2 {
        return Err(Error::shape(path.display().to_string(), "(N, C, L) or (C, L)", shape));
    }
    if ecg >= count {
        return Err(Error::Usage(format!("--ecg {ecg}: {} holds {count}, numbered from 0", path.display())));
    }
    let array = if shape.len() == 3 { array.index_axis_move(Axis(0), ecg) } else { array };
    let array = array.into_dimensionality::<Ix2>().map_err(|error| Error::format(path, error.to_string()))?;
    match first_unfit(&array, |value| !value.is_finite()) {
        None => Ok(array),
        Some(((lead, t), value)) => Err(Error::Value {
            at: format!("{}: ECG {ecg}, lead {}, sample {t}", path.display(), LEADS.get(lead).copied().unwrap_or("beyond the twelve")),
            problem: format!("is {value}: a picture needs numbers"),
        }),
    }
}

fn fitting(map: Array2<f32>, shape: (usize, usize), path: &Path) -> Result<Array2<f32>> {
    if map.dim() == shape { Ok(map) } else { Err(Error::shape(format!("{}: a heatmap of this ECG", path.display()), shape, map.dim())) }
}

/// The most of a table of fiducials that is read.
const TABLE: Most = Most { bytes: 1 << 28, of: "a table of measurements" };

/// What a method's values say. Whether they were multiplied by the input, and are absolute, stands in the record of the archive; where a method can be
/// either and there is no record, nothing is said.
fn said(args: &Args, method: &str) -> Option<Meaning> {
    let record = args.heatmap.as_deref().and_then(|archive| Record::find(archive).ok().flatten());
    let option = |name: &str| {
        let prefix = format!("--{name}=");
        record.iter().flat_map(|record| record.arguments.iter().chain(&record.defaults)).find_map(|given| given.strip_prefix(&prefix))
    };
    let multiplied = option("multiply-by-inputs");
    if Method::named(method)?.row().heeds("multiply-by-inputs") && multiplied.is_none() {
        return None;
    }
    let meaning = meaning(method, multiplied == Some("yes"), option("absolute").map(|given| given == "yes"))?;
    // A unit that was given is the attributions' own.
    Some(if args.unit.is_empty() { meaning } else { Meaning { unit: Unit::Prediction, ..meaning } })
}

/// The fiducials of the ECG, which must be a median beat.
fn fiducials(args: &Args, path: &Path, samples: usize) -> Result<Measurements> {
    let beat = InputKind::Median.samples();
    if samples != beat {
        let text =
            format!("marks a median beat of {beat} samples; this ECG has {samples}, where they would stand at places that they are not of");
        return Err(Error::Usage(format!("--fiducials {text}")));
    }
    row_of(path, &args.id.clone().unwrap_or_else(|| args.ecg.to_string()), samples)
}

/// The fiducials of the ECG of an id, `samples` samples long, in a CSV of measurements.
fn row_of(path: &Path, id: &str, samples: usize) -> Result<Measurements> {
    let mut reader = csv::Reader::from_reader(intake::open_most(path, TABLE)?);
    let header = reader.headers().map_err(|error| Error::format(path, error.to_string()))?.clone();
    let ids = header.iter().position(|column| column == "id").ok_or_else(|| Error::format(path, "has no column id"))?;
    let mut found: Option<(usize, csv::StringRecord)> = None;
    for (at, row) in reader.records().enumerate() {
        let row = row.map_err(|error| Error::format(path, error.to_string()))?;
        if row.get(ids) == Some(id) && found.replace((at + 2, row)).is_some() {
            return Err(Error::format(path, format!("has several rows of the id '{id}'")));
        }
    }
    let (line, row) =
        found.ok_or_else(|| Error::format(path, format!("has no row of the id '{id}': give the id that the ECG has there with --id")))?;
    let field = |name: &str| -> Result<Option<f64>> {
        let at = header.iter().position(|column| column == name).ok_or_else(|| Error::format(path, format!("has no column {name}")))?;
        let text = row.get(at).unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(None);
        }
        // Also false for NaN.
        match text.parse::<f64>() {
            Ok(at) if (0.0..=samples as f64).contains(&at) => Ok(Some(at)),
            Ok(_) => Err(Error::format(path, format!("row {line}: {name} is '{text}', outside of the ECG's {samples} samples"))),
            Err(_) => Err(Error::format(path, format!("row {line}: {name} is '{text}', not a number"))),
        }
    };
    Ok(Measurements {
        p_onset: field("p_onset")?,
        p_offset: field("p_offset")?,
        qrs_onset: field("qrs_onset")?,
        qrs_offset: field("qrs_offset")?,
        t_offset: field("t_offset")?,
        ..Measurements::default()
    })
}

/// Curves of one model: each file holds `predictions` (n, iterations + 1) and `truth` (n).
fn curves(files: &[PathBuf], bands: bool, style: Style) -> Result<Svg> {
    let mut read: Vec<(String, Array2<f32>, Vec<f64>)> = Vec::new();
    for path in files {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let predictions = npz::read_one(path, "predictions").map(NpyArray::into_f32)?;
        let shape = predictions.shape().to_vec();
        let predictions = predictions
            .into_dimensionality::<Ix2>()
            .map_err(|_| Error::shape(path.display().to_string(), "(n, iterations + 1)", &shape))?;
        let truth = npz::read_one(path, "truth")?.into_f64().into_raw_vec_and_offset().0;
        if predictions.nrows() != truth.len() || read.first().is_some_and(|first| first.2 != truth) {
            return Err(Error::format(path, "its ECGs are not those of the other curves; draw one model at a time"));
        }
        read.push((name, predictions, truth));
    }
    read.sort_by_key(|curve| NINE.iter().position(|name| *name == curve.0).unwrap_or(NINE.len()));
    let Some(truth) = read.first().map(|first| first.2.clone()) else { return Err(Error::Usage("--curves takes files".into())) };
    let views: Vec<_> = read.iter().map(|curve| curve.1.view()).collect();
    // No measurement is 0 or 1 in its unit in every ECG: these are labels.
    let labels = truth.iter().all(|value| *value == 0.0 || *value == 1.0);
    let scoring = if labels { Scoring::Logit } else { Scoring::default() };
    let rows = usable(&truth, &views, scoring);
    if rows.is_empty() {
        return Err(Error::Data("no ECG of these curves can be scored: measured values are 0 or predictions are not finite".into()));
    }
    let scored: Vec<Array2<f64>> = views.iter().map(|view| scores(*view, &truth, 1.0, scoring, &rows)).collect();
    let methods: Vec<String> = read.into_iter().map(|curve| curve.0).collect();
    let curves = analysis::curves(&scored, scoring, 1);
    let classes = analysis::classes(&methods, &curves.iter().map(|curve| area(&curve.mean, END)).collect::<Vec<f64>>());
    let panel = LabelledCurves { title: format!("{} ECGs", rows.len()), scoring, methods, curves, classes };
    Ok(curve_chart::curve_panels(&[panel], bands, style))
}
