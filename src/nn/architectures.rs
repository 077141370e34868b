//! The study's two networks as programs, under the names of its PyTorch modules.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Builder, ConvLayer, NodeId, Op, Program};
use crate::{Error, Result};

/// The names that [`architecture`] knows.
pub const ARCHITECTURES: [&str; 2] = ["stevennet", "standardconv"];

/// The program of a name of [`ARCHITECTURES`], for 12 leads and any length.
///
/// # Errors
/// [`Error::Usage`] for any other name.
pub fn architecture(name: &str) -> Result<Program> {
    match name {
        "stevennet" => stevennet(12, None),
        "standardconv" => standardconv(12, None),
        _ => Err(Error::Usage(format!("unknown architecture '{name}': the architectures are {}", ARCHITECTURES.join(" ")))),
    }
}

/// Channels inside a block of [`stevennet`], and between blocks.
const WIDE: usize = 64;
const NARROW: usize = 32;

/// StevenNet, (N, channels, length) → (N, 1); `None` takes any length from 2 samples.
///
/// An initial block of two convolutions (k = 8, k = 3) and an average pooling by 2; eight blocks of two convolutions (k = 50), to which
/// the block's input is added after the second ReLU; the mean over time; a linear layer. With 12 leads it has 1 653 313 trainable values.
/// The network of Storås, Mæland, Isaksen et al., "Evaluating gradient-based explanation methods for neural network ECG analysis using
/// heatmaps" (JAMIA), with the names of its state dict (`init_block.conv1.weight` … `fc1.bias`).
///
/// # Errors
/// None for `channels` above 0.
pub fn stevennet(channels: usize, length: Option<usize>) -> Result<Program> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(channels), length]);
    let x = block(&mut build, "init_block", x, [channels, WIDE, NARROW], [8, 3]);
    let mut x = build.node("pool", Op::AvgPool1d { window: 2, stride: 2 }, &[x]);
    for number in 1..=8 {
        let name = format!("block{number}");
        let y = block(&mut build, &name, x, [NARROW, WIDE, NARROW], [50, 50]);
        x = build.node(format!("{name}.add"), Op::Add, &[y, x]);
    }
    let x = build.node("global_pool", Op::GlobalAvgPool, &[x]);
    let y = build.linear("fc1", x, NARROW, 1, true);
    build.finish(y)
}

/// Twice: 'same' convolution, batch norm, ReLU.
fn block(build: &mut Builder, name: &str, mut x: NodeId, channels: [usize; 3], kernels: [usize; 2]) -> NodeId {
    for half in 0..2 {
        let layer = |part: &str| format!("{name}.{part}{}", half + 1);
        x = build.conv1d(&layer("conv"), x, ConvLayer::same(channels[half], channels[half + 1], kernels[half]));
        x = build.batch_norm(&layer("bn"), x, channels[half + 1]);
        x = build.relu(&layer("relu"), x);
    }
    x
}

/// StandardConvNet, (N, channels, length) → (N, 1), the study's plain comparison net; `None` takes any length from 4 samples.
///
/// Three pairs of 'same' convolutions (k = 5), each pair with batch norm and ReLU behind it, the first two with max-pooling by 2; the mean
/// over time; a linear layer. The names are the indices of its `Sequential` (`model.0.weight` … `model.16.bias`).
///
/// # Errors
/// None for `channels` above 0.
pub fn standardconv(channels: usize, length: Option<usize>) -> Result<Program> {
    let mut build = Builder::new();
    let mut x = build.input("x", &[Some(channels), length]);
    let mut index = 0;
    let mut name = || {
        index += 1;
        format!("model.{}", index - 1)
    };
    for (pair, widths) in [[channels, 32, 64], [64, 32, 32], [32, 32, 32]].into_iter().enumerate() {
        x = build.conv1d(&name(), x, ConvLayer::same(widths[0], widths[1], 5));
        x = build.conv1d(&name(), x, ConvLayer::same(widths[1], widths[2], 5));
        x = build.batch_norm(&name(), x, widths[2]);
        x = build.relu(&name(), x);
        if pair < 2 {
            x = build.node(name(), Op::MaxPool1d { window: 2, stride: 2 }, &[x]);
        }
    }
    x = build.node(name(), Op::GlobalAvgPool, &[x]);
    x = build.node(name(), Op::Flatten, &[x]);
    let y = build.linear(&name(), x, 32, 1, true);
    build.finish(y)
}

/// The same program with so many outputs: its last layer, which must be linear with weights of its own, is as wide as that.
///
/// # Errors
/// [`Error::Program`] if the last layer is another one, or there would be no output.
pub fn with_outputs(program: &Program, outputs: usize) -> Result<Program> {
    let last = program.node(program.output());
    let readers = program.readers();
    let own = last.inputs.iter().skip(1).all(|id| readers[id.0].len() == 1);
    if !matches!(last.op, Op::Linear) || !own || outputs == 0 {
        let what = format!("the last layer '{}' cannot be given {outputs} outputs: it is not linear with weights of its own", last.name);
        return Err(Error::Program(what));
    }
    let mut nodes = program.nodes().to_vec();
    for id in last.inputs.iter().skip(1) {
        if let Op::Parameter { shape, .. } = &mut nodes[id.0].op {
            shape[0] = outputs;
        }
    }
    Program::new(nodes, program.output())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stevennet_has_the_size_and_names_of_the_study() {
        let program = architecture("stevennet").unwrap();
        assert_eq!(program.trainable_size(), 1_653_313);
        for name in ["init_block.conv1.weight", "init_block.bn1.running_mean", "block1.conv1.weight", "block8.bn2.bias", "fc1.weight"] {
            assert!(program.find(name).is_some(), "{name}");
        }
        for length in [600, 5000, 601] {
            let shapes = program.shapes(&[vec![3, 12, length]]).unwrap();
            assert_eq!(shapes[program.find("block8.conv2").unwrap().0], [3, 32, length / 2]);
            assert_eq!(shapes[program.output().0], [3, 1]);
        }
        assert!(stevennet(12, Some(600)).unwrap().shapes(&[vec![1, 12, 601]]).is_err());
    }

    #[test]
    fn standardconv_has_the_names_of_the_study() {
        let program = architecture("standardconv").unwrap();
        let shape = |name: &str| program.shapes(&[vec![1, 12, 600]]).unwrap()[program.find(name).unwrap().0].clone();
        assert_eq!(shape("model.2.running_var"), [64]);
        assert_eq!(shape("model.5.weight"), [32, 64, 5]);
        assert_eq!(shape("model.11"), [1, 32, 150]);
        assert_eq!(shape("model.16.weight"), [1, 32]);
        assert_eq!(architecture("resnet").unwrap_err().exit_code(), 2);
        let wide = with_outputs(&architecture("standardconv").unwrap(), 4).unwrap();
        assert_eq!(wide.columns(&[12, 600]).unwrap(), 4);
        assert_eq!(with_outputs(&wide, 1).unwrap(), architecture("standardconv").unwrap());
        assert!(with_outputs(&wide, 0).is_err());
    }
}
