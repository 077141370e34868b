//! `.npy` in and out: round trips, foreign byte orders, hostile files.

#![cfg(feature = "files")]

use cardiograd::files::npy::{self, Dtype, NpyArray, NpyRows, NpyWriter};
use ndarray::{Array1, Array2, Array3, ArrayD, IxDyn, arr2};
use proptest::prelude::*;
use std::path::Path;

fn bytes_of(array: &Array2<f32>) -> Vec<u8> {
    let mut out = Vec::new();
    npy::write_to(&mut out, array.view()).unwrap();
    out
}

fn parse(bytes: &[u8]) -> cardiograd::Result<NpyArray> {
    npy::read_bytes(Path::new("x.npy"), bytes)
}

/// A file as NumPy would write it, with any dictionary and data.
fn file(version: u8, dict: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    if version == 1 {
        out.extend((dict.len() as u16).to_le_bytes());
    } else {
        out.extend((dict.len() as u32).to_le_bytes());
    }
    out.extend(dict.as_bytes());
    out.extend(data);
    out
}

proptest! {
    #[test]
    fn every_type_and_shape_comes_back(shape in prop::collection::vec(0usize..5, 0..5), seed: u32) {
        let count: usize = shape.iter().product();
        let numbers: Vec<i64> = (0..count as i64).map(|i| i.wrapping_mul(seed as i64).wrapping_sub(1 << 20)).collect();
        let array = ArrayD::from_shape_vec(IxDyn(&shape), numbers).unwrap();
        let all: [NpyArray; 5] = [
            array.mapv(|v| v as f32 / 3.0).into(),
            array.mapv(|v| v as f64 / 3.0).into(),
            array.mapv(|v| v as i16).into(),
            array.mapv(|v| v as i32).into(),
            array.into(),
        ];
        for array in all {
            let mut bytes = Vec::new();
            match &array {
                NpyArray::F32(a) => npy::write_to(&mut bytes, a.view()),
                NpyArray::F64(a) => npy::write_to(&mut bytes, a.view()),
                NpyArray::I16(a) => npy::write_to(&mut bytes, a.view()),
                NpyArray::I32(a) => npy::write_to(&mut bytes, a.view()),
                NpyArray::I64(a) => npy::write_to(&mut bytes, a.view()),
            }.unwrap();
            prop_assert_eq!(parse(&bytes).unwrap(), array);
        }
    }

    #[test]
    fn flipped_bits_never_panic(at in 0usize..200, bit in 0u8..8) {
        let mut bytes = bytes_of(&Array2::from_shape_fn((3, 6), |(i, j)| (i * j) as f32));
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(array) = parse(&bytes) {
            let held: usize = array.shape().iter().product();
            prop_assert!(held * array.dtype().size() <= bytes.len());
        }
    }

    #[test]
    fn any_header_text_is_an_answer(text in "[{}()',: a-z0-9<>=TF|L]{0,80}", version in 0u8..5) {
        let _ = parse(&file(version, &text, &[0; 16]));
    }
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let bytes = bytes_of(&arr2(&[[1.0, 2.0], [3.0, 4.0]]));
    for length in 0..bytes.len() {
        let error = parse(&bytes[..length]).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{length}: {error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(parse(&longer).unwrap_err().to_string().contains("trailing"));
}

#[test]
fn a_claim_of_2_to_the_60_elements_allocates_nothing() {
    for shape in ["(1152921504606846976,)", "(4294967296, 4294967296, 4)", "(9223372036854775808, 9223372036854775808)"] {
        let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.npy");
        std::fs::write(&path, file(1, &dict, &[0; 64])).unwrap();
        for error in [npy::read(&path).unwrap_err(), NpyRows::open(&path).unwrap_err()] {
            assert!(error.to_string().contains("the file has 64"), "{error}");
        }
    }
    // A huge header length is refused before it is believed.
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    assert!(parse(&bytes).is_err());
    // No elements at all, but axes that multiply out of range.
    assert!(parse(&file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 16, 0), }\n", &[])).is_err());
}

#[test]
fn byte_orders_fortran_order_and_versions_are_read() {
    let dict = |descr: &str, fortran: &str| format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (2, 3), }}\n");
    let numbers = [1i32, 2, 3, 4, 5, 6];
    let little: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let big: Vec<u8> = numbers.iter().flat_map(|v| v.to_be_bytes()).collect();
    let rows = ArrayD::from_shape_vec(IxDyn(&[2, 3]), numbers.to_vec()).unwrap();
    let columns = ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![1, 3, 5, 2, 4, 6]).unwrap();
    for version in 1..=3 {
        assert_eq!(parse(&file(version, &dict("<i4", "False"), &little)).unwrap(), NpyArray::I32(rows.clone()));
        assert_eq!(parse(&file(version, &dict(">i4", "False"), &big)).unwrap(), NpyArray::I32(rows.clone()));
        assert_eq!(parse(&file(version, &dict("<i4", "True"), &little)).unwrap(), NpyArray::I32(columns.clone()));
    }
    let old = parse(&file(1, "{'shape': (6L,), \"descr\": '>i4', 'fortran_order': False}", &big)).unwrap();
    assert_eq!(old.into_f64().into_raw_vec_and_offset().0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for (dict, hint) in [
        (dict("|O", "False"), "astype"),
        (dict("<c8", "False"), "astype"),
        (dict("é4", "False"), "astype"),
        (dict("", "False"), "astype"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }".into(), "records"),
        ("{'fortran_order': False, 'shape': (2,), }".into(), "descr"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }".into(), "sizes"),
    ] {
        let error = parse(&file(1, &dict, &[0; 8])).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn rows_stream_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.npy");
    let all = Array3::from_shape_fn((5, 2, 3), |(i, j, k)| (100 * i + 10 * j + k) as f32);
    let mut writer = NpyWriter::<f32, _>::create(&path, &[2, 3]).unwrap();
    for row in all.outer_iter() {
        writer.append(row).unwrap();
    }
    assert!(writer.append(Array1::<f32>::zeros(6).view()).unwrap_err().to_string().contains("row 5"));
    assert!(!path.exists());
    writer.finish().unwrap();
    assert_eq!(npy::read(&path).unwrap(), NpyArray::F32(all.clone().into_dyn()));
    let rows = NpyRows::open(&path).unwrap();
    assert_eq!((rows.len(), rows.row_shape(), rows.header().dtype), (5, &[2, 3][..], Dtype::F32));
    assert_eq!(rows.row::<f32>(3).unwrap(), all.index_axis(ndarray::Axis(0), 3).into_dyn());
    assert!(rows.row::<f64>(0).unwrap_err().to_string().contains("float32"));
    assert_eq!(rows.row::<f32>(5).unwrap_err().exit_code(), 2);
    // Cut while it is open: an error, not a crash.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(140).unwrap();
    assert!(rows.row::<f32>(4).is_err());
}

/// Many rows at once are the rows one by one, of every type and order of bytes, across the pieces in which they are read.
#[test]
fn rows_read_together_are_those_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.npy");
    let (rows, row) = (7, 3 * 2400);
    for (descr, size) in [("<f4", 4), (">f4", 4), ("<f8", 8), (">i2", 2), ("<i4", 4), ("<i8", 8), ("<f2", 2), ("|u1", 1), (">u4", 4)] {
        // Exponents of ordinary numbers, whatever the type.
        let data: Vec<u8> = (0..rows * row * size).map(|at| if at % 3 == 0 { 0x41 } else { (at * 7 % 61) as u8 }).collect();
        let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, 3, 2400), }}\n");
        std::fs::write(&path, file(1, &dict, &data)).unwrap();
        let open = NpyRows::open(&path).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let alone: Vec<f32> = (2..6).flat_map(|index| open.row_f32(index).unwrap().into_raw_vec_and_offset().0).collect();
        let mut together = vec![0.0; alone.len()];
        open.fill_f32(2, &mut together).unwrap();
        assert!(bits(&alone) == bits(&together), "{descr}");
        assert!(bits(&npy::read_f32(&path).unwrap().as_slice().unwrap()[2 * row..6 * row]) == bits(&together), "{descr}");
        assert_eq!(open.fill_f32(4, &mut together).unwrap_err().exit_code(), 2);
        assert_eq!(open.fill_f32(usize::MAX, &mut together).unwrap_err().exit_code(), 2);
    }
}

