//! A column of a Parquet file: where its pages lie, which rows they hold, and what stands in them.
//!
//! Format: `parquet-format` (README, Encodings.md, `parquet.thrift`). Plain, dictionary and byte-stream-split encodings are read.

use super::thrift::Fields;
use super::unpack::{Codec, hybrid};
use crate::ecg::read::bytes::{Bytes, Found, Number, OnDisk, count_text};
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// The most entries, and bytes, of a page.
const MOST_ENTRIES: usize = 1 << 24;
const LARGEST_PAGE: usize = 1 << 27;
/// Values a byte of a page: a flat lead takes few bytes, but some.
const MOST_A_BYTE: usize = 1024;
/// Bytes in which the head of a page must end.
const LARGEST_HEAD: u64 = 1 << 16;
const MOST_PAGES: usize = 4_000_000;
/// What pages may unpack to in all: so many times the file, and this many bytes where it is small. ECGs stay below 10, a recording of zeros below 1000.
const EXPANSION: u64 = 100;
const SMALL: u64 = 64 << 20;

/// What pages may still take of a file, of all columns that are read: no two share a byte, and what they unpack to is bounded. Pages that many columns or
/// row groups refer to would be read without end.
pub struct Room {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
}

impl Room {
    /// Of a file of so many bytes.
    pub fn of(length: u64) -> Self {
        Room { packed: Cell::new(length), unpacked: Cell::new(SMALL.max(length.saturating_mul(EXPANSION))) }
    }

    fn take(&self, packed: usize, unpacked: usize) -> Found<()> {
        let left = self.packed.get().checked_sub(packed as u64).ok_or("its pages overlap: damaged")?;
        self.packed.set(left);
        let left = self.unpacked.get().checked_sub(unpacked as u64).ok_or_else(|| {
            format!("its pages unpack to more than {EXPANSION} times its length: refused as a bomb (if it is none, write it uncompressed)")
        })?;
        self.unpacked.set(left);
        Ok(())
    }
}

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    Number(Number),
    Text,
}

/// A column as the schema describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The name of the column of the table, without the names of lists within.
    pub name: String,
    pub physical: Option<Physical>,
    /// The level at which a value is there, and the levels at which lists (outer first) have an element.
    pub most: u8,
    pub lists: Vec<u8>,
}

/// A page of values.
struct Page {
    codec: Codec,
    /// Where its bytes begin, packed and unpacked how many they are.
    at: u64,
    packed: usize,
    length: usize,
    entries: usize,
    encoding: i64,
    /// Bytes of the levels before the packed values, in pages of the second version.
    apart: Option<(usize, usize)>,
    /// Where the dictionary of its group lies, as a page.
    dictionary: Option<usize>,
    /// The first row that begins in it, and how many begin in it.
    first: usize,
    begin: usize,
}

/// A column and its pages.
pub struct Column {
    pub described: Described,
    pages: Vec<Page>,
    dictionaries: Vec<Page>,
    /// The words of the dictionary that was read last, and which it is.
    words: Mutex<Option<(usize, Arc<Values>)>>,
    rows: usize,
}

/// What stands in a page: an entry for each value, null or empty list.
pub struct Entries {
    repeats: Vec<u32>,
    defined: Vec<u32>,
    values: Values,
}

/// The values that are there.
#[derive(Debug)]
enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// A row of a column: its values, NaN for a null; and of lists of lists how long each is.
#[derive(Debug, Default, PartialEq)]
pub struct Row {
    pub values: Vec<f64>,
    pub lengths: Vec<usize>,
}

