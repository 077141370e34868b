//! `cardiograd measure`: intervals, amplitudes and fiducials of any recordings, a row each.

use super::console::unread;
use super::places::{Output, Places};
use super::provenance::forget;
use super::{Globals, Progress, print, windows};
use crate::ahead::in_turn;
use crate::dataset::{with_fields, write_header, write_row, write_wide_header, write_wide_row};
use crate::ecg::measure::{Measured, Thresholds, measure};
use crate::ecg::read::{FILE_COLUMNS, Given, IDENTITY_COLUMNS, Recording, Source, Unit};
use crate::ecg::stated::rounded;
pub(super) use crate::ecg::stated::{MOST_MICROVOLTS, whole_microvolts};
use crate::ecg::{LOWEST, Rhythm};
use crate::files::atomic::AtomicFile;
use crate::files::npy::NpyWriter;
use crate::progress::Step;
use crate::{Error, Result};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

/// Recordings in flight.
const CHUNK: usize = 64;

/// What the columns are, for `--help`.
const COLUMNS: &str = "Columns: pr_ms, qrs_ms, qt_ms in ms and rate_bpm in beats per minute, to 0.1; r_v5_uv, j_v5_uv, t_v5_uv in µV, to 0.1; p_onset, p_offset, \
                       qrs_onset, qrs_offset, t_offset in samples of the median beat (500 Hz, 2 ms each; the R peak is at sample 240); status is ok or why \
                       the ECG could not be measured. An absent measurement is an empty field. Samples are taken in whole µV, as a dataset holds them. Behind status stand further measurements and, \
                       last, what the recordings' files say themselves (file_pr_ms …) and what was done to read them (file_notes).";

/// Arguments of `cardiograd measure`.
#[derive(clap::Args, Debug)]
#[command(after_help = COLUMNS)]
pub struct Args {
    /// Recordings: a dataset, WFDB (.hea), XML of MUSE, HL7 aECG, Philips, CardioSoft, Mortara or Schiller, DICOM, SCP-ECG, EDF, ISHNE, MATLAB,
    /// HDF5, Parquet, OSF .asc, CSV with lead names, .npy or .npz (N, 8 or 12, T), or folders of them (docs/RECORDINGS.md). Ids are the files' names, with :ROW for arrays of several ECGs, or a dataset's own; where two would be the same, the paths as given take their place.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Where waves begin and end: as GE's 12SL sees it, or as cardiologists do (expert).
    #[arg(long, value_name = "12sl|expert", default_value = "12sl")]
    thresholds: String,
    /// Write the table here instead of printing it.
    #[arg(short, long, value_name = "MEASUREMENTS.csv")]
    output: Option<PathBuf>,
    /// Write the median beats here, (N, 12, 600) µV; zeros where an ECG could not be measured.
    #[arg(long, value_name = "MEDIANS.npy")]
    medians: Option<PathBuf>,
    /// Measure long recordings (from 5 s to days) in windows of so many seconds (5 to 600), a row each under the id NAME@START. WFDB, EDF, ISHNE and
    /// .npy are read window by window; other kinds, and WFDB in segments or packed (FLAC), are held in memory one at a time.
    #[arg(long, value_name = "SECONDS", value_parser = windows::seconds)]
    window: Option<f64>,
    #[command(flatten)]
    taking: Taking,
    #[command(flatten)]
    said: Said,
}

/// What is done with files that are not as they should be, and with what they say of people.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Taking {
    /// Pass over recordings that cannot be read, naming them, instead of stopping.
    #[arg(long)]
    pub(super) skip_unreadable: bool,
    /// Keep the patient's id and name where files carry them (file_patient_id, file_patient_name); without it they go nowhere.
    #[arg(long)]
    pub(super) keep_identity: bool,
}

impl Taking {
    /// The columns of what a recording's file says, for the table.
    pub(super) fn columns(&self) -> Vec<String> {
        let identity = IDENTITY_COLUMNS.iter().filter(|_| self.keep_identity);
        FILE_COLUMNS.iter().chain(["file_notes"].iter()).chain(identity).map(|name| (*name).to_owned()).collect()
    }

    /// The fields of these columns.
    pub(super) fn fields(&self, recording: &Recording, notes: &[String]) -> Vec<String> {
        let identity = recording.identity_fields().into_iter().filter(|_| self.keep_identity);
        recording.file_fields().into_iter().chain([notes.join("; ")]).chain(identity).collect()
    }
}

/// What files do not say themselves.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Said {
    /// The unit of files that do not say: uV, mV or V [arrays: uV].
    #[arg(long, value_name = "UNIT")]
    pub(super) unit: Option<String>,
    /// The sampling rate of files that do not say, Hz [arrays: 500].
    #[arg(long, value_name = "HZ")]
    pub(super) rate: Option<f64>,
    /// The leads of arrays, in their order: I,II,V1 … [arrays of 8: I,II,V1-V6; of 12: the usual order].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) leads: Vec<String>,
}

