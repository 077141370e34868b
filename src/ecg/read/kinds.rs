//! The kinds of file that are read: a row each. A kind is known by its first bytes, or, where those say nothing, by the extension.

use super::arrays::{open_npy, open_npz};
use super::{
    Given, Recording, aecg, cardiosoft, columns, dicom, edf, hdf5, ishne, matlab, mortara, muse, osf, parquet, philips, schiller, scp,
    wfdb, xml,
};
use crate::{Result, intake};
use std::path::Path;

/// Recordings of one file that holds many, read one by one and from any thread.
pub trait Recordings: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file's own id of a recording, where it has one; else the file's name with `:ROW` stands for it.
    fn id(&self, _index: usize) -> Option<String> {
        None
    }

    /// Reads one; its id is set by whoever asks.
    ///
    /// # Errors
    /// As the reader of its kind.
    fn read(&self, index: usize) -> Result<Recording>;
}

/// How a kind is read.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// One recording a file.
    One(fn(&Path, &Given) -> Result<Recording>),
    /// Any number of recordings a file.
    Many(fn(&Path, &Given) -> Result<Box<dyn Recordings>>),
}

/// When a file of a folder is taken for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFolders {
    /// Always.
    Yes,
    /// Where nothing else is: tables beside recordings are labels.
    Alone,
    /// Never: what else lies in folders under that extension is more often no recording.
    No,
}

/// A kind of file.
pub struct Kind {
    /// What it is called.
    pub(super) name: &'static str,
    /// Extensions, small letters.
    pub(super) extensions: &'static [&'static str],
    /// Whether a file that begins so is one, without doubt.
    pub(super) sniff: fn(&Start) -> bool,
    pub(super) reader: Reader,
    pub(super) folders: InFolders,
}

use InFolders::{Alone, No, Yes};
use Reader::{Many, One};

/// The kinds, by which of several names is tried first. **A new reader is a row here.**
pub(super) static KINDS: &[Kind] = &[
    Kind { name: "WFDB records", extensions: &["hea"], sniff: |_| false, reader: One(|path, _| wfdb::read(path)), folders: Yes },
    Kind {
        name: "MUSE XML",
        extensions: &["xml"],
        sniff: |start| start.root() == "RestingECG",
        reader: One(|path, _| muse::read(path)),
        folders: Yes,
    },
    Kind { name: "OSF .asc", extensions: &["asc"], sniff: |_| false, reader: One(|path, _| osf::read_asc(path)), folders: Yes },
    Kind { name: "CSV", extensions: &["csv", "tsv"], sniff: |_| false, reader: One(columns::read), folders: Alone },
    Kind {
        name: "NumPy arrays",
        extensions: &["npy"],
        sniff: |start| start.bytes.starts_with(b"\x93NUMPY"),
        reader: Many(open_npy),
        folders: No,
    },
    Kind { name: "NumPy archives", extensions: &["npz"], sniff: |_| false, reader: Many(open_npz), folders: No },
    Kind {
        name: "HL7 aECG",
        extensions: &["xml"],
        sniff: |start| start.root() == "AnnotatedECG",
        reader: One(|path, _| aecg::read(path)),
        folders: Yes,
    },
    Kind {
        name: "Philips XML",
        extensions: &["xml"],
        sniff: |start| ["restingecgdata", "restingECG"].contains(&start.root()),
        reader: One(|path, _| philips::read(path)),
        folders: Yes,
    },
    Kind {
        name: "CardioSoft XML",
        extensions: &["xml"],
        sniff: |start| start.root() == "CardiologyXML",
        reader: One(|path, _| cardiosoft::read(path)),
        folders: Yes,
    },
    Kind {
        name: "Mortara XML",
        extensions: &["xml"],
        sniff: |start| start.root() == "ECG",
        reader: One(|path, _| mortara::read(path)),
        folders: Yes,
    },
    Kind {
        name: "Schiller XML",
        extensions: &["xml"],
        sniff: |start| schiller::is_root(start.root()),
        reader: One(|path, _| schiller::read(path)),
        folders: Yes,
    },
    Kind { name: "text columns", extensions: &["txt"], sniff: |_| false, reader: One(columns::read), folders: No },
    Kind { name: "EDF", extensions: &["edf", "bdf"], sniff: |start| edf::is_edf(&start.bytes), reader: One(edf::read), folders: Yes },
    Kind {
        name: "DICOM waveforms",
        extensions: &["dcm", "dicom"],
        sniff: |start| dicom::is_dicom(&start.bytes),
        reader: One(|path, _| dicom::read(path)),
        folders: Yes,
    },
    Kind {
        name: "SCP-ECG",
        extensions: &["scp"],
        sniff: |start| scp::is_scp(&start.bytes),
        reader: One(|path, _| scp::read(path)),
        folders: Yes,
    },
    Kind {
        name: "ISHNE",
        extensions: &["ecg", "ishne"],
        sniff: |start| ishne::is_ishne(&start.bytes),
        reader: One(|path, _| ishne::read(path)),
        folders: Yes,
    },
    Kind { name: "MATLAB", extensions: &["mat"], sniff: |start| matlab::is_level5(&start.bytes), reader: Many(matlab::open), folders: Yes },
    Kind {
        name: "HDF5",
        extensions: &["h5", "hdf5", "hdf", "he5"],
        sniff: |start| hdf5::is_hdf5(&start.bytes),
        reader: Many(hdf5::open),
        folders: Alone,
    },
    Kind {
        name: "Parquet",
        extensions: &["parquet", "pq"],
        sniff: |start| parquet::is_parquet(&start.bytes),
        reader: Many(parquet::open),
        folders: Alone,
    },
    // Last of the XML kinds: says which root elements are known.
    Kind { name: "XML", extensions: &["xml"], sniff: |_| false, reader: One(|path, _| xml::refuse(path)), folders: Yes },
];

impl Kind {
    /// The kind of a file: by its first bytes, else by its extension; `None` where neither says anything.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); [`Error::Format`](crate::Error::Format) for what is no plain file.
    pub fn of(path: &Path) -> Result<Option<&'static Kind>> {
        let named = Self::by_extension(path);
        let start = Start::of(path)?;
        let by_start = |kind: &&&'static Kind| (kind.sniff)(&start);
        // A file that begins as several kinds do is what its name says.
        let found = named.iter().find(by_start).copied().or_else(|| KINDS.iter().find(|kind| (kind.sniff)(&start)));
        Ok(found.or_else(|| named.last().copied()))
    }

    /// The kinds that have a file's extension.
    pub(super) fn by_extension(path: &Path) -> Vec<&'static Kind> {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_lowercase();
        KINDS.iter().filter(|kind| kind.extensions.contains(&end.as_str())).collect()
    }

    /// The kind's name, for people.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// All extensions, for messages: `.hea .xml …`.
    pub(super) fn extensions() -> String {
        let all: Vec<String> = KINDS.iter().flat_map(|kind| kind.extensions).map(|end| format!(".{end}")).collect();
        all.join(" ")
    }
}

/// How a file begins.
pub struct Start {
    /// Its first bytes, at most [`Start::LENGTH`]; of a packed text those of the text.
    pub bytes: Vec<u8>,
    root: String,
}

impl Start {
    /// Bytes that are looked at.
    pub const LENGTH: u64 = 4096;

    fn of(path: &Path) -> Result<Self> {
        let bytes = xml::unpacked_start(intake::start(path, Self::LENGTH)?);
        let root = xml::root_of(&bytes);
        Ok(Start { bytes, root })
    }

    /// The name of the root element where it is XML, else empty.
    pub fn root(&self) -> &str {
        &self.root
    }
}
