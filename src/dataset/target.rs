//! What is predicted, and from which input.
//!
//! A target is a row of data: the study's seven measurements are seven rows, and a label of anyone's own is a further one. Rows are kept once for
//! the whole process, so that a [`Target`] is a number that is copied, compared and matched.

use crate::ecg::Measurements;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, PoisonError, RwLock};

/// What a network predicts: a place in the table of rows. The study's come first, in the order of its tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target(u32);

/// What kind of value is predicted, and with that what the network's outputs mean and how they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// A number in a unit; one output.
    Regression,
    /// Yes or no; one output, the logit of yes.
    Binary,
    /// Several of yes or no, each with a logit of its own.
    MultiLabel,
    /// One of several classes; a logit a class, of which softmax makes probabilities.
    MultiClass,
    /// One class of several, whose logit is one of a softmax's: alone it has no probability.
    Class,
    /// Several outputs that are not all of yes or no.
    Several,
}

/// What is done to the text of a label's column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// It is taken as it is.
    #[default]
    None,
    /// Yes where it is this text, else no.
    Equals(String),
    /// Yes where its number is above this one (kept as it was written), else no.
    Above(String),
}

/// Where in a beat a label shows, if that is known: heatmaps can be held against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Not known, or not one part of the beat.
    #[default]
    Unknown,
    /// P onset to P offset.
    P,
    /// P onset to QRS onset.
    Pr,
    /// QRS onset to QRS offset.
    Qrs,
    /// QRS offset to T end.
    St,
    /// QRS onset to T end.
    Qt,
    /// All that is before QRS onset.
    BeforeQrs,
}

impl Place {
    /// Every place that has a name.
    pub const ALL: [Place; 6] = [Place::P, Place::Pr, Place::Qrs, Place::St, Place::Qt, Place::BeforeQrs];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Place::Unknown => "unknown",
            Place::P => "p",
            Place::Pr => "pr",
            Place::Qrs => "qrs",
            Place::St => "st",
            Place::Qt => "qt",
            Place::BeforeQrs => "before_qrs",
        }
    }
}

/// A row of the table of targets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name on the command line, in tables and in files' names: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The unit of what a network gives: `ms`, `µV`, `bpm`, `logit`, or whatever a label is in; may be empty.
    pub unit: String,
    /// What kind of value it is.
    pub kind: TargetKind,
    /// The column of the table that holds it.
    pub column: String,
    /// What is done to that column.
    pub transform: Transform,
    /// The classes of [`TargetKind::MultiClass`], in the order of the outputs.
    pub classes: Vec<String>,
    /// Where in a beat a label shows.
    pub place: Place,
}

/// A row, and of a network with several outputs those of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    row: Row,
    outputs: Vec<Row>,
}

/// The measurements in their order: name, title, unit, column of `measurements.csv`.
const STUDY_ROWS: [[&str; 4]; 7] = [
    ["pr", "PR interval", "ms", "pr_ms"],
    ["qrs", "QRS duration", "ms", "qrs_ms"],
    ["qt", "QT interval", "ms", "qt_ms"],
    ["r_v5", "R amplitude in V5", "µV", "r_v5_uv"],
    ["j_v5", "J-point in V5", "µV", "j_v5_uv"],
    ["t_v5", "T amplitude in V5", "µV", "t_v5_uv"],
    ["rate", "Ventricular rate", "bpm", "rate_bpm"],
];

static STUDY: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let row = |[name, title, unit, column]: [&str; 4]| Row {
        name: name.into(),
        title: title.into(),
        unit: unit.into(),
        kind: TargetKind::Regression,
        column: column.into(),
        transform: Transform::None,
        classes: Vec::new(),
        place: Place::Unknown,
    };
    STUDY_ROWS.into_iter().map(|fields| Entry { row: row(fields), outputs: Vec::new() }).collect()
});

