//! The texts of an HDF5 file: of fixed length where they stand, or of any length in collections elsewhere in the file.
//!
//! Format: "HDF5 File Format Specification", version 3.0, III.E (global heap).

use super::disk::Disk;
use super::object::Element;
use crate::ecg::read::bytes::{Bytes, Found, count_text};
use std::collections::HashMap;
use std::ops::Range;

const ASTRAY: &str = "a text is not where it should be";

/// Texts that lie in one piece of the file, and where in it each is, by its number.
#[derive(Debug)]
pub struct Collection {
    bytes: Vec<u8>,
    places: HashMap<u32, Range<usize>>,
}

impl Collection {
    /// The collection at an address.
    pub fn read(disk: &Disk, place: u64) -> Found<Self> {
        let size = disk.sizes().1;
        let start = disk.part(place, 8 + size as u64)?;
        let mut head = Bytes::new(&start);
        if head.take(4)? != b"GCOL" {
            return Err(ASTRAY.into());
        }
        head.take(4)?;
        let bytes = disk.part(place, disk.length(&mut head)?)?;
        let mut at = Bytes::new(&bytes);
        at.seek(head.at())?;
        let mut places = HashMap::new();
        while at.left() > 8 + size {
            let own = at.u16()?;
            at.take(6)?;
            let length = usize::try_from(disk.length(&mut at)?).map_err(|error| error.to_string())?;
            if own == 0 {
                break;
            }
            let begin = at.at();
            at.take(length)?;
            places.entry(own.into()).or_insert(begin..begin + length);
            at.take(((8 - length % 8) % 8).min(at.left()))?;
        }
        Ok(Collection { bytes, places })
    }

    fn get(&self, number: u32) -> Option<&[u8]> {
        self.places.get(&number).and_then(|place| self.bytes.get(place.clone()))
    }
}

/// A text up to a zero, without blanks around it.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// A text that stands in a collection of the file: its length, the collection's address, its number there.
pub fn elsewhere(disk: &Disk, at: &mut Bytes<'_>) -> Found<String> {
    let length = at.length()?;
    let place = disk.address(at)?;
    let number = at.u32()?;
    // An empty text has no place, whatever stands there.
    let Some(place) = place.filter(|_| length > 0) else { return Ok(String::new()) };
    let collection = disk.collection(place)?;
    let found = collection.get(number).ok_or(ASTRAY)?;
    Ok(text(&found[..length.min(found.len())]))
}

/// The texts of an array of them.
pub fn texts(disk: &Disk, element: Element, bytes: &[u8]) -> Found<Vec<String>> {
    match element {
        Element::Text(size) if size > 0 => Ok(bytes.chunks_exact(size).map(text).collect()),
        Element::Elsewhere => {
            let (mut at, mut total) = (Bytes::new(bytes), 0);
            let one = |_| {
                let text = elsewhere(disk, &mut at)?;
                count_text(&mut total, &text)?;
                Ok(text)
            };
            (0..bytes.len() / (8 + disk.sizes().0)).map(one).collect()
        }
        _ => Err("it holds no texts".into()),
    }
}
