//! `cardiograd render`: any ECG, heatmap or set of perturbation curves as SVG, PDF or PNG, or a study's figures in other colours.

use super::Globals;
use super::numbers::{ECGS, up_to};
use super::places::{Output, Places};
use super::provenance::forget;
use crate::attribution::{Meaning, Method, Unit};
use crate::audit::provenance::Record;
use crate::dataset::InputKind;
use crate::ecg::Measurements;
use crate::ecg::leads::LEADS;
use crate::evaluation::scores::{Scoring, scores, usable};
use crate::files::atomic::{self, OutputLock};
use crate::files::npy::{self, NpyArray};
use crate::files::npz;
use crate::intake::{self, Most};
use crate::report::analysis::{self, LabelledCurves};
use crate::report::colour::{Palette, Style};
use crate::report::heatmap::{self, Heatmap};
use crate::report::methods::{NINE, meaning, title};
use crate::report::svg::Svg;
use crate::report::{curve_chart, paper, pdf, png, store, write};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd render`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["input", "curves", "study"]))]
pub struct Args {
    /// ECGs, (N, 12, L) or (12, L), µV.
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,
    /// Heatmaps of the same shape: one array (.npy), or one per method (.npz, as `explain` writes).
    #[arg(long, value_name = "FILE", requires = "input")]
    heatmap: Option<PathBuf>,
    /// Methods of an .npz: one gives its picture, two stand side by side, more (or `all`) make a grid of averaged heatmaps.
    #[arg(long, value_name = "LIST", requires = "heatmap")]
    method: Option<String>,
    /// Which ECG of the array, from 0.
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

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Layout {
    Leads,
    Averaged,
    Paper,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let one = [&self.input, &self.heatmap, &self.fiducials, &self.study];
        let reads = one.into_iter().flatten().chain(&self.curves).cloned().collect();
        let output = self.output.clone();
        let output = if self.study.is_some() { Output::Folder(output, Vec::new()) } else { Output::File(output) };
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
        let ending = args.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !["svg", "pdf", "png"].contains(&ending.as_str()) {
            return Err(Error::Usage(format!("{}: a picture's name ends in .svg, .pdf or .png", args.output.display())));
        }
        let picture = match &args.input {
            Some(input) => ecg(args, input, style)?,
            None => curves(&args.curves, args.bands, style)?,
        };
        picture.check().map_err(|error| args.input.iter().fold(error, |error, input| error.of_file(input)))?;
        let text = picture.finish();
        let bytes = match ending.as_str() {
            "png" => png::png(&text, args.zoom)?,
            "pdf" => pdf::pdf(&text)?,
            _ => text.into_bytes(),
        };
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
    let ecg = one(npy::read_f32(input)?, args.ecg, input)?;
    let measured = args.fiducials.as_deref().map(|path| fiducials(args, path, ecg.ncols())).transpose()?;
    let maps = maps(args, ecg.dim())?;
    let plain = format!("ECG {}", args.ecg);
    let heading = |name: &str| args.title.clone().unwrap_or_else(|| format!("{}, {plain}", title(name)));
    let headings: Vec<String> =
        maps.iter().map(|(name, _)| if name.is_empty() { args.title.clone().unwrap_or(plain.clone()) } else { heading(name) }).collect();
    let meanings: Vec<Option<Meaning>> = maps.iter().map(|(name, _)| said(args, name)).collect();
    let picture = |k: usize| Heatmap {
        ecg: ecg.view(),
        map: maps[k].1.view(),
        title: &headings[k],
        unit: &args.unit,
        meaning: meanings[k],
        fiducials: measured.as_ref(),
    };
    Ok(match (maps.len(), args.layout) {
        (1, Layout::Leads) => heatmap::full(&picture(0), style),
        (1, Layout::Averaged) => heatmap::averaged(&picture(0), style),
        (1, Layout::Paper) => paper::sheet(&picture(0), args.heatmap.is_some(), style),
        (2, Layout::Leads) => heatmap::pair(&picture(0), &picture(1), style),
        (_, Layout::Paper) => return Err(Error::Usage("ECG paper shows one heatmap: choose one with --method".into())),
        _ => {
            let rows: Vec<&str> = maps.iter().map(|(name, _)| title(name)).collect();
            let cells: Vec<Vec<Option<Heatmap<'_>>>> = (0..maps.len()).map(|k| vec![Some(picture(k))]).collect();
            let column = args.title.clone().unwrap_or(plain);
            heatmap::grid(&column, &rows, &[&column], &cells, style)
        }
    })
}

/// The heatmaps asked for, by name; zeros without a name where there are none.
fn maps(args: &Args, shape: (usize, usize)) -> Result<Vec<(String, Array2<f32>)>> {
    let Some(path) = &args.heatmap else { return Ok(vec![(String::new(), Array2::zeros(shape))]) };
    let archive = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
    if !archive {
        if args.method.is_some() {
            return Err(Error::Usage(format!("{}: --method chooses among the arrays of an .npz", path.display())));
        }
        return Ok(vec![(String::new(), fitting(one(npy::read_f32(path)?, args.ecg, path)?, shape, path)?)]);
    }
    let names = chosen(args.method.as_deref(), npz::names(path)?, path)?;
    let map = |name: String| Ok((name.clone(), fitting(one(npz::read_one(path, &name)?.into_f32(), args.ecg, path)?, shape, path)?));
    names.into_iter().map(map).collect()
}

fn chosen(wanted: Option<&str>, present: Vec<String>, path: &Path) -> Result<Vec<String>> {
    let mut maps: Vec<String> = present.into_iter().filter(|name| name != "prediction").collect();
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
    if !(2..=3).contains(&shape.len()) || shape[shape.len() - 2] != LEADS.len() || shape[shape.len() - 1] < 2 {
        return Err(Error::shape(path.display().to_string(), "(N, 12, L) or (12, L)", shape));
    }
    if ecg >= count {
        return Err(Error::Usage(format!("--ecg {ecg}: {} holds {count}, numbered from 0", path.display())));
    }
    let array = if shape.len() == 3 { array.index_axis_move(Axis(0), ecg) } else { array };
    let array = array.into_dimensionality::<Ix2>().map_err(|error| Error::format(path, error.to_string()))?;
    match array.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(array),
        Some(((lead, t), value)) => Err(Error::Value {
            at: format!("{}: ECG {ecg}, lead {}, sample {t}", path.display(), LEADS[lead]),
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
    let names = read.into_iter().map(|curve| curve.0).collect();
    Ok(curve_chart::curve_panels(
        &[LabelledCurves { title: format!("{} ECGs", rows.len()), scoring, methods: names, curves: analysis::curves(&scored, scoring, 1) }],
        bands,
        style,
    ))
}
