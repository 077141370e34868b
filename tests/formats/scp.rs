//! SCP-ECG records.

use super::{Leads, checksum};

/// How samples are coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codes {
    /// Plain numbers of 16 bits; section 2 tells of no table.
    Plain,
    /// The table of the standard.
    Standard,
    /// Two tables of the record's own, the first of which does nothing but switch to the second.
    Own,
}

/// How a record is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub codes: Codes,
    /// Whether samples, first or second differences are written.
    pub differences: u8,
    /// Sample at which beats of a shape that is taken out have their fiducial point, counted from 1.
    pub beats: Option<&'static [u32]>,
}

/// Bits from the highest of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (7 - self.count % 8);
            self.count += 1;
        }
    }
}

fn differences(lead: &[i32], order: u8) -> Vec<i32> {
    let at = |t: usize| match (order, t) {
        (0, _) | (_, 0) | (2, 1) => lead[t],
        (1, _) => lead[t] - lead[t - 1],
        _ => lead[t] - 2 * lead[t - 1] + lead[t - 2],
    };
    (0..lead.len()).map(at).collect()
}

fn code(values: &[i32], codes: Codes) -> Vec<u8> {
    let mut bits = Bits::default();
    if codes == Codes::Own {
        bits.put(0b1, 1);
    }
    for &value in values {
        match codes {
            Codes::Plain => bits.bytes.extend((value as i16).to_le_bytes()),
            Codes::Standard => match value.unsigned_abs() {
                0 => bits.put(0, 1),
                size @ 1..=8 => {
                    bits.put((1 << size) - 1, size);
                    bits.put(u32::from(value < 0), 2);
                }
                _ if i8::try_from(value).is_ok() => {
                    bits.put(0x3fe, 10);
                    bits.put(value as u32 & 0xff, 8);
                }
                _ => {
                    bits.put(0x3ff, 10);
                    bits.put(value as u32 & 0xffff, 16);
                }
            },
            // 01 and 4 bits of value − 100; 001 and 16 bits; 1: −7.
            Codes::Own => match value - 100 {
                small @ -8..=7 => {
                    bits.put(0b01, 2);
                    bits.put(small as u32 & 15, 4);
                }
                _ if value == -7 => bits.put(1, 1),
                _ => {
                    bits.put(0b001, 3);
                    bits.put(value as u32 & 0xffff, 16);
                }
            },
        }
    }
    bits.bytes
}

fn tables(codes: Codes) -> Vec<u8> {
    let mut bytes = Vec::new();
    match codes {
        Codes::Plain => bytes.extend(0u16.to_le_bytes()),
        Codes::Standard => bytes.extend(19_999u16.to_le_bytes()),
        Codes::Own => {
            bytes.extend(2u16.to_le_bytes());
            // Prefix, entire, switches (0) or not, value, bits with the first one lowest.
            let mut table = |rows: &[(u8, u8, u8, i16, u32)]| {
                bytes.extend((rows.len() as u16).to_le_bytes());
                for (prefix, entire, mode, value, bits) in rows {
                    bytes.extend([*prefix, *entire, *mode]);
                    bytes.extend(value.to_le_bytes());
                    bytes.extend(bits.to_le_bytes());
                }
            };
            table(&[(1, 1, 0, 2, 0b1)]);
            table(&[(2, 6, 1, 100, 0b10), (3, 19, 1, 0, 0b100), (1, 1, 1, -7, 0b1)]);
        }
    }
    bytes
}

fn section(id: u16, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(2), 0);
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((body.len() as u32 + 16).to_le_bytes());
    bytes.extend([20, 20]);
    bytes.extend(if id == 0 { *b"SCPECG" } else { [0; 6] });
    bytes.extend(body);
    let mut all = checksum(&bytes).to_le_bytes().to_vec();
    all.extend(bytes);
    all
}

/// The reference beat of a lead, steps of 1 µV: 200 samples, the fiducial point at the 81st.
pub fn beat(lead: usize) -> Vec<i32> {
    (0..200).map(|t: i32| if (60..140).contains(&t) { (lead as i32 + 1) * (30 - (t - 90).abs()) } else { 0 }).collect()
}
const FIDUCIAL: u16 = 81;

fn signals(leads: &[Vec<i32>], form: Form) -> Vec<u8> {
    let coded: Vec<Vec<u8>> = leads.iter().map(|lead| code(&differences(lead, form.differences), form.codes)).collect();
    let mut bytes = Vec::new();
    bytes.extend(1000u16.to_le_bytes());
    bytes.extend(2000u16.to_le_bytes());
    bytes.extend([form.differences, 0]);
    coded.iter().for_each(|lead| bytes.extend((lead.len() as u16).to_le_bytes()));
    coded.iter().for_each(|lead| bytes.extend(lead));
    bytes
}

