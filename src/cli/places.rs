//! What a command reads and what it writes, looked at before any work: every output can be written, and none replaces what the command reads.

use super::Command;
use super::provenance::Recorded;
use crate::atomic::{AtomicFile, can_write_in};
use crate::audit::provenance::{Record, record_of};
use crate::dataset::Manifest;
use crate::dataset::folder::MANIFEST;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Endings that stand for one format each, in which nobody looks for another.
const FORMATS: [&str; 24] = [
    "npy",
    "npz",
    "csv",
    "tsv",
    "json",
    "html",
    "png",
    "svg",
    "pdf",
    "jpg",
    "md",
    "onnx",
    "pt",
    "pth",
    "safetensors",
    "cgm",
    "hea",
    "xlsx",
    "parquet",
    "h5",
    "hdf5",
    "mat",
    "xml",
    "edf",
];

/// Somewhere a command writes to.
pub(super) enum Output {
    /// A file, replaced if it is there, and the endings of the formats in which it is written; none where another place tells.
    File(PathBuf, &'static [&'static str]),
    /// A folder that the command makes.
    NewFolder(PathBuf),
    /// A folder that may be there; of its files, those whose names are known ahead.
    Folder(PathBuf, Vec<String>),
}

/// The files and folders that a command reads, and where it writes.
#[derive(Default)]
pub(super) struct Places {
    pub reads: Vec<PathBuf>,
    pub writes: Vec<Output>,
}

