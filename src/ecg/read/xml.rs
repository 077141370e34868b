//! What the readers of XML share: text in whatever encoding, possibly packed, and documents that cost no more than files of ECGs do.

use super::Recording;
use crate::intake::{self, Most};
use crate::{Error, Result};
use flate2::read::{GzDecoder, ZlibDecoder};
use roxmltree::{Document, Node, ParsingOptions};
use std::cell::Cell;
use std::io::Read;
use std::path::Path;

const LARGEST: Most = Most { bytes: 64 << 20, of: "an ECG in XML" };
/// A parser compares each attribute with the others of its element, and hands namespaces down from element to element: what these may cost
/// is bounded before it begins. ECGs have few attributes and few namespaces.
const ATTRIBUTES: usize = 64;
const NAMESPACES: usize = 64;
/// More elements and texts than any ECG has.
const NODES: u32 = 200_000;

/// A problem in words, to which the file's name is added.
pub(super) type Outcome<T> = std::result::Result<T, String>;

/// Reads a document with `parse`, and names the recording after the file.
pub(super) fn read(path: &Path, parse: impl FnOnce(Node<'_, '_>) -> Outcome<Recording>) -> Result<Recording> {
    let refuse = |problem: String| Error::format(path, problem);
    let text = text(path)?;
    affordable(&text).map_err(refuse)?;
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| refuse(format!("not well-formed XML: {error}")))?;
    let mut recording = parse(document.root_element()).map_err(refuse)?;
    recording.id = super::stem(path);
    Ok(recording)
}

/// The refusal of a document of no kind that is known.
pub(super) fn refuse(path: &Path) -> Result<Recording> {
    read(path, |root| {
        let name = root.tag_name().name();
        Err(format!(
            "the root element is {name}, none that is known: RestingECG (MUSE), AnnotatedECG (HL7 aECG), \
                    restingecgdata (Philips), CardiologyXML (CardioSoft), ECG (Mortara), SchillerEDI (Schiller)"
        ))
    })
}

fn text(path: &Path) -> Result<String> {
    let bytes = intake::read(path, LARGEST)?;
    let mut unpacked = Vec::new();
    if let Some(unpacking) = packed(&bytes) {
        let size = unpacking.take(LARGEST.bytes + 1).read_to_end(&mut unpacked);
        size.map_err(|error| Error::format(path, format!("a packed file that cannot be unpacked: {error}")))?;
        if unpacked.len() as u64 > LARGEST.bytes {
            return Err(Error::format(path, format!("unpacked more than {} bytes: {} has no more", LARGEST.bytes, LARGEST.of)));
        }
    }
    decode(if packed(&bytes).is_some() { unpacked } else { bytes }).map_err(|problem| Error::format(path, problem))
}

/// What unpacks bytes that gzip or zlib packed.
fn packed(bytes: &[u8]) -> Option<Box<dyn Read + '_>> {
    match *bytes {
        [0x1f, 0x8b, ..] => Some(Box::new(GzDecoder::new(bytes))),
        [first, second, ..] if is_zlib(first, second) => Some(Box::new(ZlibDecoder::new(bytes))),
        _ => None,
    }
}

/// Whether two bytes begin a zlib stream: deflate, a window that exists, and a check that no text passes (`x` before a control character or above).
fn is_zlib(first: u8, second: u8) -> bool {
    first == 0x78 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31) && second & 0x20 == 0
}

/// What the packed samples of a document may still come to, all leads together: no more than a document that is not packed has.
pub(super) struct Room(Cell<usize>);

impl Room {
    /// Of a document.
    pub fn new() -> Self {
        Room(Cell::new(LARGEST.bytes as usize))
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.0.get()
    }

    /// Takes so many bytes.
    pub fn take(&self, bytes: usize) -> Outcome<()> {
        let left = self.left().checked_sub(bytes);
        self.0
            .set(left.ok_or_else(|| format!("its packed samples come to more than {} bytes: {} has no more", LARGEST.bytes, LARGEST.of))?);
        Ok(())
    }

