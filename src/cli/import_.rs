//! `cardiograd import`: recordings of any kind into a dataset, measured, with what was done to them.

use super::generate::report;
use super::measure::{MOST_MICROVOLTS, Said, Taking, whole_microvolts};
use super::places::{Output, Places};
use super::provenance::tell_of_earlier_work;
use super::sources::{Taken, files_of};
use super::{Globals, Progress, print};
use crate::atomic::tidy;
use crate::dataset::{Dataset, DatasetWriter, Entry, FILE_COLUMNS, InputKind, Origin};
use crate::ecg::leads::V5;
use crate::ecg::measure::{Thresholds, measure};
use crate::ecg::read::{Source, osf};
use crate::ecg::{Measurements, Rhythm};
use crate::files::digest::sha256_file;
use crate::progress::Step;
use crate::{Error, Result};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Recordings in flight.
const CHUNK: usize = 64;

/// Arguments of `cardiograd import`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Recordings: WFDB (.hea), XML of MUSE, HL7 aECG, Philips, CardioSoft, Mortara or Schiller, DICOM, SCP-ECG, EDF, ISHNE, MATLAB, HDF5,
    /// Parquet, OSF .asc, CSV with lead names, .npy or .npz (N, 8 or 12, T), a dataset, or a folder of recordings (docs/RECORDINGS.md).
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Measurements to use instead of our own: the OSF ground truth (patid; …) or a table of this program.
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// A folder of OSF median files, ID.csv each, to use instead of our own median beats.
    #[arg(long, value_name = "FOLDER")]
    medians: Option<PathBuf>,
    /// Use the measurements and median beats that the recordings carry (MUSE).
    #[arg(long, conflicts_with_all = ["labels", "medians"])]
    carried: bool,
    #[command(flatten)]
    taking: Taking,
    /// Where waves begin and end: as GE's 12SL sees it, or as cardiologists do (expert).
    #[arg(long, value_name = "12sl|expert", default_value = "12sl")]
    thresholds: String,
    #[command(flatten)]
    said: Said,
    /// The dataset's folder; it must not exist. A killed import is continued by running it again.
    #[arg(short, long, value_name = "DATASET")]
    output: PathBuf,
}

/// Everything that turns a recording into an entry.
struct Importer<'a> {
    source: Source,
    labels: Option<HashMap<String, Measurements>>,
    thresholds: Thresholds,
    args: &'a Args,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let reads = std::iter::once(&self.source).chain(&self.labels).chain(&self.medians).cloned().collect();
        Places { reads, writes: vec![Output::NewFolder(self.output.clone())] }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let thresholds: Thresholds = args.thresholds.parse()?;
    if args.output.exists() {
        tidy(&args.output);
        return Err(Error::Usage(format!("{} exists already: remove it or choose another name", args.output.display())));
    }
    let source = Source::open(&args.source, args.said.given()?)?;
    let labels = args.labels.as_ref().map(osf::read_labels).transpose()?;
    let importer = Importer { source, labels, thresholds, args };
    tell_of_earlier_work(&args.output);
    let mut writer = DatasetWriter::resume(&args.output, importer.origin()?)?;
    // What changed may be put back: nothing that is done is lost.
    let mut taken = Taken::open(writer.beside("taken"), writer.taken())?;
    let progress = Progress::new(globals.quiet);
    let manifest = match importer.fill(&mut writer, &mut taken, &progress) {
        Ok(()) => writer.finish()?,
        // A file that could not be opened may be put in place, and a full disk emptied: the same command then goes on.
        Err(error @ Error::Io { .. }) => {
            writer.checkpoint()?;
            return Err(error);
        }
        Err(error) => {
            writer.discard();
            return Err(error);
        }
    };
    progress.finish();
    if globals.quiet {
        return Ok(());
    }
    if !globals.json {
        let total = importer.source.len();
        print(format!("{}: {} of {total} recordings ({})", args.source.display(), manifest.ecgs, importer.source.kind()))?;
        for (note, count) in manifest.notes {
            print(format!("  {count} × {note}"))?;
        }
    }
    report(&args.output, &Dataset::open(&args.output)?, globals.json)
}

