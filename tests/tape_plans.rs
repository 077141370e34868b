//! Execution plans against the unfused tape on random programs and under every rule that plans fuse: the same bits in f32, NaN and the signs of zeros
//! included, and close to f64; byte equality of an example alone, in a batch, and on other numbers of threads; and runs that belong to their network.

mod common;

use cardiograd::Error;
use cardiograd::attribution::{Deconvolution, GuidedBackprop, Rescale};
use cardiograd::evaluation::perturbation::Predictor;
use cardiograd::tape::Keep;
use cardiograd::tape::{
    Builder, ConvLayer, Match, Mode, Network, NodeId, Op, OpKind, Program, Rule, RuleSet, Tensor, TrainingPlan, Want, cast, from_vec, slice,
};
use common::Draw;
use proptest::prelude::*;
use std::sync::Arc;

/// A layer of random geometry: convolution, then perhaps batch norm and ReLU.
fn layer(build: &mut Builder, draw: &mut Draw, name: &str, x: NodeId, channels: [usize; 2], relu: bool) -> NodeId {
    let most = if draw.below(3) == 0 { 40 } else { 8 };
    let kernel = 1 + draw.below(most);
    let layer = ConvLayer { bias: draw.below(2) == 0, ..ConvLayer::same(channels[0], channels[1], kernel) };
    let mut x = build.conv1d(&format!("{name}.conv"), x, layer);
    if draw.below(3) > 0 {
        x = build.batch_norm(&format!("{name}.bn"), x, channels[1]);
    }
    if relu { build.relu(&format!("{name}.relu"), x) } else { x }
}

/// Blocks with residual additions in every position, poolings (four of them need 31 samples), and a head.
fn program(draw: &mut Draw, leads: usize, len: usize) -> Program {
    let mut build = Builder::new();
    let input = build.input("x", &[Some(leads), Some(len)]);
    let width = 1 + draw.below(20);
    let mut x = layer(&mut build, draw, "first", input, [leads, width], true);
    for block in 0..1 + draw.below(4) {
        let name = format!("block{block}");
        let inner = 1 + draw.below(40);
        match draw.below(5) {
            0 => x = build.node(&name, Op::AvgPool1d { window: 2, stride: 2 }, &[x]),
            1 => x = build.node(&name, Op::MaxPool1d { window: 3, stride: 2 }, &[x]),
            kind => {
                let y = layer(&mut build, draw, &format!("{name}.a"), x, [width, inner], true);
                let y = layer(&mut build, draw, &format!("{name}.b"), y, [inner, width], kind != 3);
                x = build.node(format!("{name}.add"), Op::Add, &if draw.below(2) == 0 { [y, x] } else { [x, y] });
                if kind == 3 {
                    x = build.relu(&format!("{name}.last"), x);
                }
            }
        }
    }
    let x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("head", x, width, 3, draw.below(2) == 0);
    build.finish(y).unwrap()
}

fn network(seed: u64, leads: usize, len: usize) -> Network<f64> {
    let mut draw = Draw::new(seed);
    let program = program(&mut draw, leads, len);
    let parameters = common::parameters(&program, &mut draw);
    Network::new(program, parameters).unwrap()
}

fn on_relu<T: cardiograd::tape::Real>(rule: impl Rule<T> + 'static) -> RuleSet<T> {
    RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(rule))
}

/// Rule sets by number: plain, deconvolution, guided, rescale.
fn rules<T: cardiograd::tape::Real>(which: usize, program: &Program) -> RuleSet<T> {
    match which {
        0 => RuleSet::plain(),
        1 => on_relu(Deconvolution),
        2 => on_relu(GuidedBackprop),
        _ => {
            let set = on_relu(Rescale);
            if common::has(program, OpKind::MaxPool1d) { set.with(Match::Kind(OpKind::MaxPool1d), Arc::new(Rescale)) } else { set }
        }
    }
}

