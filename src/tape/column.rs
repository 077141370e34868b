//! One output of a network of several, as a network of its own.

use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Node, NodeId, Op, OpKind, Program, Real, from_vec, slice};

/// The network that gives output `column` of the `count` that a network gives, (N, 1). Of a linear layer that nothing else shares its weights with, only the
/// rows of that output stay, under their names; behind anything else its column is cut out.
///
/// # Errors
/// [`crate::Error::Program`] if there is no such column.
pub fn column<T: Real>(network: &Network<T>, column: usize, count: usize) -> Result<Network<T>> {
    let program = network.program();
    let mut nodes = program.nodes().to_vec();
    let mut parameters = network.parameters();
    let (output, readers) = (program.output(), program.readers());
    let last = program.node(output);
    let own = |id: &NodeId| readers[id.0].len() == 1 && program.node(*id).op.kind() == OpKind::Parameter;
    if last.op.kind() == OpKind::Linear && readers[output.0].is_empty() && column < count && last.inputs[1..].iter().all(own) {
        for id in &last.inputs[1..] {
            let value = network.parameter(*id);
            let rest: Vec<usize> = value.shape()[1..].to_vec();
            let row: usize = rest.iter().product();
            let shape: Vec<usize> = core::iter::once(1).chain(rest).collect();
            parameters.insert(nodes[id.0].name.clone(), from_vec(&shape, slice(value)[column * row..(column + 1) * row].to_vec()));
            if let Op::Parameter { shape: old, .. } = &mut nodes[id.0].op {
                *old = shape;
            }
        }
        return Network::new(Program::new(nodes, output)?, parameters);
    }
    let mut name = "column".to_owned();
    while program.find(&name).is_some() {
        name.push('_');
    }
    let after = count.saturating_sub(column + 1);
    nodes.push(Node { name, op: Op::Crop { axis: 1, before: column, after, step: 1 }, inputs: vec![output] });
    let cut = NodeId(nodes.len() - 1);
    Network::new(Program::new(nodes, cut)?, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Builder, Parameters, RuleSet, Tensor};

    fn network(softmax: bool) -> Network<f64> {
        let mut build = Builder::new();
        let x = build.input("x", &[Some(3)]);
        let mut y = build.linear("fc", x, 3, 4, true);
        if softmax {
            y = build.node("softmax", Op::Softmax { axis: 1 }, &[y]);
        }
        let program = build.finish(y).unwrap();
        let draw = |n: usize, by: f64| (0..n).map(|i| (i as f64 * by).sin()).collect::<Vec<f64>>();
        let parameters = Parameters::<f64>::from([
            ("fc.weight".to_owned(), from_vec(&[4, 3], draw(12, 1.7))),
            ("fc.bias".to_owned(), from_vec(&[4], draw(4, 0.9))),
        ]);
        Network::new(program, parameters).unwrap()
    }

    #[test]
    fn a_column_is_that_output_with_its_gradient() {
        let x: Tensor<f64> = from_vec(&[2, 3], vec![0.5, -1.0, 2.0, 0.1, 0.2, -0.3]);
        for softmax in [false, true] {
            let whole = network(softmax);
            let tape = whole.run(std::slice::from_ref(&x)).unwrap();
            for at in 0..4 {
                let one = column(&whole, at, 4).unwrap();
                let own = one.run(std::slice::from_ref(&x)).unwrap();
                assert_eq!(own.output().shape(), [2, 1]);
                for n in 0..2 {
                    assert!((own.output()[[n, 0]] - tape.output()[[n, at]]).abs() < 1e-15);
                }
                let (a, b) = (whole.gradient(&tape, &RuleSet::plain(), at).unwrap(), one.gradient(&own, &RuleSet::plain(), 0).unwrap());
                assert!(slice(&a).iter().zip(slice(&b)).all(|(a, b)| (a - b).abs() < 1e-15));
            }
            assert!(column(&whole, 4, 4).is_err() || column(&whole, 4, 4).unwrap().run(std::slice::from_ref(&x)).is_err());
        }
        assert_eq!(column(&network(false), 2, 4).unwrap().parameters()["fc.weight"].shape(), [1, 3]);
    }
}
