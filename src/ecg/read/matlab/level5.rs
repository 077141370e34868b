//! MATLAB level 5: elements with a kind and a length, matrices made of them, structures and cells of matrices; any of them may be deflated.
//!
//! Format: "MAT-File Format" (The MathWorks), level 5. Sparse arrays, objects and functions are passed over.

use super::{Array, Contents, MOST_VALUES};
use crate::ecg::read::bytes::{Bytes, Found, Number};
use std::io::Read;

const MATRIX: u32 = 14;
const DEFLATED: u32 = 15;
/// Kinds of matrices.
const CELL: u8 = 1;
const STRUCTURE: u8 = 2;
const TEXT: u8 = 4;
/// Structures in structures, and matrices in all of them: more than any file has.
const DEEPEST: usize = 16;
const MOST_MATRICES: usize = 100_000;
/// Bytes of the name of a field, and of the names of all arrays with those of what they stand in.
const LONGEST_NAME: usize = 1024;
const MOST_NAMES: usize = 1 << 26;
/// Bytes that a deflated element may grow to.
const LARGEST_INFLATED: u64 = 1 << 30;

/// How much of a file was read.
#[derive(Default)]
struct Sum {
    matrices: usize,
    values: usize,
    names: usize,
    inflated: u64,
}

pub fn read(bytes: &[u8]) -> Found<Contents> {
    let mut at = Bytes::new(bytes);
    at.seek(126)?;
    at.big = at.take(2)? == b"MI";
    let (mut contents, mut sum) = (Contents::default(), Sum::default());
    while at.left() > 0 {
        let (kind, body) = element(&mut at)?;
        match kind {
            MATRIX => matrix(body, "", 0, &mut contents, &mut sum)?,
            DEFLATED => {
                let plain = inflate(body.rest(), &mut sum)?;
                let mut within = Bytes::new(&plain);
                within.big = at.big;
                while within.left() > 0 {
                    let (kind, body) = element(&mut within)?;
                    if kind == MATRIX {
                        matrix(body, "", 0, &mut contents, &mut sum)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(contents)
}

fn inflate(bytes: &[u8], sum: &mut Sum) -> Found<Vec<u8>> {
    let mut all = Vec::new();
    let most = LARGEST_INFLATED - sum.inflated;
    let read = flate2::read::ZlibDecoder::new(bytes).take(most + 1).read_to_end(&mut all);
    read.map_err(|error| format!("a deflated array cannot be inflated: {error}"))?;
    if all.len() as u64 > most {
        return Err(format!("it inflates to more than {LARGEST_INFLATED} bytes"));
    }
    sum.inflated += all.len() as u64;
    Ok(all)
}

/// The next element: its kind, and its bytes without the padding to eight.
fn element<'a>(at: &mut Bytes<'a>) -> Found<(u32, Bytes<'a>)> {
    let kind = at.u32()?;
    // A short one has its length above its kind, and its bytes in the next four.
    if kind >> 16 != 0 {
        let length = (kind >> 16) as usize;
        if length > 4 {
            return Err(format!("an element at byte {} is damaged", at.at() - 4));
        }
        let mut four = at.part(4)?;
        return Ok((kind & 0xffff, four.part(length)?));
    }
    let length = at.length()?;
    let body = at.part(length)?;
    if kind != DEFLATED {
        at.take(((8 - length % 8) % 8).min(at.left()))?;
    }
    Ok((kind, body))
}

/// The numbers of an element.
fn numbers(at: &mut Bytes<'_>, sum: &mut Sum) -> Found<Vec<f64>> {
    let (kind, body) = element(at)?;
    let number = match kind {
        1 => Number::Signed(1),
        2 | 16 => Number::Unsigned(1),
        3 => Number::Signed(2),
        4 | 17 => Number::Unsigned(2),
        5 => Number::Signed(4),
        6 | 18 => Number::Unsigned(4),
        7 => Number::Float(4),
        9 => Number::Float(8),
        12 => Number::Signed(8),
        13 => Number::Unsigned(8),
        other => return Err(format!("numbers of kind {other} are not known")),
    };
    sum.values += body.left() / number.size();
    if sum.values > MOST_VALUES {
        return Err(format!("it holds more than {MOST_VALUES} numbers"));
    }
    Ok(number.read_all(body.rest(), body.big))
}

fn matrix(mut at: Bytes<'_>, within: &str, depth: usize, contents: &mut Contents, sum: &mut Sum) -> Found<()> {
    sum.matrices += 1;
    if depth > DEEPEST || sum.matrices > MOST_MATRICES {
        return Err(format!("structures lie more than {DEEPEST} deep, or there are more than {MOST_MATRICES} arrays"));
    }
    // An empty field of a structure is an element of no bytes.
    if at.left() == 0 {
        return Ok(());
    }
    let (_, mut flags) = element(&mut at)?;
    let flags = flags.u32()?;
    let (class, complex) = (flags as u8, flags & 0x800 != 0);
    if class == 17 {
        return Ok(());
    }
    let shape: Vec<usize> = numbers(&mut at, sum)?.into_iter().map(|size| size as usize).collect();
    let (_, name) = element(&mut at)?;
    let name = crate::ecg::read::bytes::latin(name.rest());
    let path = if depth == 0 { name } else { within.to_owned() };
    sum.names += path.len();
    if sum.names > MOST_NAMES {
        return Err(format!("the names of its arrays come to more than {MOST_NAMES} bytes"));
    }
    let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).unwrap_or(usize::MAX);
    match class {
        CELL => {
            for _ in 0..count.min(MOST_MATRICES) {
                child(&mut at, &path, depth, contents, sum)?;
            }
        }
        STRUCTURE => {
            let length = numbers(&mut at, sum)?.first().map_or(0, |length| *length as usize);
            let (_, names) = element(&mut at)?;
            if !(1..=LONGEST_NAME).contains(&length) {
                return Err(format!("the names of the fields of {path} have {length} bytes"));
            }
            let names: Vec<String> = names.rest().chunks(length).map(crate::ecg::read::bytes::latin).collect();
            for _ in 0..count.min(MOST_MATRICES) {
                for name in &names {
                    child(&mut at, &format!("{path}.{name}"), depth, contents, sum)?;
                }
            }
        }
        TEXT => {
            let text = numbers(&mut at, sum)?.into_iter().filter_map(|code| char::from_u32(code as u32)).collect();
            contents.texts.push((path, text));
        }
        6..=15 if !complex => {
            let values = numbers(&mut at, sum)?;
            if values.len() != count {
                return Err(format!("{path} has {} numbers where its shape {shape:?} asks for {count}", values.len()));
            }
            contents.arrays.push(Array { path, shape, values });
        }
        _ => {}
    }
    Ok(())
}

fn child(at: &mut Bytes<'_>, path: &str, depth: usize, contents: &mut Contents, sum: &mut Sum) -> Found<()> {
    match element(at)? {
        (MATRIX, body) => matrix(body, path, depth + 1, contents, sum),
        (kind, _) => Err(format!("an element of kind {kind} stands in {path} where an array is expected")),
    }
}
