//! Initial parameters, as PyTorch's layers draw them.

use crate::random::{Stage, Stream};
use crate::tape::{Initial, NodeId, Op, Parameters, Program, Tensor, from_vec};
use crate::{Error, Result};
use rand::Rng;

/// Initial parameters of a program: weights and biases of convolutions and linear layers uniform in ±1/√fan_in (Kaiming uniform with
/// a = √5, PyTorch's default), those of recurrent layers in ±1/√hidden, batch norms the identity (γ 1, β 0, running mean 0, running variance 1).
///
/// Each parameter has its own stream of [`Stage::Initialisation`], keyed by `target` and its place among the parameters.
///
/// # Errors
/// [`Error::Program`] for a parameter that no layer reads, or that is read in another role (give such a parameter its value yourself).
pub fn initialise(program: &Program, seed: u64, target: u32) -> Result<Parameters<f32>> {
    let stream = Stream::new(seed, Stage::Initialisation).target(target);
    let mut all = Parameters::new();
    for (place, id) in program.parameters().into_iter().enumerate() {
        all.insert(program.node(id).name.clone(), draw(program, id, stream.ecg(place as u64))?);
    }
    Ok(all)
}

fn draw(program: &Program, id: NodeId, stream: Stream) -> Result<Tensor<f32>> {
    let node = program.node(id);
    let shape = parameter_shape(program, id);
    let role = program.nodes().iter().find_map(|reader| reader.inputs.iter().position(|input| *input == id).map(|at| (reader, at)));
    match role {
        Some((reader, at)) if reader.op.class().is_weighted() && at > 0 => {
            let weight = parameter_shape(program, reader.inputs[1]);
            let fan_in: usize = weight.iter().skip(1).product();
            Ok(uniform(shape, 1.0 / (fan_in as f64).sqrt(), stream))
        }
        Some((reader, at)) => match reader.op.definition().initial(at).filter(|_| at > 0) {
            Some(Initial::UniformBy(input)) => {
                let size = parameter_shape(program, reader.inputs[input]).last().copied().unwrap_or(1);
                Ok(uniform(shape, 1.0 / (size.max(1) as f64).sqrt(), stream))
            }
            Some(Initial::Value(value)) => Ok(from_vec(shape, vec![value as f32; shape.iter().product()])),
            None => Err(Error::Program(format!(
                "parameter '{}' is read by '{}' ({}), for which there is no default initialisation",
                node.name,
                reader.name,
                reader.op.kind()
            ))),
        },
        None => Err(Error::Program(format!("parameter '{}' is read by no node", node.name))),
    }
}

fn parameter_shape(program: &Program, id: NodeId) -> &[usize] {
    match &program.node(id).op {
        Op::Parameter { shape, .. } => shape,
        _ => &[],
    }
}

/// Values uniform in (−bound, bound), 24 bits each.
fn uniform(shape: &[usize], bound: f64, stream: Stream) -> Tensor<f32> {
    let mut rng = stream.rng();
    let mut value = || ((f64::from(rng.next_u32() >> 8) + 0.5) / f64::from(1u32 << 23) - 1.0) * bound;
    from_vec(shape, (0..shape.iter().product()).map(|_| value() as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::architecture;
    use crate::tape::{Builder, Network, slice};

    #[test]
    fn weights_fill_their_bound_and_streams_differ() {
        let program = architecture("stevennet").unwrap();
        let first = initialise(&program, 7, 0).unwrap();
        let bound = 1.0 / (32.0f64 * 50.0).sqrt();
        let weight = slice(&first["block1.conv1.weight"]);
        let largest = weight.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max);
        assert!(largest <= bound && largest > 0.999 * bound);
        let variance = weight.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / weight.len() as f64;
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.02);
        assert!(slice(&first["block1.conv1.bias"]).iter().all(|v| f64::from(v.abs()) <= bound));
        assert_eq!(slice(&first["block1.bn1.running_var"]), [1.0; 64]);
        assert_eq!(slice(&first["block1.bn1.running_mean"]), [0.0; 64]);
        assert_ne!(first["block1.conv1.weight"], first["block2.conv1.weight"]);
        assert_eq!(first, initialise(&program, 7, 0).unwrap());
        assert_ne!(first["fc1.weight"], initialise(&program, 7, 1).unwrap()["fc1.weight"]);
        assert_ne!(first["fc1.weight"], initialise(&program, 8, 0).unwrap()["fc1.weight"]);
        Network::new(program, first).unwrap();
    }

    #[test]
    fn a_parameter_without_a_default_is_named() {
        let mut build = Builder::new();
        let x = build.input("x", &[Some(3)]);
        let scale = build.parameter("scale", &[1, 3], true);
        let y = build.node("y", Op::Multiply, &[x, scale]);
        let program = build.finish(y).unwrap();
        assert!(initialise(&program, 0, 0).unwrap_err().to_string().contains("'scale' is read by 'y'"));
    }
}
