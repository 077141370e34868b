//! HDF5 files as h5py and MATLAB write them: superblock 0, symbol tables, arrays in one piece or in deflated chunks.

use super::Leads;
use std::io::Write;

/// An array of floats to be written.
pub struct Array<'a> {
    pub name: &'a str,
    pub shape: &'a [u64],
    pub values: Vec<u8>,
    /// Bytes of an element, and whether it is a float.
    pub size: usize,
    pub float: bool,
    /// The shape of chunks, shuffled and deflated; in one piece where it is absent.
    pub chunk: Option<&'a [u64]>,
    /// A text and a number beside it.
    pub unit: Option<&'a str>,
}

fn put(bytes: &mut Vec<u8>, parts: &[(u64, usize)]) {
    parts.iter().for_each(|(value, size)| bytes.extend(&value.to_le_bytes()[..*size]));
}

fn message(bytes: &mut Vec<u8>, kind: u64, body: &[u8]) {
    let length = body.len().next_multiple_of(8);
    put(bytes, &[(kind, 2), (length as u64, 2), (0, 4)]);
    bytes.extend(body);
    bytes.resize(bytes.len() + length - body.len(), 0);
}

fn header(messages: Vec<(u64, Vec<u8>)>) -> Vec<u8> {
    let mut body = Vec::new();
    messages.iter().for_each(|(kind, one)| message(&mut body, *kind, one));
    let mut bytes = Vec::new();
    put(&mut bytes, &[(1, 2), (messages.len() as u64, 2), (1, 4), (body.len() as u64, 4), (0, 4)]);
    bytes.extend(body);
    bytes
}

fn datatype(size: usize, float: bool) -> Vec<u8> {
    let mut bytes = if float { vec![0x11, 0x20, size as u8 * 8 - 1, 0] } else { vec![0x10, 8, 0, 0] };
    put(&mut bytes, &[(size as u64, 4), (0, 2), (size as u64 * 8, 2)]);
    if float {
        bytes.extend(if size == 4 { [23, 8, 0, 23, 127, 0, 0, 0] } else { [52, 11, 0, 52, 255, 3, 0, 0] });
    }
    bytes
}

fn dataspace(shape: &[u64]) -> Vec<u8> {
    let mut bytes = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    shape.iter().for_each(|size| put(&mut bytes, &[(*size, 8)]));
    bytes
}

/// A text of fixed length.
fn attribute(name: &str, text: &str) -> Vec<u8> {
    let pad = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let mut kind = vec![0x13, 0, 0, 0];
    put(&mut kind, &[(text.len() as u64, 4)]);
    let space = dataspace(&[]);
    let mut bytes = vec![1, 0];
    put(&mut bytes, &[(name.len() as u64 + 1, 2), (kind.len() as u64, 2), (space.len() as u64, 2)]);
    bytes.extend(pad(format!("{name}\0").into_bytes()));
    bytes.extend(pad(kind));
    bytes.extend(pad(space));
    bytes.extend(text.as_bytes());
    bytes
}

/// Shuffles and deflates the part of an array that is in a chunk; elements outside are 0.
fn pack(array: &Array<'_>, begin: &[u64], chunk: &[u64]) -> Vec<u8> {
    let count: u64 = chunk.iter().product();
    let mut plain = Vec::new();
    for at in 0..count {
        let (mut rest, mut index) = (at, vec![0; chunk.len()]);
        for axis in (0..chunk.len()).rev() {
            index[axis] = begin[axis] + rest % chunk[axis];
            rest /= chunk[axis];
        }
        let inside = index.iter().zip(array.shape).all(|(at, size)| at < size);
        let place = index.iter().zip(array.shape).fold(0, |sum, (at, size)| sum * size + at) as usize * array.size;
        plain.extend(if inside { array.values[place..][..array.size].to_vec() } else { vec![0; array.size] });
    }
    let shuffled: Vec<u8> = (0..array.size).flat_map(|byte| plain.chunks(array.size).map(move |one| one[byte])).collect();
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(&shuffled).unwrap();
    to.finish().unwrap()
}