/// A record in steps of 1 µV, with a patient, measurements and V5's amplitudes.
pub fn write(leads: &Leads, form: Form) -> Vec<u8> {
    const NUMBERS: [u8; 12] = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8];
    let mut whole: Vec<Vec<i32>> = leads.iter().map(|lead| lead.iter().map(|x| *x as i32).collect()).collect();
    let mut bodies: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut who = Vec::new();
    for (tag, value) in [(0u8, &b"Name\0"[..]), (1, b"Secret\0"), (2, b"ID77\0"), (4, &[61, 0, 1]), (8, &[2]), (255, &[])] {
        who.push(tag);
        who.extend((value.len() as u16).to_le_bytes());
        who.extend(value);
    }
    bodies.push((1, who));
    bodies.push((2, tables(form.codes)));
    // All twelve were recorded together.
    let mut described = vec![12, 12 << 3 | 4 | u8::from(form.beats.is_some())];
    for number in NUMBERS {
        described.extend(1u32.to_le_bytes());
        described.extend((whole[0].len() as u32).to_le_bytes());
        described.push(number);
    }
    bodies.push((3, described));
    if let Some(places) = form.beats {
        let mut zones = Vec::new();
        for value in [400, FIDUCIAL, places.len() as u16 + 1] {
            zones.extend(value.to_le_bytes());
        }
        // One of another kind, from which nothing was taken.
        for (kind, place) in places.iter().map(|place| (0u16, *place)).chain([(1, 1000)]) {
            zones.extend(kind.to_le_bytes());
            for value in [place - 30, place, place + 50] {
                zones.extend(value.to_le_bytes());
            }
        }
        bodies.push((4, zones));
        let shapes: Vec<Vec<i32>> = (0..12).map(beat).collect();
        for (lead, shape) in whole.iter_mut().zip(&shapes) {
            for place in places {
                for t in place - 30..=place + 50 {
                    if let Some(x) = lead.get_mut(t as usize - 1) {
                        *x -= shape[(u32::from(FIDUCIAL) - 1 + t - place) as usize];
                    }
                }
            }
        }
        bodies.push((5, signals(&shapes, form)));
    }
    bodies.push((6, signals(&whole, form)));
    let mut global = vec![1, 1];
    for value in [857u16, 29_999, 100, 200, 260, 352, 660, 45, 60, 999] {
        global.extend(value.to_le_bytes());
    }
    // A spike, of which nothing is asked; two beats; the rate.
    global.extend([0; 10]);
    global.extend(2u16.to_le_bytes());
    global.extend([0, 0]);
    global.extend(70u16.to_le_bytes());
    bodies.push((7, global));
    let mut amplitudes = Vec::new();
    for value in [1i16, 0, 7, 38].into_iter().chain([90, 160, 92, 400, 0, 50, 40, 0, 0, 0, 1200, -300, 0, 0, -15, 80, 29_999, 310, 29_999])
    {
        amplitudes.extend(value.to_le_bytes());
    }
    bodies.push((10, amplitudes));
    assemble(&bodies)
}

/// A record of sections.
pub fn assemble(bodies: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let sections: Vec<Vec<u8>> = bodies.iter().map(|(id, body)| section(*id, body)).collect();
    // Section 0 lists all twelve, those that are not there without a place.
    let mut pointers = Vec::new();
    let first = 16 + 10 * 12;
    let mut place = 6 + 1;
    for id in 0..12u16 {
        let at = bodies.iter().position(|(own, _)| *own == id);
        let length = if id == 0 { first } else { at.map_or(0, |at| sections[at].len()) };
        pointers.extend(id.to_le_bytes());
        pointers.extend((length as u32).to_le_bytes());
        pointers.extend((if length > 0 { place as u32 } else { 0 }).to_le_bytes());
        place += length;
    }
    let mut bytes = ((place - 1) as u32).to_le_bytes().to_vec();
    bytes.extend(section(0, &pointers));
    sections.iter().for_each(|section| bytes.extend(section));
    let mut all = checksum(&bytes).to_le_bytes().to_vec();
    all.extend(bytes);
    all
}

/// Makes all checksums right again, as far as the sections can be found.
#[allow(dead_code)] // The seeds of the fuzz targets damage nothing.
pub fn mend(bytes: &mut [u8]) {
    let mut at = 6;
    while at + 16 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if length < 16 || at.checked_add(length).is_none_or(|end| end > bytes.len()) {
            break;
        }
        let sum = checksum(&bytes[at + 2..at + length]);
        bytes[at..at + 2].copy_from_slice(&sum.to_le_bytes());
        at += length;
    }
    if bytes.len() > 6 {
        let sum = checksum(&bytes[2..]);
        bytes[..2].copy_from_slice(&sum.to_le_bytes());
    }
}
