//! The frame of our own binary files, and the only place that knows bincode.
//!
//! ```text
//! 0   8 bytes  magic: 0x89, three letters for the kind, CR LF, 0x1a, LF (a transfer that rewrites line ends shows)
//! 8   u32      version
//! 12  u32      CRC-32 (ISO 3309) of the payload
//! 16  u64      length of the payload in bytes; the file ends with it
//! 24           payload: bincode 2 with fixed-width little-endian integers
//! ```
//!
//! Every number is checked before it is believed: a claimed length must be the length that is there, and inside the payload bincode
//! stops at a limit of the payload's own order, so that no claim allocates more than the file's size calls for.

#[cfg(feature = "std")]
use crate::intake::{self, Most};
#[cfg(not(feature = "std"))]
use crate::plain::*;
#[cfg(feature = "std")]
use crate::{Error, Result};
#[cfg(feature = "std")]
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "std")]
use std::path::Path;

/// Bytes before the payload.
const HEADER: usize = 24;
/// Payloads beyond this are refused unread; a StevenNet takes 7 MB, its checkpoint 27 MB.
const CAP: u64 = 1 << 29;
/// What a payload may claim: the next of these sizes, or [`CAP`].
const SMALL: usize = 1 << 20;
const MEDIUM: usize = 1 << 24;

/// A kind of file: three letters, the version this program writes (the only one it reads), and the name for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub letters: [u8; 3],
    pub version: u32,
    pub name: &'static str,
}

impl Kind {
    /// The first eight bytes of a file of this kind.
    pub fn magic(&self) -> [u8; 8] {
        let [a, b, c] = self.letters;
        [0x89, a, b, c, b'\r', b'\n', 0x1a, b'\n']
    }
}

/// The whole file for a value.
#[cfg(feature = "std")]
pub(crate) fn encode(kind: &Kind, value: &impl Serialize) -> Result<Vec<u8>> {
    let config = bincode::config::standard().with_fixed_int_encoding();
    let payload = bincode::serde::encode_to_vec(value, config).map_err(|error| Error::Data(format!("a {}: {error}", kind.name)))?;
    if payload.len() as u64 > CAP {
        return Err(Error::Data(format!("a {} of {} bytes is more than the {CAP} that can be read back", kind.name, payload.len())));
    }
    let mut file = Vec::with_capacity(HEADER + payload.len());
    file.extend(kind.magic());
    file.extend(kind.version.to_le_bytes());
    file.extend(crc32(&payload).to_le_bytes());
    file.extend((payload.len() as u64).to_le_bytes());
    file.extend(payload);
    Ok(file)
}

/// The payload of a whole file, its frame checked.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn payload<'f>(kind: &Kind, file: &'f [u8]) -> core::result::Result<&'f [u8], String> {
    if !file.starts_with(&kind.magic()) {
        return Err(format!("is not a {}", kind.name));
    }
    let Some((header, payload)) = file.split_at_checked(HEADER) else {
        return Err(format!("a {} cut off in its header", kind.name));
    };
    let u32_at = |at: usize| header[at..].iter().take(4).rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let (version, crc) = (u32_at(8), u32_at(12));
    let length = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
    if version != kind.version {
        let newer = if version > kind.version { ", from a newer program" } else { "" };
        return Err(format!("a {} of version {version}{newer}; this program reads version {}", kind.name, kind.version));
    }
    if length != payload.len() as u64 {
        return Err(format!("its header tells of {length} bytes, {} are there: the file was cut off or altered", payload.len()));
    }
    if crc32(payload) != crc {
        return Err("its checksum does not match: the file was damaged".into());
    }
    Ok(payload)
}

/// The value in a whole file; `path` is for messages.
#[cfg(feature = "std")]
pub(crate) fn decode<V: DeserializeOwned>(kind: &Kind, file: &[u8], path: &Path) -> Result<V> {
    let fail = |problem: String| Err(Error::format(path, problem));
    let payload = match payload(kind, file) {
        Ok(payload) => payload,
        Err(problem) => return fail(problem),
    };
    match decoded::<V>(payload) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        Ok((_, used)) => fail(format!("{} bytes too many after its contents", payload.len() - used)),
        Err(error) => fail(format!("its contents make no sense: {error}")),
    }
}

