//! The codes of SCP-ECG's samples: the table of the standard, tables of the record's own, or plain numbers of 16 bits.

use crate::ecg::read::bytes::{Bytes, Found};

/// The number of tables that stands for the table of the standard.
const STANDARD: u16 = 19_999;
const MOST_TABLES: usize = 256;
/// The most codes of all tables.
const MOST_CODES: usize = 1 << 14;
const LONGEST_PREFIX: u8 = 32;

/// What a prefix of bits means.
#[derive(Clone, Copy, Debug)]
struct Code {
    /// Bits of the prefix, and of prefix and value together.
    prefix: u8,
    entire: u8,
    /// Whether it switches to the table whose number, from 1, is `value`.
    switches: bool,
    value: i16,
}

/// A table as a tree: a node's two next ones for a bit of 0 and 1, or the code that ends there.
#[derive(Debug, Default)]
struct Table {
    nodes: Vec<[Option<usize>; 2]>,
    codes: Vec<Option<Code>>,
}

impl Table {
    /// Codes with their bits, the first one lowest, as records hold them.
    fn new(codes: &[(Code, u32)]) -> Found<Self> {
        let mut table = Table { nodes: vec![[None; 2]], codes: vec![None] };
        for (code, bits) in codes {
            if code.prefix == 0 || code.prefix > LONGEST_PREFIX || code.entire < code.prefix || code.entire - code.prefix > 16 {
                return Err(format!("a code of {} bits of which {} are its prefix", code.entire, code.prefix));
            }
            let mut node = 0;
            for at in 0..code.prefix {
                if table.codes[node].is_some() {
                    return Err("one of its codes is the beginning of another".into());
                }
                let bit = (bits >> at & 1) as usize;
                node = match table.nodes[node][bit] {
                    Some(next) => next,
                    None => {
                        let next = table.nodes.len();
                        table.nodes.push([None; 2]);
                        table.codes.push(None);
                        table.nodes[node][bit] = Some(next);
                        next
                    }
                };
            }
            if table.codes[node].is_some() || table.nodes[node] != [None; 2] {
                return Err("one of its codes is the beginning of another".into());
            }
            table.codes[node] = Some(*code);
        }
        Ok(table)
    }

    /// The table of the standard (its annex C.3.7.6): 0, ±1 … ±8 in as many ones as the number says, a zero and a bit of the sign; after nine ones a
    /// bit that tells whether 8 or 16 bits follow.
    fn standard() -> Self {
        let mut codes = vec![(Code { prefix: 1, entire: 1, switches: false, value: 0 }, 0)];
        for size in 1..=8u8 {
            let ones = (1u32 << size) - 1;
            let code = |value| Code { prefix: size + 2, entire: size + 2, switches: false, value };
            codes.push((code(i16::from(size)), ones));
            codes.push((code(-i16::from(size)), ones | 1 << (size + 1)));
        }
        for (more, bits) in [(8, 0x1ff), (16, 0x3ff)] {
            codes.push((Code { prefix: 10, entire: 10 + more, switches: false, value: 0 }, bits));
        }
        Table::new(&codes).unwrap_or_default()
    }
}

/// The tables of a record.
pub struct Tables(Vec<Table>);

impl Tables {
    /// No table: samples are plain numbers.
    pub fn none() -> Self {
        Tables(Vec::new())
    }

    /// The tables of section 2.
    pub fn read(mut at: Bytes<'_>) -> Found<Self> {
        let count = at.u16()?;
        if count == STANDARD {
            return Ok(Tables(vec![Table::standard()]));
        }
        if usize::from(count) > MOST_TABLES {
            return Err(format!("{count} tables: at most {MOST_TABLES} are read"));
        }
        let mut total = 0usize;
        let table = |_| {
            let count = at.u16()?;
            total += usize::from(count);
            if total > MOST_CODES {
                return Err(format!("its tables have more than {MOST_CODES} codes"));
            }
            let mut codes = Vec::new();
            for _ in 0..count {
                let (prefix, entire, mode, value, bits) = (at.u8()?, at.u8()?, at.u8()?, at.i16()?, at.u32()?);
                codes.push((Code { prefix, entire, switches: mode == 0, value }, bits));
            }
            Table::new(&codes)
        };
        (0..count).map(table).collect::<Found<_>>().map(Tables)
    }