impl Importer<'_> {
    /// Appends what the source holds beyond what the writer has taken already.
    fn fill(&self, writer: &mut DatasetWriter, taken: &mut Taken, progress: &Progress) -> Result<()> {
        let total = self.source.len();
        for first in (writer.taken()..total).step_by(CHUNK) {
            let chunk: Vec<usize> = (first..total.min(first + CHUNK)).collect();
            taken.add(&chunk.iter().map(|at| (*at, self.files(*at))).collect::<Vec<_>>())?;
            let made: Vec<Result<_>> = chunk.into_par_iter().with_max_len(1).map(|at| self.entry(at)).collect();
            for (at, made) in (first..).zip(made) {
                match made {
                    Ok((entry, file, notes)) => {
                        writer.append_with(&entry, &file)?;
                        writer.take(notes);
                    }
                    Err(error) if self.args.taking.skip_unreadable => writer.take([format!("passed over: {error}")]),
                    Err(error) => return Err(error),
                }
                progress.step(Step { label: "importing", done: at as u64 + 1, total: total as u64, unit: "ECGs", note: "" });
            }
        }
        Ok(())
    }

    /// The files that a recording's entry is made from, but for the labels, whose digest is in the origin.
    fn files(&self, at: usize) -> Vec<PathBuf> {
        let path = self.source.path(at);
        let median =
            self.args.medians.as_ref().and_then(|folder| Some(folder.join(format!("{}.csv", path.file_stem()?.to_string_lossy()))));
        files_of(path).into_iter().chain(median).collect()
    }

    fn origin(&self) -> Result<Origin> {
        let mut details = BTreeMap::from([
            ("thresholds".to_owned(), self.thresholds.name.to_owned()),
            ("kind".to_owned(), self.source.kind().to_owned()),
            ("names_sha256".to_owned(), self.source.digest()),
            (FILE_COLUMNS.to_owned(), self.args.taking.columns().join(",")),
        ]);
        let said = [
            ("unit", self.args.said.unit.clone()),
            ("rate_hz", self.args.said.rate.map(|rate| rate.to_string())),
            ("leads", (!self.args.said.leads.is_empty()).then(|| self.args.said.leads.join(","))),
        ];
        details.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if self.args.medians.is_some() {
            details.insert("median_beats".into(), "from files".into());
        }
        if let Some(labels) = &self.args.labels {
            details.insert("labels_sha256".into(), sha256_file(labels)?);
        }
        if self.args.carried {
            details.insert("labels".into(), "carried by the recordings".into());
        }
        Ok(Origin { source: "import".into(), seed: None, details })
    }

    fn entry(&self, at: usize) -> Result<(Entry, Vec<String>, Vec<String>)> {
        let path = self.source.path(at);
        let recording = self.source.read(at)?;
        let (rhythm, mut notes) = recording.rhythm(path)?;
        let file = self.args.taking.fields(&recording, &notes);
        let rhythm = ten_seconds(rhythm, path, &mut notes)?;
        let whole = microvolts(&rhythm, path, &mut notes)?;
        // What is measured is what the dataset holds: whole µV.
        let measured = measure(&Rhythm::new(whole.mapv(f32::from))?, &self.thresholds);
        let (mut median, mut measurements) = (measured.median, measured.measurements);
        if self.args.carried {
            let bad = |what: &str| Error::format(path, format!("it carries no {what}: import it without --carried"));
            measurements = recording.labels.ok_or_else(|| bad("measurements"))?;
            median = recording.median.ok_or_else(|| bad("median beat"))?;
        }
        if let Some(folder) = &self.args.medians {
            let file = folder.join(format!("{}.csv", recording.id));
            let theirs = osf::read_median(&file)?;
            if measurements.rejected.is_none() {
                same_beat(&theirs, &median, &file)?;
            }
            median = theirs;
        }
        if let Some(labels) = &self.labels {
            measurements = match labels.get(&recording.id) {
                // Without a median beat there is nothing to predict from, whatever the label.
                Some(_) if measurements.rejected.is_some() && self.args.medians.is_none() => measurements,
                Some(label) => label.clone(),
                None => {
                    notes.push("no row in the labels".into());
                    Measurements { rejected: Some("no row in the labels".into()), ..Measurements::default() }
                }
            };
        }
        Ok((Entry { id: recording.id, rhythm: whole, median, measurements, truth: None, kind: None }, file, notes))
    }
}

/// The first 10 s: what a dataset holds.
fn ten_seconds(rhythm: Rhythm, path: &Path, notes: &mut Vec<String>) -> Result<Array2<f32>> {
    let wanted = InputKind::Rhythm.samples();
    let samples = rhythm.into_samples();
    match samples.ncols() {
        n if n < wanted => Err(Error::format(
            path,
            format!("lasts {:.1} s: a dataset holds 10 s of each ECG (measure takes shorter ones)", n as f64 / 500.0),
        )),
        n if n > wanted => {
            notes.push("cut to the first 10 s".into());
            Ok(samples.slice_axis(Axis(1), (..wanted).into()).to_owned())
        }
        _ => Ok(samples),
    }
}

/// Whole µV in 16 bits; a lead that lies outside them is first set on its mean.
fn microvolts(samples: &Array2<f32>, path: &Path, notes: &mut Vec<String>) -> Result<Array2<i16>> {
    let (samples, moved) = whole_microvolts(samples.clone());
    notes.extend(std::iter::repeat_n("electrode offset removed".to_owned(), moved));
    match samples.iter().find(|x| x.abs() >= MOST_MICROVOLTS) {
        Some(x) => Err(Error::format(path, format!("a sample of {:.1} mV is more than a dataset can hold (32 mV)", x / 1000.0))),
        None => Ok(samples.mapv(|x| x as i16)),
    }
}

/// A median file in another unit, or of another ECG, does not have the size of our own median beat.
fn same_beat(theirs: &Array2<f32>, ours: &Array2<f32>, file: &Path) -> Result<()> {
    let span = |beat: &Array2<f32>| beat.row(V5).iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let (a, b) = (span(theirs), span(ours));
    if a > 2.0 * b || b > 2.0 * a {
        return Err(Error::format(
            file,
            format!("its V5 reaches {a:.0} where the recording's beat reaches {b:.0} µV: another ECG, or not µV"),
        ));
    }
    Ok(())
}
