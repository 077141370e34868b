//! `cardiograd convert RECORDING OUT.hea|OUT.csv|OUT.npy`: a recording of any kind as one that others read.

use super::measure::Said;
use super::provenance::forget;
use super::{Globals, print};
use crate::ecg::read::{Source, write};
use crate::{Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The extensions of recordings that are written.
const EXTENSIONS: [&str; 3] = ["hea", "csv", "npy"];

/// Whether a path is that of a recording to write.
pub(super) fn is_recording(output: &Path) -> bool {
    output.extension().and_then(|end| end.to_str()).is_some_and(|end| EXTENSIONS.contains(&end))
}

/// The files that are written for it.
pub(super) fn files(output: &Path) -> Vec<PathBuf> {
    let signals = output.extension().filter(|end| *end == "hea").map(|_| output.with_extension("dat"));
    std::iter::once(output.to_path_buf()).chain(signals).collect()
}

/// Converts.
pub(super) fn run(input: &Path, output: &Path, said: &Said, globals: &Globals) -> Result<()> {
    let source = Source::open(input, said.given()?)?;
    if source.len() != 1 {
        return Err(Error::Usage(format!("{}: holds {} recordings, one is converted at a time", input.display(), source.len())));
    }
    let recording = source.read(0)?;
    files(output).iter().try_for_each(|file| forget(file))?;
    let leads = write(output, &recording)?;
    let samples = recording.leads.first().map_or(0, |lead| lead.samples.len());
    if globals.quiet {
        return Ok(());
    }
    if globals.json {
        let said = json!({ "path": output, "leads": leads, "samples": samples, "rate_hz": recording.rate, "notes": recording.notes });
        return print(format_args!("{said:#}"));
    }
    print(format_args!("{}: {} leads ({}), {samples} samples at {} Hz", output.display(), leads.len(), leads.join(" "), recording.rate))?;
    recording.notes.iter().try_for_each(|note| print(format_args!("  {note}")))
}