/// Blocks of all that plans know beyond 'same' convolutions: strides, dilations, paddings on one side, batch norms and ReLUs that follow no convolution,
/// values that three nodes read; and ops that plans compute as the tape does: padded poolings, joined branches, gates, features.
fn rough_program(draw: &mut Draw, leads: usize, len: usize, outputs: usize) -> Program {
    let mut build = Builder::new();
    let input = build.input("x", &[Some(leads), Some(len)]);
    let width = 1 + draw.below(20);
    let conv = |build: &mut Builder, draw: &mut Draw, name: &str, x: NodeId, channels: [usize; 2], stride: usize| {
        let (kernel, dilation) = (1 + draw.below(6), 1 + draw.below(3));
        let reach = (kernel - 1) * dilation;
        let left = draw.below(reach + 1);
        let layer = ConvLayer {
            stride,
            dilation,
            padding: (left, reach - left),
            bias: draw.below(2) == 0,
            ..ConvLayer::same(channels[0], channels[1], kernel)
        };
        build.conv1d(name, x, layer)
    };
    let mut x = conv(&mut build, draw, "first", input, [leads, width], 1);
    for block in 0..1 + draw.below(4) {
        let name = |part: &str| format!("block{block}.{part}");
        match draw.below(12) {
            0 => x = build.node(name("pool"), Op::AvgPool1d { window: 3, stride: 2 }, &[x]),
            1 => x = build.node(name("pool"), Op::MaxPool1d { window: 3, stride: 2 }, &[x]),
            2 => x = conv(&mut build, draw, &name("strided"), x, [width, width], 2),
            3 => x = build.batch_norm(&name("norm"), x, width),
            4 => {
                let y = build.relu(&name("relu"), x);
                let y = conv(&mut build, draw, &name("conv"), y, [width, width], 1);
                let y = build.batch_norm(&name("bn"), y, width);
                x = build.node(name("add"), Op::Add, &[x, y]);
            }
            5 => {
                let a = conv(&mut build, draw, &name("a"), x, [width, width], 1);
                let b = conv(&mut build, draw, &name("b"), x, [width, width], 1);
                let b = build.relu(&name("b.relu"), b);
                let both = build.node(name("both"), Op::Add, &[a, b]);
                x = build.node(name("add"), Op::Add, &[both, x]);
            }
            6 | 7 => {
                let y = layer(&mut build, draw, &name("same"), x, [width, width], true);
                x = build.node(name("add"), Op::Add, &[y, x]);
            }
            8 => {
                let (stride, ceil_mode) = (1 + draw.below(2), draw.below(2) == 0);
                let op = match draw.below(2) {
                    0 => Op::PaddedMaxPool1d { window: 3, stride, padding: (1, 1), ceil_mode },
                    _ => Op::PaddedAvgPool1d { window: 3, stride, padding: (1, 1), ceil_mode, count_include_pad: draw.below(2) == 0 },
                };
                x = build.node(name("padded"), op, &[x]);
            }
            // Branches joined, one of them the signal itself, and mixed again.
            9 => {
                let y = layer(&mut build, draw, &name("branch"), x, [width, 5], true);
                let z = build.node(name("squash"), Op::Tanh, &[y]);
                let all = build.node(name("all"), Op::Concat, &[z, x, y, x]);
                x = conv(&mut build, draw, &name("mixed"), all, [10 + 2 * width, width], 1);
            }
            // Channels weighed by what they hold (squeeze and excitation).
            10 => {
                let y = build.node(name("squeeze"), Op::GlobalAvgPool, &[x]);
                let y = build.linear(&name("excite"), y, width, width, true);
                let y = build.node(name("gate"), Op::Sigmoid, &[y]);
                let y = build.node(name("column"), Op::Reshape { shape: vec![Some(width), Some(1)] }, &[y]);
                x = build.node(name("weighed"), Op::Multiply, &[x, y]);
            }
            _ => x = build.node(name("leaky"), Op::LeakyRelu { slope: 0.1 }, &[x]),
        }
    }
    x = build.relu("last", x);
    let mean = build.node("mean", Op::GlobalAvgPool, &[x]);
    if draw.below(3) > 0 {
        let y = build.linear("head", mean, width, outputs, draw.below(2) == 0);
        return build.finish(y).unwrap();
    }
    // Mean and maximum, and what batch norms and ReLUs make of features.
    let largest = build.node("largest", Op::GlobalMaxPool, &[x]);
    let y = build.node("both", Op::Concat, &[mean, largest]);
    let y = build.batch_norm("features", y, 2 * width);
    let y = build.linear("hidden", y, 2 * width, 7, true);
    let y = build.relu("hidden.relu", y);
    let y = build.linear("head", y, 7, outputs, true);
    build.finish(y).unwrap()
}