/// The rows of labels, in the order in which they were met.
static OWN: RwLock<Vec<&'static Entry>> = RwLock::new(Vec::new());
/// Rows of labels that are kept in a process, at most.
const MOST_ROWS: usize = 1 << 16;
/// Letters of a name, at most.
const LONGEST_NAME: usize = 80;
/// Outputs of one network, at most.
pub const MOST_OUTPUTS: usize = 4096;

#[allow(non_upper_case_globals)]
impl Target {
    /// PR interval, P onset to QRS onset, ms.
    pub const Pr: Target = Target(0);
    /// QRS duration, ms.
    pub const Qrs: Target = Target(1);
    /// QT interval, QRS onset to T end, ms.
    pub const Qt: Target = Target(2);
    /// R amplitude in V5, µV.
    pub const RV5: Target = Target(3);
    /// J-point amplitude in V5 (at QRS offset), µV.
    pub const JV5: Target = Target(4);
    /// T amplitude in V5, µV.
    pub const TV5: Target = Target(5);
    /// Ventricular rate, beats per minute.
    pub const Rate: Target = Target(6);
}

impl Target {
    /// The six targets of the study, in its order.
    pub const STUDY: [Target; 6] = [Target::Pr, Target::Qrs, Target::Qt, Target::RV5, Target::JV5, Target::TV5];
    /// Every measurement that a dataset has by itself.
    pub const ALL: [Target; 7] = [Target::Pr, Target::Qrs, Target::Qt, Target::RV5, Target::JV5, Target::TV5, Target::Rate];

    /// The target of a row; equal rows are one target.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that no file could have, for that of a measurement, and for classes where there are none or fewer than two.
    pub fn own(row: Row) -> Result<Self> {
        row.check()?;
        match Target::measurement(&row.name) {
            Some(known) if known.row() == &row => Ok(known),
            Some(_) => Err(Error::Usage(format!("'{}' is a measurement's name: give the label another", row.name))),
            None => Self::kept(Entry { row, outputs: Vec::new() }),
        }
    }

    /// The target of a network that has an output for each of several targets of one output.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than one or too many, one that is there twice, or one of several outputs itself.
    pub fn several(outputs: &[Target]) -> Result<Self> {
        if let [one] = outputs {
            return Ok(*one);
        }
        if outputs.is_empty() || outputs.len() > MOST_OUTPUTS {
            return Err(Error::Usage(format!("{} targets for one network: it takes 1 to {MOST_OUTPUTS}", outputs.len())));
        }
        if let Some(wide) = outputs.iter().find(|target| target.width() != 1) {
            return Err(Error::Usage(format!("'{wide}' has several outputs itself: it needs a network of its own")));
        }
        if let Some((_, twice)) = outputs.iter().enumerate().find(|(at, target)| outputs[..*at].iter().any(|o| o.name() == target.name())) {
            return Err(Error::Usage(format!("target '{twice}' is listed twice")));
        }
        let all = |kind| outputs.iter().all(|target| target.kind() == kind);
        let kind = if all(TargetKind::Binary) { TargetKind::MultiLabel } else { TargetKind::Several };
        let names: Vec<&str> = outputs.iter().map(|target| target.name()).collect();
        let (name, title) = (shortened(names.join("-")), outputs.iter().map(|target| target.title()).collect::<Vec<_>>().join(", "));
        let unit = if outputs.iter().all(|target| target.unit() == outputs[0].unit()) { outputs[0].unit() } else { "" };
        let (column, transform, classes, place) = (String::new(), Transform::None, Vec::new(), Place::Unknown);
        let row = Row { name, title, unit: unit.into(), kind, column, transform, classes, place };
        Self::kept(Entry { row, outputs: outputs.iter().map(|target| target.row().clone()).collect() })
    }

