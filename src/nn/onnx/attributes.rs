//! The attributes of a node, by name; those that nobody asked for are refused.

use super::proto::{AttributeProto, NodeProto, attribute};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A node's attributes.
pub(super) struct Attributes<'a> {
    node: &'a NodeProto,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Attributes<'a> {
    pub fn of(node: &'a NodeProto) -> Self {
        Attributes { node, asked: RefCell::default() }
    }

    fn find(&self, name: &'static str, kind: i32) -> Result<Option<&'a AttributeProto>, String> {
        self.asked.borrow_mut().insert(name);
        match self.node.attribute.iter().find(|attribute| attribute.name == name) {
            // Files of IR version 2 and before leave the type out.
            Some(found) if found.r#type != kind && found.r#type != 0 => {
                Err(format!("its attribute '{name}' has a type that does not belong to it"))
            }
            found => Ok(found),
        }
    }

    pub fn integer(&self, name: &'static str, default: i64) -> Result<i64, String> {
        Ok(self.find(name, attribute::INT)?.map_or(default, |found| found.i))
    }

    /// A number: the shortest decimal that the file's f32 can have come from, so that 1e-5 is 1e-5 in f64 too.
    pub fn float(&self, name: &'static str, default: f32) -> Result<f64, String> {
        let found = self.find(name, attribute::FLOAT)?.map_or(default, |found| found.f);
        Ok(found.to_string().parse().unwrap_or(f64::from(found)))
    }

    pub fn integers(&self, name: &'static str) -> Result<Option<&'a [i64]>, String> {
        Ok(self.find(name, attribute::INTS)?.map(|found| &found.ints[..]))
    }

    pub fn text(&self, name: &'static str, default: &'a str) -> Result<&'a str, String> {
        match self.find(name, attribute::STRING)? {
            None => Ok(default),
            Some(found) => std::str::from_utf8(&found.s).map_err(|_| format!("its attribute '{name}' is no text")),
        }
    }

    pub fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, String> {
        let Some(found) = self.find(name, attribute::STRINGS)? else { return Ok(None) };
        let text = |s: &'a Vec<u8>| std::str::from_utf8(s).map_err(|_| format!("its attribute '{name}' is no text"));
        found.strings.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// Notes attributes that change nothing here.
    pub fn ignore(&self, names: &[&'static str]) {
        self.asked.borrow_mut().extend(names);
    }

    /// Refuses attributes that were not asked for.
    pub fn all_known(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self.node.attribute.iter().find(|attribute| !asked.contains(attribute.name.as_str())) {
            None => Ok(()),
            Some(unknown) => Err(format!("its attribute '{}' is not known", unknown.name)),
        }
    }
}
