//! Grad-CAM (Selvaraju et al. 2017): the activations of a layer, weighted by the mean gradient of each channel, rectified, and
//! stretched to the input's length.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, NodeId, Op, OpKind, Program, Real, Tensor, slice};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a layer's row is stretched to the input's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Linear between sample centres (half-pixel, `align_corners = false`), edges held.
    #[default]
    Linear,
    /// The sample whose interval holds the output's left edge, as PyTorch's `nearest`.
    Nearest,
}

/// The node that Grad-CAM looks at on ECGs of `[channels, samples]`: the named one, or the last convolution on the way from input to output whose time axis
/// is longer than 1 (those of a squeeze-and-excitation block look at means and see no time).
///
/// # Errors
/// [`Error::Usage`] if the name is unknown or a parameter's, the node lies off that way, or there is no convolution on it.
pub(crate) fn layer<T: Real>(network: &Network<T>, name: Option<&str>, [channels, samples]: [usize; 2]) -> Result<NodeId> {
    let program = network.program();
    let named = layer_of(program, name)?;
    if name.is_some() {
        return Ok(named);
    }
    let shapes = program.shapes(&program.input_shapes(1, &[channels, samples])?)?;
    let sees_time = |id: &NodeId| matches!(shapes[id.0][..], [_, _, time] if time > 1);
    Ok(program.acting(OpKind::Conv1d).into_iter().rev().find(sees_time).unwrap_or(named))
}

/// The named node, or the last convolution, by the program alone: whether there is a layer to look at.
pub(crate) fn layer_of(program: &Program, name: Option<&str>) -> Result<NodeId> {
    let Some(name) = name else {
        let last = program.acting(OpKind::Conv1d).pop();
        return last.ok_or_else(|| {
            Error::Usage("Grad-CAM needs a convolution, this program has none from input to output; name a node with --layer".into())
        });
    };
    let at = |problem: &str| format!("Grad-CAM at '{name}': {problem} this node; name another layer:");
    let problem = match program.find(name) {
        None => format!("'{name}' is the name of no layer:"),
        Some(id) if matches!(program.node(id).op, Op::Parameter { .. }) => format!("'{name}' is a parameter, not a layer:"),
        Some(id) if program.on_path()[id.0] => return Ok(id),
        Some(id) if program.live()[id.0] => at("the input does not reach"),
        Some(_) => at("the output does not depend on"),
    };
    let convs: Vec<&str> = program.acting(OpKind::Conv1d).into_iter().map(|id| program.node(id).name.as_str()).collect();
    Err(Error::Usage(format!("{problem} the convolutions are {}", convs.join(" "))))
}

/// One row per example, (N, len): ReLU(Σ_c mean_t(g\[c\]) · a\[c, t\]) stretched to `len`.
///
/// # Errors
/// [`Error::Usage`] if the layer's value is not (N, C, T).
pub(crate) fn rows<T: Real>(activation: &Tensor<T>, gradient: &Tensor<T>, len: usize, interpolation: Interpolation) -> Result<Vec<Vec<T>>> {
    let &[batch, channels, time] = activation.shape() else {
        return Err(Error::Usage(format!("Grad-CAM needs a layer of shape (N, C, T), this one has {:?}", activation.shape())));
    };
    let (a, g) = (slice(activation), slice(gradient));
    let row = |n: usize| {
        let mut map = vec![0.0; time];
        for c in 0..channels {
            let at = (n * channels + c) * time;
            let weight = g[at..at + time].iter().map(|g| g.f64()).sum::<f64>() / time as f64;
            for (map, a) in map.iter_mut().zip(&a[at..at + time]) {
                *map += weight * a.f64();
            }
        }
        // Written so that NaN passes and is found.
        map.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v });
        stretch(&map, len, interpolation).into_iter().map(T::of).collect()
    };
    Ok((0..batch).map(row).collect())
}

/// A row stretched to another length.
pub(crate) fn stretch(row: &[f64], len: usize, interpolation: Interpolation) -> Vec<f64> {
    let scale = row.len() as f64 / len as f64;
    let last = row.len() - 1;
    let at = |t: usize| match interpolation {
        Interpolation::Nearest => row[((t as f64 * scale) as usize).min(last)],
        Interpolation::Linear => {
            let place = ((t as f64 + 0.5) * scale - 0.5).max(0.0);
            let left = (place as usize).min(last);
            let share = place - left as f64;
            row[left] + share * (row[(left + 1).min(last)] - row[left])
        }
    };
    (0..len).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Builder, ConvLayer};

    /// The last convolution of a squeeze-and-excitation block looks at means: there is no time in it to show.
    #[test]
    fn the_last_convolution_that_sees_time_is_looked_at() {
        let mut build = Builder::new();
        let x = build.input("x", &[Some(12), None]);
        let conv = build.conv1d("conv", x, ConvLayer::same(12, 4, 5));
        let mean = build.node("squeeze", Op::GlobalAvgPool, &[conv]);
        let apart = build.node("apart", Op::Reshape { shape: vec![Some(4), Some(1)] }, &[mean]);
        let gate = build.conv1d("gate", apart, ConvLayer::same(4, 4, 1));
        let gated = build.node("gated", Op::Multiply, &[conv, gate]);
        let pooled = build.node("mean", Op::GlobalAvgPool, &[gated]);
        let y = build.linear("fc", pooled, 4, 1, true);
        let program = build.finish(y).unwrap();
        let zeros = |id: NodeId| match &program.node(id).op {
            Op::Parameter { shape, .. } => (program.node(id).name.clone(), crate::tape::zeros::<f64>(shape)),
            _ => unreachable!("a parameter"),
        };
        let parameters = program.parameters().into_iter().map(zeros).collect();
        let network = Network::new(program, parameters).unwrap();
        let name = |asked: Option<&str>| network.program().node(layer(&network, asked, [12, 50]).unwrap()).name.clone();
        assert_eq!([name(None), name(Some("gate"))], ["conv", "gate"]);
    }

    #[test]
    fn stretches_as_pytorch() {
        // torch.nn.functional.interpolate(torch.tensor([[[1., 3., 2.]]]), size=6, mode=...)
        assert_eq!(stretch(&[1.0, 3.0, 2.0], 6, Interpolation::Linear), [1.0, 1.5, 2.5, 2.75, 2.25, 2.0]);
        assert_eq!(stretch(&[1.0, 3.0, 2.0], 6, Interpolation::Nearest), [1.0, 1.0, 3.0, 3.0, 2.0, 2.0]);
        assert_eq!(stretch(&[4.0], 3, Interpolation::Linear), [4.0; 3]);
    }
}
