//! DICOM waveforms.

use super::{Leads, NAMES};
use std::io::Write;

/// How elements are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syntax {
    Implicit,
    Explicit,
    Deflated,
    Big,
}

impl Syntax {
    fn uid(self) -> &'static str {
        match self {
            Syntax::Implicit => "1.2.840.10008.1.2",
            Syntax::Explicit => "1.2.840.10008.1.2.1",
            Syntax::Deflated => "1.2.840.10008.1.2.1.99",
            Syntax::Big => "1.2.840.10008.1.2.2",
        }
    }
}

/// Elements as they are written.
struct Set {
    syntax: Syntax,
    bytes: Vec<u8>,
}

impl Set {
    fn new(syntax: Syntax) -> Self {
        Set { syntax, bytes: Vec::new() }
    }

    fn number(&mut self, value: u32, size: usize) {
        match self.syntax {
            Syntax::Big => self.bytes.extend(&value.to_be_bytes()[4 - size..]),
            _ => self.bytes.extend(&value.to_le_bytes()[..size]),
        }
    }

    fn tag(&mut self, tag: u32) {
        self.number(tag >> 16, 2);
        self.number(tag & 0xffff, 2);
    }

    fn put(&mut self, tag: u32, kind: &str, value: &[u8]) {
        self.tag(tag);
        let length = value.len() as u32;
        if self.syntax == Syntax::Implicit {
            self.number(length, 4);
        } else {
            self.bytes.extend(kind.as_bytes());
            if ["OW", "OB", "SQ", "UN", "UT"].contains(&kind) {
                self.number(0, 2);
                self.number(length, 4);
            } else {
                self.number(length, 2);
            }
        }
        self.bytes.extend(value);
    }

    fn text(&mut self, tag: u32, kind: &str, text: &str) {
        let pad = if kind == "UI" { "\0" } else { " " };
        self.put(tag, kind, format!("{text}{}", &pad[..text.len() % 2]).as_bytes());
    }

    fn whole(&mut self, tag: u32, kind: &str, value: u32) {
        let mut one = Set::new(self.syntax);
        one.number(value, if kind == "US" { 2 } else { 4 });
        self.put(tag, kind, &one.bytes);
    }

    /// A sequence; of undefined lengths where `open`.
    fn items(&mut self, tag: u32, items: Vec<Set>, open: bool) {
        let mut all = Set::new(self.syntax);
        for item in items {
            all.tag(0xfffe_e000);
            all.number(if open { u32::MAX } else { item.bytes.len() as u32 }, 4);
            all.bytes.extend(item.bytes);
            if open {
                all.tag(0xfffe_e00d);
                all.number(0, 4);
            }
        }
        if !open {
            return self.put(tag, "SQ", &all.bytes);
        }
        self.tag(tag);
        if self.syntax != Syntax::Implicit {
            self.bytes.extend(b"SQ\0\0");
        }
        self.number(u32::MAX, 4);
        self.bytes.extend(all.bytes);
        self.tag(0xfffe_e0dd);
        self.number(0, 4);
    }

    fn code(&self, value: &str, scheme: &str, meaning: &str) -> Set {
        let mut set = Set::new(self.syntax);
        set.text(0x0008_0100, "SH", value);
        set.text(0x0008_0102, "SH", scheme);
        set.text(0x0008_0104, "LO", meaning);
        set
    }
}

/// A multiplex group to be written.
pub struct Group<'a> {
    pub names: &'a [&'a str],
    pub leads: Leads,
    pub derived: bool,
    /// µV of a step, and of 0.
    pub step: f64,
    pub base: f64,
    /// Samples by which every second channel is late.
    pub skew: usize,
    /// The number that is said to stand for no sample, and how many of it stand at the end.
    pub padding: Option<(i16, usize)>,
}

impl<'a> Group<'a> {
    /// Steps of 1 µV, nothing unusual.
    pub fn plain(names: &'a [&'a str], leads: Leads) -> Self {
        Group { names, leads, derived: false, step: 1.0, base: 0.0, skew: 0, padding: None }
    }
}

const NUMBERS: [u8; 12] = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8];

