//! Small files that would take long, or much: indices that lead to one place over and over, words and names that stand for many, places beyond all
//! numbers. Each of these hung a reader, filled the memory, panicked, or gave numbers that are not in the file.

use super::formats::{hdf5, matlab, parquet};
use super::{Leads, ecg, millivolts, refusal, write};
use cardiograd::ecg::read::{Given, Source, Unit};

fn put(bytes: &mut [u8], at: usize, value: u64, size: usize) {
    bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).unwrap()
}

/// A tree in HDF5: `levels` nodes, each of which names the one below 60 times, and a lowest one of nothing. Gives its address.
fn tree(bytes: &mut Vec<u8>, kind: u8, key: usize, lowest: &[u8], levels: u8) -> u64 {
    let mut below = bytes.len() as u64;
    bytes.extend(lowest);
    bytes.extend([0; 128]);
    for level in 0..levels {
        let place = bytes.len() as u64;
        bytes.extend([b'T', b'R', b'E', b'E', kind, level + u8::from(kind == 1), 60, 0]);
        bytes.extend([0xff; 16]);
        for _ in 0..60 {
            bytes.extend(vec![0; key]);
            bytes.extend(below.to_le_bytes());
        }
        bytes.extend([0; 64]);
        below = place;
    }
    below
}

#[test]
fn trees_that_name_one_node_over_and_over() {
    let to = tempfile::tempdir().unwrap();
    let mut chunks = hdf5::code15(&[ecg(21)], Some(&[1, 1000, 12]), None);
    let old = find(&chunks, b"TREE\x01\x00") as u64;
    let empty = [&b"TREE\x01\x00\0\0"[..], &[0xff; 16]].concat();
    let new = tree(&mut chunks, 1, 40, &empty, 9);
    let layout = find(&chunks, &old.to_le_bytes());
    put(&mut chunks, layout, new, 8);
    assert!(refusal(&write(&to, "chunks.h5", chunks), &millivolts()).contains("over and over"));
    // Of a group's tree the root's is at 160, of one entry.
    let mut group = hdf5::code15(&[ecg(21)], None, None);
    let new = tree(&mut group, 0, 8, b"SNOD\x01\x00\0\0", 9);
    group[160 + 5] = 9;
    put(&mut group, 160 + 32, new, 8);
    assert!(refusal(&write(&to, "group.h5", group), &millivolts()).contains("over and over"));
}

/// Layouts of the latest format in place of the tree: what stands in them is reckoned with before anything is read.
#[test]
fn layouts_of_places_that_are_not_there() {
    let to = tempfile::tempdir().unwrap();
    let good = hdf5::code15(&[ecg(22)], Some(&[1, 1000, 12]), None);
    let tree = find(&good, b"TREE\x01\x00") as u64;
    let layout = find(&good, &tree.to_le_bytes()) - 3;
    let fourth = |kind: &[u8]| {
        let mut bytes = good.clone();
        // Version 4, chunked, no flags, four axes with that of bytes, two bytes each.
        let head = [&[4, 2, 0, 4, 2, 1, 0, 0xe8, 3, 12, 0, 4, 0][..], kind].concat();
        bytes[layout..layout + head.len()].copy_from_slice(&head);
        bytes
    };
    // One chunk, of an array without rows.
    let mut none = fourth(&[&[1][..], &3072u64.to_le_bytes()].concat());
    let shape: Vec<u8> = [1u64, 2500, 12].iter().flat_map(|size| size.to_le_bytes()).collect();
    let place = find(&none, &shape);
    put(&mut none, place, 0, 8);
    assert!(refusal(&write(&to, "none.h5", none), &millivolts()).contains("none of its arrays"));
    // A fixed array whose entries lie at the end of all addresses.
    let end = good.len() as u64;
    let mut beyond = fourth(&[&[3, 0][..], &end.to_le_bytes()].concat());
    beyond.extend([b'F', b'A', b'H', b'D', 0, 1, 16, 10]);
    beyond.extend(3u64.to_le_bytes());
    beyond.extend((u64::MAX - 1).to_le_bytes());
    assert!(refusal(&write(&to, "beyond.h5", beyond), &millivolts()).contains("lies outside"));
    // One chunk twice, and another one never: its samples would be zeros.
    let mut twice = good;
    let first = tree as usize + 24 + 8;
    twice.copy_within(first..first + 32, first + 48);
    assert!(refusal(&write(&to, "twice.h5", twice), &millivolts()).contains("twice"));
}

