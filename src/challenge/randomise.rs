//! Networks some of whose layers have forgotten what they learned (Adebayo et al. 2018, section 3: the model parameter randomisation test).
//!
//! A heatmap that hardly changes when weights are replaced by untrained ones does not tell what the network has learned.

use crate::nn::initialise;
use crate::tape::{Network, NodeId, Op, Program};
use crate::{Error, Result};

/// More layers than this are taken block by block.
const MOST: usize = 12;

/// Parameters that are randomised together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The name that its parameters share: `fc1`, `block8`.
    pub name: String,
    /// Its parameters, running statistics included.
    pub parameters: Vec<NodeId>,
}

/// The layers of a program from the output to the input. Parameters belong together by module (`block8.conv2.weight` → `block8.conv2`), or,
/// where that would be more than twelve, by the first part of their name (`block8`).
///
/// # Errors
/// [`Error::Program`] if nothing in the program is trainable.
pub fn layers(program: &Program) -> Result<Vec<Layer>> {
    let by_module = grouped(program, |name| name.rsplit_once('.').map_or(name, |parts| parts.0));
    let by_block = grouped(program, |name| name.split('.').next().unwrap_or(name));
    let all = if by_module.len() > MOST && by_block.len() > 1 { by_block } else { by_module };
    if all.is_empty() { Err(Error::Program("the network has no trainable layer to randomise".into())) } else { Ok(all) }
}

fn grouped<'p>(program: &'p Program, key: impl Fn(&'p str) -> &'p str) -> Vec<Layer> {
    let mut all: Vec<Layer> = Vec::new();
    for id in program.parameters().into_iter().rev() {
        let name = key(&program.node(id).name);
        match all.iter_mut().find(|layer| layer.name == name) {
            Some(layer) => layer.parameters.push(id),
            None => all.push(Layer { name: name.to_owned(), parameters: vec![id] }),
        }
    }
    let trainable = |layer: &Layer| layer.parameters.iter().any(|id| matches!(program.node(*id).op, Op::Parameter { trainable: true, .. }));
    all.retain(trainable);
    all
}

/// The network with the parameters of some layers as they are before training: drawn as [`initialise`] draws them, batch norms the identity.
/// The draws of a layer depend on the seed and the layer alone: cascading and independent randomisation share them.
///
/// # Errors
/// As [`initialise`].
pub fn randomised(network: &Network<f32>, layers: &[Layer], seed: u64, target: u32) -> Result<Network<f32>> {
    let fresh = initialise(network.program(), seed, target)?;
    let mut changed = network.clone();
    for id in layers.iter().flat_map(|layer| &layer.parameters) {
        let name = &network.program().node(*id).name;
        if let Some(value) = fresh.get(name) {
            changed.set_parameter(*id, value.clone())?;
        }
    }
    Ok(changed)
}
