//! Program files: JSON as people write it, read whole, with every fault and its place. What is not understood is refused by name, with what is known.

use crate::Result;
use crate::intake::{self, Most};
use crate::tape::limits::{MOST_NODES, name_fault, op_faults};
use crate::tape::{Attribute, Attributes, Node, NodeId, Op, OpKind, Program};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// Program files beyond this are refused; StevenNet's takes 20 kB.
const PROGRAM: Most = Most { bytes: 1 << 26, of: "a program" };
/// How many faults are told in one line.
const TOLD: usize = 3;
/// The most characters of a file's own words in a message.
const SHOWN: usize = 40;

/// A fault of a program file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what is known.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

/// The text of a program file.
///
/// # Errors
/// As [`intake::text`].
pub(super) fn program_text(path: &Path) -> Result<String> {
    intake::text(path, PROGRAM)
}

/// The program of a text.
///
/// # Errors
/// All its faults, in the order of the text.
pub fn parse_program(text: &str) -> std::result::Result<Program, Vec<Fault>> {
    let root: &RawValue = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => return Err(vec![not_json(&error)]),
    };
    let mut reader = Reader { text, faults: Vec::new() };
    let program = reader.program(root);
    match program {
        Some(program) if reader.faults.is_empty() => Ok(program),
        _ => Err(reader.placed()),
    }
}

/// All faults in one line: their number and the first few.
pub fn in_one_line(faults: &[Fault]) -> String {
    let told: Vec<String> = faults.iter().take(TOLD).map(Fault::to_string).collect();
    let told = told.join("; ");
    match faults.len() {
        1 => told,
        count if count <= TOLD => format!("{count} faults: {told}"),
        count => format!("{count} faults: {told}; cardiograd inspect lists all"),
    }
}

/// What serde_json says where the text is not even JSON, without its own word of the place.
fn not_json(error: &serde_json::Error) -> Fault {
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    Fault { line: error.line().max(1), column: error.column().max(1), what: format!("not JSON: {what}") }
}

/// A piece of the file's own words for a message: escaped and cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    // Quotes are the file's own and harmless.
    let cut = cut.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(SHOWN).is_some() { format!("{cut}…") } else { cut }
}

/// The entries of a JSON object, in order, as slices of the text.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// An object whose fields are being asked for; those that nobody asked for are unknown.
struct Object<'a> {
    /// The place of the whole.
    at: &'a str,
    /// What it is, for messages.
    who: String,
    fields: Vec<(String, &'a str, &'a RawValue)>,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// An optional field.
    fn get(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        self.fields.iter().find(|(field, ..)| field == name).map(|(.., value)| *value)
    }
}

/// A node as far as it could be read.
struct Parsed<'a> {
    at: &'a str,
    name: Option<(String, &'a str)>,
    op: Option<Op>,
    /// The names of its inputs with their places.
    inputs: Option<Vec<(String, &'a str)>>,
}

impl Parsed<'_> {
    fn who(&self, index: usize) -> String {
        let name = self.name.as_ref().map_or_else(|| format!("node {index}"), |(name, _)| format!("node '{}'", shown(name)));
        self.op.as_ref().map_or(name.clone(), |op| format!("{name} ({})", op.kind()))
    }
}

/// The attributes of an op, read from an object.
struct Fields<'r, 'a> {
    reader: &'r mut Reader<'a>,
    object: Object<'a>,
}

impl Attributes for Fields<'_, '_> {
    fn read<V: Attribute>(&mut self, name: &'static str) -> Option<V> {
        self.reader.read(&mut self.object, name, V::EXPECTED)
    }
}

