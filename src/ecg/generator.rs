//! The Pulse2pulse generator (Thambawita et al. 2021, Sci Rep 11:21896) as a program: a U-net from noise to eight leads of 10 s.
//!
//! The encoder is six strided convolutions with leaky ReLUs; the decoder repeats samples (nearest upsampling), pads with zeros and
//! convolves, and joins each stage with the encoder's output of the same length. Output: tanh × 6000, truncated to whole µV.
//!
//! It runs in f64: in f32 rounding alone moves about 1 sample in 1000 across a whole µV (in PyTorch just the same), and whoever rebuilds
//! a dataset from its noise wants the same integers. `pipeline` holds the way it runs; the network on the tape is its oracle.

mod pipeline;

use crate::progress::{Report, Step};
use crate::random::{Stage, Stream};
use crate::tape::{Builder, ConvLayer, Network, NodeId, Op, Parameters, Program, cast, polyphase};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3};
use pipeline::Pipeline;
use rand::RngExt;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples of a generated ECG and of its noise.
pub const SAMPLES: usize = 5000;
/// Leads of a generated ECG (I II V1–V6) and channels of its noise.
pub const LEADS: usize = 8;
/// What an output of 1 stands for, µV.
pub const FULL_SCALE: f64 = 6000.0;
/// The slope of PyTorch's `leaky_relu`.
const SLOPE: f64 = 0.01;
/// Taps of every convolution.
const TAPS: usize = 25;
/// Tensors of the published state dict that its forward pass never uses.
const UNUSED: [&str; 4] = ["fc1.", "ppfilter1.", ".Conv1dTrans.", "num_batches_tracked"];
/// ECGs that run together at most: enough that fetching the weights, 60 MB in f64, costs little beside their use.
const GROUP: usize = 12;
/// Threads work on groups of their own where each has at least so many ECGs.
const SHARED: usize = 4;

/// The generator's program, noise (N, 8, 5000) → (N, 8, 5000) in (−1, 1), with the published state dict's names.
///
/// # Errors
/// None: the program is fixed.
pub fn program() -> Result<Program> {
    let mut build = Builder::new();
    let noise = build.input("noise", &[Some(LEADS), Some(SAMPLES)]);
    let mut encoded = vec![noise];
    let encoder = [(8, 10, 2), (10, 25, 5), (25, 50, 2), (50, 150, 5), (150, 250, 5), (250, 250, 5)];
    for (index, (c_in, c_out, stride)) in encoder.into_iter().enumerate() {
        let name = format!("conv_{}", index + 1);
        let layer = ConvLayer { stride, ..ConvLayer::same(c_in, c_out, TAPS) };
        let x = build.conv1d(&name, encoded[index], layer);
        encoded.push(build.node(format!("{name}.leaky_relu"), Op::LeakyRelu { slope: SLOPE }, &[x]));
    }
    let decoder = [(1, 250, 250, 5, 5), (2, 500, 150, 5, 4), (3, 300, 50, 5, 3), (5, 100, 25, 2, 2), (6, 50, 10, 5, 0)];
    let mut x = encoded[6];
    for (number, c_in, c_out, factor, joined) in decoder {
        x = stage(&mut build, number, x, c_in, c_out, factor);
        x = build.relu(&format!("deconv_{number}.relu"), x);
        if joined > 0 {
            x = build.node(format!("deconv_{number}.join"), Op::Concat, &[x, encoded[joined]]);
        }
    }
    x = stage(&mut build, 7, x, 10, LEADS, 2);
    let output = build.node("tanh", Op::Tanh, &[x]);
    build.finish(output)
}

/// Upsampling and convolution number `number` of the decoder.
fn stage(build: &mut Builder, number: usize, x: NodeId, c_in: usize, c_out: usize, factor: usize) -> NodeId {
    let x = build.node(format!("deconv_{number}.upsample"), Op::Upsample { factor }, &[x]);
    build.conv1d(&format!("deconv_{number}.conv1d"), x, ConvLayer::same(c_in, c_out, TAPS))
}

