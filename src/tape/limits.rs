//! What a program may ask for: geometry, names, and memory, bounded far above any use and far below what overflows. Programs come from files;
//! nothing that they claim is believed before it is checked here.

use super::{Node, Op};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::shape::elements;

/// The most nodes of a program.
pub const MOST_NODES: usize = 1 << 16;
/// The largest stride, dilation, padding on one side, window or factor.
pub const MOST_STEP: usize = 1 << 20;
/// The most values in all parameters together: 1 GiB in f32, so that training, which keeps gradients, moments and the best weights too, stays
/// within a few.
pub const MOST_PARAMETERS: usize = 1 << 28;
/// The most values in one example's run, all nodes together: 4 GiB in f32.
pub const MOST_VALUES: usize = 1 << 30;
/// The most values that a node may have for a whole batch.
pub const MOST_OF_A_NODE: usize = u32::MAX as usize;
/// The most values that training may keep for a batch, all nodes together: 16 GiB in f32.
pub const MOST_IN_TRAINING: usize = u32::MAX as usize;
/// The longest name of a node, bytes.
const LONGEST_NAME: usize = 500;

/// What is wrong with a node's name, if anything is: it stands in messages, file names and tables.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a node's name is empty".into());
    }
    if name.len() > LONGEST_NAME {
        return Some(format!("a node's name has {} bytes, at most {LONGEST_NAME} are allowed", name.len()));
    }
    name.chars().any(char::is_control).then(|| format!("the name {name:?} has a control character"))
}

/// Everything that is wrong with an op by itself and with the number of its inputs.
pub(crate) fn op_faults(op: &Op, inputs: usize) -> Vec<String> {
    let definition = op.definition();
    let mut faults = Vec::new();
    let (least, most) = definition.arity();
    if !(least..=most).contains(&inputs) {
        let takes = match most {
            usize::MAX => format!("{least} or more"),
            _ if least == most => least.to_string(),
            _ => format!("{least} or {most}"),
        };
        faults.push(format!("it has {inputs} inputs, it takes {takes}"));
    }
    faults.extend(definition.faults());
    faults
}

/// What is wrong with a stride, a padding, a window or a factor.
pub(super) fn step_fault(what: &str, value: usize, least: usize) -> Option<String> {
    match value {
        _ if value < least => Some(format!("{what} {value}")),
        _ if value > MOST_STEP => Some(format!("{what} {value}, at most {MOST_STEP} is allowed")),
        _ => None,
    }
}

/// What is wrong with a shape whose known sizes are these.
pub(super) fn shape_fault(written: &str, sizes: &[usize], most: usize) -> Option<String> {
    if sizes.contains(&0) {
        return Some(format!("shape {written} is empty"));
    }
    match elements(sizes, size_of::<f64>()) {
        Some(count) if count <= most => None,
        _ => Some(format!("shape {written} is too large, at most {most} values are allowed")),
    }
}

/// The first parameter with which all together have more than [`MOST_PARAMETERS`] values, as a message.
pub(super) fn too_many_parameters(nodes: &[Node]) -> Option<String> {
    let mut total = 0usize;
    for node in nodes {
        let Op::Parameter { shape, .. } = &node.op else { continue };
        total = elements(shape, size_of::<f64>()).and_then(|count| total.checked_add(count)).unwrap_or(usize::MAX);
        if total > MOST_PARAMETERS {
            let name = &node.name;
            return Some(format!(
                "node '{name}' (parameter): with shape {shape:?} the parameters have more than {MOST_PARAMETERS} values ({} MiB in f32), the most allowed",
                MOST_PARAMETERS >> 18
            ));
        }
    }
    None
}

/// The values of one example's run, counted node by node.
#[derive(Default)]
pub(super) struct Run {
    total: usize,
    /// For each node so far, whether it depends on an input: its first axis is then the batch.
    batched: Vec<bool>,
}

impl Run {
    /// Counts the next node.
    ///
    /// # Errors
    /// A message if its value, or all values so far, are too large.
    pub fn add(&mut self, node: &Node, shape: &[usize]) -> Result<(), String> {
        let batched = matches!(node.op, Op::Input { .. }) || node.inputs.iter().any(|input| self.batched[input.0]);
        self.batched.push(batched);
        if elements(shape, size_of::<f64>()).is_none_or(|count| count > MOST_OF_A_NODE) {
            return Err(format!("a value of shape {shape:?} is too large"));
        }
        if matches!(node.op, Op::Parameter { .. }) {
            return Ok(());
        }
        let own = if batched { shape.get(1..).unwrap_or_default() } else { shape };
        self.total = self.total.saturating_add(elements(own, size_of::<f64>()).unwrap_or(usize::MAX));
        if self.total > MOST_VALUES {
            return Err(format!(
                "with its value of shape {own:?} the run of one example takes {} values, at most {MOST_VALUES} are allowed (4 GiB in f32)",
                self.total
            ));
        }
        Ok(())
    }

    /// The values of all nodes but parameters, for one example.
    pub fn total(&self) -> usize {
        self.total
    }
}
