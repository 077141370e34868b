//! An ONNX graph in the making: nodes, weights and numbers under names that are given once.

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute, element,
};
use crate::tape::Real;
use prost::Message;
use std::collections::BTreeSet;

/// The version of the operators that is written.
const OPSET: i64 = 17;

/// A graph in the making.
#[derive(Default)]
pub(crate) struct Builder {
    graph: GraphProto,
    names: BTreeSet<String>,
    /// Its numbers are f64, not f32.
    double: bool,
}

/// The size of an axis: a number, or a name for one that is known at run time.
#[derive(Clone, Copy)]
pub(crate) enum Axis<'a> {
    Fixed(usize),
    Open(&'a str),
}

pub(crate) fn integers(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|v| *v as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: attribute::INTS, ..AttributeProto::default() }
}

pub(crate) fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: attribute::INT, ..AttributeProto::default() }
}

pub(crate) fn float(name: &str, f: f64) -> AttributeProto {
    AttributeProto { name: name.into(), f: f as f32, r#type: attribute::FLOAT, ..AttributeProto::default() }
}

pub(crate) fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: s.as_bytes().to_vec(), r#type: attribute::STRING, ..AttributeProto::default() }
}

/// A value with its axes, the batch first.
fn value(name: &str, elem_type: i32, axes: &[Axis<'_>]) -> ValueInfoProto {
    let axis = |axis: &Axis<'_>| match axis {
        Axis::Fixed(size) => DimensionProto { dim_value: Some(*size as i64), dim_param: None },
        Axis::Open(name) => DimensionProto { dim_value: None, dim_param: Some((*name).into()) },
    };
    let shape = TensorShapeProto { dim: axes.iter().map(axis).collect() };
    let tensor = TensorTypeProto { elem_type, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

impl Builder {
    /// A graph whose numbers are of a type.
    pub fn of<T: Real>() -> Self {
        Builder { double: size_of::<T>() == 8, ..Builder::default() }
    }

    /// Whether its numbers are f64: engines have no convolutions and averages of those.
    pub fn is_double(&self) -> bool {
        self.double
    }

    fn element(&self) -> i32 {
        if self.double { element::DOUBLE } else { element::FLOAT }
    }

    /// A name like this one that is not taken yet.
    fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}.{number}");
        }
        name
    }

    /// An input of the graph.
    pub fn input(&mut self, name: &str, axes: &[Axis<'_>]) -> String {
        let name = self.free(name);
        self.graph.input.push(value(&name, self.element(), axes));
        name
    }

    /// An output of the graph: a value that a node gives under this name.
    pub fn output(&mut self, name: &str, axes: &[Axis<'_>]) {
        self.graph.output.push(value(name, self.element(), axes));
    }

    /// A node with one output of (about) this name.
    pub fn node(&mut self, name: &str, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.nodes(name, op, inputs, attribute, 1).swap_remove(0)
    }

    /// A node with several outputs.
    pub fn nodes(&mut self, name: &str, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>, outputs: usize) -> Vec<String> {
        let output: Vec<String> = (0..outputs).map(|_| self.free(name)).collect();
        let input = inputs.iter().map(|name| (*name).to_owned()).collect();
        let name = output[0].clone();
        self.graph.node.push(NodeProto { input, output: output.clone(), name, op_type: op.into(), attribute, domain: String::new() });
        output
    }

    /// A tensor of the graph's numbers.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f64>) -> String {
        let raw_data = match self.double {
            true => values.into_iter().flat_map(f64::to_le_bytes).collect(),
            false => values.into_iter().flat_map(|v| (v as f32).to_le_bytes()).collect(),
        };
        self.tensor(name, shape, self.element(), raw_data)
    }

    /// A tensor of f32 in any graph, as an operator may want it.
    pub fn singles(&mut self, name: &str, values: &[f32]) -> String {
        self.tensor(name, &[values.len()], element::FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A list of whole numbers.
    pub fn list(&mut self, name: &str, values: &[i64]) -> String {
        self.table(name, &[values.len()], values)
    }

    /// Whole numbers in a shape.
    pub fn table(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        self.tensor(name, shape, element::INT64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn tensor(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.free(name);
        let dims = shape.iter().map(|size| *size as i64).collect();
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.clone(), raw_data, ..TensorProto::default() });
        name
    }

    /// The bytes of the model; `about` is kept in it as names and values.
    pub fn finish(mut self, about: &[(&str, String)]) -> Vec<u8> {
        self.graph.name = "cardiograd".into();
        let model = ModelProto {
            ir_version: 8,
            producer_name: "cardiograd".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            metadata_props: about.iter().map(|(key, value)| StringStringEntryProto { key: (*key).into(), value: value.clone() }).collect(),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}