/// The unit of a name.
///
/// # Errors
/// [`Error::Usage`] for a unit that is not known.
pub(super) fn unit(name: &str) -> Result<Unit> {
    Unit::named(name).ok_or_else(|| Error::Usage(format!("--unit {name}: the units are uV, mV and V")))
}

impl Said {
    /// The unit and rate, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for a unit that is not known or a rate that cannot be used.
    pub(super) fn given(&self) -> Result<Given> {
        let unit = self.unit.as_deref().map(unit).transpose()?;
        if let Some(rate) = self.rate.filter(|rate| !(LOWEST..=1000.0).contains(rate)) {
            return Err(Error::Usage(format!("--rate {rate}: rates from {LOWEST} to 1000 Hz can be used")));
        }
        Ok(Given { unit, rate: self.rate, leads: self.leads.clone() })
    }
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let table = self.output.iter().map(|path| Output::File(path.clone(), &["csv"]));
        let writes = table.chain(self.medians.iter().map(|path| Output::File(path.clone(), &["npy"]))).collect();
        Places { reads: self.inputs.clone(), writes }
    }
}

/// The table, the medians and the summary as they grow.
struct Sink {
    table: Option<AtomicFile>,
    medians: Option<NpyWriter<f32, AtomicFile>>,
    rows: Vec<Value>,
    text: bool,
    json: bool,
    count: usize,
    rejected: BTreeMap<String, usize>,
    /// What was done to read recordings, and to how many.
    notes: BTreeMap<String, usize>,
    /// Recordings that could not be read, and why.
    passed_over: Vec<String>,
}

/// What is known of a recording.
struct Made {
    measured: Measured,
    fields: Vec<String>,
    json: Value,
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let thresholds: Thresholds = args.thresholds.parse()?;
    let given = args.said.given()?;
    if let Some(seconds) = args.window {
        let (recordings, passed_over) = windows::open(&args.inputs, given, seconds, args.taking.skip_unreadable)?;
        let mut sink = Sink::new(args, globals)?;
        sink.passed_over = passed_over;
        let columns = args.taking.columns();
        let progress = Progress::new(globals.quiet || sink.text);
        windows::each(recordings, seconds, &thresholds, &progress, &mut |id, measured, notes| {
            // What a file says is of all of it; what was done to read it is said of every window.
            let field = |name: &String| if name == "file_notes" { notes.join("; ") } else { String::new() };
            let fields: Vec<String> = columns.iter().map(field).collect();
            let said = if notes.is_empty() { json!({}) } else { json!({ "file_notes": notes.join("; ") }) };
            notes.iter().for_each(|note| *sink.notes.entry(note.clone()).or_default() += 1);
            sink.take(id, measured, &fields, said)?;
            Ok(!(sink.only_prints() && unread()))
        })?;
        progress.finish();
        return sink.finish(args, globals);
    }
    let sources = args.inputs.iter().map(|input| Source::open(input, given.clone())).collect::<Result<Vec<_>>>()?;
    // Those of one array need no list.
    let ids = match &sources[..] {
        [one] if one.is_numbered() => None,
        _ => Some(Source::distinct_ids(&sources)?),
    };
    let mut sink = Sink::new(args, globals)?;
    // Rows printed as they come are progress enough.
    let progress = Progress::new(globals.quiet || sink.text);
    let total: usize = sources.iter().map(Source::len).sum();
    for (place, source) in sources.iter().enumerate() {
        let id = |at: usize| ids.as_ref().map_or_else(|| source.id(at), |ids| ids[place][at].clone());
        let chunks = (0..source.len()).step_by(CHUNK).map(|first| first..source.len().min(first + CHUNK));
        let made = |chunk: Range<usize>| {
            let made: Vec<Result<Made>> =
                chunk.clone().into_par_iter().with_max_len(1).map(|at| one(source, at, &thresholds, &args.taking)).collect();
            Ok(chunk.zip(made))
        };
        let mut unread_already = false;
        let taken = in_turn(chunks, true, made, |made| {
            for (at, made) in made {
                match made {
                    Ok(made) => {
                        made.notes.into_iter().for_each(|note| *sink.notes.entry(note).or_default() += 1);
                        sink.take(&id(at), &made.measured, &made.fields, made.json)?;
                    }
                    Err(error) if args.taking.skip_unreadable => sink.passed_over.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            unread_already = sink.only_prints() && unread();
            let done = (sink.count + sink.passed_over.len()) as u64;
            progress.step(Step { label: "measuring", done, total: total as u64, unit: "ECGs", note: "" });
            if unread_already { Err(Error::Stopped) } else { Ok(()) }
        });
        // Nobody reads on: that is no failure.
        if unread_already {
            return Ok(());
        }
        taken?;
    }
    progress.finish();
    sink.finish(args, globals)
}

/// What is measured is what a dataset would hold of the recording, so that `measure` and `import` say the same of it.
fn one(source: &Source, at: usize, thresholds: &Thresholds, taking: &Taking) -> Result<Made> {
    let recording = source.read(at)?;
    let (rhythm, notes) = recording.rhythm(source.path(at))?;
    let measured = measure(&Rhythm::new(whole_microvolts(rhythm.into_samples()).0)?, thresholds);
    let fields = taking.fields(&recording, &notes);
    // Numbers as numbers: what the text of a field is, but for sex, notes and names.
    let value = |text: &String| text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number));
    let json = taking.columns().into_iter().zip(&fields).filter(|(_, field)| !field.is_empty());
    let json = json.map(|(name, field)| (name.clone(), if name.contains("patient") { json!(field) } else { value(field) })).collect();
    Ok(Made { measured, fields, json: Value::Object(json), notes })
}

