//! DICOM's data elements: tags with values or sequences of items, in the four transfer syntaxes that waveforms come in.
//!
//! Format: DICOM PS3.5 (data structures and encoding) and PS3.10 (the file). Written for waveforms, which need no pixel data, so that a reader
//! of all of DICOM with its dictionary is not needed: tags alone are compared, and implicit VR matters for sequences only.

use crate::ecg::read::bytes::{Bytes, Found, Number, latin};
use std::borrow::Cow;
use std::io::Read;

/// Group and element.
pub type Tag = (u16, u16);

const ITEM: Tag = (0xfffe, 0xe000);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
const UNDEFINED: usize = u32::MAX as usize;
/// Sequences within sequences, and elements of a file: more than any file has.
const DEEPEST: usize = 16;
const MOST_ELEMENTS: usize = 200_000;
/// Bytes that a deflated file may grow to.
const LARGEST_INFLATED: u64 = 1 << 27;

const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const BIG: &str = "1.2.840.10008.1.2.2";

/// What an element holds.
#[derive(Debug)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Items(Vec<Set<'a>>),
}

/// A set of elements: a file, or an item of a sequence.
#[derive(Debug)]
pub struct Set<'a> {
    elements: Vec<(Tag, Value<'a>)>,
    /// Whether its numbers have their highest byte first.
    pub big: bool,
}

/// Whether a file begins as one: 128 bytes of anything, and `DICM`.
pub fn is_dicom(start: &[u8]) -> bool {
    start.get(128..132) == Some(b"DICM")
}

/// The elements behind the preamble, inflated where they are deflated, and how they are encoded.
pub fn body(bytes: &[u8]) -> Found<(Cow<'_, [u8]>, Syntax)> {
    if !is_dicom(bytes) {
        return Err("not a DICOM file: DICM does not stand behind its first 128 bytes".into());
    }
    let mut at = Bytes::new(bytes);
    at.seek(132)?;
    let mut syntax = None;
    // The file's own elements are always explicit and little-endian; they end where another group begins.
    while at.left() >= 4 {
        let mut ahead = at;
        if ahead.u16()? != 2 {
            break;
        }
        let (tag, _, length) = head(&mut at, Syntax { implicit: false, big: false })?;
        let value = at.take(length)?;
        if tag == (2, 0x10) {
            syntax = Some(latin(value));
        }
    }
    let rest = &bytes[at.at()..];
    let plain = |implicit, big| Ok((Cow::Borrowed(rest), Syntax { implicit, big }));
    match syntax.as_deref() {
        Some(IMPLICIT) => plain(true, false),
        Some(EXPLICIT) => plain(false, false),
        Some(BIG) => plain(false, true),
        Some(DEFLATED) => Ok((Cow::Owned(inflate(rest)?), Syntax { implicit: false, big: false })),
        Some(other) => Err(format!("its transfer syntax '{other}' is not one of waveforms: uncompressed and deflated ones are read")),
        None => Err("its transfer syntax is not there".into()),
    }
}

fn inflate(bytes: &[u8]) -> Found<Vec<u8>> {
    let mut all = Vec::new();
    let read = flate2::read::DeflateDecoder::new(bytes).take(LARGEST_INFLATED + 1).read_to_end(&mut all);
    read.map_err(|error| format!("its deflated part cannot be inflated: {error}"))?;
    if all.len() as u64 > LARGEST_INFLATED { Err(format!("it inflates to more than {LARGEST_INFLATED} bytes")) } else { Ok(all) }
}

/// How elements are encoded.
#[derive(Clone, Copy, Debug)]
pub struct Syntax {
    /// Whether the kinds of values (VR) are left to a dictionary.
    implicit: bool,
    /// Whether numbers have their highest byte first.
    big: bool,
}

/// The head of an element: its tag, its VR where that is told, its length.
fn head(at: &mut Bytes<'_>, syntax: Syntax) -> Found<(Tag, [u8; 2], usize)> {
    let tag = (at.u16()?, at.u16()?);
    if syntax.implicit || tag.0 == 0xfffe {
        return Ok((tag, [0; 2], at.length()?));
    }
    let kind = at.take(2)?;
    let kind = [kind[0], kind[1]];
    if !kind.iter().all(u8::is_ascii_uppercase) {
        return Err(format!("element {} at byte {} has no VR: damaged", name(tag), at.at() - 6));
    }
    let length = match &kind {
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV" => {
            at.u16()?;
            at.length()?
        }
        _ => at.u16()?.into(),
    };
    Ok((tag, kind, length))
}

fn name((group, element): Tag) -> String {
    format!("({group:04X},{element:04X})")
}

