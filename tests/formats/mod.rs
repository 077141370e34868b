//! Writers of small files of every binary kind, from twelve leads in whole µV at 500 Hz: what the readers are tried on, and the seeds of their fuzz
//! targets.

pub mod dicom;
pub mod edf;
pub mod hdf5;
pub mod ishne;
pub mod matlab;
pub mod parquet;
pub mod scp;
mod varint;

/// The twelve leads.
pub const NAMES: [&str; 12] = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/// Samples, µV, a lead after another.
pub type Leads = Vec<Vec<f32>>;

/// Whole numbers of 16 bits, the lowest byte first, instant by instant.
pub fn interleaved(leads: &Leads, step: f32) -> Vec<u8> {
    (0..leads[0].len()).flat_map(|t| leads.iter().flat_map(move |lead| ((lead[t] / step).round() as i16).to_le_bytes())).collect()
}

/// CRC-CCITT from all ones.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0xffffu16;
    for byte in bytes {
        for bit in (0..8).rev() {
            let carry = sum >> 15 != u16::from(byte >> bit & 1);
            sum = sum << 1 ^ if carry { 0x1021 } else { 0 };
        }
    }
    sum
}
