#![cfg_attr(fuzzing, no_main)]
//! ECGs in XML of every maker, by their root elements: HL7 aECG, Philips, CardioSoft, Mortara, Schiller, MUSE; packed or not.

use cardiograd_fuzz::file;
use cardiograd_fuzz::recordings::use_source;

fn check(input: &[u8]) {
    use_source(&file("input.xml", input));
}

cardiograd_fuzz::target!(check);