/// The bits of values; every NaN is one.
fn bits(x: &Tensor<f32>) -> Vec<u32> {
    slice(x).iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

/// Asks whether plan and tape agree in all that they give, bit for bit.
fn agree(network: &Network<f32>, x: &Tensor<f32>, base: &Tensor<f32>) -> Result<(), TestCaseError> {
    let program = network.program();
    let (tape, tape_base) = (network.run(std::slice::from_ref(x)).unwrap(), network.run(std::slice::from_ref(base)).unwrap());
    prop_assert_eq!(bits(&network.predict(std::slice::from_ref(x)).unwrap()), bits(tape.output()), "{}", program);
    let looks = [Keep::Values, Keep::Signs].map(|keep| network.look_at(x.clone(), keep, None).unwrap());
    let look_base = network.look_at(base.clone(), Keep::Values, None).unwrap();
    let batch = x.shape()[0];
    let seed = || from_vec(&[batch, 3], (0..batch).flat_map(|_| [0.0, 1.0, 0.0]).collect());
    let input = program.inputs()[0];
    for which in 0..4 {
        let rules = rules(which, program);
        let mut wanted = network.backward(&tape, seed(), &rules, Some(&tape_base), &Want::nodes([input])).unwrap();
        let wanted = bits(&wanted.take(input).unwrap());
        for look in &looks {
            prop_assert_eq!(look.output().shape(), &[batch, 3]);
            prop_assert_eq!(bits(look.output()), bits(tape.output()));
            let found = network.look_back(look, &rules, Some(&look_base), 1).unwrap();
            prop_assert!(bits(&found) == wanted, "rule set {}\n{}", which, program);
        }
    }
    for conv in program.of_kind(OpKind::Conv1d) {
        let look = network.look_at(x.clone(), Keep::Signs, Some(conv)).unwrap();
        let (value, gradient) = network.watched(&look, conv, 1).unwrap();
        prop_assert_eq!(bits(&value), bits(tape.value(conv)));
        let mut wanted = network.backward(&tape, seed(), &RuleSet::plain(), None, &Want::nodes([conv])).unwrap();
        prop_assert_eq!(wanted.take(conv).map(|g| bits(&g)), gradient.map(|g| bits(&g)), "watched\n{}", program);
    }
    Ok(())
}

fn wide(x: &Tensor<f32>) -> Vec<f64> {
    slice(x).iter().map(|v| f64::from(*v)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn plans_equal_the_tape(seed in any::<u64>(), leads in 1usize..20, len in 31usize..90, batch in 1usize..20) {
        let reference = network(seed, leads, len);
        let single = reference.cast::<f32>();
        let mut draw = Draw::new(seed ^ 1);
        let x: Tensor<f32> = cast(&draw.tensor(&[batch, leads, len]));
        let count = if draw.below(2) == 0 { 1 } else { batch };
        let base: Tensor<f32> = cast(&draw.tensor(&[count, leads, len]));
        let (wide_x, wide_base) = (cast::<f32, f64>(&x), cast::<f32, f64>(&base));
        let (tape, tape_base) = (reference.run(&[wide_x]).unwrap(), reference.run(&[wide_base]).unwrap());
        let output = single.predict(std::slice::from_ref(&x)).unwrap();
        prop_assert!(common::relative_l2(&wide(&output), slice(tape.output())) < 1e-5);
        let looks = [Keep::Values, Keep::Signs].map(|keep| single.look_at(x.clone(), keep, None).unwrap());
        let look_base = single.look_at(base.clone(), Keep::Values, None).unwrap();
        prop_assert_eq!(looks[0].output(), looks[1].output());
        let look = &looks[0];
        prop_assert_eq!(look.output(), &output);
        let (tape32, base32) = (single.run(std::slice::from_ref(&x)).unwrap(), single.run(std::slice::from_ref(&base)).unwrap());
        prop_assert_eq!(tape32.output(), &output);
        // An input of a ReLU as near to 0 as f32's rounding may fall on the other side than in f64: its example's gradient is another.
        let (exact, rounded) = (common::pieces(reference.program(), &tape), common::pieces(single.program(), &tape32));
        let same: Vec<usize> = (0..batch).filter(|n| exact[*n] == rounded[*n]).collect();
        let kept = |map: &[f64]| -> Vec<f64> { same.iter().flat_map(|n| map[n * leads * len..][..leads * len].to_vec()).collect() };
        for id in single.program().ids() {
            prop_assert!(common::distance(&wide(tape32.value(id)), slice(tape.value(id))) < 1e-5, "{}", single.program().node(id).name);
        }
        for conv in single.program().of_kind(OpKind::Conv1d) {
            let look = single.look_at(x.clone(), Keep::Signs, Some(conv)).unwrap();
            let (value, gradient) = single.watched(&look, conv, 1).unwrap();
            prop_assert_eq!(tape32.value(conv), &value);
            let seed = from_vec(&[batch, 3], (0..batch).flat_map(|_| [0.0, 1.0, 0.0]).collect());
            let mut wanted = single.backward(&tape32, seed, &RuleSet::plain(), None, &Want::nodes([conv])).unwrap();
            prop_assert_eq!(wanted.take(conv), gradient, "watched\n{}", single.program());
        }
        for which in 0..4 {
            let seed: Vec<f64> = (0..batch).flat_map(|_| [0.0, 1.0, 0.0]).collect();
            let seed32 = from_vec(&[batch, 3], seed.iter().map(|v| *v as f32).collect());
            let input = reference.program().inputs()[0];
            let mut wanted = reference
                .backward(&tape, from_vec(&[batch, 3], seed), &rules(which, reference.program()), Some(&tape_base), &Want::nodes([input]))
                .unwrap();
            let wanted = wanted.take(input).unwrap();
            let [found, by_signs] =
                [0, 1].map(|kept| single.look_back(&looks[kept], &rules(which, single.program()), Some(&look_base), 1).unwrap());
            prop_assert_eq!(&found, &by_signs);
            let mut unfused =
                single.backward(&tape32, seed32, &rules(which, single.program()), Some(&base32), &Want::nodes([input])).unwrap();
            prop_assert_eq!(&unfused.take(input).unwrap(), &found, "rule set {}\n{}", which, single.program());
            let error = common::relative_l2(&kept(&wide(&found)), &kept(slice(&wanted)));
            prop_assert!(error < if which == 3 { 2e-4 } else { 2e-5 }, "rule set {which}: {error:.1e}\n{}", single.program());
        }
    }

    #[test]
    fn plans_have_the_tape_s_bits_on_rough_programs(
        seed in any::<u64>(), leads in 1usize..20, len in 31usize..90, batch in 1usize..6, kind in 0usize..4,
    ) {
        let mut draw = Draw::new(seed);
        let program = rough_program(&mut draw, leads, len, 3);
        let parameters = common::parameters(&program, &mut draw);
        let mut network = Network::new(program, parameters).unwrap().cast::<f32>();
        let mut x: Tensor<f32> = cast(&draw.tensor(&[batch, leads, len]));
        let base: Tensor<f32> = cast(&draw.tensor(&[1, leads, len]));
        match kind {
            // Overflow: to ±∞ in a convolution, to NaN in the next.
            0 => {
                for conv in network.program().of_kind(OpKind::Conv1d) {
                    let weight = network.program().node(conv).inputs[1];
                    network.parameter_mut(weight).mapv_inplace(|w| w * 1e30);
                }
                x.mapv_inplace(|v| v * 1e10);
            }
            // Zeros of both signs, in the input and in the weights.
            1 => {
                let zero = |v: f32| if v.abs() < 0.7 { 0.0f32.copysign(v) } else { v };
                x.mapv_inplace(zero);
                let convolutions = network.program().of_kind(OpKind::Conv1d);
                let parameters: Vec<_> = convolutions.into_iter().flat_map(|conv| network.program().node(conv).inputs[1..].to_vec()).collect();
                for id in parameters {
                    network.parameter_mut(id).mapv_inplace(zero);
                }
            }
            // An input that is not finite, in one place of one example.
            2 => {
                let at = [draw.below(batch), draw.below(leads), draw.below(len)];
                x[&at[..]] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][draw.below(3)];
            }
            _ => (),
        }
        agree(&network, &x, &base)?;
    }

    #[test]
    fn an_example_is_the_same_bytes_in_any_batch_and_on_any_threads(seed in any::<u64>(), len in 31usize..90, batch in 2usize..40) {
        let network = network(seed, 5, len).cast::<f32>();
        let x: Tensor<f32> = cast(&Draw::new(seed ^ 2).tensor(&[batch, 5, len]));
        let run = |x: &Tensor<f32>, threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let look = network.look(x.clone()).unwrap();
                let gradient = network.look_back(&look, &RuleSet::plain(), None, 0).unwrap();
                (slice(look.output()).to_vec(), slice(&gradient).to_vec())
            })
        };
        let (one, two, five) = (run(&x, 1), run(&x, 2), run(&x, 5));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(&one, &five);
        for n in [0, batch - 1] {
            let alone = run(&from_vec(&[1, 5, len], slice(&x)[n * 5 * len..][..5 * len].to_vec()), 2);
            prop_assert_eq!(&alone.0[..], &one.0[n * 3..][..3]);
            prop_assert_eq!(&alone.1[..], &one.1[n * 5 * len..][..5 * len]);
        }
    }
}