/// Tags that are sequences whether or not their VR says so: those on the way to what is read of a waveform.
fn is_sequence(tag: Tag) -> bool {
    use super::tag::*;
    [WAVEFORMS, CHANNELS, SOURCE, UNIT, ANNOTATIONS, CONCEPT, ANNOTATION_UNIT].contains(&tag)
}

impl<'a> Set<'a> {
    /// All elements.
    ///
    /// # Errors
    /// If one ends beyond its set, if sets lie too deep, or if there are too many.
    pub fn parse(bytes: &'a [u8], syntax: Syntax) -> Found<Self> {
        let mut at = Bytes::new(bytes);
        at.big = syntax.big;
        Self::read(&mut at, false, syntax, 0, &mut 0)
    }

    /// Elements up to the end of the bytes, or to the mark that ends an item.
    fn read(at: &mut Bytes<'a>, marked: bool, syntax: Syntax, depth: usize, count: &mut usize) -> Found<Self> {
        if depth > DEEPEST {
            return Err(format!("sequences lie more than {DEEPEST} deep"));
        }
        let mut elements = Vec::new();
        while marked || at.left() > 0 {
            *count += 1;
            if *count > MOST_ELEMENTS {
                return Err(format!("more than {MOST_ELEMENTS} elements"));
            }
            let (tag, kind, length) = head(at, syntax)?;
            if tag == ITEM_END {
                break;
            }
            let sequence = &kind == b"SQ" || is_sequence(tag) || (length == UNDEFINED && (syntax.implicit || &kind == b"UN"));
            let value = if sequence {
                // Sequences of unknown VR are written as in implicit little endian.
                let within = if &kind == b"UN" { Syntax { implicit: true, big: false } } else { syntax };
                Value::Items(items(at, length, within, depth, count).map_err(|problem| format!("{}: {problem}", name(tag)))?)
            } else if length == UNDEFINED {
                return Err(format!("element {} has no length: encapsulated data are not read", name(tag)));
            } else {
                Value::Bytes(at.take(length).map_err(|problem| format!("element {} {problem}", name(tag)))?)
            };
            elements.push((tag, value));
        }
        Ok(Set { elements, big: syntax.big })
    }

    fn value(&self, tag: Tag) -> Option<&Value<'a>> {
        self.elements.iter().find(|(other, _)| *other == tag).map(|(_, value)| value)
    }

    /// The bytes of an element.
    pub fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.value(tag)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) => None,
        }
    }

    /// The items of a sequence; none where it is absent.
    pub fn items(&self, tag: Tag) -> &[Set<'a>] {
        match self.value(tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// Text without padding; `None` where it is absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        Some(latin(self.bytes(tag)?)).filter(|text| !text.is_empty())
    }

    /// A number in text (DS, IS), the first if there are several.
    pub fn decimal(&self, tag: Tag) -> Found<Option<f64>> {
        let Some(text) = self.text(tag) else { return Ok(None) };
        let first = text.split('\\').next().unwrap_or_default().trim();
        let value = first.parse().ok().filter(|value: &f64| value.is_finite());
        value.map(Some).ok_or_else(|| format!("element {} is '{text}', not a number", name(tag)))
    }

    /// A whole number in 2 or 4 bytes (US, UL); `None` where it is absent.
    pub fn whole(&self, tag: Tag) -> Found<Option<usize>> {
        match self.bytes(tag) {
            None => Ok(None),
            Some(bytes @ ([_, _] | [_, _, _, _])) => Ok(Some(Number::Unsigned(bytes.len()).read(bytes, self.big) as usize)),
            Some(bytes) => Err(format!("element {} has {} bytes, a whole number has 2 or 4", name(tag), bytes.len())),
        }
    }
}

fn items<'a>(at: &mut Bytes<'a>, length: usize, syntax: Syntax, depth: usize, count: &mut usize) -> Found<Vec<Set<'a>>> {
    let marked = length == UNDEFINED;
    let mut own;
    let within = if marked {
        at
    } else {
        own = at.part(length)?;
        &mut own
    };
    let big = std::mem::replace(&mut within.big, syntax.big);
    let mut all = Vec::new();
    while marked || within.left() > 0 {
        let (tag, _, length) = head(within, syntax)?;
        match tag {
            SEQUENCE_END => break,
            ITEM if length == UNDEFINED => all.push(Set::read(within, true, syntax, depth + 1, count)?),
            ITEM => all.push(Set::read(&mut within.part(length)?, false, syntax, depth + 1, count)?),
            other => return Err(format!("{} stands where an item is expected", name(other))),
        }
        *count += 1;
        if *count > MOST_ELEMENTS {
            return Err(format!("more than {MOST_ELEMENTS} elements"));
        }
    }
    within.big = big;
    Ok(all)
}
