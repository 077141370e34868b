//! MATLAB level 4: matrices one after another, each a head of 20 bytes, its name, its numbers.
//!
//! Format: "MAT-File Format" (The MathWorks), level 4.

use super::{Array, Contents, MOST_VALUES};
use crate::ecg::read::bytes::{Bytes, Found, Number};

pub fn read(bytes: &[u8]) -> Found<Contents> {
    let mut at = Bytes::new(bytes);
    let mut contents = Contents::default();
    let mut total = 0usize;
    while at.left() > 0 {
        matrix(&mut at, &mut contents, &mut total)?;
    }
    Ok(contents)
}

fn matrix(at: &mut Bytes<'_>, contents: &mut Contents, total: &mut usize) -> Found<()> {
    // MOPT: order of bytes, 0, kind of numbers, kind of matrix, as decimal digits.
    let not_one = || "not a MATLAB file: it begins neither as level 5 nor 7.3, nor as a matrix of level 4".to_owned();
    let mut head = *at;
    let mut ahead = head;
    head.big = ahead.u32()? > 9999;
    let kind = head.u32()?;
    let [order, zero, numbers, matrix] = [kind / 1000, kind / 100 % 10, kind / 10 % 10, kind % 10];
    if order != u32::from(head.big) || zero != 0 || matrix > 1 {
        return Err(not_one());
    }
    let number = match numbers {
        0 => Number::Float(8),
        1 => Number::Float(4),
        2 => Number::Signed(4),
        3 => Number::Signed(2),
        4 => Number::Unsigned(2),
        5 => Number::Unsigned(1),
        _ => return Err(not_one()),
    };
    let (rows, columns, imaginary, length) = (head.length()?, head.length()?, head.u32()?, head.length()?);
    if imaginary > 1 || length == 0 || length > 256 {
        return Err(not_one());
    }
    let path = head.text(length)?;
    let count = rows
        .checked_mul(columns)
        .filter(|count| *count <= MOST_VALUES)
        .ok_or_else(|| format!("{path} of {rows} × {columns} is too large"))?;
    let bytes = head.take(count * number.size()).map_err(|problem| format!("{path} {problem}"))?;
    *total += count;
    if *total > MOST_VALUES {
        return Err(format!("it holds more than {MOST_VALUES} numbers"));
    }
    let values = number.read_all(bytes, head.big);
    if imaginary == 1 {
        head.take(count * number.size())?;
    }
    if matrix == 1 {
        contents.texts.push((path, values.into_iter().map(|code| char::from(code as u8)).collect()));
    } else if imaginary == 0 {
        contents.arrays.push(Array { path, shape: vec![rows, columns], values });
    }
    head.big = false;
    *at = head;
    Ok(())
}
