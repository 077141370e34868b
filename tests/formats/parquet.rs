//! Parquet tables, as pyarrow lays them out: lists of three levels, or plain columns; optional values; a dictionary page where wanted.

use super::varint::varint;
use super::{Leads, NAMES};

/// Structures of Thrift's compact protocol.
#[derive(Default, Clone)]
struct Fields {
    bytes: Vec<u8>,
    last: i16,
}

fn zigzag(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

impl Fields {
    fn head(&mut self, number: i16, kind: u8) {
        self.bytes.push(((number - self.last) as u8) << 4 | kind);
        self.last = number;
    }

    fn whole(mut self, number: i16, value: i64) -> Self {
        self.head(number, 6);
        self.bytes.extend(zigzag(value));
        self
    }

    fn text(mut self, number: i16, text: &str) -> Self {
        self.head(number, 8);
        self.bytes.extend(varint(text.len() as u64));
        self.bytes.extend(text.as_bytes());
        self
    }

    fn fields(mut self, number: i16, fields: Fields) -> Self {
        self.head(number, 12);
        self.bytes.extend(fields.end());
        self
    }

    fn list(mut self, number: i16, items: Vec<Fields>) -> Self {
        self.head(number, 9);
        self.bytes.push(0xfc);
        self.bytes.extend(varint(items.len() as u64));
        items.into_iter().for_each(|item| self.bytes.extend(item.end()));
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

/// Levels as runs, in bytes before which their length stands.
fn levels(values: &[u32], most: u32) -> Vec<u8> {
    if most == 0 {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        bytes.extend(varint((run.len() as u64) << 1));
        bytes.push(run[0] as u8);
    }
    let mut all = (bytes.len() as u32).to_le_bytes().to_vec();
    all.extend(bytes);
    all
}

struct Page {
    repeats: Vec<u32>,
    defined: Vec<u32>,
    values: Vec<u8>,
    encoding: i64,
    dictionary: Option<(Vec<u8>, usize)>,
}

/// Packs as Snappy does where it finds nothing to copy.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut all = varint(bytes.len() as u64);
    for part in bytes.chunks(60) {
        all.push(((part.len() - 1) << 2) as u8);
        all.extend(part);
    }
    all
}

struct File {
    bytes: Vec<u8>,
    schema: Vec<Fields>,
    chunks: Vec<Fields>,
    rows: usize,
}

impl File {
    fn new(rows: usize, columns: usize) -> Self {
        let root = Fields::default().text(4, "schema").whole(5, columns as i64);
        File { bytes: b"PAR1".to_vec(), schema: vec![root], chunks: Vec::new(), rows }
    }

    fn page(&mut self, kind: i64, head: (i16, Fields), body: &[u8]) {
        let packed = snappy(body);
        let head = Fields::default().whole(1, kind).whole(2, body.len() as i64).whole(3, packed.len() as i64).fields(head.0, head.1);
        self.bytes.extend(head.end());
        self.bytes.extend(packed);
    }

    /// A column of a physical kind whose values are in a page each.
    fn column(&mut self, name: &str, kind: i64, lists: usize, pages: Vec<Page>) {
        let mut schema = Vec::new();
        let optional = |name: &str| Fields::default().whole(3, 1).text(4, name);
        for level in 0..lists {
            schema.push(optional(if level == 0 { name } else { "element" }).whole(5, 1));
            schema.push(Fields::default().whole(3, 2).text(4, "list").whole(5, 1));
        }
        schema.push(Fields::default().whole(1, kind).whole(3, 1).text(4, if lists == 0 { name } else { "element" }));
        self.schema.extend(schema);
        let begin = self.bytes.len();
        let (mut dictionary, mut data, mut entries) = (None, None, 0);
        for page in pages {
            if let Some((words, count)) = &page.dictionary {
                dictionary = Some(self.bytes.len());
                self.page(2, (7, Fields::default().whole(1, *count as i64).whole(2, 0)), words);
            }
            data.get_or_insert(self.bytes.len());
            let mut body = levels(&page.repeats, lists as u32);
            body.extend(levels(&page.defined, 2 * lists as u32 + 1));
            body.extend(page.values);
            entries += page.defined.len();
            let head = Fields::default().whole(1, page.defined.len() as i64).whole(2, page.encoding).whole(3, 3).whole(4, 3);
            self.page(0, (5, head), &body);
        }
        let mut meta = Fields::default().whole(1, kind).whole(4, 1).whole(5, entries as i64).whole(6, 0);
        meta = meta.whole(7, (self.bytes.len() - begin) as i64).whole(9, data.unwrap() as i64);
        if let Some(place) = dictionary {
            meta = meta.whole(11, place as i64);
        }
        self.chunks.push(Fields::default().whole(2, 0).fields(3, meta));
    }

    fn finish(self) -> Vec<u8> {
        self.finish_of(1)
    }

    /// With so many row groups that all lie at the same place.
    fn finish_of(mut self, groups: usize) -> Vec<u8> {
        let group = Fields::default().list(1, self.chunks).whole(2, 0).whole(3, self.rows as i64);
        let footer = Fields::default().whole(1, 2).list(2, self.schema).whole(3, (self.rows * groups) as i64);
        let footer = footer.list(4, vec![group; groups]).end();
        let length = footer.len() as u32;
        self.bytes.extend(footer);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(b"PAR1");
        self.bytes
    }
}

fn doubles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect()
}

/// A row an instant: `time_ms`, and columns `I (uV)` … `V6 (uV)`; V6 by a dictionary of its values.
pub fn instants(leads: &Leads) -> Vec<u8> {
    let length = leads[0].len();
    let mut file = File::new(length, 13);
    let plain = |values: Vec<f32>| Page {
        repeats: vec![],
        defined: vec![1; values.len()],
        values: doubles(&values),
        encoding: 0,
        dictionary: None,
    };
    file.column("time_ms", 5, 0, vec![plain((0..length).map(|t| 2.0 * t as f32).collect())]);
    for (name, lead) in NAMES.iter().zip(leads).take(11) {
        let halves = lead.chunks(length / 2).map(|half| plain(half.to_vec())).collect();
        file.column(&format!("{name} (uV)"), 5, 0, halves);
    }
    let mut words: Vec<f32> = leads[11].clone();
    words.sort_by(f32::total_cmp);
    words.dedup();
    // Places in the dictionary, 16 bits each, in groups of eight.
    let mut values = vec![16];
    values.extend(varint((length.div_ceil(8) as u64) << 1 | 1));
    values.extend(leads[11].iter().flat_map(|x| (words.iter().position(|word| word == x).unwrap() as u16).to_le_bytes()));
    values.resize(values.len() + (8 - length % 8) % 8 * 2, 0);
    let dictionary = Some((doubles(&words), words.len()));
    file.column("V6 (uV)", 5, 0, vec![Page { repeats: vec![], defined: vec![1; length], values, encoding: 8, dictionary }]);
    file.finish()
}

/// A row an ECG: `ecg_id` from `e0` on, and a list a lead in a column of its own.
pub fn lists(ecgs: &[Leads]) -> Vec<u8> {
    all_lists(ecgs, |at| format!("e{at}"), 1)
}

/// The same with other ids, each a word of a dictionary in which none but that of the first row stands, and the row group so many times over.
pub fn worded(ecgs: &[Leads], id: &str, groups: usize) -> Vec<u8> {
    all_lists(ecgs, |_| id.into(), groups)
}

fn all_lists(ecgs: &[Leads], id: impl Fn(usize) -> String, groups: usize) -> Vec<u8> {
    let mut file = File::new(ecgs.len(), 13);
    let word = |at: usize| [&(id(at).len() as u32).to_le_bytes()[..], id(at).as_bytes()].concat();
    // No bit a place: all are the first word.
    let page = match id(0) == id(1) {
        true => Page { repeats: vec![], defined: vec![1; ecgs.len()], values: vec![0], encoding: 8, dictionary: Some((word(0), 1)) },
        false => {
            let values = (0..ecgs.len()).flat_map(word).collect();
            Page { repeats: vec![], defined: vec![1; ecgs.len()], values, encoding: 0, dictionary: None }
        }
    };
    file.column("ecg_id", 6, 0, vec![page]);
    for (at, name) in NAMES.iter().enumerate() {
        let all: Vec<f32> = ecgs.iter().flat_map(|leads| leads[at].clone()).collect();
        let repeats: Vec<u32> = ecgs.iter().flat_map(|leads| (0..leads[at].len()).map(|t| u32::from(t > 0))).collect();
        // Pages end within rows.
        let pages = all.chunks(3000).zip(repeats.chunks(3000)).map(|(values, repeats)| Page {
            repeats: repeats.to_vec(),
            defined: vec![3; values.len()],
            values: doubles(values),
            encoding: 0,
            dictionary: None,
        });
        file.column(name, 5, 1, pages.collect());
    }
    file.finish_of(groups)
}

/// A row an ECG: one column `ecg` of lists of leads that are lists.
pub fn nested(ecgs: &[Leads]) -> Vec<u8> {
    let mut file = File::new(ecgs.len(), 1);
    let page = |leads: &Leads| {
        let repeats =
            leads.iter().enumerate().flat_map(|(at, lead)| (0..lead.len()).map(move |t| if t > 0 { 2 } else { u32::from(at > 0) }));
        let values = doubles(&leads.concat());
        Page { repeats: repeats.collect(), defined: vec![5; values.len() / 8], values, encoding: 0, dictionary: None }
    };
    file.column("ecg", 5, 2, ecgs.iter().map(page).collect());
    file.finish()
}