    /// Bytes that zlib may have packed, unpacked to no more than `most`.
    pub fn inflated(&self, bytes: &[u8], most: usize) -> Outcome<Vec<u8>> {
        self.take(most)?;
        let mut out = Vec::new();
        let read = ZlibDecoder::new(bytes).take(most as u64 + 1).read_to_end(&mut out);
        read.map_err(|error| format!("packed samples that cannot be unpacked: {error}"))?;
        if out.len() > most { Err(format!("packed samples of more than the {most} bytes that are announced")) } else { Ok(out) }
    }
}

/// Whether samples are packed: they are not as long as announced, and begin as zlib does.
pub(super) fn looks_packed(bytes: &[u8]) -> bool {
    matches!(*bytes, [first, second, ..] if is_zlib(first, second))
}

/// The first bytes of a file, of a packed one those of its text.
pub(super) fn unpacked_start(bytes: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    // A start is cut somewhere: what came before the cut counts.
    let unpacked = packed(&bytes).map(|unpacking| drop(unpacking.take(super::kinds::Start::LENGTH).read_to_end(&mut out)));
    if unpacked.is_some() { out } else { bytes }
}

/// UTF-8, UTF-16 of either order (by its mark, or by the zeros between letters), else ISO-8859-1, which carts write whatever they declare.
pub(super) fn decode(bytes: Vec<u8>) -> Outcome<String> {
    let wide = match *bytes {
        [0xff, 0xfe, ..] => Some((2, u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0xfe, 0xff, ..] => Some((2, u16::from_be_bytes as fn([u8; 2]) -> u16)),
        [b'<', 0, ..] => Some((0, u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0, b'<', ..] => Some((0, u16::from_be_bytes as fn([u8; 2]) -> u16)),
        _ => None,
    };
    if let Some((mark, unit)) = wide {
        if !bytes.len().is_multiple_of(2) {
            return Err("UTF-16 that ends within a character".into());
        }
        let units = bytes[mark..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        return char::decode_utf16(units)
            .collect::<std::result::Result<String, _>>()
            .map_err(|_| "not the UTF-16 that it begins as".into());
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

/// The name of the root element of a text that begins so, without its prefix; empty where it is no XML.
pub(super) fn root_of(start: &[u8]) -> String {
    let even = &start[..start.len() / 2 * 2];
    let text = decode(even.to_vec()).unwrap_or_default();
    if !text.trim_start().starts_with('<') {
        return String::new();
    }
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end..]);
        } else if rest.starts_with(char::is_alphabetic) {
            let name = rest.split([' ', '\t', '\r', '\n', '>', '/']).next().unwrap_or_default();
            return name.rsplit(':').next().unwrap_or_default().to_owned();
        }
    }
    String::new()
}

/// Refuses XML that would take its parser long, by counts that no nesting, quoting or comment can hide from: in well-formed XML a tag holds no
/// `<`, so that it has no more attributes than there are `=` up to the next one.
fn affordable(text: &str) -> Outcome<()> {
    if text.contains("<!ENTITY") {
        return Err("it declares entities, which no file of an ECG does: they are not expanded".into());
    }
    if text.matches("xmlns").nth(NAMESPACES).is_some() {
        return Err(format!("more than {NAMESPACES} namespaces: not an ECG"));
    }
    let mut tags = text.split('<').skip(1).filter(|tag| !tag.starts_with(['!', '?', '/']));
    match tags.any(|tag| tag.bytes().filter(|byte| *byte == b'=').nth(ATTRIBUTES).is_some()) {
        true => Err(format!("an element of more than {ATTRIBUTES} attributes: not an ECG")),
        false => Ok(()),
    }
}

/// The first child of a name.
pub(super) fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The children of a name.
pub(super) fn children<'a, 'b>(node: Node<'a, 'b>, name: &'static str) -> impl Iterator<Item = Node<'a, 'b>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The first element of a name at any depth.
pub(super) fn find<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.descendants().find(|inner| inner.tag_name().name() == name)
}

/// The text of a child, trimmed.
pub(super) fn field<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim)
}

/// A number that must be there.
pub(super) fn value(node: Node<'_, '_>, name: &str) -> Outcome<f64> {
    let text = field(node, name).ok_or(format!("{name} is not there"))?;
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(format!("{name} is '{text}', not a number"))
}

/// A list of numbers, parted by blanks or commas.
pub(super) fn numbers(text: &str) -> Outcome<Vec<f64>> {
    let parts = text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(format!("'{part}' is not a number"))).collect()
}
