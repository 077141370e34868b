//! `--rows A..B`: some of the ECGs of a file, by their numbers in all of it.

use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

/// From a number to before another; either may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    from: usize,
    to: Option<usize>,
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || "A..B is expected: from the ECG A to before B, numbered from 0".to_owned();
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        let from = if from.is_empty() { 0 } else { number(from)? };
        let to = if to.is_empty() { None } else { Some(number(to)?) };
        if to.is_some_and(|to| to <= from) {
            Err(format!("no ECG lies from {from} to before {}", to.unwrap_or(0)))
        } else {
            Ok(Rows { from, to })
        }
    }
}

impl Rows {
    /// The rows of `total` ECGs.
    ///
    /// # Errors
    /// [`Error::Usage`] if some of them are not there.
    pub fn within(&self, total: usize, path: &Path) -> Result<Range<usize>> {
        let to = self.to.unwrap_or(total);
        if to > total || self.from >= to {
            let asked = self.to.map_or_else(|| format!("{}..", self.from), |to| format!("{}..{to}", self.from));
            return Err(Error::Usage(format!(
                "--rows {asked}: {} holds {total} ECG{}, numbered from 0",
                path.display(),
                if total == 1 { "" } else { "s" }
            )));
        }
        Ok(self.from..to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_asked_for_or_refused() {
        let within = |text: &str| text.parse::<Rows>().unwrap().within(10, Path::new("x.npy"));
        assert_eq!(
            [within("2..5").unwrap(), within("..3").unwrap(), within("7..").unwrap(), within("..").unwrap()],
            [2..5, 0..3, 7..10, 0..10]
        );
        assert!(within("8..11").unwrap_err().to_string().contains("--rows 8..11: x.npy holds 10 ECGs"));
        assert!(within("10..").is_err());
        for bad in ["", "3", "5..5", "6..2", "a..b", "-1..2", "1..=2"] {
            assert!(bad.parse::<Rows>().is_err(), "{bad}");
        }
    }
}