/// A network that predicts ECGs as wholes alone.
struct Whole<'a>(&'a Network<f32>);

impl Predictor for Whole<'_> {
    fn predict_batch(&self, x: Tensor<f32>) -> cardiograd::Result<Vec<f32>> {
        self.0.predict_batch(x)
    }
}

/// Whether an example whose points change gives what each of its states gives as a whole, bit for bit, from the first row on and from a later one.
fn agree_on_changes(network: &Network<f32>, draw: &mut Draw, leads: usize, len: usize) -> Result<(), TestCaseError> {
    let x = ndarray::Array2::from_shape_vec((leads, len), draw.vec(leads * len)).unwrap().mapv(|v| v as f32);
    let value = |draw: &mut Draw| match draw.below(30) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => -0.0,
        _ => draw.unit() as f32,
    };
    let changes: Vec<(usize, f32)> = (0..draw.below(40)).map(|_| (draw.below(leads * len), value(draw))).collect();
    for first in [0, draw.below(changes.len() + 1)] {
        let run = |predictor: &dyn Predictor| predictor.predict_changes(x.view(), &changes, first..changes.len() + 1).unwrap();
        let [found, wanted] = [run(network), run(&Whole(network))].map(|values| bits(&from_vec(&[values.len()], values)));
        prop_assert_eq!(found, wanted, "from row {}\n{}", first, network.plan_text(&[leads, len]));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn an_example_that_changes_gives_what_each_of_its_states_gives(seed in any::<u64>(), leads in 1usize..20, len in 31usize..90) {
        let mut draw = Draw::new(seed);
        let program = rough_program(&mut draw, leads, len, 1);
        let parameters = common::parameters(&program, &mut draw);
        agree_on_changes(&Network::new(program, parameters).unwrap().cast(), &mut draw, leads, len)?;
    }
}

