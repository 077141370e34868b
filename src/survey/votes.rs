//! Votes as the pages save them, read and checked against the key.

use super::key::{Key, RaterKey, ScreenKey};
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One vote as saved.
#[derive(Clone, Debug)]
pub struct Vote {
    /// The survey's number.
    pub survey: String,
    /// The rater's name.
    pub rater: String,
    /// The screen's id.
    pub screen: String,
    /// The choice's id.
    pub choice: String,
    /// Where the vote stands, for messages.
    pub file: PathBuf,
    /// Its line or place in the file, from 1.
    pub line: usize,
}

/// What the pages save as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    survey: String,
    rater: String,
    votes: Vec<SavedVote>,
}

/// A vote in JSON. Where the choice stood, how long it took and when it was made are for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedVote {
    screen: String,
    choice: String,
    #[serde(default, rename = "place")]
    _place: Option<serde::de::IgnoredAny>,
    #[serde(default, rename = "seconds")]
    _seconds: Option<serde::de::IgnoredAny>,
    #[serde(default, rename = "at")]
    _at: Option<serde::de::IgnoredAny>,
}

/// The columns of votes as CSV; the last three are for people and may be missing.
const COLUMNS: [&str; 7] = ["survey", "rater", "screen", "choice", "place", "seconds", "at"];

/// No survey or rater has a longer name.
const NAME: usize = 200;

/// Votes that fit the key.
#[derive(Clone, Debug)]
pub struct Checked {
    /// `choices[rater][screen]`: the method (index) chosen, `None` where there is no vote. Both in the order of the key.
    pub choices: Vec<Vec<Option<usize>>>,
    /// What a person should know: missing votes, votes that came twice.
    pub notes: Vec<String>,
}

/// The votes of a rater take 200 kB.
const LARGEST: Most = Most { bytes: 1 << 26, of: "a file of votes" };

/// Reads the votes of one file, CSV or JSON by its ending.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] naming file and line.
pub fn read(path: &Path) -> Result<Vec<Vote>> {
    let text = intake::text(path, LARGEST)?;
    let votes = if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) { from_json(&text) } else { from_csv(&text) };
    let mut votes = votes.map_err(|problem| Error::format(path, problem))?;
    votes.iter_mut().for_each(|vote| vote.file = path.into());
    Ok(votes)
}

fn from_json(text: &str) -> std::result::Result<Vec<Vote>, String> {
    let saved: Saved = serde_json::from_str(text).map_err(|error| format!("not votes as the page saves them: {error}"))?;
    let (survey, rater) = (saved.survey, saved.rater);
    // Each vote repeats them, so that they must not be long.
    if survey.len() > NAME || rater.len() > NAME {
        return Err(format!("names of a survey or rater of more than {NAME} bytes"));
    }
    let place = |(i, SavedVote { screen, choice, .. }): (usize, SavedVote)| Vote {
        survey: survey.clone(),
        rater: rater.clone(),
        screen,
        choice,
        file: PathBuf::new(),
        line: i + 1,
    };
    Ok(saved.votes.into_iter().enumerate().map(place).collect())
}

fn from_csv(text: &str) -> std::result::Result<Vec<Vote>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("not votes as the page saves them: {error}"))?.clone();
    if let Some(unknown) = header.iter().find(|column| !COLUMNS.contains(column)) {
        return Err(format!("the column '{unknown}' is not known: known are {}", COLUMNS.join(", ")));
    }
    let mut places = [0; 4];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
        *place = match (found.next(), found.next()) {
            (Some(at), None) => at,
            (None, _) => return Err(format!("the column {name} is missing")),
            (Some(_), Some(_)) => return Err(format!("the column {name} is there twice")),
        };
    }
    let mut votes = Vec::new();
    for (i, row) in reader.records().enumerate() {
        let row = row.map_err(|error| format!("line {}: not a vote as the page saves it: {error}", i + 2))?;
        let [survey, rater, screen, choice] = places.map(|at| row[at].to_owned());
        votes.push(Vote { survey, rater, screen, choice, file: PathBuf::new(), line: i + 2 });
    }
    Ok(votes)
}

/// Checks votes against the key. A vote for another survey, an unknown rater, screen or choice, and two different votes for one screen
/// are refused; the same vote twice counts once; missing votes are told.
///
/// # Errors
/// [`Error::Value`] naming the file, the line and what is wrong with it.
pub fn check(key: &Key, votes: &[Vote]) -> Result<Checked> {
    let places: Vec<HashMap<&str, usize>> =
        key.raters.iter().map(|rater| rater.screens.iter().enumerate().map(|(k, screen)| (screen.id.as_str(), k)).collect()).collect();
    let mut choices: Vec<Vec<Option<usize>>> = key.raters.iter().map(|rater| vec![None; rater.screens.len()]).collect();
    let mut twice = 0;
    for vote in votes {
        let (rater, screen, method) = locate(key, &places, vote).map_err(|problem| refused(vote, &problem))?;
        match choices[rater][screen].replace(method) {
            Some(before) if before != method => {
                return Err(refused(vote, &format!("screen {} has two different votes; keep the one that counts", vote.screen)));
            }
            Some(_) => twice += 1,
            None => {}
        }
    }
    Ok(Checked { notes: notes(key, &choices, twice), choices })
}

fn locate(key: &Key, places: &[HashMap<&str, usize>], vote: &Vote) -> std::result::Result<(usize, usize, usize), String> {
    if vote.survey != key.survey {
        return Err(format!("a vote of survey '{}', the key is of survey '{}'", vote.survey, key.survey));
    }
    let known = |rater: &RaterKey| rater.rater == vote.rater;
    let rater = key.raters.iter().position(known).ok_or_else(|| format!("unknown rater '{}'", vote.rater))?;
    let screen = *places[rater].get(vote.screen.as_str()).ok_or_else(|| format!("{} has no screen '{}'", vote.rater, vote.screen))?;
    let found = |screen: &ScreenKey| screen.choices.iter().find(|choice| choice.0 == vote.choice).map(|choice| choice.1);
    let method =
        found(&key.raters[rater].screens[screen]).ok_or_else(|| format!("screen {} has no choice '{}'", vote.screen, vote.choice))?;
    Ok((rater, screen, method))
}

fn refused(vote: &Vote, problem: &str) -> Error {
    Error::Value { at: format!("{}, line {}", vote.file.display(), vote.line), problem: problem.into() }
}

fn notes(key: &Key, choices: &[Vec<Option<usize>>], twice: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (rater, choices) in key.raters.iter().zip(choices) {
        let missing = choices.iter().filter(|choice| choice.is_none()).count();
        match missing {
            0 => {}
            all if all == choices.len() => notes.push(format!("{}: no votes", rater.rater)),
            some => notes.push(format!("{}: {some} of {} votes missing", rater.rater, choices.len())),
        }
    }
    if twice > 0 {
        notes.push(format!("{twice} votes came twice, the same, and count once"));
    }
    notes
}
