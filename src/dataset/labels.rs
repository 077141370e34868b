//! Labels of anyone's own: a table of columns beside a dataset, a text an ECG, empty where it is missing.

use super::target::{Place, Row, Target, TargetKind, Transform, file_name};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// Classes that a column of texts may have, at most.
const MOST_CLASSES: usize = 1000;

/// The columns of a table of labels, in the order of a dataset's ECGs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    ecgs: usize,
    columns: Vec<(String, Vec<Box<str>>)>,
    /// The digest of the table that they come from; empty for labels in memory.
    pub(super) digest: String,
    /// ECGs of the dataset that the table does not name.
    pub(super) absent: usize,
    /// Names in the table that no ECG of the dataset has.
    pub(super) unknown: Vec<String>,
}

impl Labels {
    /// Labels of so many ECGs: names of columns and their texts, one an ECG.
    ///
    /// # Errors
    /// [`Error::Data`] for columns of another length, or two of one name.
    pub fn new(ecgs: usize, columns: Vec<(String, Vec<String>)>) -> Result<Self> {
        for (at, (name, texts)) in columns.iter().enumerate() {
            if texts.len() != ecgs {
                return Err(Error::Data(format!("label '{name}' has {} values for {ecgs} ECGs", texts.len())));
            }
            if columns[..at].iter().any(|(other, _)| other == name) {
                return Err(Error::Data(format!("two labels are called '{name}'")));
            }
        }
        let boxed = |texts: Vec<String>| texts.into_iter().map(|text| text.trim().into()).collect();
        let columns = columns.into_iter().map(|(name, texts)| (name, boxed(texts))).collect();
        Ok(Labels { ecgs, columns, ..Labels::default() })
    }

    /// ECGs.
    pub fn len(&self) -> usize {
        self.ecgs
    }

    /// Whether there is no ECG.
    pub fn is_empty(&self) -> bool {
        self.ecgs == 0
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// ECGs of the dataset that the table has no row for.
    pub fn absent(&self) -> usize {
        self.absent
    }

    /// Names in the table that no ECG of the dataset has, which were passed over.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    fn find(&self, column: &str) -> Option<&[Box<str>]> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, texts)| texts.as_slice())
    }

    /// The texts of a column, one an ECG, empty where it is missing.
    ///
    /// # Errors
    /// [`Error::Usage`] listing the columns if it is none of them.
    pub fn column(&self, name: &str) -> Result<&[Box<str>]> {
        self.find(name).ok_or_else(|| {
            let all: Vec<&str> = self.names().take(40).collect();
            let more = if self.columns.len() > all.len() { ", …" } else { "" };
            Error::Usage(format!("the labels have no column '{name}': they have {}{more}", all.join(", ")))
        })
    }

    /// The value of a label in ECG `ecg`: a number, 0 or 1 for no and yes, the place of a class; `None` where it is missing.
    pub fn value(&self, ecg: usize, target: Target) -> Option<f64> {
        let text = self.find(&target.row().column)?.get(ecg)?;
        read(text, target.row()).ok().flatten()
    }

    /// Refuses a column in which something stands that is no value of a label.
    ///
    /// # Errors
    /// [`Error::Usage`] for a column that is not there; [`Error::Data`] naming the first text that is no value.
    pub fn check(&self, target: Target) -> Result<()> {
        for one in target.columns().into_iter().filter(|one| !one.is_measurement()) {
            let texts = self.column(&one.row().column)?;
            if let Some((ecg, problem)) = texts.iter().enumerate().find_map(|(ecg, text)| Some((ecg, read(text, one.row()).err()?))) {
                let what = format!("label '{one}', ECG {ecg} of the dataset: {problem} (a missing value is an empty field)");
                return Err(Error::Data(what));
            }
        }
        Ok(())
    }

