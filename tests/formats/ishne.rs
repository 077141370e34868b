//! ISHNE Holter files.

use super::{Leads, checksum, interleaved};

/// Twelve leads in steps of 2 µV.
pub fn write(leads: &Leads) -> Vec<u8> {
    let mut head = Vec::new();
    for value in [0, leads[0].len() as i32, 522, 522] {
        head.extend(value.to_le_bytes());
    }
    head.extend(1i16.to_le_bytes());
    for (text, length) in [("Secret", 40), ("Name", 40), ("ID77", 20)] {
        let mut text = text.as_bytes().to_vec();
        text.resize(length, 0);
        head.extend(text);
    }
    head.extend(2i16.to_le_bytes());
    head.extend([0; 2 + 4 * 6]);
    head.extend((leads.len() as i16).to_le_bytes());
    for at in 0..12 {
        head.extend((at + 5i16).to_le_bytes());
    }
    head.extend([0; 24]);
    for _ in 0..12 {
        head.extend(2000i16.to_le_bytes());
    }
    head.extend([0; 2 + 40]);
    head.extend(500i16.to_le_bytes());
    head.resize(512, 0);
    let mut bytes = b"ISHNE1.0".to_vec();
    bytes.extend(checksum(&head).to_le_bytes());
    bytes.extend(head);
    bytes.extend(interleaved(leads, 2.0));
    bytes
}
