//! Ops from outside of the crate.

use super::OpDefinition;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use alloc::sync::Arc;
use core::fmt;
use serde::{Serialize, Serializer};

/// An op from outside of the crate: a name and a definition.
#[derive(Clone)]
pub struct Custom {
    name: &'static str,
    definition: Arc<dyn OpDefinition>,
}

impl Custom {
    pub(crate) fn new(name: &'static str, definition: Arc<dyn OpDefinition>) -> Self {
        Custom { name, definition }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn definition(&self) -> Arc<dyn OpDefinition> {
        Arc::clone(&self.definition)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.definition)
    }
}

/// One definition, or two that say the same of themselves.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && (Arc::ptr_eq(&self.definition, &other.definition) || format!("{:?}", self.definition) == format!("{:?}", other.definition))
    }
}

/// Refused by name: whoever reads the file would not have the op.
impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!("the op '{}' is defined outside of cardiograd and has no place in files", self.name)))
    }
}
