//! XLI, in which Philips packs waveforms: a chunk a lead, second differences in two halves (high bytes, low bytes), packed by LZW in codes of 10 bits.

use super::xml::{Outcome, Room};

/// Bits of a code, and the largest code that stands for bytes.
const BITS: u32 = 10;
const LARGEST_CODE: usize = (1 << BITS) - 2;

/// The leads of packed samples, no more than `most` of them each, and than there is room for.
pub(super) fn decode(bytes: &[u8], leads: usize, most: usize, room: &Room) -> Outcome<Vec<Vec<i16>>> {
    let (mut rest, mut out) = (bytes, Vec::new());
    while out.len() < leads && !rest.is_empty() {
        let chunk = |rest: &[u8]| -> Option<(usize, i16)> {
            let size = i32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
            let start = i16::from_le_bytes(rest.get(6..8)?.try_into().ok()?);
            Some((usize::try_from(size).ok()?, start))
        };
        let (size, start) = chunk(rest).ok_or(format!("packed lead {} has no head", out.len() + 1))?;
        let packed = rest.get(8..).and_then(|rest| rest.get(..size)).ok_or(format!("packed lead {} is cut off", out.len() + 1))?;
        // What differs in length is told by whoever knows how many samples are announced.
        let mut bytes = unpack(packed, room.left().min(2 * most + 2))?;
        room.take(bytes.len())?;
        if !bytes.len().is_multiple_of(2) {
            bytes.push(0);
        }
        out.push(integrate(&bytes, start));
        rest = &rest[8 + size..];
    }
    Ok(out)
}

/// The bytes that codes stand for.
fn unpack(packed: &[u8], most: usize) -> Outcome<Vec<u8>> {
    // Every string is another one and a byte: where it begins in what is written already, and how long it is.
    let mut strings: Vec<(usize, usize)> = Vec::new();
    let (mut out, mut previous): (Vec<u8>, Option<(usize, usize)>) = (Vec::new(), None);
    let codes = packed.len() * 8 / BITS as usize;
    for at in 0..codes {
        let code = (0..BITS as usize).fold(0, |code, bit| {
            let bit = at * BITS as usize + bit;
            code << 1 | usize::from(packed[bit / 8] >> (7 - bit % 8) & 1)
        });
        if code > LARGEST_CODE {
            break;
        }
        let start = out.len();
        match code.checked_sub(256) {
            None => out.push(code as u8),
            Some(string) if string < strings.len() => {
                let (from, length) = strings[string];
                out.extend_from_within(from..from + length);
            }
            // The string that this very code completes: the one before and its own first byte.
            Some(string) => {
                let known = previous.filter(|_| string == strings.len());
                let (from, length) = known.ok_or("packed samples name a string that is not there")?;
                out.extend_from_within(from..from + length);
                out.push(out[start]);
            }
        }
        if let Some((from, length)) = previous
            && 256 + strings.len() <= LARGEST_CODE
        {
            // It lies where the one before was written, and goes one byte on, into what was written now.
            strings.push((from, length + 1));
        }
        previous = Some((start, out.len() - start));
        if out.len() > most {
            return Err("packed samples come to more than are announced".into());
        }
    }
    Ok(out)
}

/// Samples from second differences, high bytes first.
fn integrate(bytes: &[u8], start: i16) -> Vec<i16> {
    let half = bytes.len() / 2;
    let mut values: Vec<i16> = (0..half).map(|at| i16::from_be_bytes([bytes[at], bytes[half + at]])).collect();
    let mut last = start;
    for at in 2..half {
        let (x, y, difference) = (values[at - 2], values[at - 1], values[at]);
        values[at] = y.wrapping_add(y).wrapping_sub(x).wrapping_sub(last);
        last = difference.wrapping_sub(64);
    }
    values
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Packs as the recorders do.
    pub(in crate::ecg::read) fn encode(leads: &[Vec<i16>]) -> Vec<u8> {
        leads.iter().flat_map(|lead| chunk(lead)).collect()
    }

    fn chunk(lead: &[i16]) -> Vec<u8> {
        // z = 2y − x − last, so that each difference belongs to the sample after it.
        let mut values = lead.to_vec();
        let residual = |at: usize| lead[at - 1].wrapping_mul(2).wrapping_sub(lead[at - 2]).wrapping_sub(lead[at]);
        for (at, value) in values.iter_mut().enumerate().skip(2) {
            *value = if at + 1 < lead.len() { residual(at + 1).wrapping_add(64) } else { 64 };
        }
        let start = if lead.len() > 2 { residual(2) } else { 0 };
        let bytes: Vec<u8> = values.iter().map(|v| v.to_be_bytes()[0]).chain(values.iter().map(|v| v.to_be_bytes()[1])).collect();
        let packed = pack(&bytes);
        let head = [&(packed.len() as i32).to_le_bytes()[..], &[0, 0], &start.to_le_bytes()[..]].concat();
        [head, packed].concat()
    }

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut table: HashMap<Vec<u8>, usize> = HashMap::new();
        let (mut codes, mut held): (Vec<usize>, Vec<u8>) = (Vec::new(), Vec::new());
        let code = |table: &HashMap<Vec<u8>, usize>, held: &[u8]| if held.len() == 1 { usize::from(held[0]) } else { table[held] };
        for byte in bytes {
            let mut longer = held.clone();
            longer.push(*byte);
            if longer.len() == 1 || table.contains_key(&longer) {
                held = longer;
                continue;
            }
            codes.push(code(&table, &held));
            if 256 + table.len() <= LARGEST_CODE {
                table.insert(longer, 256 + table.len());
            }
            held = vec![*byte];
        }
        codes.extend((!held.is_empty()).then(|| code(&table, &held)));
        let bits: Vec<u8> = codes.iter().flat_map(|code| (0..BITS).rev().map(move |bit| (code >> bit & 1) as u8)).collect();
        bits.chunks(8).map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << (7 - at))).collect()
    }

    #[test]
    fn packed_leads_come_back() {
        let wave = |lead: i16| (0..700).map(|t: i16| if t % 90 < 6 { 40 * (t % 90) + lead } else { lead + t % 3 }).collect::<Vec<i16>>();
        let leads = vec![wave(0), wave(-5), vec![0; 700], vec![i16::MIN, i16::MAX, 0, 5, -9]];
        assert_eq!(decode(&encode(&leads), 4, 700, &Room::new()).unwrap(), leads);
        let bytes = encode(&leads[..1]);
        assert!(decode(&bytes[..bytes.len() - 1], 1, 700, &Room::new()).unwrap_err().contains("cut off"));
        assert!(decode(&bytes[..5], 1, 700, &Room::new()).unwrap_err().contains("no head"));
        assert!(decode(&bytes, 1, 300, &Room::new()).unwrap_err().contains("more than are announced"));
        assert!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0x55, 0x55], 1, 10, &Room::new()).unwrap_err().contains("not there"));
    }
}