/// What is written of an array whose elements lie in another order is what is written of a copy in order.
#[test]
fn views_in_any_order_are_written_in_order() {
    let all = Array3::from_shape_fn((30, 40, 50), |(i, j, k)| (10_000 * i + 100 * j + k) as i32);
    let turned = all.view().permuted_axes([2, 0, 1]);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    npy::write_to(&mut one, turned.view()).unwrap();
    npy::write_to(&mut other, turned.as_standard_layout().view()).unwrap();
    assert!(one == other);
    assert_eq!(parse(&one).unwrap(), NpyArray::I32(turned.to_owned().into_dyn()));
}

#[test]
fn an_interrupted_file_is_continued_where_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.npy");
    let row = |i: usize| Array1::from_elem(3, i as i16);
    let mut writer = NpyWriter::<i16, _>::resume(&path, &[3], 0).unwrap();
    (0..4).for_each(|i| writer.append(row(i).view()).unwrap());
    writer.checkpoint().unwrap();
    writer.append(row(9).view()).unwrap();
    drop(writer);
    let mut writer = NpyWriter::<i16, _>::resume(&path, &[3], 3).unwrap();
    (3..6).for_each(|i| writer.append(row(i).view()).unwrap());
    writer.checkpoint().unwrap();
    let read = npy::read_f32(&path).unwrap();
    assert_eq!(read.shape(), [6, 3]);
    assert_eq!(read.iter().step_by(3).copied().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(NpyWriter::<i16, _>::resume(&path, &[3], 7).is_err());
    assert!(NpyWriter::<i16, _>::resume(&path, &[4], 2).is_err());
    assert!(NpyWriter::<f32, _>::resume(&path, &[3], 2).is_err());
}
