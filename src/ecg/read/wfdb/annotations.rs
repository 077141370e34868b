//! WFDB annotations: `annot(5)`, the MIT format.

use crate::ecg::read::Annotation;
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 27, of: "a file of WFDB annotations" };

/// The signs of the codes from 0 on, as WFDB prints them.
const SIGNS: [&str; 50] = [
    "", "N", "L", "R", "a", "V", "F", "J", "A", "S", "E", "j", "/", "Q", "~", "", "|", "", "s", "T", "*", "D", "\"", "=", "p", "B", "^",
    "t", "+", "u", "?", "!", "[", "]", "e", "n", "@", "x", "f", "(", ")", "r", "", "", "", "", "", "", "", "",
];
const SKIP: u16 = 59;
const NUMBER: u16 = 60;
const SUBTYPE: u16 = 61;
const CHANNEL: u16 = 62;
const AUX: u16 = 63;

/// Reads a file of annotations (`.atr` and its like); samples are frames of the record.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] if it ends within an annotation, or a time lies before the beginning.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Annotation>> {
    let path = path.as_ref();
    parse(&intake::read(path, LARGEST)?).map_err(|problem| Error::format(path, problem))
}

fn parse(bytes: &[u8]) -> std::result::Result<Vec<Annotation>, String> {
    const CUT: &str = "ends within an annotation";
    let word = |at: usize| bytes.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).ok_or(CUT);
    let (mut all, mut at, mut time): (Vec<Annotation>, usize, i64) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let this = word(at)?;
        let (code, amount) = (this >> 10, this & 0x3ff);
        at += 2;
        match code {
            // The end; what follows is none of ours.
            0 if amount == 0 => break,
            SKIP => {
                // The more significant half comes first, as the PDP-11 had it.
                let (high, low) = (word(at)?, word(at + 2)?);
                time = time.saturating_add(i64::from((u32::from(high) << 16 | u32::from(low)) as i32));
                at += 4;
            }
            NUMBER | SUBTYPE | CHANNEL => {}
            AUX => {
                let length = usize::from(amount);
                let text = bytes.get(at..at + length).ok_or(CUT)?;
                if let Some(last) = all.last_mut() {
                    last.text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
                }
                at += length + length % 2;
            }
            _ => {
                time = time.saturating_add(i64::from(amount));
                let sample = u64::try_from(time).map_err(|_| format!("an annotation at sample {time}, before the beginning"))?;
                let symbol = SIGNS.get(usize::from(code)).copied().unwrap_or_default();
                all.push(Annotation { sample, symbol: symbol.to_owned(), text: String::new() });
            }
        }
    }
    // The first is often a note of what program wrote the file.
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_with_long_times_and_texts() {
        let word = |code: u16, amount: u16| (code << 10 | amount).to_le_bytes();
        let mut bytes = Vec::new();
        bytes.extend(word(1, 77));
        bytes.extend(word(SKIP, 0));
        bytes.extend([1, 0, 2, 0]);
        bytes.extend(word(28, 3));
        bytes.extend(word(AUX, 5));
        bytes.extend(b"(AFIB\0");
        bytes.extend(word(CHANNEL, 1));
        bytes.extend(word(5, 10));
        bytes.extend([0, 0]);
        let all = parse(&bytes).unwrap();
        let short: Vec<(u64, &str, &str)> = all.iter().map(|one| (one.sample, one.symbol.as_str(), one.text.as_str())).collect();
        let later = 77 + 65_538 + 3;
        assert_eq!(short, [(77, "N", ""), (later, "+", "(AFIB"), (later + 10, "V", "")]);
        assert!(parse(&bytes[..11]).is_err());
        assert!(
            parse(&[word(SKIP, 0).to_vec(), vec![0xff; 4], word(1, 0).to_vec()].concat()).unwrap_err().contains("before the beginning")
        );
    }
}