/// The generator with its weights.
#[derive(Clone, Debug)]
pub struct Generator {
    network: Network<f64>,
    pipeline: Pipeline,
}

impl Generator {
    /// A generator from the published state dict (`g_stat.pt`, key `stat_dict`), whose unused tensors are passed over.
    ///
    /// # Errors
    /// [`Error::Parameters`] if a tensor is missing, has another shape, or has no place.
    pub fn new(mut parameters: Parameters<f32>) -> Result<Self> {
        parameters
            .retain(|name, _| !UNUSED.iter().any(|unused| name.starts_with(unused) || (unused.starts_with('.') && name.contains(unused))));
        let parameters = parameters.iter().map(|(name, value)| (name.clone(), cast(value))).collect();
        let network = polyphase(&Network::new(program()?, parameters)?)?;
        let pipeline = Pipeline::new(&network, (LEADS, SAMPLES))?;
        Ok(Generator { network, pipeline })
    }

    /// The generator of a file: the wheel `deepfake_ecg-1.1.2-py3-none-any.whl`, its `g_stat.pt`, or the same weights as `.safetensors`.
    ///
    /// # Errors
    /// As reading a state dict, and [`Error::Format`] if the file holds another network's weights.
    #[cfg(feature = "files")]
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let dict = crate::files::state_dict::read(path)?;
        let parameters =
            dict.iter().map(|(name, tensor)| (name.to_owned(), crate::tape::from_vec(tensor.shape(), tensor.to_f32()))).collect();
        Generator::new(parameters).map_err(|error| Error::format(path, format!("not the Pulse2pulse generator: {error}")))
    }

    /// The network, its upsampling merged into its convolutions.
    pub fn network(&self) -> &Network<f64> {
        &self.network
    }

    /// The noise of one ECG: uniform on (−1, 1), (8, 5000), addressed by seed and number.
    pub fn noise(seed: u64, ecg: u64) -> Array2<f32> {
        let mut rng = Stream::new(seed, Stage::Generator).ecg(ecg).rng();
        Array2::from_shape_simple_fn((LEADS, SAMPLES), || rng.random::<f32>() * 2.0 - 1.0)
    }

    /// ECGs from noise (N, 8, 5000): (N, 8, 5000), whole µV, truncated towards 0 as the published code does. Each ECG is the same
    /// whatever else is in the batch.
    ///
    /// # Errors
    /// [`Error::Shape`] if the noise has another shape, [`Error::Value`] if a value is not in [−1, 1].
    pub fn generate(&self, noise: ArrayView3<'_, f32>, report: Report<'_>) -> Result<Array3<i16>> {
        let (count, channels, len) = noise.dim();
        if (channels, len) != (LEADS, SAMPLES) {
            return Err(Error::shape("the noise", "(N, 8, 5000)", noise.shape()));
        }
        let outside = |value: &f32| !(-1.0..=1.0).contains(value);
        let noise = noise.as_standard_layout();
        let from = noise.as_slice().unwrap_or_default();
        if let Some(at) = from.iter().position(outside) {
            let (ecg, lead, at, value) = (at / (LEADS * SAMPLES), at / SAMPLES % LEADS, at % SAMPLES, from[at]);
            return Err(Error::Value {
                at: format!("noise {ecg}, channel {lead}, sample {at}"),
                problem: format!("{value} is not in [-1, 1]"),
            });
        }
        // Groups of one size, as many as keep every thread busy; for few ECGs the threads share each convolution, and each fetches a part of the weights.
        let threads = rayon::current_num_threads();
        let shared = threads > 1 && count < threads * SHARED;
        let groups = if shared { count.div_ceil(GROUP) } else { count.div_ceil(GROUP).next_multiple_of(threads) };
        let group = count.div_ceil(groups.max(1)).max(1);
        let mut made = Array3::zeros((count, LEADS, SAMPLES));
        let done = AtomicU64::new(0);
        let to = made.as_slice_mut().unwrap_or_default();
        let parts: Vec<_> = from.chunks(group * LEADS * SAMPLES).zip(to.chunks_mut(group * LEADS * SAMPLES)).collect();
        let run = |(from, to): (&[f32], &mut [i16])| {
            let ecgs = from.len() / (LEADS * SAMPLES);
            self.pipeline.run(ecgs, from, to, |v| (v * FULL_SCALE) as i16, shared);
            let done = done.fetch_add(ecgs as u64, Ordering::Relaxed) + ecgs as u64;
            report(Step { label: "generating", done, total: count as u64, unit: "ECGs", note: "" });
        };
        if shared {
            parts.into_iter().for_each(run)
        } else {
            parts.into_par_iter().for_each(run)
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::silent;
    use crate::tape::{Tensor, from_vec};
    use ndarray::Axis;

    #[test]
    fn the_program_is_the_published_one() {
        let program = program().unwrap();
        let shapes = program.shapes(&[vec![1, LEADS, SAMPLES]]).unwrap();
        let length = |name: &str| shapes[program.find(name).unwrap().0][2];
        assert_eq!([1, 2, 3, 4, 5, 6].map(|n| length(&format!("conv_{n}"))), [2500, 500, 250, 50, 10, 2]);
        assert_eq!([1, 2, 3, 5, 6, 7].map(|n| length(&format!("deconv_{n}.conv1d"))), [10, 50, 250, 500, 2500, 5000]);
    }

    #[test]
    fn noise_is_uniform_and_addressed() {
        let noise = Generator::noise(3, 7);
        assert_eq!(noise, Generator::noise(3, 7));
        assert_ne!(noise, Generator::noise(3, 8));
        assert!(noise.iter().all(|v| (-1.0..1.0).contains(v)));
        assert!(noise.mean().unwrap().abs() < 0.02);
    }

    /// Weights large enough that the output is far from 0 and from ±1.
    fn generator() -> Generator {
        let mut state = 0.3;
        let mut draw = |scale: f64| {
            state = (state * 997.0_f64 + 0.131).fract();
            (scale * (2.0 * state - 1.0)) as f32
        };
        let program = program().unwrap();
        let mut tensor = |shape: &[usize]| {
            let scale = 2.4 / (shape[1..].iter().product::<usize>() as f64).sqrt();
            from_vec(shape, (0..shape.iter().product()).map(|_| draw(scale)).collect())
        };
        let of = |id: NodeId, tensor: &mut dyn FnMut(&[usize]) -> Tensor<f32>| match &program.node(id).op {
            Op::Parameter { shape, .. } => (program.node(id).name.clone(), tensor(shape)),
            _ => unreachable!("a parameter"),
        };
        Generator::new(program.parameters().into_iter().map(|id| of(id, &mut tensor)).collect()).unwrap()
    }

    #[test]
    fn the_plan_is_the_network_whatever_the_group() {
        let generator = generator();
        let views: Vec<_> = (0..3).map(|ecg| Generator::noise(5, ecg)).collect();
        let views: Vec<_> = views.iter().map(|noise| noise.view()).collect();
        let noise = ndarray::stack(Axis(0), &views).unwrap();
        let made = generator.generate(noise.view(), &silent).unwrap();
        let exact = generator.network().predict(&[from_vec(noise.shape(), noise.iter().map(|v| f64::from(*v)).collect())]).unwrap();
        assert!(exact.iter().any(|v| v.abs() > 0.2) && exact.iter().any(|v| v.abs() < 0.1));
        for (v, exact) in made.iter().zip(exact.iter()) {
            let exact = exact * FULL_SCALE;
            // The sums differ by rounding alone, which decides where a value is a whole number to 1e-8.
            assert!(*v == exact as i16 || (exact - exact.round()).abs() < 1e-8, "{v} for {exact}");
        }
        for (ecg, made) in made.outer_iter().enumerate() {
            let alone = generator.generate(noise.slice_axis(Axis(0), (ecg..=ecg).into()), &silent).unwrap();
            assert_eq!(alone.index_axis(Axis(0), 0), made);
        }
    }
}
