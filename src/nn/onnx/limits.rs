//! How much a file may hold: a message of two bytes takes a hundred in memory, so entries are counted before anything is made of them.

/// The most entries of a file: nodes, names, attributes, tensors.
const MOST: usize = 1 << 20;

/// Which messages an entry of a message is, by its number.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    /// Counted with what it holds one level down: types, names and values.
    Small(u8),
    /// Bytes, text or packed numbers.
    Leaf,
}

impl Kind {
    fn of_entry(self, number: u64) -> Kind {
        match (self, number) {
            (Kind::Model, 7) => Kind::Graph,
            (Kind::Model, 8 | 14 | 25) | (Kind::Tensor, 13) => Kind::Small(1),
            (Kind::Graph, 1) => Kind::Node,
            (Kind::Graph, 5) | (Kind::Attribute, 5) => Kind::Tensor,
            (Kind::Graph, 11 | 12) => Kind::Small(4),
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Small(depth), _) if depth > 0 => Kind::Small(depth - 1),
            _ => Kind::Leaf,
        }
    }
}

/// Refuses a file of too many entries, or that is no protobuf at all.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut count = 0;
    walk(bytes, Kind::Model, &mut count).ok_or_else(|| "not an ONNX model: its bytes are no protobuf message".to_owned())?;
    if count > MOST { Err(format!("more than {MOST} nodes, names and attributes")) } else { Ok(()) }
}

/// Counts the entries of a message. Small messages may turn out to be text, which is then one entry.
fn walk(mut bytes: &[u8], kind: Kind, count: &mut usize) -> Option<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let skip = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                0
            }
            1 => 8,
            5 => 4,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let entry = bytes.get(..length)?;
                *count += 1;
                if *count > MOST {
                    return Some(());
                }
                match kind.of_entry(key >> 3) {
                    Kind::Leaf => (),
                    small @ Kind::Small(_) => {
                        let _ = walk(entry, small, count);
                    }
                    kind => walk(entry, kind, count)?,
                }
                length
            }
            _ => return None,
        };
        bytes = bytes.get(skip..)?;
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_and_noise_are_refused() {
        // A graph of two million empty nodes, 4 MB.
        let nodes = [0x0a, 0x00].repeat(2_000_000);
        let mut flood = vec![0x3a, 0x80, 0x92, 0xf4, 0x01];
        flood.extend(nodes);
        assert!(check(&flood).unwrap_err().contains("more than"));
        assert!(check(b"PK\x03\x04 an archive").is_err() && check(&[0xff; 12]).is_err());
        assert!(check(&[]).is_ok());
    }
}