/// The networks of the study: one that runs by FFT behind its first block, one that does not.
#[test]
fn the_study_s_networks_follow_an_ecg_that_changes() {
    for program in [cardiograd::nn::stevennet(12, None).unwrap(), cardiograd::nn::standardconv(12, None).unwrap()] {
        let mut draw = Draw::new(6);
        let parameters = common::parameters(&program, &mut draw);
        agree_on_changes(&Network::new(program, parameters).unwrap().cast(), &mut draw, 12, 600).unwrap();
    }
}

/// The study's network, whose blocks run as one chain: every rule gives the tape's bytes.
#[test]
fn stevennet_equals_the_tape() {
    let program = cardiograd::nn::stevennet(12, None).unwrap();
    let mut draw = Draw::new(5);
    let parameters = common::parameters(&program, &mut draw);
    let network: Network<f32> = Network::new(program, parameters).unwrap().cast();
    let x: Tensor<f32> = cast(&draw.tensor(&[3, 12, 600]));
    let base: Tensor<f32> = cast(&draw.tensor(&[1, 12, 600]));
    let looks = [Keep::Values, Keep::Signs].map(|keep| network.look_at(x.clone(), keep, None).unwrap());
    let (look, look_base) = (&looks[0], network.look_at(base.clone(), Keep::Values, None).unwrap());
    let (tape, tape_base) = (network.run(std::slice::from_ref(&x)).unwrap(), network.run(&[base]).unwrap());
    assert_eq!(tape.output(), look.output());
    let input = network.program().inputs()[0];
    for which in 0..4 {
        let [found, by_signs] =
            [0, 1].map(|kept| network.look_back(&looks[kept], &rules(which, network.program()), Some(&look_base), 0).unwrap());
        assert!(found == by_signs, "rule set {which} by signs");
        let seed = from_vec(&[3, 1], vec![1.0; 3]);
        let mut wanted = network.backward(&tape, seed, &rules(which, network.program()), Some(&tape_base), &Want::nodes([input])).unwrap();
        assert!(wanted.take(input).unwrap() == found, "rule set {which}");
    }
}