    /// The target that a request stands for: a column, `COLUMN=TEXT` (yes where it is that text) or `COLUMN>NUMBER`, before it `NAME:` to call it
    /// otherwise, behind a column of numbers `[UNIT]`, last `@PLACE` ([`Place`]) where in a beat it shows. `kind` is [`TargetKind::Regression`], [`TargetKind::Binary`] or [`TargetKind::MultiClass`];
    /// without it the column's contents decide: only 0 and 1 (or yes and no) are of two classes, other numbers are numbers, texts are classes.
    ///
    /// # Errors
    /// [`Error::Usage`] for a column that is not there, a name that is a measurement's, a kind that its contents are not of; as [`Labels::check`].
    pub fn define(&self, request: &str, kind: Option<TargetKind>) -> Result<Target> {
        let asked = Request::parse(request, |name| self.find(name).is_some());
        let texts = self.column(&asked.column)?;
        let kind = match (&asked.transform, kind) {
            (Transform::None, Some(kind)) => kind,
            (Transform::None, None) => contents(&asked.column, texts)?,
            (_, None | Some(TargetKind::Binary)) => TargetKind::Binary,
            _ => return Err(Error::Usage(format!("'{request}' is a matter of yes or no: --loss bce, or none named"))),
        };
        if asked.unit.is_some() && kind != TargetKind::Regression {
            return Err(Error::Usage(format!("'{request}': only numbers have a unit")));
        }
        let classes = if kind == TargetKind::MultiClass { classes(&asked.column, texts)? } else { Vec::new() };
        let unit = if kind == TargetKind::Regression { asked.unit.unwrap_or_default() } else { "logit".into() };
        let target = Target::own(Row {
            name: asked.name,
            title: asked.title,
            unit,
            kind,
            column: asked.column,
            transform: asked.transform,
            classes,
            place: asked.place,
        })?;
        self.check(target)?;
        if (0..self.ecgs).all(|ecg| self.value(ecg, target).is_none()) {
            return Err(Error::Data(format!("label '{target}': every ECG of the dataset lacks it")));
        }
        Ok(target)
    }
}

/// A request for a label, taken apart.
struct Request {
    name: String,
    title: String,
    column: String,
    transform: Transform,
    unit: Option<String>,
    place: Place,
}

impl Request {
    /// A text that is a column's name is that column, whatever signs are in it.
    fn parse(text: &str, is_column: impl Fn(&str) -> bool) -> Self {
        let text = text.trim();
        let place = |text: &str| Place::ALL.into_iter().find(|place| place.name() == text);
        let (text, place) = match text.rsplit_once('@').and_then(|(rest, name)| Some((rest.trim(), place(name.trim())?))) {
            Some((rest, place)) if !is_column(text) => (rest, place),
            _ => (text, Place::Unknown),
        };
        let (named, rest) = match text.split_once(':') {
            Some((name, rest)) if !is_column(text) => (Some(name.trim()), rest.trim()),
            _ => (None, text),
        };
        let whole = |column: &str, transform, unit| (file_name(column), column.to_owned(), column.to_owned(), transform, unit);
        let (name, title, column, transform, unit) = if is_column(rest) {
            whole(rest, Transform::None, None)
        } else if let Some((column, value)) = rest.split_once('=') {
            let (column, value) = (column.trim(), value.trim());
            let plain = value.starts_with(|c: char| c.is_ascii_alphabetic());
            let name = if plain { file_name(value) } else { file_name(&format!("{column}_{value}")) };
            (name, format!("{column} is {value}"), column.to_owned(), Transform::Equals(value.to_owned()), None)
        } else if let Some((column, limit)) = rest.split_once('>') {
            let (column, limit) = (column.trim(), limit.trim());
            let name = file_name(&format!("{column}_above_{limit}"));
            (name, format!("{column} > {limit}"), column.to_owned(), Transform::Above(limit.to_owned()), None)
        } else {
            match rest.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
                Some((column, unit)) => whole(column.trim(), Transform::None, Some(unit.trim().to_owned())),
                None => whole(rest, Transform::None, None),
            }
        };
        match named {
            Some(named) => Request { name: named.to_owned(), title: named.to_owned(), column, transform, unit, place },
            None => Request { name, title, column, transform, unit, place },
        }
    }
}

