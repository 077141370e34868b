#![cfg_attr(fuzzing, no_main)]
//! Provenance records: read, checked against their own digest and against what lies beside them, and written again.

use cardiograd::audit::provenance::Record;
use cardiograd_fuzz::{file, one_line, refused};

fn check(input: &[u8]) {
    let path = file("result.npz.provenance.json", input);
    let result = file("result.npz", b"a result");
    let Some(record) = refused(Record::read(&path), &path) else { return };
    let whole = record.is_whole();
    let places: Vec<_> = record.inputs.iter().map(|_| result.clone()).collect();
    assert!(record.changed_inputs(&places).len() <= record.inputs.len());
    if let Err(error) = record.changed_outputs(&result) {
        one_line(&error);
    }
    // A record may hold what cannot be written (a path that is not text); what can be comes back.
    if record.write(&result).is_ok() {
        let back = Record::read(&path).unwrap_or_else(|error| panic!("what was written is refused: {error}"));
        assert_eq!(back, record);
        assert_eq!(back.is_whole(), whole);
    }
}

cardiograd_fuzz::target!(check);