    fn kept(entry: Entry) -> Result<Self> {
        let place = |at: usize| Target((STUDY_ROWS.len() + at) as u32);
        let mut own = OWN.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = own.iter().position(|known| **known == entry) {
            return Ok(place(at));
        }
        if own.len() >= MOST_ROWS {
            return Err(Error::Usage(format!("more than {MOST_ROWS} labels in one run")));
        }
        own.push(Box::leak(Box::new(entry)));
        Ok(place(own.len() - 1))
    }

    fn entry(self) -> &'static Entry {
        match STUDY.get(self.0 as usize) {
            Some(entry) => entry,
            // Only `kept` makes places beyond the measurements, and rows are never taken away.
            None => OWN.read().unwrap_or_else(PoisonError::into_inner)[self.0 as usize - STUDY_ROWS.len()],
        }
    }

    /// Its row.
    pub fn row(self) -> &'static Row {
        &self.entry().row
    }

    /// The measurement of a name.
    pub fn measurement(name: &str) -> Option<Self> {
        Target::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Whether it is one of the measurements that every dataset has, and not a label.
    pub fn is_measurement(self) -> bool {
        (self.0 as usize) < STUDY_ROWS.len()
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        &self.row().name
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        &self.row().title
    }

    /// The unit of what a network gives: `ms`, `µV`, `bpm`, for classes `logit`; that of a label may be empty.
    pub fn unit(self) -> &'static str {
        &self.row().unit
    }

    /// The unit of errors: that of the values, none for probabilities.
    pub fn error_unit(self) -> &'static str {
        if self.kind() == TargetKind::Regression { self.unit() } else { "" }
    }

    /// What kind of value it is.
    pub fn kind(self) -> TargetKind {
        self.row().kind
    }

    /// Whether it is a number, and not a matter of classes.
    pub fn is_regression(self) -> bool {
        self.kind() == TargetKind::Regression
    }

    /// The classes of [`TargetKind::MultiClass`], none for others.
    pub fn classes(self) -> &'static [String] {
        &self.row().classes
    }

    /// How many outputs a network for it has.
    pub fn width(self) -> usize {
        let Entry { row, outputs } = self.entry();
        if row.kind == TargetKind::MultiClass { row.classes.len() } else { outputs.len().max(1) }
    }

    /// The targets that stand in columns of their own: those of several outputs, else this one.
    pub fn columns(self) -> Vec<Target> {
        let outputs = &self.entry().outputs;
        let known = |row: &Row| Target::own(row.clone()).ok();
        if outputs.is_empty() { vec![self] } else { outputs.iter().filter_map(known).collect() }
    }

    /// What each output of a network for it says: the targets of several outputs, the classes of one, else this one.
    ///
    /// # Errors
    /// [`Error::Usage`] when there are more labels in one run than can be kept.
    pub fn outputs(self) -> Result<Vec<Target>> {
        if self.kind() != TargetKind::MultiClass {
            return Ok(self.columns());
        }
        let one = |class: &String| {
            Target::own(Row {
                name: format!("{}_{}", shortened(self.name().into()), file_name(class)),
                title: format!("{}: {class}", self.title()),
                kind: TargetKind::Class,
                transform: Transform::Equals(class.clone()),
                classes: Vec::new(),
                ..self.row().clone()
            })
        };
        self.classes().iter().map(one).collect()
    }

    /// The name of the target of which this is one class, where it is.
    pub fn class_of(self) -> Option<&'static str> {
        match &self.row().transform {
            Transform::Equals(class) if self.kind() == TargetKind::Class => self.name().strip_suffix(&format!("_{}", file_name(class))),
            _ => None,
        }
    }

    /// The number that keys random streams; never changes: the place of a measurement, a checksum of a label's name.
    pub fn index(self) -> u32 {
        if self.is_measurement() { self.0 } else { 1 << 31 | key(self.name()) }
    }

    /// The value in an ECG's measurements, `None` where it was not measurable, and for labels.
    pub fn value(self, m: &Measurements) -> Option<f64> {
        match self {
            Target::Pr => m.pr_ms,
            Target::Qrs => m.qrs_ms,
            Target::Qt => m.qt_ms,
            Target::RV5 => m.r_v5_uv,
            Target::JV5 => m.j_v5_uv,
            Target::TV5 => m.t_v5_uv,
            Target::Rate => m.rate_bpm,
            _ => None,
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo), folded to 31 bits.
fn key(name: &str) -> u32 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    ((hash >> 32) ^ hash) as u32 & 0x7fff_ffff
}

