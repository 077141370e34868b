#![cfg_attr(fuzzing, no_main)]
//! `.npy` files: whole, row by row, many rows at once, and as recordings. The ways of reading give the same.

use cardiograd::files::npy::{self, NpyRows};
use cardiograd_fuzz::recordings::use_source;
use cardiograd_fuzz::{file, refused};

/// Rows that are compared.
const ROWS: usize = 8;

fn check(input: &[u8]) {
    let path = file("input.npy", input);
    let whole = refused(npy::read_bytes(&path, input), &path).map(|array| array.into_f32());
    let from_file = refused(npy::read_f32(&path), &path);
    assert_eq!(whole.is_some(), from_file.is_some());
    let rows = refused(NpyRows::open(&path), &path);
    if let (Some(whole), Some(rows)) = (whole, rows) {
        assert_eq!(whole.shape()[0], rows.len());
        for (index, wanted) in whole.outer_iter().enumerate().take(ROWS) {
            let row = rows.row_f32(index).expect("a row of a readable array");
            assert!(row.iter().zip(wanted.iter()).all(|(a, b)| a.to_bits() == b.to_bits()), "row {index}");
        }
        let some = rows.len().min(ROWS);
        let mut together = vec![0.0; some * rows.row_shape().iter().product::<usize>()];
        rows.fill_f32(rows.len() - some, &mut together).expect("the last rows of a readable array");
        let wanted = whole.outer_iter().skip(rows.len() - some).flat_map(|row| row.into_iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        assert!(together.iter().map(|v| v.to_bits()).eq(wanted), "rows together");
    }
    use_source(&path);
}

cardiograd_fuzz::target!(check);