/// A lone 10-s ECG, whose layers are split over threads, gives the bytes of one thread.
#[test]
fn a_lone_long_example_is_the_same_bytes_on_any_threads() {
    let program = cardiograd::nn::stevennet(12, None).unwrap();
    let mut draw = Draw::new(6);
    let parameters = common::parameters(&program, &mut draw);
    let network: Network<f32> = Network::new(program, parameters).unwrap().cast();
    let x: Tensor<f32> = cast(&draw.tensor(&[1, 12, 4500]));
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let look = network.look(x.clone()).unwrap();
            (look.output().clone(), network.look_back(&look, &RuleSet::plain(), None, 0).unwrap())
        })
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

/// A random network, a batch, and the weights of a sum over its outputs.
fn training_case(seed: u64, leads: usize, len: usize, batch: usize) -> (Network<f32>, Tensor<f32>, Tensor<f32>) {
    let network = network(seed, leads, len).cast::<f32>();
    let mut draw = Draw::new(seed ^ 3);
    let (x, weights) = (cast(&draw.tensor(&[batch, leads, len])), cast(&draw.tensor(&[batch, 3])));
    (network, x, weights)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn planned_training_equals_the_tape(seed in any::<u64>(), leads in 1usize..20, len in 31usize..90, batch in 2usize..20) {
        let (network, x, weights) = training_case(seed, leads, len, batch);
        let wide = network.cast::<f64>();
        let tape = wide.run_in(&[cast::<f32, f64>(&x)], Mode::Training).unwrap();
        // One input of a ReLU on the other side in f32 is another gradient of all weights before it.
        prop_assume!(common::to_nearest_kink(wide.program(), &tape) > 3e-6);
        let want = Want::trainable(network.program());
        let wanted = wide.backward(&tape, cast::<f32, f64>(&weights), &RuleSet::plain(), None, &want).unwrap();
        let exact: Vec<f64> = network.program().trainable().into_iter().flat_map(|id| slice(wanted.get(id).unwrap()).to_vec()).collect();
        let mut plan = TrainingPlan::new(&network, &[leads, len]).unwrap();
        // The second run finds the first one's memory.
        for _ in 0..2 {
            let output = plan.forward(&network, &x).unwrap();
            prop_assert!(common::relative_l2(&self::wide(&output), slice(tape.output())) < 2e-5);
            let found = plan.backward(&network, &weights).unwrap();
            let mut all = Vec::new();
            for id in network.program().trainable() {
                prop_assert_eq!(found.get(id).unwrap().shape(), wanted.get(id).unwrap().shape());
                all.extend(self::wide(found.get(id).unwrap()));
            }
            let error = common::relative_l2(&all, &exact);
            prop_assert!(error < 2e-5, "{error:.1e}\n{}", network.program());
            for id in network.program().ids() {
                let (Some(a), Some(b)) = (plan.statistics(id), tape.statistics(id)) else { continue };
                prop_assert_eq!(a.2, b.2);
                prop_assert!(common::relative_l2(a.0, b.0) < 1e-4 && common::relative_l2(a.1, b.1) < 1e-4);
            }
        }
    }

    #[test]
    fn planned_training_is_the_same_bytes_on_any_threads(seed in any::<u64>(), len in 31usize..60, batch in 2usize..40) {
        let (network, x, weights) = training_case(seed, 5, len, batch);
        let run = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let mut plan = TrainingPlan::new(&network, &[5, len]).unwrap();
                let output = plan.forward(&network, &x).unwrap();
                let gradients = plan.backward(&network, &weights).unwrap();
                let all: Vec<f32> = network.program().trainable().into_iter().flat_map(|id| slice(gradients.get(id).unwrap()).to_vec()).collect();
                (slice(&output).to_vec(), all)
            })
        };
        let one = run(1);
        prop_assert_eq!(&one, &run(2));
        prop_assert_eq!(&one, &run(5));
    }
}

