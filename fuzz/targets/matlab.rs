#![cfg_attr(fuzzing, no_main)]
//! MATLAB files of level 4 and 5, and of 7.3, as the command line opens them: with what the file says of itself, and with unit and rate given.

use cardiograd_fuzz::file;
use cardiograd_fuzz::recordings::use_source;

fn check(input: &[u8]) {
    use_source(&file("input.mat", input));
}

cardiograd_fuzz::target!(check);