/// A file of arrays in the root group, behind `before` bytes of a user's own (0, or 512 as MATLAB has).
pub fn write(arrays: &[Array<'_>], before: usize) -> Vec<u8> {
    // Behind the superblock: root header, tree, heap, names, entries, then the arrays.
    let (root, tree, heap, names, entries) = (96u64, 160, 704, 736, 1024);
    let mut table = vec![0u8; 8];
    let mut bytes = vec![0u8; 3072];
    let mut nodes = Vec::new();
    for array in arrays {
        let name = table.len() as u64;
        table.extend(array.name.as_bytes());
        table.resize((table.len() + 1).next_multiple_of(8), 0);
        let mut messages = vec![(1, dataspace(array.shape)), (3, datatype(array.size, array.float))];
        let mut layout = Vec::new();
        match array.chunk {
            None => {
                put(&mut layout, &[(3, 1), (1, 1), (bytes.len() as u64, 8), (array.values.len() as u64, 8)]);
                bytes.extend(&array.values);
            }
            Some(chunk) => {
                let grid: Vec<u64> = array.shape.iter().zip(chunk).map(|(size, chunk)| size.div_ceil(*chunk)).collect();
                let mut node = b"TREE\x01\x00".to_vec();
                put(&mut node, &[(grid.iter().product(), 2), (u64::MAX, 8), (u64::MAX, 8)]);
                for at in 0..grid.iter().product() {
                    let (mut rest, mut begin) = (at, vec![0; grid.len()]);
                    for axis in (0..grid.len()).rev() {
                        begin[axis] = rest % grid[axis] * chunk[axis];
                        rest /= grid[axis];
                    }
                    let packed = pack(array, &begin, chunk);
                    put(&mut node, &[(packed.len() as u64, 4), (0, 4)]);
                    begin.iter().for_each(|at| put(&mut node, &[(*at, 8)]));
                    put(&mut node, &[(0, 8), (bytes.len() as u64, 8)]);
                    bytes.extend(packed);
                }
                put(&mut layout, &[(3, 1), (2, 1), (chunk.len() as u64 + 1, 1), (bytes.len() as u64, 8)]);
                chunk.iter().for_each(|size| put(&mut layout, &[(*size, 4)]));
                put(&mut layout, &[(array.size as u64, 4)]);
                bytes.extend(node);
                bytes.extend([0; 64]);
                let mut filters = Vec::new();
                put(&mut filters, &[(1, 1), (2, 1), (0, 6)]);
                put(&mut filters, &[(2, 2), (0, 2), (1, 2), (1, 2), (array.size as u64, 4), (0, 4)]);
                put(&mut filters, &[(1, 2), (0, 2), (1, 2), (1, 2), (1, 4), (0, 4)]);
                messages.push((11, filters));
            }
        }
        messages.push((8, layout));
        messages.extend(array.unit.map(|unit| (12, attribute("units", unit))));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        nodes.push((name, bytes.len() as u64));
        bytes.extend(header(messages));
    }
    let mut at = |place: u64, part: Vec<u8>| bytes[place as usize..][..part.len()].copy_from_slice(&part);
    let mut links = Vec::new();
    put(&mut links, &[(tree, 8), (heap, 8)]);
    at(root, header(vec![(17, links)]));
    let mut part = b"TREE\x00\x00".to_vec();
    put(&mut part, &[(1, 2), (u64::MAX, 8), (u64::MAX, 8), (0, 8), (entries, 8), (nodes.last().unwrap().0, 8)]);
    at(tree, part);
    let mut part = b"HEAP\0\0\0\0".to_vec();
    put(&mut part, &[(table.len() as u64, 8), (1, 8), (names, 8)]);
    at(heap, part);
    at(names, table);
    let mut part = b"SNOD\x01\x00".to_vec();
    put(&mut part, &[(nodes.len() as u64, 2)]);
    nodes.iter().for_each(|(name, object)| put(&mut part, &[(*name, 8), (*object, 8), (0, 8), (0, 8), (0, 8)]));
    at(entries, part);
    let mut part = b"\x89HDF\r\n\x1a\n".to_vec();
    let end = bytes.len() as u64;
    put(&mut part, &[(0, 5), (8, 1), (8, 1), (0, 1), (4, 2), (16, 2), (0, 4), (before as u64, 8), (u64::MAX, 8), (end + before as u64, 8)]);
    put(&mut part, &[(u64::MAX, 8), (0, 8), (root, 8), (0, 8), (0, 8), (0, 8)]);
    bytes[..part.len()].copy_from_slice(&part);
    let mut all = vec![0; before];
    all.extend(bytes);
    all
}

/// Floats of 4 bytes of ECGs as CODE-15 has them: (N, T, 12), mV.
fn tracings(ecgs: &[Leads]) -> Vec<u8> {
    let one = |leads: &Leads| {
        (0..leads[0].len()).flat_map(|t| leads.iter().flat_map(move |lead| (lead[t] / 1e3).to_le_bytes())).collect::<Vec<u8>>()
    };
    ecgs.iter().flat_map(one).collect()
}

/// A file as of CODE-15: `tracings` (N, T, 12) in mV and `exam_id`, from 1000 on.
pub fn code15(ecgs: &[Leads], chunk: Option<&[u64]>, unit: Option<&str>) -> Vec<u8> {
    let shape = [ecgs.len() as u64, ecgs[0][0].len() as u64, 12];
    let ids: Vec<u8> = (0..ecgs.len() as u64).flat_map(|at| (1000 + at).to_le_bytes()).collect();
    let rows = [ecgs.len() as u64];
    let arrays = [
        Array { name: "exam_id", shape: &rows, values: ids, size: 8, float: false, chunk: None, unit: None },
        Array { name: "tracings", shape: &shape, values: tracings(ecgs), size: 4, float: true, chunk, unit },
    ];
    write(&arrays, 0)
}

/// A MATLAB 7.3 file: `val` (12, T) in mV, whose axes stand turned around, behind a text of 512 bytes.
pub fn matlab(leads: &Leads) -> Vec<u8> {
    let shape = [leads[0].len() as u64, 12];
    let val = Array {
        name: "val",
        shape: &shape,
        values: tracings(std::slice::from_ref(leads)),
        size: 4,
        float: true,
        chunk: None,
        unit: Some("mV"),
    };
    let rate = Array { name: "fs", shape: &[1, 1], values: 500f64.to_le_bytes().to_vec(), size: 8, float: true, chunk: None, unit: None };
    let mut bytes = write(&[rate, val], 512);
    bytes[..40].copy_from_slice(b"MATLAB 7.3 MAT-file, made by a test     ");
    bytes
}