/// A number that f32, in which networks compute, can hold.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| (*value as f32).is_finite())
}

fn yes_or_no(text: &str) -> Option<f64> {
    let is = |all: &[&str]| all.iter().any(|other| text.eq_ignore_ascii_case(other));
    match number(text) {
        Some(value) => (value == 0.0 || value == 1.0).then_some(value),
        None if is(&["yes", "true"]) => Some(1.0),
        None => is(&["no", "false"]).then_some(0.0),
    }
}

/// The value of a text by a row; `None` where it is missing.
fn read(text: &str, row: &Row) -> std::result::Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if is_no_number(text) {
        return Err(format!("'{text}' is no value"));
    }
    let found = match (&row.transform, row.kind) {
        (Transform::Equals(wanted), _) => Some(f64::from(u8::from(text == wanted))),
        (Transform::Above(limit), _) => number(text).zip(number(limit)).map(|(value, limit)| f64::from(u8::from(value > limit))),
        (Transform::None, TargetKind::Binary) => yes_or_no(text),
        (Transform::None, TargetKind::MultiClass) => row.classes.iter().position(|class| class == text).map(|at| at as f64),
        (Transform::None, _) => number(text),
    };
    let wanted = || match (&row.transform, row.kind) {
        (Transform::None, TargetKind::Binary) => "neither 0 nor 1".to_owned(),
        (Transform::None, TargetKind::MultiClass) => format!("none of its classes {}", row.classes.join(", ")),
        _ => "not a number".to_owned(),
    };
    found.map(Some).ok_or_else(|| format!("'{text}' is {}", wanted()))
}

/// Whether a text is what programs write where a number should have been (`nan`, `-inf`): neither a number nor the name of a class.
fn is_no_number(text: &str) -> bool {
    text.parse().is_ok_and(|value: f64| !value.is_finite()) && !text.starts_with(|first: char| first.is_ascii_digit())
}

/// What a column's texts are by themselves.
///
/// # Errors
/// [`Error::Usage`] where some are numbers and some are not: one text among numbers would make classes of all of them.
fn contents(column: &str, texts: &[Box<str>]) -> Result<TargetKind> {
    let there = || texts.iter().enumerate().filter(|(_, text)| !text.is_empty());
    if there().all(|(_, text)| yes_or_no(text).is_some()) {
        return Ok(TargetKind::Binary);
    }
    match (there().find(|(_, text)| number(text).is_none()), there().find(|(_, text)| number(text).is_some())) {
        (None, _) => Ok(TargetKind::Regression),
        (Some(_), None) => Ok(TargetKind::MultiClass),
        (Some((ecg, text)), Some((_, number))) => {
            let found = format!("column '{column}' has numbers ('{number}') and texts ('{text}', ECG {ecg} of the dataset)");
            let ask = "--loss cross_entropy takes each as a class; of numbers a missing one is an empty field";
            Err(Error::Usage(format!("{found}: {ask}")))
        }
    }
}