/// The value that a payload begins with.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn beginning<V: DeserializeOwned>(payload: &[u8]) -> core::result::Result<V, String> {
    decoded::<V>(payload).map(|(value, _)| value).map_err(|error| format!("its contents make no sense: {error}"))
}

fn decoded<V: DeserializeOwned>(payload: &[u8]) -> core::result::Result<(V, usize), bincode::error::DecodeError> {
    if payload.len() <= SMALL {
        decode_within::<V, SMALL>(payload)
    } else if payload.len() <= MEDIUM {
        decode_within::<V, MEDIUM>(payload)
    } else {
        decode_within::<V, { CAP as usize }>(payload)
    }
}

fn decode_within<V: DeserializeOwned, const LIMIT: usize>(payload: &[u8]) -> core::result::Result<(V, usize), bincode::error::DecodeError> {
    bincode::serde::decode_from_slice(payload, bincode::config::standard().with_fixed_int_encoding().with_limit::<LIMIT>())
}

/// The version of a file that begins as one of a kind.
pub(crate) fn version(kind: &Kind, file: &[u8]) -> Option<u32> {
    let bytes = file.strip_prefix(&kind.magic()[..])?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The bytes of a file, no further than one of the kind can be long.
#[cfg(feature = "std")]
pub(crate) fn whole(kind: &Kind, path: &Path) -> Result<Vec<u8>> {
    intake::read(path, Most { bytes: CAP + HEADER as u64, of: kind.name })
}

/// Writes a file of a kind, whole or not at all.
#[cfg(feature = "std")]
pub(crate) fn write(kind: &Kind, path: &Path, value: &impl Serialize) -> Result<()> {
    crate::atomic::write(path, &encode(kind, value)?)
}

/// Whether a file begins as one of this kind.
#[cfg(feature = "std")]
pub(crate) fn is(kind: &Kind, path: &Path) -> Result<bool> {
    Ok(intake::start(path, 8)? == kind.magic())
}

/// CRC-32 with the reflected polynomial 0xEDB88320 (ISO 3309), as in zip and PNG.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut value = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { letters: *b"TST", version: 3, name: "test file" };

    fn reason(file: &[u8]) -> String {
        let error = decode::<(Vec<f32>, String)>(&KIND, file, Path::new("a.tst")).unwrap_err().to_string();
        assert!(error.starts_with("a.tst: ") && !error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_value_comes_back_and_damage_is_named() {
        let value = (vec![1.5f32, -0.0, f32::MIN_POSITIVE], "µV".to_owned());
        let file = encode(&KIND, &value).unwrap();
        assert_eq!(decode::<(Vec<f32>, String)>(&KIND, &file, Path::new("a.tst")).unwrap(), value);
        assert!(reason(b"PK\x03\x04").contains("is not a test file"));
        assert!(reason(&file[..20]).contains("cut off"));
        assert!(reason(&[&file[..], b"x"].concat()).contains("altered"));
        let mut other = file.clone();
        other[8] = 4;
        assert!(reason(&other).contains("version 4"));
        let mut other = file.clone();
        *other.last_mut().unwrap() ^= 0x20;
        assert!(reason(&other).contains("checksum"));
    }

    #[test]
    fn a_claim_of_2_to_the_60_elements_is_refused_even_with_a_true_checksum() {
        for claim in [1u64 << 60, 1 << 21, u64::MAX] {
            for text in [false, true] {
                let zero = 0u64.to_le_bytes();
                let claim = claim.to_le_bytes();
                let payload = if text { [zero, claim].concat() } else { [claim, zero].concat() };
                let mut file = KIND.magic().to_vec();
                file.extend(3u32.to_le_bytes());
                file.extend(crc32(&payload).to_le_bytes());
                file.extend((payload.len() as u64).to_le_bytes());
                file.extend(payload);
                assert!(reason(&file).contains("make no sense"));
            }
        }
    }
}