impl Sink {
    fn new(args: &Args, globals: &Globals) -> Result<Self> {
        let mut table = args.output.as_ref().map(AtomicFile::create).transpose()?;
        if let (Some(table), Some(path)) = (&mut table, &args.output) {
            let mut line = Vec::new();
            let header = write_wide_header(&mut line).and_then(|()| with_fields(line, &args.taking.columns()));
            header.and_then(|line| table.write_all(&line)).map_err(|source| Error::io(path, source))?;
        }
        let text = table.is_none() && !globals.json && !globals.quiet;
        if text {
            let mut header = Vec::new();
            let written = write_header(&mut header).and_then(|()| with_fields(header, &args.taking.columns()));
            let header = written.map_err(|source| Error::io("standard output", source))?;
            print(String::from_utf8_lossy(&header).trim_end())?;
        }
        let medians = args.medians.as_ref().map(|path| NpyWriter::create(path, &[12, 600])).transpose()?;
        Ok(Sink {
            table,
            medians,
            rows: Vec::new(),
            text,
            json: globals.json,
            count: 0,
            rejected: BTreeMap::new(),
            notes: BTreeMap::new(),
            passed_over: Vec::new(),
        })
    }

    /// Whether the printed table is all that there will be.
    fn only_prints(&self) -> bool {
        self.text && self.medians.is_none()
    }

    fn take(&mut self, id: &str, measured: &Measured, fields: &[String], file: Value) -> Result<()> {
        let m = &rounded(&measured.measurements);
        self.count += 1;
        if let Some(reason) = &m.rejected {
            *self.rejected.entry(reason.split(':').next().unwrap_or(reason).to_owned()).or_default() += 1;
        }
        if let Some(medians) = &mut self.medians {
            medians.append(measured.median.view())?;
        }
        if let Some(table) = &mut self.table {
            let path = table.path().to_path_buf();
            let mut line = Vec::new();
            let row = write_wide_row(&mut line, id, m).and_then(|()| with_fields(line, fields));
            row.and_then(|line| table.write_all(&line)).map_err(|source| Error::io(path, source))?;
        }
        if self.json {
            let status = m.rejected.as_deref().unwrap_or("ok");
            self.rows.push(json!({
                "id": id, "pr_ms": m.pr_ms, "qrs_ms": m.qrs_ms, "qt_ms": m.qt_ms, "rate_bpm": m.rate_bpm, "r_v5_uv": m.r_v5_uv, "j_v5_uv": m.j_v5_uv,
                "t_v5_uv": m.t_v5_uv, "p_onset": m.p_onset, "p_offset": m.p_offset, "qrs_onset": m.qrs_onset, "qrs_offset": m.qrs_offset,
                "t_offset": m.t_offset, "status": status, "further": m.further, "file": file,
            }));
        }
        if self.text {
            let mut line = Vec::new();
            let written = write_row(&mut line, id, m).and_then(|()| with_fields(line, fields));
            let line = written.map_err(|source| Error::io("standard output", source))?;
            print(String::from_utf8_lossy(&line).trim_end())?;
        }
        Ok(())
    }

    fn finish(self, args: &Args, globals: &Globals) -> Result<()> {
        self.tell_passed_over(globals)?;
        args.output.iter().chain(&args.medians).try_for_each(|path| forget(path))?;
        if let Some(medians) = self.medians {
            medians.finish()?;
        }
        if let Some(table) = self.table {
            table.commit()?;
        }
        if globals.quiet {
            return Ok(());
        }
        if self.json {
            return print(Value::Array(self.rows));
        }
        if let Some(path) = &args.output {
            let rejected: usize = self.rejected.values().sum();
            print(format!("{} ECGs, {} measured, {rejected} not; {}", self.count, self.count - rejected, path.display()))?;
            for (reason, count) in &self.rejected {
                print(format!("  {count} × {reason}"))?;
            }
            for (note, count) in &self.notes {
                print(format!("  {count} × {note}"))?;
            }
        }
        Ok(())
    }

    /// Names what could not be read, apart from the table; nothing that could is a failure.
    fn tell_passed_over(&self, globals: &Globals) -> Result<()> {
        let Some(first) = self.passed_over.first() else { return Ok(()) };
        if self.count == 0 {
            let count = self.passed_over.len();
            return Err(Error::Data(format!("none of the {count} recordings could be read; the first: {first}")));
        }
        if !globals.quiet {
            self.passed_over.iter().for_each(|error| eprintln!("passed over: {error}"));
        }
        Ok(())
    }
}