fn group(syntax: Syntax, group: &Group<'_>) -> Set {
    let mut set = Set::new(syntax);
    set.text(0x003a_0004, "CS", if group.derived { "DERIVED" } else { "ORIGINAL" });
    set.whole(0x003a_0005, "US", group.names.len() as u32);
    let (number, padded) = group.padding.unwrap_or((0, 0));
    set.whole(0x003a_0010, "UL", (group.leads[0].len() + padded) as u32);
    set.text(0x003a_001a, "DS", "500");
    set.text(0x003a_0020, "SH", if group.derived { "MEDIAN" } else { "RHYTHM" });
    let channels = group.names.iter().enumerate().map(|(at, name)| {
        let mut channel = Set::new(syntax);
        let number = NAMES.iter().position(|other| other == name).map(|at| NUMBERS[at]);
        // Codes of both schemes, and none.
        let source = match (number, at % 3) {
            (Some(number), 0) => channel.code(&format!("2:{number}"), "MDC", "a lead"),
            (Some(number), 1) => channel.code(&format!("5.6.3-9-{number}"), "SCPECG", "a lead"),
            _ => channel.code("X1", "99LOCAL", &format!("Lead {name} (somebody's)")),
        };
        channel.items(0x003a_0208, vec![source], at.is_multiple_of(2));
        channel.text(0x003a_0210, "DS", &(group.step / 1e3).to_string());
        let unit = channel.code("mV", "UCUM", "millivolt");
        channel.items(0x003a_0211, vec![unit], false);
        channel.text(0x003a_0212, "DS", "1");
        channel.text(0x003a_0213, "DS", &(group.base / 1e3).to_string());
        channel.text(0x003a_0215, "DS", &(at % 2 * group.skew).to_string());
        channel
    });
    set.items(0x003a_0200, channels.collect(), true);
    set.whole(0x5400_1004, "US", 16);
    set.text(0x5400_1006, "CS", "SS");
    if group.padding.is_some() {
        set.whole(0x5400_100a, "US", u32::from(number as u16));
    }
    let mut data = Set::new(syntax);
    for t in 0..group.leads[0].len() {
        for (at, lead) in group.leads.iter().enumerate() {
            // A channel that is sampled late holds at t what the others hold after it.
            let x = lead[(t + at % 2 * group.skew).min(lead.len() - 1)];
            data.number(((f64::from(x) - group.base) / group.step).round() as i16 as u16 as u32, 2);
        }
    }
    (0..padded * group.leads.len()).for_each(|_| data.number(u32::from(number as u16), 2));
    set.put(0x5400_1010, "OW", &data.bytes);
    set
}

/// A file of groups, with a patient, measurements and a remark on sample 251.
pub fn write(groups: &[Group<'_>], syntax: Syntax) -> Vec<u8> {
    let mut body = Set::new(syntax);
    body.text(0x0010_0010, "PN", "Secret^Name");
    body.text(0x0010_0020, "LO", "ID77");
    body.text(0x0010_0040, "CS", "F");
    body.text(0x0010_1010, "AS", "061Y");
    let values = [
        ("5.13.5-7", "PR Interval", 160),
        ("5.13.5-9", "QRS Duration", 92),
        ("X", "QT Interval", 400),
        ("5.10.2.1-3", "RR Interval", 800),
        ("5.10.3-13", "QRS axis", -30),
    ];
    let mut annotations: Vec<Set> = values
        .iter()
        .map(|(code, meaning, value)| {
            let mut set = Set::new(syntax);
            let (concept, unit) = (set.code(code, "SCPECG", meaning), set.code("ms", "UCUM", "milliseconds"));
            set.items(0x0040_08ea, vec![unit], false);
            set.items(0x0040_a043, vec![concept], false);
            set.text(0x0040_a30a, "DS", &value.to_string());
            set
        })
        .collect();
    let mut remark = Set::new(syntax);
    remark.whole(0x0040_a132, "UL", 251);
    remark.text(0x0070_0006, "ST", "noise");
    annotations.push(remark);
    body.items(0x0040_b020, annotations, false);
    body.items(0x5400_0100, groups.iter().map(|one| group(syntax, one)).collect(), syntax != Syntax::Big);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut meta = Set::new(Syntax::Explicit);
    meta.put(0x0002_0001, "OB", &[0, 1]);
    meta.text(0x0002_0010, "UI", syntax.uid());
    bytes.extend(meta.bytes);
    if syntax == Syntax::Deflated {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&body.bytes).unwrap();
        bytes.extend(packed.finish().unwrap());
    } else {
        bytes.extend(body.bytes);
    }
    bytes
}
