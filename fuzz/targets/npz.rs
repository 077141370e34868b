#![cfg_attr(fuzzing, no_main)]
//! `.npz` files: every array, each by its name, as recordings, and what they say of their axes; as they are, and with the checksums of their entries made right.

use cardiograd::ecg::axes::Axes;
use cardiograd::files::npz;
use cardiograd_fuzz::recordings::use_source;
use cardiograd_fuzz::{checksums, file, refused};

/// Arrays that are read by name.
const ARRAYS: usize = 8;

fn check(input: &[u8]) {
    check_as_it_is(input);
    if let Some(fixed) = checksums::zip(input) {
        check_as_it_is(&fixed);
    }
}

fn check_as_it_is(input: &[u8]) {
    let path = file("input.npz", input);
    if let Some(arrays) = refused(npz::read(&path), &path) {
        let names = npz::names(&path).expect("the names of readable arrays");
        assert!(arrays.iter().map(|(name, _)| name).eq(&names));
        for (name, array) in arrays.into_iter().take(ARRAYS) {
            let one = npz::read_one(&path, &name).expect("a readable array by its name");
            assert_eq!((one.shape(), one.dtype()), (array.shape(), array.dtype()));
        }
    }
    // What an archive says of its axes comes back.
    if let Some(Some(axes)) = refused(Axes::of_archive(&path), &path) {
        let text = axes.text().expect("axes as a text");
        assert_eq!(Axes::parse(&path, &text).expect("axes from their own text"), axes);
    }
    let _ = npz::is_npz(&path);
    use_source(&path);
}

cardiograd_fuzz::target!(check);