#[test]
fn a_rule_outside_the_plans_formulas_runs_on_the_tape() {
    struct Twice;
    impl<T: cardiograd::tape::Real> Rule<T> for Twice {
        fn propagate(&self, site: &cardiograd::tape::Site<'_, T>, grad: &Tensor<T>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
            let plain = site.vjp(grad)?;
            Ok(plain.into_iter().map(|g| g.map(|g| &g + &g).map(|g| g.into_shared())).collect())
        }
        fn name(&self) -> &str {
            "twice"
        }
    }
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let x = build.conv1d("conv", x, ConvLayer::same(2, 3, 3));
    let x = build.relu("relu", x);
    let x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("head", x, 3, 1, true);
    let program = build.finish(y).unwrap();
    let parameters = common::parameters(&program, &mut Draw::new(1));
    let network = Network::new(program, parameters).unwrap().cast::<f32>();
    let look = network.look(cast(&Draw::new(2).tensor(&[2, 2, 9]))).unwrap();
    let plain = network.look_back(&look, &RuleSet::plain(), None, 0).unwrap();
    let twice = network.look_back(&look, &on_relu(Twice), None, 0).unwrap();
    let doubled: Vec<f64> = wide(&plain).iter().map(|g| 2.0 * g).collect();
    assert!(common::relative_l2(&wide(&twice), &doubled) < 1e-5);
}

/// Two convolutions whose second adds ∞ to −∞, and a head that gives its bias, 5, where the ReLU between makes 0 of NaN.
fn overflowing() -> (Network<f32>, Tensor<f32>) {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), None]);
    let x = build.conv1d("both", x, ConvLayer { bias: false, ..ConvLayer::same(1, 2, 1) });
    let x = build.conv1d("sum", x, ConvLayer { bias: false, ..ConvLayer::same(2, 1, 1) });
    let x = build.relu("relu", x);
    let x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("head", x, 1, 1, true);
    let program = build.finish(y).unwrap();
    let value = |name: &str, shape: &[usize], values: &[f32]| (name.to_string(), from_vec(shape, values.to_vec()));
    let parameters = [
        value("both.weight", &[2, 1, 1], &[1e30, -1e30]),
        value("sum.weight", &[1, 2, 1], &[1.0, 1.0]),
        value("head.weight", &[1, 1], &[1.0]),
        value("head.bias", &[1], &[5.0]),
    ];
    (Network::new(program, parameters.into_iter().collect()).unwrap(), from_vec(&[1, 1, 20], vec![1e10; 20]))
}

/// The program on a folder with the overflowing model and its input, with one variable set.
fn predict_with(variable: &str, value: &str) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let (network, x) = overflowing();
    cardiograd::nn::Model::new(network).save(folder.path().join("model.cgm")).unwrap();
    cardiograd::files::npy::write(folder.path().join("x.npy"), x.view()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder.path()).env(variable, value).args(["predict", "model.cgm", "-i", "x.npy"]).output().unwrap()
}