impl Command {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        match self {
            #[cfg(feature = "cli")]
            Command::Study(args) => Places::recorded(args, |path| Output::Folder(path, Vec::new())),
            #[cfg(feature = "cli")]
            Command::Plan(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Merge(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Bench(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Generate(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Measure(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Import(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Train(args) => args.places(),
            Command::Predict(args) => Places::recorded(args, |path| Output::File(path, &["npy"])),
            Command::Explain(args) => Places::recorded(args, |path| Output::File(path, &["npz", "html", "png", "svg", "pdf"])),
            #[cfg(feature = "cli")]
            Command::Trace(args) => Places::recorded(args, Output::NewFolder),
            #[cfg(feature = "cli")]
            Command::Perturb(args) => Places::recorded(args, Output::NewFolder),
            #[cfg(feature = "cli")]
            Command::Audit(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Challenge(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Convert(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Export(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Render(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Report(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Survey(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Models(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Evaluate(args) => args.places(),
            #[cfg(feature = "cli")]
            Command::Run(_) | Command::Status(_) => Places::default(),
            Command::Verify(_) | Command::Inspect(_) => Places::default(),
        }
    }
}

impl Places {
    /// Those of a command with one output, or none, and its record.
    pub fn recorded<A: Recorded>(args: &A, output: impl FnOnce(PathBuf) -> Output) -> Self {
        let mut args = args.clone();
        let files = args.files();
        let reads = files.inputs.iter().map(|(_, input)| input.path()).collect();
        let Some(path) = files.output.map(|path| path.clone()) else { return Places { reads, writes: Vec::new() } };
        let (record, output) = (record_of(&path), output(path));
        let beside = matches!(output, Output::File(..)).then_some(Output::File(record, &[]));
        Places { reads, writes: std::iter::once(output).chain(beside).collect() }
    }

    /// Checks all of it, before the work.
    ///
    /// # Errors
    /// [`Error::Usage`] if an output is an input, or would replace a file of an input that is a folder, or two outputs are one;
    /// [`Error::Io`] if one cannot be written: no folder, no right to write there, a folder of that name.
    pub fn check(&self) -> Result<()> {
        let mut seen: Vec<PathBuf> = Vec::new();
        for output in &self.writes {
            self.keeps_inputs(output)?;
            let place = place(output.path());
            if seen.contains(&place) {
                return Err(Error::Usage(format!("{} is named for two outputs: choose another name for one", output.path().display())));
            }
            seen.push(place);
            output.can_be_written()?;
        }
        self.writes.iter().try_for_each(Output::is_what_it_says)
    }

    /// Refuses an output that replaces what is read.
    fn keeps_inputs(&self, output: &Output) -> Result<()> {
        for input in self.reads.iter().filter(|input| input.exists()) {
            for file in output.files() {
                if same(input, &file) {
                    let text = format!("the output {} is the input {}, which it would replace", file.display(), input.display());
                    return Err(Error::Usage(format!("{text}: choose another name")));
                }
            }
            // The arrays of a dataset stand for one another: who reads one does not mean to replace the next.
            let beside = input.parent().filter(|folder| folder.join(MANIFEST).exists());
            let Some(folder) = Some(input.as_path()).filter(|input| input.is_dir()).or(beside) else { continue };
            if let Some(file) = output.replaces_in(folder) {
                let text = format!("the output {} would replace a part of {}, which is read", file.display(), folder.display());
                return Err(Error::Usage(format!("{text}: choose another name")));
            }
        }
        Ok(())
    }
}

impl Output {
    fn path(&self) -> &Path {
        match self {
            Output::File(path, _) | Output::NewFolder(path) | Output::Folder(path, _) => path,
        }
    }

    /// Refuses a name that promises another format: NumPy's array in a `.csv` misleads whoever opens it. Names without an ending, or with one that stands
    /// for no format, are the user's.
    fn is_what_it_says(&self) -> Result<()> {
        let Output::File(path, formats) = self else { return Ok(()) };
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if formats.is_empty() || formats.contains(&ending.as_str()) || !FORMATS.contains(&ending.as_str()) {
            return Ok(());
        }
        Err(Error::Usage(format!("{}: it is written as .{}, not as .{ending}: choose another name", path.display(), formats.join(", ."))))
    }

    /// The files that are known to be written.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Output::File(path, _) => vec![path.clone()],
            // What is there already is not replaced but refused.
            Output::NewFolder(_) => Vec::new(),
            Output::Folder(path, names) => names.iter().map(|name| path.join(name)).collect(),
        }
    }

    /// What this would replace of what belongs to a folder: of a dataset or recorded results the files that they name, else whatever is there.
    fn replaces_in(&self, folder: &Path) -> Option<PathBuf> {
        if matches!(self, Output::NewFolder(_)) || !self.path().exists() {
            return None;
        }
        let within = place(self.path()).strip_prefix(folder.canonicalize().ok()?).ok()?.to_owned();
        let own = match (Manifest::read(folder), Record::find(folder)) {
            (Ok(manifest), _) => manifest.digests.into_keys().map(PathBuf::from).chain([MANIFEST.into()]).collect(),
            (_, Ok(Some(record))) => {
                record.outputs.into_iter().map(|output| output.path).chain(record_of(folder).file_name().map(PathBuf::from)).collect()
            }
            _ => vec![within.clone()],
        };
        let is_file = matches!(self, Output::File(..));
        let meets = |own: &PathBuf| within.starts_with(own) || !is_file && own.starts_with(&within);
        own.iter().any(meets).then(|| self.path().to_owned())
    }

    /// Finds out whether it can be written, by an attempt that leaves nothing.
    fn can_be_written(&self) -> Result<()> {
        match self {
            Output::File(path, _) => AtomicFile::create(path).map(drop),
            Output::NewFolder(path) if path.exists() => Ok(()),
            Output::NewFolder(path) | Output::Folder(path, _) => {
                let there = path.ancestors().find(|folder| folder.exists()).filter(|folder| !folder.as_os_str().is_empty());
                let there = there.unwrap_or(Path::new("."));
                if !there.is_dir() {
                    let text = format!("{} is not a folder", there.display());
                    return Err(Error::io(path, std::io::Error::new(std::io::ErrorKind::NotADirectory, text)));
                }
                match can_write_in(there) {
                    Err(Error::Io { source, .. }) => Err(Error::io(path, source)),
                    attempt => attempt,
                }
            }
        }
    }
}

/// Where a name leads that need not be there yet.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// Whether two names are those of one file: through links of either kind, where the system tells.
fn same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| std::fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
        identity(a).is_some_and(|found| identity(b) == Some(found))
    }
    #[cfg(not(unix))]
    {
        a.canonicalize().is_ok_and(|found| b.canonicalize().is_ok_and(|other| found == other))
    }
}