/// A text as part of a file's name.
pub(super) fn file_name(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    shortened(text.trim().chars().map(allowed).collect())
}

/// A name of bearable length; what is cut off is told apart by a checksum.
fn shortened(name: String) -> String {
    const KEPT: usize = 40;
    if name.len() <= KEPT { name } else { format!("{}.{:08x}", name.chars().take(KEPT - 9).collect::<String>(), key(&name)) }
}

impl Row {
    fn check(&self) -> Result<()> {
        let Row { name, title, unit, kind, column, classes, .. } = self;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || !name.chars().all(plain) {
            let what = "a label is called by letters, digits, _ - and ., at most 80";
            return Err(Error::Usage(format!("'{name}' cannot name a target: {what}")));
        }
        if [title, unit, column].iter().any(|text| text.len() > 1000) || classes.len() > MOST_OUTPUTS {
            return Err(Error::Usage(format!("target '{name}': its title, unit or classes are too long")));
        }
        if (*kind == TargetKind::MultiClass) != (classes.len() > 1) {
            return Err(Error::Usage(format!("target '{name}': {} classes", classes.len())));
        }
        match &self.transform {
            Transform::Above(limit) if !limit.parse::<f64>().is_ok_and(f64::is_finite) => {
                Err(Error::Usage(format!("target '{name}': its limit '{limit}' is not a number")))
            }
            _ if matches!(kind, TargetKind::MultiLabel | TargetKind::Several) => {
                Err(Error::Usage(format!("target '{name}' is of several outputs and names none")))
            }
            _ => Ok(()),
        }
    }
}

impl Ord for Target {
    /// The measurements in their order, then labels by name.
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |target: &Target| (target.0 as usize).min(STUDY_ROWS.len());
        rank(self).cmp(&rank(other)).then_with(|| self.name().cmp(other.name())).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A target as it lies in files: a measurement by its name or place, a label with its whole row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Pr,
    Qrs,
    Qt,
    RV5,
    JV5,
    TV5,
    Rate,
    Label(Box<Entry>),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let stored = match *self {
            Target::Pr => Stored::Pr,
            Target::Qrs => Stored::Qrs,
            Target::Qt => Stored::Qt,
            Target::RV5 => Stored::RV5,
            Target::JV5 => Stored::JV5,
            Target::TV5 => Stored::TV5,
            Target::Rate => Stored::Rate,
            own => Stored::Label(Box::new(own.entry().clone())),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let own = |entry: Entry| {
            if entry.outputs.is_empty() {
                return Target::own(entry.row);
            }
            let outputs = entry.outputs.iter().map(|row| Target::own(row.clone())).collect::<Result<Vec<_>>>()?;
            let target = Target::several(&outputs)?;
            if target.entry() == &entry { Ok(target) } else { Err(Error::Usage("a target of several outputs contradicts them".into())) }
        };
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Pr => Target::Pr,
            Stored::Qrs => Target::Qrs,
            Stored::Qt => Target::Qt,
            Stored::RV5 => Target::RV5,
            Stored::JV5 => Target::JV5,
            Stored::TV5 => Target::TV5,
            Stored::Rate => Target::Rate,
            Stored::Label(entry) => own(*entry).map_err(serde::de::Error::custom)?,
        })
    }
}

impl FromStr for Target {
    type Err = Error;

