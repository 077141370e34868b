//! Names of leads, in whatever spelling a file has them.

use crate::ecg::leads::LEADS;

/// Leads beyond the twelve that have a spelling of ours: the right and the posterior ones, Frank's three, Nehb's three.
pub const FURTHER: [&str; 16] = ["V1R", "V2R", "V3R", "V4R", "V5R", "V6R", "V7R", "V7", "V8", "V9", "X", "Y", "Z", "ND", "NA", "NI"];

/// A lead that a file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// In our spelling, one of [`LEADS`] or [`FURTHER`].
    pub name: &'static str,
    /// Whether the file holds it upside down (`-aVR`, as Cabrera's order has it).
    pub negated: bool,
}

/// Spellings that are more than a prefix and a case away: modified limb leads of recorders with three electrodes, arabic numbers, electrodes on the chest, Frank's leads.
const ALIASES: [(&str, &str); 21] = [
    ("mli", "I"),
    ("mlii", "II"),
    ("mliii", "III"),
    ("di", "I"),
    ("dii", "II"),
    ("diii", "III"),
    ("d1", "I"),
    ("d2", "II"),
    ("d3", "III"),
    ("vr", "aVR"),
    ("vl", "aVL"),
    ("vf", "aVF"),
    ("c1", "V1"),
    ("c2", "V2"),
    ("c3", "V3"),
    ("c4", "V4"),
    ("c5", "V5"),
    ("c6", "V6"),
    ("vx", "X"),
    ("vy", "Y"),
    ("vz", "Z"),
];
const NUMBERED: [(&str, &str); 3] = [("1", "I"), ("2", "II"), ("3", "III")];
const PREFIXES: [&str; 8] = ["mdcecglead", "ecglead", "ekglead", "lead", "ecg", "ekg", "ableitung", "abl"];

/// A lead by the name that a file gives it; `None` for anything else. Case, blanks, underscores, what stands in brackets, and a leading `lead`, `ECG`
/// or `MDC_ECG_LEAD_` do not matter; a leading minus turns the lead over.
pub fn named(text: &str) -> Option<Named> {
    let text = text.trim();
    let (text, negated) = match text.strip_prefix(['-', '\u{2212}', '\u{2013}']) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let text = text.split_once(['(', '[']).map_or(text, |(name, _)| name);
    let plain: String = text.to_lowercase().chars().filter(|c| !" -_.:\t\u{a0}".contains(*c)).collect();
    let stripped = PREFIXES.iter().find_map(|prefix| plain.strip_prefix(prefix));
    let bare = stripped.unwrap_or(&plain);
    let of = |table: &[(&str, &'static str)]| table.iter().find(|(spelling, _)| *spelling == bare).map(|(_, name)| *name);
    // A bare number may count anything; behind `lead` it is a lead.
    let numbered = if stripped.is_some() { of(&NUMBERED) } else { None };
    let own = LEADS.into_iter().chain(FURTHER).find(|lead| lead.eq_ignore_ascii_case(bare));
    own.or_else(|| of(&ALIASES)).or(numbered).map(|name| Named { name, negated })
}

/// One of the twelve leads by the name a file gives it, the right way up; `None` for anything else.
pub fn lead_name(text: &str) -> Option<&'static str> {
    named(text).filter(|lead| !lead.negated && LEADS.contains(&lead.name)).map(|lead| lead.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_in_the_spellings_of_the_field() {
        for (text, name) in [
            ("MLII", "II"),
            ("DI", "I"),
            ("D3", "III"),
            ("ECG lead I", "I"),
            ("Lead 2", "II"),
            ("MDC_ECG_LEAD_V5", "V5"),
            ("MDC_ECG_LEAD_aVR", "aVR"),
            ("C4", "V4"),
            ("EKG V6", "V6"),
            ("Lead aVF (Goldberger)", "aVF"),
            ("ecg.avl", "aVL"),
            ("v3r", "V3R"),
            ("vz", "Z"),
            ("1", ""),
            ("-", ""),
            ("resp", ""),
        ] {
            assert_eq!(named(text).map_or("", |lead| lead.name), name, "{text}");
        }
        assert_eq!(named("-aVR"), Some(Named { name: "aVR", negated: true }));
        assert_eq!(lead_name("-aVR"), None, "upside down it is another lead");
        assert_eq!(lead_name("V7"), None);
    }
}
