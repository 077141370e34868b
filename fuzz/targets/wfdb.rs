#![cfg_attr(fuzzing, no_main)]
//! WFDB records: the header `r.hea`, a zero byte, the signal file `r.dat`.

use cardiograd::ecg::read::wfdb;
use cardiograd_fuzz::recordings::use_recording;
use cardiograd_fuzz::{file, one_line, parts};

fn check(input: &[u8]) {
    let [header, signal] = parts(input);
    file("r.dat", signal);
    let path = file("r.hea", header);
    match wfdb::read(&path) {
        Ok(recording) => use_recording(&recording, &path),
        // A fault of a signal file is told with that file's name, which the header chooses.
        Err(error) => drop(one_line(&error)),
    }
}

cardiograd_fuzz::target!(check);
