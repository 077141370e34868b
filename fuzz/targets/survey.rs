#![cfg_attr(fuzzing, no_main)]
//! A survey's key, a zero byte, votes in CSV, a zero byte, votes in JSON: read, checked against each other, and counted.

use cardiograd::survey::{self, Key};
use cardiograd_fuzz::{file, one_line, parts, refused};

/// Resamples behind each interval.
const RESAMPLES: usize = 5;

fn check(input: &[u8]) {
    let [key, table, saved] = parts(input);
    let path = file("key.json", key);
    let mut votes = Vec::new();
    for (name, bytes) in [("votes.csv", table), ("votes.json", saved)] {
        let path = file(name, bytes);
        votes.extend(refused(survey::read(&path), &path).unwrap_or_default());
    }
    let Some(key) = refused(Key::read(&path), &path) else { return };
    let text = serde_json::to_vec(&key).expect("a key can be written");
    assert_eq!(Key::read(&file("copy.json", &text)).unwrap_or_else(|error| panic!("what was written is refused: {error}")), key);
    match survey::check(&key, &votes) {
        Ok(checked) => {
            let tally = survey::tally(&key, &checked, RESAMPLES, 1);
            for table in tally.votes.iter().chain(&tally.between).map(|(_, table)| table).chain([&tally.pairs, &tally.within]) {
                assert!(!table.csv().contains("NaN"), "a NaN in a table:\n{}", table.csv());
            }
        }
        Err(error) => drop(one_line(&error)),
    }
}

cardiograd_fuzz::target!(check);
