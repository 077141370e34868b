//! Writing a network anew, node by node: what [`super::fold`] and [`super::polyphase`] are made with.

use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Node, NodeId, Op, OpKind, Parameters, Program, Real, Tensor};

/// A network being written anew. Old nodes are kept, or others put in their places; what nothing needs any more in the end falls away. What the output did
/// not depend on before stays, as do the inputs, which are the network's interface.
pub(super) struct Rewrite<'a, T: Real> {
    network: &'a Network<T>,
    nodes: Vec<Node>,
    /// Where each old node went.
    places: Vec<Option<NodeId>>,
    parameters: Parameters<T>,
}

impl<'a, T: Real> Rewrite<'a, T> {
    pub fn new(network: &'a Network<T>) -> Self {
        let places = vec![None; network.program().nodes().len()];
        Rewrite { network, nodes: Vec::new(), places, parameters: network.parameters() }
    }

    /// The network that is being rewritten.
    pub fn network(&self) -> &'a Network<T> {
        self.network
    }

    /// Where an old node went, if it has a place yet.
    pub fn place(&self, old: NodeId) -> Option<NodeId> {
        self.places[old.0]
    }

    /// Where the inputs of an old node went.
    ///
    /// # Panics
    /// If one has no place yet.
    pub fn inputs(&self, old: &Node) -> Vec<NodeId> {
        old.inputs.iter().map(|input| self.places[input.0].expect("inputs come before their readers")).collect()
    }

    /// A new node; its inputs are new ones.
    pub fn push(&mut self, name: impl Into<String>, op: Op, inputs: Vec<NodeId>) -> NodeId {
        self.nodes.push(Node { name: name.into(), op, inputs });
        NodeId(self.nodes.len() - 1)
    }

    /// A new parameter, which is not trained.
    pub fn parameter(&mut self, name: impl Into<String>, value: Tensor<T>) -> NodeId {
        let (name, op) = (name.into(), Op::Parameter { shape: value.shape().to_vec(), trainable: false });
        self.parameters.insert(name.clone(), value);
        self.push(name, op, Vec::new())
    }

    /// Readers of an old node read this new one from now on.
    pub fn put(&mut self, old: NodeId, new: NodeId) {
        self.places[old.0] = Some(new);
    }

    /// The old node, reading what its inputs became.
    ///
    /// # Panics
    /// If an input has no place yet.
    pub fn keep(&mut self, old: NodeId) {
        let node = self.network.program().node(old);
        let new = self.push(node.name.clone(), node.op.clone(), self.inputs(node));
        self.put(old, new);
    }

    /// Gives an old parameter that has been kept another value, of the same shape or, no longer trained, of another.
    ///
    /// # Panics
    /// If it has no place yet.
    pub fn set(&mut self, old: NodeId, value: Tensor<T>) {
        let node = &mut self.nodes[self.places[old.0].expect("a kept parameter").0];
        match &node.op {
            Op::Parameter { shape, .. } if *shape == value.shape() => (),
            _ => node.op = Op::Parameter { shape: value.shape().to_vec(), trainable: false },
        }
        self.parameters.insert(node.name.clone(), value);
    }

    /// The network, without what the rewriting has made idle.
    ///
    /// # Errors
    /// As [`Network::new`].
    ///
    /// # Panics
    /// If the output has no place.
    pub fn finish(mut self) -> Result<Network<T>> {
        let program = self.network.program();
        let output = self.places[program.output().0].expect("the output has a place");
        let idle = program.live().into_iter().zip(program.nodes()).zip(&self.places);
        let idle = idle.filter(|((live, node), _)| !live && node.op.kind() != OpKind::Parameter);
        let mut needed = vec![false; self.nodes.len()];
        idle.filter_map(|(_, place)| *place).chain([output]).for_each(|id| needed[id.0] = true);
        // Inputs come before their readers.
        for id in (0..self.nodes.len()).rev() {
            if needed[id] {
                self.nodes[id].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for (node, needed) in core::mem::take(&mut self.nodes).into_iter().zip(needed) {
            places.push(NodeId(nodes.len()));
            match node.op {
                _ if needed => nodes.push(Node { inputs: node.inputs.iter().map(|input| places[input.0]).collect(), ..node }),
                Op::Input { .. } => nodes.push(node),
                Op::Parameter { .. } => drop(self.parameters.remove(&node.name)),
                _ => (),
            }
        }
        Network::new(Program::new(nodes, places[output.0])?, self.parameters)
    }
}