/// Texts of any length, of which one is absent: it has no address, and its number stands all the same.
#[test]
fn an_absent_text_moves_no_other() {
    let to = tempfile::tempdir().unwrap();
    let ecgs = [ecg(23), ecg(24), ecg(25), ecg(28)];
    let mut bytes = hdf5::code15(&ecgs, None, None);
    let collection = bytes.len() as u64;
    bytes.extend(b"GCOL\x01\0\0\0");
    bytes.extend(96u64.to_le_bytes());
    for (number, text) in [(1u8, b"one\0\0\0\0\0"), (2, b"three\0\0\0")] {
        bytes.extend([number, 0, 1, 0, 0, 0, 0, 0]);
        bytes.extend(5u64.to_le_bytes());
        bytes.extend(text);
    }
    bytes.resize(collection as usize + 96, 0);
    let place = bytes.len() as u64;
    for (length, address, number) in [(5u32, collection, 1u32), (5, u64::MAX, 7), (0, 0, 0), (5, collection, 2)] {
        bytes.extend(length.to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    // `exam_id` becomes one of such texts: its type, and where it lies.
    let kind = find(&bytes, &[0x10, 8, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0]);
    bytes[kind..kind + 8].copy_from_slice(&[0x19, 1, 0, 0, 16, 0, 0, 0]);
    let old = [&[3, 1][..], &3072u64.to_le_bytes()].concat();
    let layout = find(&bytes, &old);
    put(&mut bytes, layout + 2, place, 8);
    let source = Source::open(write(&to, "texts.h5", &bytes), millivolts()).unwrap();
    // An id that is not there leaves all to be counted.
    assert_eq!((source.len(), source.id(1).as_str()), (4, "texts:1"));
    // With a text for each they are the ids: of the first text one, two and three letters.
    for (at, length) in [(1, 1), (2, 2)] {
        let absent = place as usize + 16 * at;
        put(&mut bytes, absent, length, 4);
        put(&mut bytes, absent + 4, collection, 8);
        put(&mut bytes, absent + 12, 1, 4);
    }
    let source = Source::open(write(&to, "texts.h5", &bytes), millivolts()).unwrap();
    assert_eq!([0, 1, 2, 3].map(|at| source.id(at)), ["one", "o", "on", "three"]);
}

#[test]
fn pages_and_words_that_stand_for_many() {
    let to = tempfile::tempdir().unwrap();
    let given = Given { unit: Some(Unit::Microvolt), ..millivolts() };
    let two = [ecg(26), ecg(27)];
    // The same id twice is no id.
    let source = Source::open(write(&to, "a.parquet", parquet::worded(&two, "one", 1)), given.clone()).unwrap();
    assert_eq!((source.len(), source.id(1).as_str()), (2, "a:1"));
    assert!(refusal(&write(&to, "b.parquet", parquet::worded(&two, "one", 3)), &given).contains("overlap"));
    // A word of 1 MB in 600 rows.
    let rows: Vec<Leads> = (0..600).map(|_| two[0].iter().map(|lead| lead[..50].to_vec()).collect()).collect();
    let long = "w".repeat(1 << 20);
    assert!(refusal(&write(&to, "c.parquet", parquet::worded(&rows, &long, 1)), &given).contains("texts come to more"));
}

#[test]
fn names_that_are_long_and_stand_for_many() {
    let to = tempfile::tempdir().unwrap();
    assert!(refusal(&write(&to, "one.mat", matlab::named(3, 100_000)), &millivolts()).contains("have 100000 bytes"));
    assert!(refusal(&write(&to, "many.mat", matlab::named(80_000, 1000)), &millivolts()).contains("names of its arrays"));
    assert!(refusal(&write(&to, "few.mat", matlab::named(8, 30)), &millivolts()).contains("none of its arrays"));
}
