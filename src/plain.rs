//! What the standard library's prelude has beyond the language's core, for builds without the feature `std`: memory's types and macros, and the few
//! functions of numbers that are exact or rounded correctly, so that they are the same bits wherever they come from.

pub(crate) use alloc::borrow::ToOwned;
pub(crate) use alloc::boxed::Box;
pub(crate) use alloc::string::{String, ToString};
pub(crate) use alloc::vec::Vec;
pub(crate) use alloc::{format, vec};
pub(crate) use cardiograd_kernels::elementary::Exact;
