//! Writing a recording as others read it: CSV with a column a lead, and NumPy arrays. (WFDB: [`super::wfdb::write`].)

use super::{Recording, wfdb};
use crate::ecg::leads::{INDEPENDENT, LEADS};
use crate::files::{atomic, npy};
use crate::{Error, Result};
use ndarray::Array2;
use std::fmt::Write as _;
use std::path::Path;

/// Writes a recording by the extension of `path`: `.hea` (WFDB), `.csv`, or `.npy` (leads, T). Gives the names of the leads as they stand in it.
/// Leads, rate and missing samples stay as they are; nothing that names the patient is written.
///
/// # Errors
/// [`Error::Usage`] for another extension; [`Error::Data`] where there are no leads of one length; [`Error::Io`].
pub fn write(path: &Path, recording: &Recording) -> Result<Vec<String>> {
    let length = recording.leads.first().map_or(0, |lead| lead.samples.len());
    if length == 0 || recording.leads.iter().any(|lead| lead.samples.len() != length) {
        return Err(Error::Data(format!("{}: no leads of one length to write", recording.id)));
    }
    recording.check_finite().map_err(|problem| Error::Data(format!("{}: {problem}", recording.id)))?;
    let names = || recording.leads.iter().map(|lead| lead.name.clone()).collect();
    match path.extension().and_then(|end| end.to_str()).unwrap_or_default() {
        "hea" => wfdb::write(path, recording).map(|()| names()),
        "csv" => atomic::write(path, csv(recording, length).as_bytes()).map(|()| names()),
        "npy" => array(path, recording, length),
        _ => Err(Error::Usage(format!("{}: recordings are written as .hea, .csv or .npy", path.display()))),
    }
}

fn csv(recording: &Recording, length: usize) -> String {
    let names: Vec<String> = recording.leads.iter().map(|lead| format!("{} (uV)", lead.name)).collect();
    let mut text = format!("time (s),{}\n", names.join(","));
    for t in 0..length {
        // Writing to a text cannot fail.
        let _ = write!(text, "{}", (t as f64 / recording.rate * 1e6).round() / 1e6);
        for lead in &recording.leads {
            let value = lead.samples[t];
            let _ = if value.is_finite() { write!(text, ",{}", (value * 1000.0).round() / 1000.0) } else { write!(text, ",") };
        }
        text.push('\n');
    }
    text
}

/// The twelve or the eight leads in the usual order where they are there, so that the array needs no names; else those of the file in their order.
fn array(path: &Path, recording: &Recording, length: usize) -> Result<Vec<String>> {
    let has = |names: &[&str]| names.iter().all(|name| recording.leads.iter().any(|lead| lead.name == *name));
    let names: Vec<String> = match (has(&LEADS), has(&INDEPENDENT)) {
        (true, _) => LEADS.map(str::to_owned).to_vec(),
        (_, true) => INDEPENDENT.map(str::to_owned).to_vec(),
        _ => recording.leads.iter().map(|lead| lead.name.clone()).collect(),
    };
    let mut samples = Array2::<f32>::zeros((names.len(), length));
    for (name, mut row) in names.iter().zip(samples.rows_mut()) {
        let lead = recording.leads.iter().find(|lead| lead.name == *name);
        lead.into_iter().flat_map(|lead| &lead.samples).zip(&mut row).for_each(|(from, to)| *to = *from as f32);
    }
    npy::write(path, samples.view())?;
    Ok(names)
}
