//! Thrift's compact protocol, in which Parquet describes itself: fields by number, without the names and types that a schema would give them.

use crate::ecg::read::bytes::{Bytes, Found};

const DEEPEST: usize = 16;

/// A value; kinds that Parquet's descriptions do not need are passed over.
#[derive(Debug)]
pub enum Value<'a> {
    Whole(i64),
    Flag(bool),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Fields(Fields<'a>),
    Other,
}

/// The fields of a structure.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(i16, Value<'a>)>);

impl<'a> Fields<'a> {
    /// Reads a structure.
    pub fn read(at: &mut Bytes<'a>) -> Found<Self> {
        fields(at, 0)
    }

    fn get(&self, number: i16) -> Option<&Value<'a>> {
        self.0.iter().find(|(own, _)| *own == number).map(|(_, value)| value)
    }

    /// A whole number.
    pub fn whole(&self, number: i16) -> Option<i64> {
        match self.get(number)? {
            Value::Whole(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number that counts or places something.
    pub fn count(&self, number: i16, what: &str) -> Found<usize> {
        self.whole(number).and_then(|value| usize::try_from(value).ok()).ok_or_else(|| format!("{what} is not there"))
    }

    /// Yes or no.
    pub fn flag(&self, number: i16) -> Option<bool> {
        match self.get(number)? {
            Value::Flag(value) => Some(*value),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, number: i16) -> Option<String> {
        match self.get(number)? {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The structures of a list; none where it is absent.
    pub fn list(&self, number: i16) -> impl Iterator<Item = &Fields<'a>> {
        let all: &[Value<'a>] = match self.get(number) {
            Some(Value::List(all)) => all,
            _ => &[],
        };
        all.iter().filter_map(|value| match value {
            Value::Fields(fields) => Some(fields),
            _ => None,
        })
    }

    /// A structure.
    pub fn fields(&self, number: i16) -> Option<&Fields<'a>> {
        match self.get(number)? {
            Value::Fields(fields) => Some(fields),
            _ => None,
        }
    }
}

/// A whole number of seven bits a byte, the lowest first.
pub fn varint(at: &mut Bytes<'_>) -> Found<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = at.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits".into())
}

/// A whole number whose lowest bit is its sign.
fn signed(at: &mut Bytes<'_>) -> Found<i64> {
    let value = varint(at)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn fields<'a>(at: &mut Bytes<'a>, depth: usize) -> Found<Fields<'a>> {
    if depth > DEEPEST {
        return Err(format!("structures lie more than {DEEPEST} deep"));
    }
    let (mut all, mut number) = (Vec::new(), 0i16);
    loop {
        let head = at.u8()?;
        if head & 15 == 0 {
            return Ok(Fields(all));
        }
        number = match head >> 4 {
            0 => signed(at)? as i16,
            step => number.wrapping_add(step.into()),
        };
        let value = match head & 15 {
            1 => Value::Flag(true),
            2 => Value::Flag(false),
            kind => value(at, kind, depth)?,
        };
        all.push((number, value));
    }
}

fn value<'a>(at: &mut Bytes<'a>, kind: u8, depth: usize) -> Found<Value<'a>> {
    Ok(match kind {
        // In lists yes and no take a byte.
        1 | 2 => Value::Flag(at.u8()? == 1),
        3 => Value::Whole(i64::from(at.u8()? as i8)),
        4..=6 => Value::Whole(signed(at)?),
        7 => {
            at.take(8)?;
            Value::Other
        }
        8 => {
            let length = length(at)?;
            Value::Bytes(at.take(length)?)
        }
        9 | 10 => {
            let head = at.u8()?;
            let count = if head >> 4 == 15 { length(at)? } else { (head >> 4).into() };
            // Whatever is in a list takes a byte at least.
            if count > at.left() || depth > DEEPEST {
                return Err("a list is longer than the file".into());
            }
            Value::List((0..count).map(|_| value(at, head & 15, depth + 1)).collect::<Found<_>>()?)
        }
        11 => {
            let count = length(at)?;
            if count > at.left() || depth > DEEPEST {
                return Err("a map is longer than the file".into());
            }
            let kinds = if count > 0 { at.u8()? } else { 0 };
            for _ in 0..count {
                value(at, kinds >> 4, depth + 1)?;
                value(at, kinds & 15, depth + 1)?;
            }
            Value::Other
        }
        12 => Value::Fields(fields(at, depth + 1)?),
        other => return Err(format!("a value of kind {other}")),
    })
}

fn length(at: &mut Bytes<'_>) -> Found<usize> {
    usize::try_from(varint(at)?).map_err(|error| error.to_string())
}
