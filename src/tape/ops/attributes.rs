//! The attributes of ops as program files have them.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use serde::Deserialize;

/// A type that attributes have.
pub(crate) trait Attribute: for<'de> Deserialize<'de> {
    /// What is expected, in words.
    const EXPECTED: &'static str;
}

/// Where the attributes of one op come from.
pub(crate) trait Attributes {
    /// The attribute of a name, if it is there and of its type; otherwise the fault is noted.
    fn read<V: Attribute>(&mut self, name: &'static str) -> Option<V>;
}

impl Attribute for usize {
    const EXPECTED: &'static str = "a whole number";
}

impl Attribute for f64 {
    const EXPECTED: &'static str = "a number";
}

impl Attribute for bool {
    const EXPECTED: &'static str = "true or false";
}

impl Attribute for (usize, usize) {
    const EXPECTED: &'static str = "a list of two whole numbers, zeros before and after,";
}

impl Attribute for Vec<usize> {
    const EXPECTED: &'static str = "a list of sizes";
}

impl Attribute for Vec<Option<usize>> {
    const EXPECTED: &'static str = "a list of sizes, null where any will do,";
}