/// Collects faults by their place while it reads.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    /// Notes a fault at a slice of the text.
    fn fault(&mut self, at: &str, what: String) {
        let offset = (at.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.faults.push((offset.min(self.text.len()), what));
    }

    /// The faults by line and column, in the order of the text.
    fn placed(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|(offset, _)| *offset);
        let (mut line, mut column, mut from) = (1, 1, 0);
        let mut place = |(offset, what): (usize, String)| {
            for c in self.text[from..offset].chars() {
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            from = offset;
            Fault { line, column, what }
        };
        self.faults.into_iter().map(&mut place).collect()
    }

    fn object(&mut self, raw: &'a RawValue, who: impl Into<String>) -> Option<Object<'a>> {
        let who = who.into();
        let Ok(Entries(entries)) = serde_json::from_str(raw.get()) else {
            self.fault(raw.get(), format!("{who} is {}, an object is expected", shown(raw.get())));
            return None;
        };
        let mut fields: Vec<(String, &str, &RawValue)> = Vec::with_capacity(entries.len());
        let mut seen = std::collections::HashSet::new();
        for (key, value) in entries {
            let name: String = serde_json::from_str(key.get()).unwrap_or_default();
            if !seen.insert(name.clone()) {
                self.fault(key.get(), format!("{who}: '{}' is given twice", shown(&name)));
            }
            fields.push((name, key.get(), value));
        }
        Some(Object { at: raw.get(), who, fields, known: Vec::new() })
    }

    /// Refuses the fields that nobody asked for.
    fn close(&mut self, object: Object<'a>) {
        let known = if object.known.is_empty() { "nothing".to_owned() } else { object.known.join(", ") };
        for (name, at, _) in object.fields.iter().filter(|(name, ..)| !object.known.contains(&name.as_str())) {
            self.fault(at, format!("{}: unknown field '{}', known: {known}", object.who, shown(name)));
        }
    }

    /// A field that must be there.
    fn need(&mut self, object: &mut Object<'a>, name: &'static str) -> Option<&'a RawValue> {
        let found = object.get(name);
        if found.is_none() {
            self.fault(object.at, format!("{}: '{name}' is missing", object.who));
        }
        found
    }

    /// A field of a type that JSON's values are read into as they are.
    fn read<V: Deserialize<'a>>(&mut self, object: &mut Object<'a>, name: &'static str, expected: &str) -> Option<V> {
        let raw = self.need(object, name)?;
        self.value(raw, &format!("{}: '{name}'", object.who), expected)
    }

    fn value<V: Deserialize<'a>>(&mut self, raw: &'a RawValue, who: &str, expected: &str) -> Option<V> {
        let value = serde_json::from_str(raw.get()).ok();
        if value.is_none() {
            self.fault(raw.get(), format!("{who} is {}, {expected} is expected", shown(raw.get())));
        }
        value
    }

    fn program(&mut self, root: &'a RawValue) -> Option<Program> {
        let mut object = self.object(root, "the program")?;
        let nodes: Option<Vec<&RawValue>> = self.read(&mut object, "nodes", "a list");
        let output = self.need(&mut object, "output");
        let named = output.and_then(|raw| self.value::<String>(raw, "the program: 'output'", "the name of a node"));
        self.close(object);
        let nodes = nodes?;
        if nodes.len() > MOST_NODES {
            self.fault(root.get(), format!("there are {} nodes, at most {MOST_NODES} are allowed", nodes.len()));
            return None;
        }
        let parsed: Vec<Parsed<'a>> = nodes.into_iter().enumerate().map(|(index, raw)| self.node(index, raw)).collect();
        let (nodes, places) = self.bind(parsed);
        let place = named.as_ref().and_then(|name| places.get(name).copied());
        if let (Some(name), None, Some(raw)) = (&named, place, output) {
            self.fault(raw.get(), format!("the output '{}' is not the name of a node", shown(name)));
        }
        if !self.faults.is_empty() {
            return None;
        }
        // What concerns the program as a whole.
        match Program::new(nodes?, NodeId(place?)) {
            Ok(program) => Some(program),
            Err(error) => {
                self.fault(root.get(), error.to_string());
                None
            }
        }
    }

    fn node(&mut self, index: usize, raw: &'a RawValue) -> Parsed<'a> {
        let mut parsed = Parsed { at: raw.get(), name: None, op: None, inputs: None };
        let Some(mut object) = self.object(raw, format!("node {index}")) else { return parsed };
        if let Some(found) = self.need(&mut object, "name")
            && let Some(name) = self.value::<String>(found, &format!("{}: 'name'", object.who), "a text")
        {
            match name_fault(&name) {
                Some(fault) => self.fault(found.get(), fault),
                None => object.who = format!("node '{}'", shown(&name)),
            }
            parsed.name = Some((name, found.get()));
        }
        if let Some(found) = self.need(&mut object, "op") {
            parsed.op = self.op(&object.who, found);
        }
        parsed.inputs = match object.get("inputs") {
            None => Some(Vec::new()),
            Some(raw) => self.value::<Vec<&RawValue>>(raw, &format!("{}: 'inputs'", object.who), "a list of names").and_then(|all| {
                let name =
                    |raw: &'a RawValue| Some((self.value(raw, &format!("{}: an input", object.who), "the name of a node")?, raw.get()));
                all.into_iter().map(name).collect()
            }),
        };
        self.close(object);
        parsed
    }

    /// An op: its name, or an object of its name and its attributes.
    fn op(&mut self, who: &str, raw: &'a RawValue) -> Option<Op> {
        if let Ok(name) = serde_json::from_str::<String>(raw.get()) {
            let kind = self.kind(who, &name, raw.get())?;
            return self.attributes(kind, Object { at: raw.get(), who: format!("{who} ({kind})"), fields: Vec::new(), known: Vec::new() });
        }
        let object = self.object(raw, format!("{who}: 'op'"))?;
        let &[(ref name, at, inner)] = &object.fields[..] else {
            self.fault(raw.get(), format!("{who}: 'op' has {} names, one is expected", object.fields.len()));
            return None;
        };
        let kind = self.kind(who, name, at)?;
        let who = format!("{who} ({kind})");
        let object = match inner.get() {
            "null" => Object { at: inner.get(), who, fields: Vec::new(), known: Vec::new() },
            _ => self.object(inner, who)?,
        };
        self.attributes(kind, object)
    }

    fn kind(&mut self, who: &str, name: &str, at: &str) -> Option<OpKind> {
        let found = OpKind::ALL.iter().copied().find(|kind| kind.name() == name);
        if found.is_none() {
            let all = OpKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ");
            self.fault(at, format!("{who}: there is no op '{}'; the ops are {all}", shown(name)));
        }
        found
    }

    fn attributes(&mut self, kind: OpKind, object: Object<'a>) -> Option<Op> {
        let mut fields = Fields { reader: self, object };
        let op = Op::read(kind, &mut fields);
        let Fields { object, .. } = fields;
        self.close(object);
        op
    }

    /// Puts places for names; the nodes if all could be read, and where each name is.
    fn bind(&mut self, parsed: Vec<Parsed<'a>>) -> (Option<Vec<Node>>, HashMap<String, usize>) {
        let mut later: HashMap<&str, usize> = HashMap::new();
        for (index, node) in parsed.iter().enumerate() {
            if let Some((name, _)) = &node.name {
                later.entry(name).or_insert(index);
            }
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut nodes = Some(Vec::with_capacity(parsed.len()));
        for (index, node) in parsed.iter().enumerate() {
            let who = node.who(index);
            let mut found = Vec::new();
            for (input, at) in node.inputs.iter().flatten() {
                match places.get(input) {
                    Some(place) => found.push(NodeId(*place)),
                    None if later.contains_key(input.as_str()) => {
                        self.fault(at, format!("{who} reads '{}', which does not come before it", shown(input)));
                    }
                    None => self.fault(at, format!("{who} reads '{}', which no node is called", shown(input))),
                }
            }
            if let (Some(op), Some(inputs)) = (&node.op, &node.inputs) {
                op_faults(op, inputs.len()).into_iter().for_each(|fault| self.fault(node.at, format!("{who}: {fault}")));
            }
            if let Some((name, at)) = &node.name {
                match places.get(name) {
                    Some(first) => self.fault(at, format!("{who}: its name is used twice, node {first} has it")),
                    None => drop(places.insert(name.clone(), index)),
                }
            }
            nodes = match (nodes, &node.name, &node.op) {
                (Some(mut nodes), Some((name, _)), Some(op)) => {
                    nodes.push(Node { name: name.clone(), op: op.clone(), inputs: found });
                    Some(nodes)
                }
                _ => None,
            };
        }
        (nodes, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a text as (line, words).
    fn faults(text: &str) -> Vec<(usize, String)> {
        parse_program(text).unwrap_err().into_iter().map(|fault| (fault.line, fault.what)).collect()
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let text = r#"{"nodes": [
  {"name": "x", "op": {"input": {"shape": [12, null]}}},
  {"name": "pool", "op": {"max_pool1d": {"window": 2, "stride": 2, "padding": 1}}, "inputs": ["x"]},
  {"name": "avg", "op": {"avg_pool1d": {"window": 2, "ceil_mode": true}}, "inputs": ["pool"]},
  {"name": "w", "op": {"parameter": {"shape": [1, 12, 3], "trainable": "yes"}}},
  {"name": "conv", "op": {"conv1d": {"stride": 1, "dilation": 1, "padding": [1, 1], "groups": 4}}, "inputs": ["avg", "w"]},
  {"name": "act", "op": "rellu", "inputs": ["conv"]},
  {"name": "up", "op": {"upsample": {"factor": 0}}, "inputs": ["act", "act"], "comment": 1},
  {"name": "pool", "op": "relu", "inputs": ["later"]},
  {"name": "later", "op": "relu", "inputs": ["nobody"]}
], "output": "end", "version": 1}"#;
        let found = faults(text);
        let wanted = [
            (3, "node 'pool' (max_pool1d): unknown field 'padding', known: window, stride"),
            (4, "node 'avg' (avg_pool1d): 'stride' is missing"),
            (4, "node 'avg' (avg_pool1d): unknown field 'ceil_mode', known: window, stride"),
            (5, "node 'w' (parameter): 'trainable' is \"yes\", true or false is expected"),
            (6, "node 'conv' (conv1d): unknown field 'groups', known: stride, dilation, padding"),
            (7, "node 'act': there is no op 'rellu'; the ops are input parameter conv1d"),
            (8, "node 'up' (upsample): it has 2 inputs, it takes 1"),
            (8, "node 'up' (upsample): factor 0"),
            (8, "node 'up': unknown field 'comment', known: name, op, inputs"),
            (9, "node 'pool' (relu): its name is used twice, node 1 has it"),
            (9, "node 'pool' (relu) reads 'later', which does not come before it"),
            (10, "node 'later' (relu) reads 'nobody', which no node is called"),
            (11, "the output 'end' is not the name of a node"),
            (11, "the program: unknown field 'version', known: nodes, output"),
        ];
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for ((line, what), (on, words)) in found.iter().zip(wanted) {
            assert!(*line == on && what.starts_with(words), "{line}: {what} is not {on}: {words}");
        }
        let first = &parse_program(text).unwrap_err()[0];
        let third = text.lines().nth(2).unwrap();
        assert_eq!(first.column, third.find("\"padding\"").unwrap() + 1);
        let told = in_one_line(&parse_program(text).unwrap_err());
        assert!(told.starts_with("14 faults: line 3, column 68: node 'pool'") && told.lines().count() == 1, "{told}");
    }

    #[test]
    fn what_is_no_program_is_one_fault_with_its_place() {
        for (text, line, words) in [
            ("{\"nodes\": [\n  oops]}", 2, "not JSON: expected"),
            ("[]", 1, "the program is [], an object is expected"),
            ("{\"nodes\": {}, \"output\": \"x\"}", 1, "'nodes' is {}, a list is expected"),
            ("{\"nodes\": [], \"output\": \"x\"}", 1, "the output 'x' is not the name of a node"),
            (
                "{\"nodes\": [{\"name\": \"a\\u0007b\", \"op\": {\"input\": {\"shape\": []}}}], \"output\": \"a\\u0007b\"}",
                1,
                "has a control character",
            ),
        ] {
            let found = faults(text);
            assert!(found.len() == 1 && found[0].0 == line && found[0].1.contains(words), "{text}: {found:?}");
        }
        let input = "{\"name\": \"x\", \"op\": {\"input\": {\"shape\": [1], \"shape\": [2]}}}";
        let found = faults(&format!("{{\"nodes\": [{input}], \"output\": \"x\"}}"));
        assert!(found[0].1.contains("'shape' is given twice"), "{found:?}");
        let long = format!("{{\"nodes\": [{{\"name\": \"x\", \"op\": \"{}\"}}], \"output\": \"x\"}}", "y".repeat(100_000));
        assert!(faults(&long)[0].1.len() < 500);
    }

    #[test]
    fn what_is_written_is_read() {
        for name in crate::nn::ARCHITECTURES {
            let program = crate::nn::architecture(name).unwrap();
            assert_eq!(parse_program(&serde_json::to_string(&program).unwrap()).unwrap(), program);
        }
        // serde's own way is as strict.
        let text = r#"{"nodes": [{"name": "x", "op": {"input": {"shape": [1, 4], "dtype": "f32"}}}], "output": "x"}"#;
        assert!(serde_json::from_str::<Program>(text).unwrap_err().to_string().contains("dtype"));
    }
}