    /// A measurement by its name. Labels come from a table: [`Labels::define`](super::Labels::define).
    fn from_str(text: &str) -> Result<Self> {
        Target::measurement(text).ok_or_else(|| {
            let known = Target::ALL.map(Target::name).join(" ");
            Error::Usage(format!("unknown target '{text}': the measurements are {known}; a label of your own comes with --labels Y.csv"))
        })
    }
}

/// What a network looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// The median beat, 12 × 600 samples at 500 Hz, µV.
    Median,
    /// The 10-s recording, 12 × 5000 samples at 500 Hz, µV.
    Rhythm,
}

impl InputKind {
    /// Samples per lead.
    pub fn samples(self) -> usize {
        match self {
            InputKind::Median => 600,
            InputKind::Rhythm => 5000,
        }
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            InputKind::Median => "median",
            InputKind::Rhythm => "rhythm",
        }
    }
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InputKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [InputKind::Median, InputKind::Rhythm]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| Error::Usage(format!("unknown input '{text}': the inputs are median (12 × 600) and rhythm (12 × 5000)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> Row {
        let (kind, column) = (TargetKind::Binary, name.into());
        let (transform, classes, place) = (Transform::None, Vec::new(), Place::Unknown);
        Row { name: name.into(), title: name.into(), unit: "logit".into(), kind, column, transform, classes, place }
    }

    #[test]
    fn the_measurements_lie_in_files_as_ever() {
        let config = bincode::config::standard().with_fixed_int_encoding();
        for (place, target) in Target::ALL.into_iter().enumerate() {
            assert_eq!((target.index(), target.is_measurement()), (place as u32, true));
            let bytes = bincode::serde::encode_to_vec(target, config).unwrap();
            assert_eq!(bytes, (place as u32).to_le_bytes());
        }
        assert_eq!(format!("{} {}", Target::RV5, Target::RV5.unit()), "r_v5 µV");
        assert!("age".parse::<Target>().unwrap_err().to_string().contains("--labels"));
    }

    #[test]
    fn labels_come_back_with_their_rows_and_order_by_name() {
        let (b, a) = (Target::own(label("b_own")).unwrap(), Target::own(label("a_own")).unwrap());
        assert_eq!(Target::own(label("b_own")).unwrap(), b);
        assert!(Target::Rate < a && a < b && a.index() != b.index() && a.index() >= 1 << 31);
        let both = Target::several(&[b, Target::Pr, a]).unwrap();
        assert_eq!((both.width(), both.kind(), both.columns()), (3, TargetKind::Several, vec![b, Target::Pr, a]));
        assert_eq!(Target::several(&[b, a]).unwrap().kind(), TargetKind::MultiLabel);
        let config = bincode::config::standard().with_fixed_int_encoding();
        for target in [a, both, Target::Qt] {
            let bytes = bincode::serde::encode_to_vec(target, config).unwrap();
            assert_eq!(bincode::serde::decode_from_slice::<Target, _>(&bytes, config).unwrap(), (target, bytes.len()));
        }
    }

    #[test]
    fn rows_that_no_table_or_file_could_have_are_refused() {
        for name in ["", "a/b", "..", "pr", "a b", &"x".repeat(81)] {
            assert_eq!(Target::own(label(name)).unwrap_err().exit_code(), 2, "{name}");
        }
        let lonely = Row { kind: TargetKind::MultiClass, classes: vec!["x".into()], ..label("rhythm") };
        assert!(Target::own(lonely).is_err());
        let a = Target::own(label("a_own")).unwrap();
        assert!(Target::several(&[a, a]).unwrap_err().to_string().contains("twice"));
        let classes = Row { kind: TargetKind::MultiClass, classes: vec!["x y".into(), "z".into()], ..label("rhythm") };
        let rhythm = Target::own(classes).unwrap();
        assert_eq!((rhythm.width(), rhythm.columns().len()), (2, 1));
        assert_eq!(rhythm.outputs().unwrap()[0].name(), "rhythm_x_y");
        assert!(Target::several(&[a, rhythm]).is_err());
    }
}