    /// So many values of a lead.
    pub fn decode(&self, bytes: &[u8], length: usize) -> Found<Vec<i32>> {
        let held = if self.0.is_empty() { bytes.len() / 2 } else { bytes.len() * 8 };
        // A value takes a bit at least.
        if length > held {
            return Err(format!("truncated: {} bytes for {length} samples", bytes.len()));
        }
        if self.0.is_empty() {
            return Ok(bytes.chunks_exact(2).take(length).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).into()).collect());
        }
        let mut bits = Bits { bytes, at: 0 };
        let (mut values, mut table) = (Vec::with_capacity(length), 0);
        while values.len() < length {
            let truncated = || format!("truncated: it ends after {} of {length} samples", values.len());
            let code = bits.code(&self.0[table])?.ok_or_else(truncated)?;
            if code.switches {
                let next = usize::try_from(code.value).ok().and_then(|number| number.checked_sub(1)).filter(|next| *next < self.0.len());
                table = next.ok_or_else(|| format!("a code switches to table {}, there are {}", code.value, self.0.len()))?;
                continue;
            }
            let more = bits.signed(code.entire - code.prefix).ok_or_else(truncated)?;
            values.push(i32::from(code.value) + more);
        }
        Ok(values)
    }
}

/// Bits from the highest of each byte.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self) -> Option<usize> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    /// The next code; `None` at the end of the bits.
    fn code(&mut self, table: &Table) -> Found<Option<Code>> {
        let (mut node, begin) = (0, self.at);
        loop {
            if let Some(code) = table.codes.get(node).copied().flatten() {
                return Ok(Some(code));
            }
            let Some(bit) = self.next() else { return Ok(None) };
            node = match table.nodes.get(node).and_then(|next| next[bit]) {
                Some(next) => next,
                None => return Err(format!("the bits from {begin} on are no code of its table")),
            };
        }
    }

    /// A number of so many bits, the highest of which is its sign.
    fn signed(&mut self, count: u8) -> Option<i32> {
        let mut value = 0;
        for at in 0..count {
            let bit = self.next()? as i32;
            value = if at == 0 { -bit } else { value << 1 | bit };
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_standard() {
        let tables = Tables(vec![Table::standard()]);
        // 0 | 100 → 1 | 101 → −1 | 1100 → 2 | 1111111110 and 8 bits → −100 | 1111111111 and 16 bits → 1000.
        let text = "0100101110011111111101001110011111111110000001111101000";
        let bytes: Vec<u8> = text
            .as_bytes()
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | (bit - b'0') << (7 - at)))
            .collect();
        assert_eq!(tables.decode(&bytes, 6).unwrap(), [0, 1, -1, 2, -100, 1000]);
        assert!(tables.decode(&bytes[..5], 6).unwrap_err().contains("ends after 5 of 6"));
        assert!(tables.decode(&bytes, 1000).unwrap_err().contains("truncated"));
        let nine = Table::standard().codes.into_iter().flatten().count();
        assert_eq!(nine, 19, "the standard's table has 19 codes");
    }

    #[test]
    fn tables_that_contradict_themselves_are_refused() {
        let code = |prefix, entire| Code { prefix, entire, switches: false, value: 0 };
        assert!(Table::new(&[(code(1, 1), 0), (code(2, 2), 0)]).unwrap_err().contains("beginning"));
        assert!(Table::new(&[(code(2, 2), 0), (code(1, 1), 0)]).unwrap_err().contains("beginning"));
        for (prefix, entire) in [(0, 0), (33, 33), (4, 3), (1, 18)] {
            assert!(Table::new(&[(code(prefix, entire), 0)]).is_err(), "{prefix} {entire}");
        }
        // A code that switches to its own table for ever takes bits all the same.
        let switch = Table::new(&[(Code { prefix: 1, entire: 1, switches: true, value: 1 }, 0)]).unwrap();
        assert!(Tables(vec![switch]).decode(&[0; 8], 3).unwrap_err().contains("ends after 0"));
        let lost = Table::new(&[(Code { prefix: 1, entire: 1, switches: true, value: 7 }, 0)]).unwrap();
        assert!(Tables(vec![lost]).decode(&[0; 8], 3).unwrap_err().contains("table 7"));
    }
}
