//! The objects of an HDF5 file: headers with messages, of which those of groups, datasets and attributes are understood.
//!
//! Format: "HDF5 File Format Specification", version 3.0, IV.A (The HDF Group).

use super::disk::{Disk, whole};
use super::texts::{elsewhere, text};
use crate::ecg::read::bytes::{Bytes, Found, Number, latin};

/// Messages and pieces of a header: more than any has.
const MOST_MESSAGES: usize = 100_000;
const MOST_PIECES: usize = 1000;
/// The most axes an array may have.
const MOST_AXES: usize = 32;

/// A message of an object's header.
pub struct Message {
    pub kind: u8,
    shared: bool,
    pub body: Vec<u8>,
}

pub const DATASPACE: u8 = 1;
pub const LINK_INFO: u8 = 2;
pub const DATATYPE: u8 = 3;
pub const LINK: u8 = 6;
pub const LAYOUT: u8 = 8;
pub const FILTERS: u8 = 11;
const ATTRIBUTE: u8 = 12;
const CONTINUED: u8 = 16;
pub const SYMBOLS: u8 = 17;

/// The messages of the object at an address.
pub fn messages(disk: &Disk, at: u64) -> Found<Vec<Message>> {
    let start = disk.at_most(at, 64)?;
    let mut head = Bytes::new(&start);
    let second = start.starts_with(b"OHDR");
    let (mut flags, mut left) = (0, MOST_MESSAGES);
    let mut pieces = Vec::new();
    if second {
        head.take(4)?;
        head.u8()?;
        flags = head.u8()?;
        head.take(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
        let length = whole(head.take(1 << (flags & 3))?);
        pieces.push((at + head.at() as u64, length));
    } else {
        if head.u8()? != 1 {
            return Err(format!("no object's header stands at {at}"));
        }
        head.u8()?;
        left = head.u16()?.into();
        head.u32()?;
        // Messages begin at a multiple of eight.
        pieces.push((at + 16, head.u32()?.into()));
    }
    let mut all = Vec::new();
    let mut next = 0;
    while let Some(&(at, length)) = pieces.get(next) {
        if next == MOST_PIECES {
            return Err(format!("an object's header has more than {MOST_PIECES} pieces"));
        }
        let piece = disk.part(at, length)?;
        let mut at = Bytes::new(&piece);
        if second && next > 0 {
            if at.take(4)? != b"OCHK" {
                return Err("a header's further piece is not where it should be".into());
            }
            at = Bytes::new(&piece[4..piece.len().saturating_sub(4).max(4)]);
        }
        next += 1;
        let smallest = if second { 4 + usize::from(flags & 4 != 0) * 2 } else { 8 };
        while at.left() >= smallest && left > 0 {
            left -= 1;
            let (kind, length, own) = if second {
                let head = (at.u8()?, at.u16()?, at.u8()?);
                at.take(if flags & 4 != 0 { 2 } else { 0 })?;
                head
            } else {
                let kind = at.u16()?;
                let head = (u8::try_from(kind).unwrap_or(u8::MAX), at.u16()?, at.u8()?);
                at.take(3)?;
                head
            };
            let body = at.take(length.into())?;
            if kind == CONTINUED {
                let mut body = Bytes::new(body);
                let place = disk.address(&mut body)?.ok_or("a header goes on nowhere")?;
                pieces.push((place, disk.length(&mut body)?));
            } else {
                all.push(Message { kind, shared: own & 2 != 0, body: body.to_vec() });
            }
        }
        if all.len() > MOST_MESSAGES {
            return Err(format!("an object has more than {MOST_MESSAGES} messages"));
        }
    }
    Ok(all)
}

/// The body of the message of a kind.
pub fn find(messages: &[Message], kind: u8) -> Found<Option<&[u8]>> {
    match messages.iter().find(|message| message.kind == kind) {
        Some(message) if message.shared => Err("it shares its type with other objects (a committed datatype), which is not read".into()),
        found => Ok(found.map(|message| message.body.as_slice())),
    }
}

/// The shape of a dataspace message.
pub fn shape(disk: &Disk, body: &[u8]) -> Found<Vec<u64>> {
    let mut at = Bytes::new(body);
    let (version, axes) = (at.u8()?, at.u8()?);
    at.take(match version {
        1 => 6,
        2 => 2,
        other => return Err(format!("a dataspace of version {other}")),
    })?;
    if usize::from(axes) > MOST_AXES {
        return Err(format!("an array of {axes} axes"));
    }
    (0..axes).map(|_| disk.length(&mut at)).collect()
}

/// The kind of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A number, and whether its highest byte comes first.
    Number(Number, bool),
    /// A text of so many bytes.
    Text(usize),
    /// A text of any length, elsewhere in the file.
    Elsewhere,
    /// Anything else, of so many bytes.
    Other(usize),
}

impl Element {
    /// Of a datatype message.
    pub fn read(body: &[u8]) -> Found<Self> {
        let mut at = Bytes::new(body);
        let class = at.u8()? & 15;
        let bits = at.take(3)?;
        let size = at.length()?;
        // A number fills its bytes: others (with an offset or fewer bits) are not of ECGs.
        let plain = |at: &mut Bytes<'_>| Ok::<_, String>(at.u16()? == 0 && usize::from(at.u16()?) == 8 * size);
        let big = bits[0] & 1 != 0;
        Ok(match class {
            0 if (1..=8).contains(&size) && plain(&mut at)? => {
                Element::Number(if bits[0] & 8 != 0 { Number::Signed(size) } else { Number::Unsigned(size) }, big)
            }
            1 if [2, 4, 8].contains(&size) && bits[0] & 0x40 == 0 && plain(&mut at)? => Element::Number(Number::Float(size), big),
            3 => Element::Text(size),
            9 if bits[0] & 15 == 1 => Element::Elsewhere,
            _ => Element::Other(size),
        })
    }
}

/// An attribute that is a number or a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Number(f64),
    Text(String),
}

/// The attributes of an object that are one number or one text, by name; others are passed over.
pub fn attributes(disk: &Disk, messages: &[Message]) -> Vec<(String, Attribute)> {
    let all = messages.iter().filter(|message| message.kind == ATTRIBUTE && !message.shared);
    all.filter_map(|message| attribute(disk, &message.body).ok().flatten()).collect()
}

fn attribute(disk: &Disk, body: &[u8]) -> Found<Option<(String, Attribute)>> {
    let mut at = Bytes::new(body);
    let version = at.u8()?;
    at.u8()?;
    let lengths = [at.u16()?, at.u16()?, at.u16()?].map(usize::from);
    if version == 3 {
        at.u8()?;
    }
    let mut part = |length: usize| at.take(if version == 1 { length.next_multiple_of(8) } else { length });
    let (name, kind, space) = (part(lengths[0])?, part(lengths[1])?, part(lengths[2])?);
    if shape(disk, space)?.iter().any(|size| *size != 1) {
        return Ok(None);
    }
    let name = latin(name);
    let value = match Element::read(kind)? {
        Element::Number(number, big) => Attribute::Number(number.read(at.take(number.size())?, big)),
        Element::Text(size) => Attribute::Text(text(at.take(size)?)),
        Element::Elsewhere => Attribute::Text(elsewhere(disk, &mut at)?),
        Element::Other(_) => return Ok(None),
    };
    Ok(Some((name, value)))
}
