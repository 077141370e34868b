//! Random programs of every op, with geometry that ordinary networks do not have.

use crate::Draw;
use arbitrary::{Result, Unstructured};
use cardiograd::tape::{Builder, ConvLayer, NodeId, Op, Program};

/// A signal on its way: its node, channels and samples.
#[derive(Clone, Copy)]
struct Signal {
    id: NodeId,
    channels: usize,
    samples: usize,
}

/// Signals longer or wider than this are not made longer or wider.
const LONG: usize = 200;
const WIDE: usize = 40;

/// A program and the draws for its parameters and inputs.
pub fn arbitrary(from: &mut Unstructured<'_>) -> Result<(Program, Draw)> {
    let draw = Draw::new(from.arbitrary()?, from.arbitrary()?);
    let mut build = Builder::new();
    let (channels, samples) = (1 + below(from, 20)?, 1 + below(from, 100)?);
    let open = from.ratio(1u8, 4u8)?;
    let input = build.input("x", &[Some(channels), (!open).then_some(samples)]);
    let mut signals = vec![Signal { id: input, channels, samples }];
    for at in 0..1 + below(from, 12)? {
        // Most layers read the one before; others branch off.
        let x = if from.ratio(3u8, 4u8)? { signals[signals.len() - 1] } else { signals[below(from, signals.len())?] };
        if let Some(next) = layer(from, &mut build, &format!("n{at}"), x, &signals)? {
            signals.push(next);
        }
    }
    let last = signals[signals.len() - 1];
    let output = head(from, &mut build, last)?;
    // What is made is valid; what is not would be a fault of this file.
    Ok((build.finish(output).expect("a valid program"), draw))
}

fn below(from: &mut Unstructured<'_>, count: usize) -> Result<usize> {
    from.int_in_range(0..=count - 1)
}

/// Adds a layer behind `x`, if the drawn one can be there.
fn layer(from: &mut Unstructured<'_>, build: &mut Builder, name: &str, x: Signal, all: &[Signal]) -> Result<Option<Signal>> {
    let Signal { id, channels, samples } = x;
    let plain = |op: Op, build: &mut Builder| Some(Signal { id: build.node(name, op, &[id]), ..x });
    Ok(match below(from, 16)? {
        0..=3 => convolution(from, build, name, x)?,
        4 | 5 => Some(Signal { id: build.batch_norm(name, id, channels), ..x }),
        6 | 7 => plain(Op::Relu, build),
        8 => match below(from, 3)? {
            0 => plain(Op::Tanh, build),
            1 => plain(Op::Sigmoid, build),
            _ => plain(Op::LeakyRelu { slope: f64::from(from.int_in_range(-8i8..=8)?) / 8.0 }, build),
        },
        9 | 10 => {
            let (window, stride) = (1 + below(from, 6)?, 1 + below(from, 6)?);
            let op = if from.arbitrary()? { Op::AvgPool1d { window, stride } } else { Op::MaxPool1d { window, stride } };
            let node = |build: &mut Builder| Signal { id: build.node(name, op, &[id]), channels, samples: (samples - window) / stride + 1 };
            (window <= samples).then(|| node(build))
        }
        11 | 12 => {
            let fits: Vec<&Signal> = all.iter().filter(|other| (other.channels, other.samples) == (channels, samples)).collect();
            let other = fits[below(from, fits.len())?].id;
            let op = if from.ratio(2u8, 3u8)? { Op::Add } else { Op::Multiply };
            let inputs = if from.arbitrary()? { [id, other] } else { [other, id] };
            Some(Signal { id: build.node(name, op, &inputs), ..x })
        }
        13 => {
            let fits: Vec<&Signal> = all.iter().filter(|other| other.samples == samples && channels + other.channels <= WIDE).collect();
            if fits.is_empty() {
                return Ok(None);
            }
            let other = fits[below(from, fits.len())?];
            Some(Signal { id: build.node(name, Op::Concat, &[id, other.id]), channels: channels + other.channels, samples })
        }
        14 => {
            let factor = 1 + below(from, 4)?;
            (samples * factor <= LONG).then(|| Signal {
                id: build.node(name, Op::Upsample { factor }, &[id]),
                channels,
                samples: samples * factor,
            })
        }
        _ => {
            let factor = 1 + below(from, 4)?;
            let node = |build: &mut Builder| build.node(name, Op::Interleave { factor }, &[id]);
            let fits = channels % factor == 0 && samples * factor <= LONG;
            fits.then(|| Signal { id: node(build), channels: channels / factor, samples: samples * factor })
        }
    })
}

/// A convolution of any stride, dilation and padding, if the signal is long enough for it.
fn convolution(from: &mut Unstructured<'_>, build: &mut Builder, name: &str, x: Signal) -> Result<Option<Signal>> {
    let kernel = 1 + if from.ratio(1u8, 4u8)? { below(from, 50)? } else { below(from, 8)? };
    let (c_in, c_out) = (x.channels, 1 + below(from, 20)?);
    let same = ConvLayer { bias: from.arbitrary()?, ..ConvLayer::same(c_in, c_out, kernel) };
    let layer = if from.arbitrary()? {
        same
    } else {
        let padding = (below(from, 2 * kernel)?, below(from, 2 * kernel)?);
        ConvLayer { stride: 1 + below(from, 5)?, dilation: 1 + below(from, 4)?, padding, ..same }
    };
    let padded = x.samples + layer.padding.0 + layer.padding.1;
    let reach = (kernel - 1) * layer.dilation;
    if padded <= reach || padded > LONG {
        return Ok(None);
    }
    let samples = (padded - reach - 1) / layer.stride + 1;
    Ok(Some(Signal { id: build.conv1d(name, x.id, layer), channels: c_out, samples }))
}

/// From a signal to features: the mean over time or all of it, then a linear layer, then perhaps a ReLU; or nothing.
fn head(from: &mut Unstructured<'_>, build: &mut Builder, x: Signal) -> Result<NodeId> {
    let (id, features) = match below(from, 4)? {
        0 => return Ok(x.id),
        1 => (build.node("flat", Op::Flatten, &[x.id]), x.channels * x.samples),
        _ => (build.node("mean", Op::GlobalAvgPool, &[x.id]), x.channels),
    };
    let columns = 1 + below(from, 3)?;
    let bias = from.arbitrary()?;
    let y = build.linear("head", id, features, columns, bias);
    Ok(if from.ratio(1u8, 4u8)? { build.relu("last", y) } else { y })
}