/// The classes of a column: numbers in their order, else texts in theirs.
fn classes(column: &str, texts: &[Box<str>]) -> Result<Vec<String>> {
    let all: BTreeSet<&str> = texts.iter().map(|text| &**text).filter(|text| !text.is_empty()).collect();
    if !(2..=MOST_CLASSES).contains(&all.len()) {
        let what = format!("column '{column}' has {} different texts: 2 to {MOST_CLASSES} classes can be told apart", all.len());
        return Err(Error::Usage(what));
    }
    let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    if all.iter().all(|text| number(text).is_some()) {
        all.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    Ok(all)
}

#[cfg(feature = "files")]
mod file {
    use super::Labels;
    use crate::files::digest::sha256;
    use crate::intake::{self, Most};
    use crate::{Error, Result};
    use std::collections::HashMap;
    use std::path::Path;

    /// A table of a hundred labels of half a million ECGs takes 200 MB.
    const LARGEST: Most = Most { bytes: 1 << 28, of: "a table of labels" };
    /// Columns of a table, at most.
    const MOST_COLUMNS: usize = 4096;
    /// Names that a refusal lists.
    const LISTED: usize = 5;

    impl Labels {
        /// Reads a table with a column `id` and brings its rows into the order of a dataset's ids.
        ///
        /// # Errors
        /// [`Error::Io`]; [`Error::Format`] for what is no such table, two rows of one id, and, unless `pass_over`, ids that the dataset has not.
        pub fn read(path: &Path, ids: &[&str], pass_over: bool) -> Result<Self> {
            let bytes = intake::read(path, LARGEST)?;
            let mut labels = Self::parse(path, &bytes, ids, pass_over)?;
            labels.digest = sha256(&bytes);
            Ok(labels)
        }

        fn parse(path: &Path, bytes: &[u8], ids: &[&str], pass_over: bool) -> Result<Self> {
            let bad = |problem: String| Error::format(path, problem);
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
            let header = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
            if header.len() > MOST_COLUMNS {
                return Err(bad(format!("{} columns: at most {MOST_COLUMNS} are read", header.len())));
            }
            let id = header.iter().position(|name| name == "id").ok_or_else(|| bad("it has no column 'id'".into()))?;
            if let Some((at, name)) = header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|other| other == *name)) {
                return Err(bad(format!("the column '{name}' is there twice, the second time as column {}", at + 1)));
            }
            let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
            let mut seen = vec![0usize; ids.len()];
            let mut columns: Vec<(usize, Vec<Box<str>>)> =
                (0..header.len()).filter(|at| *at != id).map(|at| (at, vec![Box::default(); ids.len()])).collect();
            let mut unknown = Vec::new();
            for (number, row) in reader.records().enumerate() {
                let row = row.map_err(|error| bad(error.to_string()))?;
                let Some(&place) = places.get(&row[id]) else {
                    unknown.push(row[id].to_owned());
                    continue;
                };
                if seen[place] > 0 {
                    return Err(bad(format!("rows {} and {} have the same id '{}'", seen[place], number + 1, &row[id])));
                }
                seen[place] = number + 1;
                columns.iter_mut().for_each(|(at, texts)| texts[place] = row[*at].into());
            }
            let absent = seen.iter().filter(|row| **row == 0).count();
            if !pass_over && !unknown.is_empty() {
                let first = unknown.iter().take(LISTED).map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
                let example = ids.first().map_or(String::new(), |id| format!("; its first id is '{id}'"));
                let count = unknown.len();
                let more = if count > LISTED { ", …" } else { "" };
                return Err(bad(format!("{count} ids are not in the dataset: {first}{more}{example}. --pass-unknown-ids leaves them out")));
            }
            if absent == ids.len() {
                return Err(bad("it has no row for any ECG of the dataset".into()));
            }
            let columns = columns.into_iter().map(|(at, texts)| (header[at].to_owned(), texts)).collect();
            Ok(Labels { ecgs: ids.len(), columns, digest: String::new(), absent, unknown })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn rows_find_their_ecgs_and_what_fits_none_is_refused() {
            let read = |text: &str, pass| Labels::parse(Path::new("y.csv"), text.as_bytes(), &["a", "b", "c"], pass);
            let labels = read("\u{feff}id,age\nc,61\na, 40 \n", false).unwrap();
            assert_eq!(labels.column("age").unwrap().iter().map(|text| &**text).collect::<Vec<_>>(), ["40", "", "61"]);
            assert_eq!(labels.absent(), 1);
            for (text, hint) in [
                ("age\n1\n", "no column 'id'"),
                ("id,age,age\n", "'age' is there twice"),
                ("id,age\na,1\na,2\n", "rows 1 and 2 have the same id 'a'"),
                ("id,age\na,1\nz,2\n", "1 ids are not in the dataset: 'z'"),
                ("id,age\na\n", "y.csv"),
                ("id,age\n", "no row for any ECG"),
                ("", "no column 'id'"),
            ] {
                let error = read(text, false).unwrap_err().to_string();
                assert!(error.contains(hint) && !error.contains('\n'), "{error}");
            }
            assert_eq!(read("id,age\na,1\nz,2\n", true).unwrap().unknown(), ["z"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let column = |name: &str, texts: [&str; 4]| (name.to_owned(), texts.map(str::to_owned).to_vec());
        let columns = vec![
            column("age", ["40", "61.5", "", "33"]),
            column("lbbb", ["0", "1", "", "1"]),
            column("kind", ["lbbb", "usual", "lbbb", "stemi"]),
            column("odd", ["1", "x", "2", ""]),
            column("grade", ["10", "2", "2", "10"]),
            column("none", ["", "", "", ""]),
            column("qrs", ["1", "2", "3", "4"]),
        ];
        Labels::new(4, columns).unwrap()
    }

    #[test]
    fn contents_and_requests_decide_what_a_label_is() {
        let labels = labels();
        let of = |request: &str, kind| {
            let target = labels.define(request, kind).unwrap();
            (target.name(), target.unit(), target.kind(), (0..4).map(|ecg| labels.value(ecg, target)).collect::<Vec<_>>())
        };
        use TargetKind::*;
        assert_eq!(of("age", None), ("age", "", Regression, vec![Some(40.0), Some(61.5), None, Some(33.0)]));
        assert_eq!(of("age[years]", None).1, "years");
        assert_eq!(of("lbbb", None), ("lbbb", "logit", Binary, vec![Some(0.0), Some(1.0), None, Some(1.0)]));
        assert_eq!(of("lbbb", Some(Regression)).2, Regression);
        assert_eq!(of("stemi:kind=stemi", None), ("stemi", "logit", Binary, vec![Some(0.0), Some(0.0), Some(0.0), Some(1.0)]));
        assert_eq!(labels.define("kind=lbbb@qrs", None).unwrap().row().place, Place::Qrs);
        assert_eq!(of("age>40", None), ("age_above_40", "logit", Binary, vec![Some(0.0), Some(1.0), None, Some(0.0)]));
        assert_eq!(of("kind", None).3, [0.0, 2.0, 0.0, 1.0].map(Some));
        assert_eq!(labels.define("grade", Some(MultiClass)).unwrap().classes(), ["2", "10"]);
    }

    #[test]
    fn what_is_no_value_is_named() {
        let labels = labels();
        let says = |request: &str, kind, hint: &str| {
            let error = labels.define(request, kind).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        };
        says("agee", None, "no column 'agee': they have age, lbbb");
        says("age", Some(TargetKind::Binary), "ECG 0 of the dataset: '40' is neither 0 nor 1");
        says("odd", Some(TargetKind::Regression), "ECG 1 of the dataset: 'x' is not a number");
        says("odd", None, "'odd' has numbers ('1') and texts ('x', ECG 1 of the dataset)");
        says("none", None, "every ECG of the dataset lacks it");
        says("qrs", None, "'qrs' is a measurement's name");
        says("age>old", None, "limit 'old' is not a number");
        says("kind=lbbb", Some(TargetKind::Regression), "yes or no");
        says("lbbb[mm]", None, "only numbers have a unit");
        assert!(Labels::new(2, vec![("a".into(), vec!["1".into()])]).is_err());
        // What should have been a number is no class, and not "no" either.
        for text in ["nan", "NaN", "-inf", "Infinity"] {
            let labels = Labels::new(3, vec![("age".into(), ["1", "2", text].map(str::to_owned).to_vec())]).unwrap();
            for (request, kind) in
                [("age", None), ("age", Some(TargetKind::Regression)), ("age", Some(TargetKind::MultiClass)), ("age=1", None)]
            {
                let error = labels.define(request, kind).unwrap_err().to_string();
                assert!(error.contains(&format!("'{text}'")), "{request}: {error}");
            }
        }
        let beyond = Labels::new(2, vec![("age".into(), ["1", "1e39"].map(str::to_owned).to_vec())]).unwrap();
        assert!(beyond.define("age", Some(TargetKind::Regression)).is_err(), "networks compute in f32");
    }
}