#[test]
fn a_nan_between_convolutions_reaches_the_output_on_every_kernel() {
    let (network, x) = overflowing();
    assert!(network.predict(std::slice::from_ref(&x)).unwrap()[[0, 0]].is_nan() && network.look(x).unwrap().output()[[0, 0]].is_nan());
    let settings = ["portable", "neon", "avx2", "avx512"].map(|kernel| ("CARDIOGRAD_KERNEL", kernel)).into_iter();
    for (variable, value) in settings.chain([("CARDIOGRAD_PLANS", "off")]) {
        let output = predict_with(variable, value);
        let text = String::from_utf8(output.stderr).unwrap();
        if text.contains("which this machine does not have") {
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{value}: {text}");
        assert!(output.stdout.is_empty() && text.contains("NaN"), "{value}: {text}");
    }
}

#[test]
fn an_unknown_kernel_is_refused_with_those_that_there_are() {
    let known = ["portable", "neon", "avx2", "avx512"];
    for (variable, value) in [("CARDIOGRAD_KERNEL", "sse9"), ("CARDIOGRAD_PLANS", "no")] {
        let output = predict_with(variable, value);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.trim_end().lines().count()), (Some(2), 1), "{text}");
        assert!(text.starts_with(&format!("cardiograd: {variable} is '{value}'")) && output.stdout.is_empty(), "{text}");
        assert!(variable != "CARDIOGRAD_KERNEL" || known.iter().all(|name| text.contains(name)), "{text}");
    }
}

#[test]
fn a_run_belongs_to_its_network_and_a_parameter_keeps_its_shape() {
    let mut network = network(3, 2, 40).cast::<f32>();
    let other = self::network(4, 2, 40).cast::<f32>();
    let x: Tensor<f32> = cast(&Draw::new(1).tensor(&[2, 2, 40]));
    let (look, tape) = (network.look(x.clone()).unwrap(), network.run(std::slice::from_ref(&x)).unwrap());
    let seed = || from_vec(&[2, 3], vec![1.0; 6]);
    let walk = |network: &Network<f32>| {
        let back = network.look_back(&look, &RuleSet::plain(), None, 0).map(drop);
        let reference =
            network.look(x.clone()).and_then(|own| network.look_back(&own, &rules(3, network.program()), Some(&look), 0)).map(drop);
        let conv = network.program().of_kind(OpKind::Conv1d)[0];
        let by_tape = network.backward(&tape, seed(), &RuleSet::plain(), None, &Want::inputs(network.program())).map(drop);
        [back, reference, network.watched(&look, conv, 0).map(drop), look.tape(network).map(drop), by_tape]
    };
    // A clone is the same network.
    assert!(walk(&network)[0].is_ok() && walk(&network.clone()).into_iter().enumerate().all(|(at, walked)| at == 1 || walked.is_ok()));
    let refused = |walked: [cardiograd::Result<()>; 5]| {
        walked.iter().all(|walked| matches!(walked, Err(Error::Usage(why)) if why.contains("another network")))
    };
    assert!(refused(walk(&other)) && refused(walk(&network.with_output(network.program().output()).unwrap())));
    let weight = network.program().trainable()[0];
    let shape = network.parameter(weight).shape().to_vec();
    for wrong in [from_vec(&[1], vec![0.0]), from_vec(&shape, vec![f32::NAN; shape.iter().product()])] {
        assert!(matches!(network.set_parameter(weight, wrong), Err(Error::Parameters(_))));
    }
    assert!(walk(&network)[0].is_ok() && network.set_parameter(network.program().inputs()[0], from_vec(&[1], vec![0.0])).is_err());
    network.parameter_mut(weight).fill(0.5);
    assert!(network.parameter(weight).shape() == shape && refused(walk(&network)));

    let mut plan = TrainingPlan::new(&other, &[2, 40]).unwrap();
    assert!(plan.backward(&other, &seed()).is_err() && plan.forward(&network, &x).is_err());
    assert!(plan.forward(&other, &from_vec(&[2, 40, 2], vec![0.0; 160])).is_err());
    plan.forward(&other, &x).unwrap();
    assert!(plan.backward(&other, &from_vec(&[1, 3], vec![1.0; 3])).is_err() && plan.backward(&other, &seed()).is_ok());
    let mut changed = other.clone();
    changed.parameter_mut(weight).fill(0.5);
    assert!(plan.backward(&changed, &seed()).is_err());
}