impl Column {
    pub fn new(described: Described) -> Self {
        Column { described, pages: Vec::new(), dictionaries: Vec::new(), words: Mutex::default(), rows: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the pages of a row group, whose description of this column is `meta`.
    pub fn add(&mut self, disk: &OnDisk, meta: &Fields<'_>, room: &Room) -> Found<()> {
        let codec = Codec::of(meta.whole(4).unwrap_or(0))?;
        let begin = |number| meta.whole(number).and_then(|at| u64::try_from(at).ok()).filter(|at| *at > 0);
        let data = begin(9).ok_or("where its pages lie is not there")?;
        let mut at = begin(11).map_or(data, |dictionary| dictionary.min(data));
        let end = at.checked_add(meta.count(7, "the length of its pages")? as u64).ok_or("its pages have no end")?;
        let announced = meta.count(5, "the number of its values")?;
        let (mut entries, mut dictionary) = (0usize, None);
        while entries < announced && at < end {
            let head = disk.at_most(at, LARGEST_HEAD.min(end - at))?;
            let mut cursor = Bytes::new(&head);
            let fields = Fields::read(&mut cursor)?;
            at += cursor.at() as u64;
            let (length, packed) = (fields.count(2, "the length of a page")?, fields.count(3, "the length of a page")?);
            if length > LARGEST_PAGE || packed > LARGEST_PAGE {
                return Err(format!("a page of {length} bytes: at most {LARGEST_PAGE} are read"));
            }
            room.take(packed + cursor.at(), length)?;
            let page = |of: &Fields<'_>, encoding, apart| {
                let entries = of.count(1, "the number of a page's values")?;
                if entries > MOST_ENTRIES.min(MOST_A_BYTE * (length + 16)) {
                    return Err(format!(
                        "a page of {entries} values in {length} bytes: at most {MOST_ENTRIES}, and {MOST_A_BYTE} a byte, are read"
                    ));
                }
                let encoding = of.whole(encoding).unwrap_or(-1);
                Ok(Page { codec, at, packed, length, entries, encoding, apart, dictionary, first: self.rows, begin: 0 })
            };
            match (fields.whole(1), fields.fields(5), fields.fields(7), fields.fields(8)) {
                (Some(0), Some(first), _, _) => {
                    let page = page(first, 2, None)?;
                    entries += page.entries;
                    self.push(disk, page)?;
                }
                (Some(3), _, _, Some(second)) => {
                    let levels = (second.count(6, "the length of a page's levels")?, second.count(5, "the length of a page's levels")?);
                    let mut page = page(second, 4, Some(levels))?;
                    if second.flag(7) == Some(false) {
                        page.codec = Codec::None;
                    }
                    entries += page.entries;
                    self.push(disk, page)?;
                }
                (Some(2), _, Some(words), _) => {
                    let page = page(words, 2, None)?;
                    dictionary = Some(self.dictionaries.len());
                    self.dictionaries.push(page);
                }
                _ => {}
            }
            at += packed as u64;
            if self.pages.len() + self.dictionaries.len() > MOST_PAGES {
                return Err(format!("more than {MOST_PAGES} pages"));
            }
        }
        if entries == announced { Ok(()) } else { Err(format!("truncated: {entries} values where {announced} are announced")) }
    }

    fn push(&mut self, disk: &OnDisk, mut page: Page) -> Found<()> {
        page.begin = match self.described.lists.is_empty() {
            true => page.entries,
            false => self.levels(&page, &unpacked(disk, &page)?)?.0.iter().filter(|level| **level == 0).count(),
        };
        self.rows += page.begin;
        self.pages.push(page);
        Ok(())
    }

    /// The levels of a page's entries, and where its values begin.
    fn levels(&self, page: &Page, bytes: &[u8]) -> Found<(Vec<u32>, Vec<u32>, usize)> {
        let mut at = Bytes::new(bytes);
        let mut levels = |most: usize, length: Option<usize>| {
            let width = (usize::BITS - most.leading_zeros()) as u8;
            match (most, length) {
                (0, length) => at.take(length.unwrap_or(0)).map(|_| vec![0; page.entries]),
                (_, Some(length)) => hybrid(&mut at.part(length)?, width, page.entries),
                (_, None) => {
                    let length = at.length()?;
                    hybrid(&mut at.part(length)?, width, page.entries)
                }
            }
        };
        let repeats = levels(self.described.lists.len(), page.apart.map(|(repeats, _)| repeats))?;
        let defined = levels(self.described.most.into(), page.apart.map(|(_, defined)| defined))?;
        Ok((repeats, defined, at.at()))
    }

    fn entries(&self, disk: &OnDisk, page: &Page) -> Found<Entries> {
        let bytes = unpacked(disk, page)?;
        let (repeats, defined, begin) = self.levels(page, &bytes)?;
        let count = defined.iter().filter(|level| **level == u32::from(self.described.most)).count();
        let mut at = Bytes::new(&bytes[begin..]);
        let values = match page.encoding {
            0 => plain(self.described.physical, &mut at, count)?,
            2 | 8 => {
                let words = self.words(disk, page.dictionary.ok_or("its dictionary is not there")?)?;
                let width = if count > 0 { at.u8()? } else { 0 };
                let places = hybrid(&mut at, width, count)?;
                let missing = || "it refers to a word that its dictionary does not have".to_owned();
                match &*words {
                    Values::Numbers(words) => {
                        let all = places.iter().map(|at| words.get(*at as usize).copied().ok_or_else(missing));
                        Values::Numbers(all.collect::<Found<_>>()?)
                    }
                    Values::Texts(words) => {
                        let mut total = 0;
                        let all = places.iter().map(|at| {
                            let word = words.get(*at as usize).ok_or_else(missing)?;
                            count_text(&mut total, word)?;
                            Ok(word.clone())
                        });
                        Values::Texts(all.collect::<Found<_>>()?)
                    }
                }
            }
            9 => {
                let Some(Physical::Number(number)) = self.described.physical else { return Err("texts of split bytes".into()) };
                let bytes = at.take(count * number.size())?;
                let one = |at: usize| (0..number.size()).map(|byte| bytes[byte * count + at]).collect::<Vec<u8>>();
                Values::Numbers((0..count).map(|at| number.read(&one(at), false)).collect())
            }
            other => return Err(format!("its encoding {other} is not read: plain, dictionary and byte-stream-split are")),
        };
        Ok(Entries { repeats, defined, values })
    }

    /// The words of a dictionary.
    fn words(&self, disk: &OnDisk, number: usize) -> Found<Arc<Values>> {
        let mut kept = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, words)) = kept.as_ref().filter(|(own, _)| *own == number) {
            return Ok(words.clone());
        }
        let page = self.dictionaries.get(number).ok_or("its dictionary is not there")?;
        let words = Arc::new(plain(self.described.physical, &mut Bytes::new(&unpacked(disk, page)?), page.entries)?);
        *kept = Some((number, words.clone()));
        Ok(words)
    }

    /// The page in which a row begins.
    fn page_of(&self, row: usize) -> Option<usize> {
        let after = self.pages.partition_point(|page| page.first <= row);
        self.pages[..after].iter().rposition(|page| page.begin > 0 && page.first + page.begin > row)
    }

    /// A row of numbers; `kept` holds the page that was read last.
    pub fn row(&self, disk: &OnDisk, row: usize, kept: &mut Option<(usize, Arc<Entries>)>) -> Found<Row> {
        let mut number = self.page_of(row).ok_or("the row is not there")?;
        let mut found = Row::default();
        let mut skip = row - self.pages[number].first;
        let mut within = false;
        while let Some(page) = self.pages.get(number) {
            let entries = match kept {
                Some((own, entries)) if *own == number => entries.clone(),
                _ => Arc::new(self.entries(disk, page)?),
            };
            *kept = Some((number, entries.clone()));
            let Values::Numbers(values) = &entries.values else { return Err("it holds texts, not numbers".into()) };
            let mut next = 0;
            for (repeat, defined) in entries.repeats.iter().zip(&entries.defined) {
                let there = *defined == u32::from(self.described.most);
                let value = if there { values.get(next).copied().unwrap_or(f64::NAN) } else { f64::NAN };
                next += usize::from(there);
                if *repeat == 0 {
                    if within {
                        return Ok(found);
                    }
                    if skip > 0 {
                        skip -= 1;
                        continue;
                    }
                    within = true;
                }
                if within {
                    self.append(&mut found, *repeat, *defined, value);
                }
                if found.values.len() > MOST_ENTRIES {
                    return Err(format!("a row of more than {MOST_ENTRIES} values"));
                }
            }
            number += 1;
        }
        Ok(found)
    }

    /// Adds an entry to a row: a value, a null within a list, or an empty list.
    fn append(&self, row: &mut Row, repeat: u32, defined: u32, value: f64) {
        // The level at which the innermost list has an element; without lists a null is a value all the same.
        let element = self.described.lists.last().map_or(0, |level| u32::from(*level));
        let inner = self.described.lists.len() as u32;
        if self.described.lists.len() > 1 && repeat < inner {
            row.lengths.push(0);
        }
        if defined >= element {
            row.values.push(value);
            if let Some(length) = row.lengths.last_mut() {
                *length += 1;
            }
        }
    }

    /// All values of a column without lists.
    pub fn numbers(&self, disk: &OnDisk) -> Found<Vec<f64>> {
        let mut all = Vec::new();
        for page in &self.pages {
            let entries = self.entries(disk, page)?;
            let Values::Numbers(values) = &entries.values else { return Err("it holds texts, not numbers".into()) };
            let mut next = values.iter();
            all.extend(entries.defined.iter().map(|level| match *level == u32::from(self.described.most) {
                true => next.next().copied().unwrap_or(f64::NAN),
                false => f64::NAN,
            }));
            if all.len() > MOST_ENTRIES {
                return Err(format!("a column of more than {MOST_ENTRIES} instants"));
            }
        }
        Ok(all)
    }

    /// All values of a column without lists or nulls, as texts.
    pub fn texts(&self, disk: &OnDisk) -> Found<Vec<String>> {
        let (mut all, mut total) = (Vec::new(), 0);
        for page in &self.pages {
            let texts = match self.entries(disk, page)?.values {
                Values::Numbers(values) => values.into_iter().map(|value| value.to_string()).collect(),
                Values::Texts(texts) => texts,
            };
            texts.iter().try_for_each(|text| count_text(&mut total, text))?;
            all.extend(texts);
        }
        Ok(all)
    }
}

/// The bytes of a page: levels that stand apart, then values.
fn unpacked(disk: &OnDisk, page: &Page) -> Found<Vec<u8>> {
    let bytes = disk.bytes(page.at, page.packed as u64)?;
    let Some((repeats, defined)) = page.apart else { return page.codec.unpack(&bytes, page.length) };
    let apart = repeats.checked_add(defined).filter(|apart| *apart <= bytes.len() && *apart <= page.length);
    let apart = apart.ok_or("the levels of a page are longer than it")?;
    let mut all = bytes[..apart].to_vec();
    if page.length > apart {
        all.extend(page.codec.unpack(&bytes[apart..], page.length - apart)?);
    }
    Ok(all)
}

fn plain(physical: Option<Physical>, at: &mut Bytes<'_>, count: usize) -> Found<Values> {
    match physical {
        Some(Physical::Number(number)) => Ok(Values::Numbers(number.read_all(at.take(count * number.size())?, false))),
        Some(Physical::Text) => {
            let text = |_| {
                let length = at.length()?;
                at.take(length).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            Ok(Values::Texts((0..count).map(text).collect::<Found<_>>()?))
        }
        None => Err("its kind of values is not read".into()),
    }
}
