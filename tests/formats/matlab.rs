//! MATLAB files of level 4 and 5.

use super::{Leads, interleaved};
use std::io::Write;

/// Level 4: `val` of 16-bit numbers, (12, T), column by column.
pub fn level4(leads: &Leads) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in [30u32, 12, leads[0].len() as u32, 0, 4] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(b"val\0");
    bytes.extend(interleaved(leads, 1.0));
    bytes
}

fn element(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if (1..=4).contains(&body.len()) {
        bytes.extend((kind | (body.len() as u32) << 16).to_le_bytes());
        bytes.extend(body);
        bytes.resize(8, 0);
        return bytes;
    }
    bytes.extend(kind.to_le_bytes());
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A matrix of a class: its head, and what follows it.
fn matrix(class: u32, shape: &[i32], name: &str, rest: &[Vec<u8>]) -> Vec<u8> {
    let flags: Vec<u8> = [class, 0].iter().flat_map(|value: &u32| value.to_le_bytes()).collect();
    let shape: Vec<u8> = shape.iter().flat_map(|size| size.to_le_bytes()).collect();
    let mut body = element(6, &flags);
    body.extend(element(5, &shape));
    body.extend(element(1, name.as_bytes()));
    rest.iter().for_each(|part| body.extend(part));
    element(14, &body)
}

fn file(elements: &[Vec<u8>], packed: bool) -> Vec<u8> {
    let mut bytes = b"MATLAB 5.0 MAT-file, made by a test".to_vec();
    bytes.resize(124, b' ');
    bytes.extend([0, 1]);
    bytes.extend(b"IM");
    for element in elements {
        if packed {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(element).unwrap();
            let body = to.finish().unwrap();
            bytes.extend(15u32.to_le_bytes());
            bytes.extend((body.len() as u32).to_le_bytes());
            bytes.extend(body);
        } else {
            bytes.extend(element);
        }
    }
    bytes
}

/// Level 5 as of CinC: `val` of 16-bit numbers, with its rate and unit.
pub fn level5(leads: &Leads, packed: bool) -> Vec<u8> {
    let val = matrix(10, &[12, leads[0].len() as i32], "val", &[element(3, &interleaved(leads, 1.0))]);
    let rate = matrix(6, &[1, 1], "fs", &[element(4, &500u16.to_le_bytes())]);
    let unit = matrix(4, &[1, 2], "unit", &[element(4, &[b'u', 0, b'V', 0])]);
    file(&[val, rate, unit], packed)
}

/// Level 5: `so_many` structures of one field, whose name is so long, and in each a number.
pub fn named(so_many: usize, length: usize) -> Vec<u8> {
    let mut rest = vec![element(5, &(length as i32).to_le_bytes()), element(1, &vec![b'n'; length])];
    rest.extend(vec![matrix(6, &[1, 1], "", &[element(9, &61f64.to_le_bytes())]); so_many]);
    file(&[matrix(2, &[1, so_many as i32], "ECG", &rest)], false)
}

/// Level 5 as of CPSC: `ECG.data` in mV beside `ECG.sex` and `ECG.age`.
pub fn structure(leads: &Leads) -> Vec<u8> {
    let values: Vec<u8> =
        (0..leads[0].len()).flat_map(|t| leads.iter().flat_map(move |lead| (f64::from(lead[t]) / 1e3).to_le_bytes())).collect();
    let fields = [
        matrix(4, &[1, 4], "", &[element(16, b"Male")]),
        matrix(6, &[1, 1], "", &[element(9, &61f64.to_le_bytes())]),
        matrix(6, &[12, leads[0].len() as i32], "", &[element(9, &values)]),
    ];
    let names: Vec<u8> = ["sex", "age", "data"].iter().flat_map(|name| format!("{name:\0<8}").into_bytes()).collect();
    let mut rest = vec![element(5, &8i32.to_le_bytes()), element(1, &names)];
    rest.extend(fields);
    file(&[matrix(2, &[1, 1], "ECG", &rest)], true)
}
