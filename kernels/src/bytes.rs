//! The promise of equal bytes, tried: every kernel on every instruction set of this machine, the portable one among them, and on AVX-512's lanes and
//! blocks in plain Rust where the processor has not got it; random geometries at odd sizes.

use crate::blocked::{self, Finish, FusedConv, Gate};
use crate::double::{Activation, DoubleConv, Scheme, Shape, Signal};
use crate::training::{self, Affine, Moments};
use crate::{Choice, Conv1d, Isa, Method, PreparedConv, Tiling, WeightGradient, conv1d};
use proptest::prelude::*;

/// Deterministic values in [−1, 1), some of them 0 and some small.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let value = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
        match state & 15 {
            0 => 0.0,
            1 => value * 1e-20,
            _ => value,
        }
    };
    (0..len).map(|_| next()).collect()
}

/// What a kernel gave, by name.
type Results = Vec<(&'static str, Vec<u64>)>;

fn bits(v: &[f32]) -> Vec<u64> {
    v.iter().map(|v| u64::from(v.to_bits())).collect()
}

fn wide(v: &[f64]) -> Vec<u64> {
    v.iter().map(|v| v.to_bits()).collect()
}

/// That every instruction set gives what the portable one does.
fn same(what: &dyn std::fmt::Debug, run: impl Fn(Isa) -> Results) -> Result<(), TestCaseError> {
    let wanted = run(Isa::Portable);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available() || isa.imitated()) {
        for ((name, found), (_, wanted)) in run(isa).iter().zip(&wanted) {
            prop_assert_eq!(found.len(), wanted.len());
            let first = found.iter().zip(wanted).position(|(a, b)| a != b);
            prop_assert!(first.is_none(), "{name}: {isa} differs from portable at {first:?} of {}: {what:?}", found.len());
        }
    }
    Ok(())
}

fn packed(isa: Isa, channels: usize, len: usize, x: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; x.len() / (channels * len) * blocked::size(isa, channels, len)];
    blocked::pack(isa, channels, len, x, &mut to);
    to
}

fn unpacked(isa: Isa, channels: usize, len: usize, x: &[f32]) -> Vec<u64> {
    let mut to = vec![f32::NAN; x.len() / blocked::size(isa, channels, len) * channels * len];
    blocked::unpack(isa, channels, len, x, &mut to);
    bits(&to)
}

/// The planner's choice, which may not follow the registers; the direct form; an FFT where one is allowed.
fn forms(conv: &Conv1d) -> Vec<Option<Method>> {
    let spectral = [28, 63, 100, 168].into_iter().filter_map(|half| Tiling::new(conv, half)).find(|tiling| tiling.tiles() < 6);
    [None, Some(Method::Direct)].into_iter().chain(spectral.map(|t| Some(Method::Spectral(t)))).collect()
}

prop_compose! {
    fn geometry(max_channels: usize, max_len: usize)(
        c_in in 1..=max_channels, c_out in 1..=max_channels, len_in in 1..=max_len, kernel in 1usize..40,
        stride in prop_oneof![4 => Just(1usize), 1 => 2..4usize], dilation in prop_oneof![4 => Just(1usize), 1 => 2..4usize],
        left in 0.0..1.0f64, right in 0.0..1.0f64,
    ) -> Conv1d {
        let part = |share: f64| (share * (kernel - 1) as f64 * dilation as f64).round() as usize;
        Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: part(left), pad_right: part(right) }
    }
}

/// A convolution forward and back, planar.
fn planar(conv: &Conv1d, batch: usize, seed: u64, form: Option<Method>, isa: Isa) -> Results {
    let (x, w) = (values(seed, batch * conv.input_size()), values(seed + 1, conv.weight_size()));
    let (b, gy) = (values(seed + 2, conv.c_out), values(seed + 3, batch * conv.output_size()));
    let (mut y, mut gx, mut gw) = (vec![f32::NAN; gy.len()], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
    let prepared = PreparedConv::with(*conv, &w, isa, form);
    prepared.forward(batch, &x, Some(&b), &mut y);
    prepared.grad_input(batch, &gy, &mut gx);
    conv1d::grad_weight_with(conv, isa, form, batch, &x, &gy, &mut gw);
    vec![("forward", bits(&y)), ("data gradient", bits(&gx)), ("weight gradient", bits(&gw))]
}

/// The same on blocked activations, with everything that is fused.
fn fused(conv: &Conv1d, batch: usize, seed: u64, form: Option<Method>, isa: Isa) -> Results {
    let (len_in, len_out) = (conv.len_in, conv.len_out());
    let input = |n: u64| packed(isa, conv.c_in, len_in, &values(seed + n, batch * conv.input_size()));
    let output = |n: u64| packed(isa, conv.c_out, len_out, &values(seed + n, batch * conv.output_size()));
    let (w, b) = (values(seed + 1, conv.weight_size()), values(seed + 2, conv.c_out));
    let (scale, shift, factor) = (values(seed + 3, conv.c_out), values(seed + 4, conv.c_out), values(seed + 5, conv.c_in));
    let (x, v, v0, add, gy) = (input(6), input(7), input(8), output(9), output(10));
    let (mut raw, mut keep, mut y) = (vec![f32::NAN; gy.len()], vec![f32::NAN; gy.len()], vec![f32::NAN; gy.len()]);
    let gate = [Gate::Open, Gate::Derivative(&v), Gate::PositiveDerivative(&v), Gate::Chord(&v, &v0)][seed as usize % 4];
    let finish = Finish {
        raw: Some(&mut raw),
        affine: Some((&scale, &shift)),
        keep: Some(&mut keep),
        relu: true,
        add: Some(&add),
        ..Finish::default()
    };
    FusedConv::forward(*conv, &w, isa, form).run(batch, &x, (gate, Some(&factor)), Some(&b), finish, &mut y, seed % 2 == 0);
    let mut all: Results =
        [("raw", &raw), ("kept", &keep), ("fused", &y)].map(|(name, v)| (name, unpacked(isa, conv.c_out, len_out, v))).into();
    let gradient = WeightGradient::new(*conv, isa, form);
    let mut sums = vec![f32::NAN; batch * gradient.size()];
    let parts = x.chunks(x.len() / batch).zip(gy.chunks(gy.len() / batch)).zip(sums.chunks_mut(gradient.size()));
    parts.for_each(|((x, gy), sums)| gradient.part(1, x, gy, sums));
    let mut gw = vec![f32::NAN; w.len()];
    gradient.finish(&mut sums, &mut gw);
    all.push(("weight gradient in parts", bits(&gw)));
    if let Some(adjoint) = FusedConv::adjoint(*conv, &w, isa, form) {
        let (mut gx, mut sums) = (vec![f32::NAN; x.len()], vec![f32::NAN; gradient.size()]);
        gradient.part_with(&adjoint, batch, &x, &gy, Finish { add: Some(&v), ..Finish::default() }, &mut gx, &mut sums);
        gradient.finish(&mut sums, &mut gw);
        all.push(("data gradient beside it", unpacked(isa, conv.c_in, len_in, &gx)));
        all.push(("weight gradient beside it", bits(&gw)));
    }
    all
}

fn between(channels: usize, len: usize, batch: usize, seed: u64, isa: Isa) -> Results {
    let groups = channels.div_ceil(isa.width());
    let input = |n: u64| packed(isa, channels, len, &values(seed + n, batch * channels * len));
    let lanes = |n: u64| {
        let mut values = values(seed + n, channels);
        values.resize(groups * isa.width(), 0.0);
        values
    };
    let (v, g, add) = (input(1), input(2), input(3));
    let one = v.len() / batch;
    let mut moments = Moments::of(isa, groups, len, &v[..one]);
    if batch > 1 {
        moments = moments.merge(&Moments::of(isa, groups, len, &v[one..]));
    }
    let affine = Affine { scale: lanes(4), shift: lanes(5) };
    let (sums, products) = training::gradient_sums(isa, len, &v, &g, &affine, &moments.mean, true);
    let plain = training::channel_sums(isa, groups, len, &g);
    let (mut y, mut gv) = (vec![f32::NAN; v.len()], vec![f32::NAN; v.len()]);
    training::normalise(isa, len, &affine, &v, true, Some(&add), &mut y);
    let (a, b, d) = (lanes(6), lanes(7), lanes(8));
    training::gradient(isa, len, &affine, true, [&a, &b, &d], &g, &v, &mut gv);
    let mut all: Results = [("mean", &moments.mean), ("squares", &moments.squares), ("Σ g", &sums), ("Σ g d", &products), ("Σ", &plain)]
        .map(|(name, v)| (name, wide(&v[..channels])))
        .into();
    all.extend([("normalised", &y), ("gradient", &gv)].map(|(name, v)| (name, unpacked(isa, channels, len, v))));
    let (window, stride) = (1 + seed as usize % len.min(4), 1 + seed as usize / 5 % 3);
    let out = crate::pool::pooled_len(len, window, stride);
    let mut pooled = vec![f32::NAN; blocked::size(isa, channels, out)];
    for (name, back) in [("average", false), ("average back", true), ("max", false), ("max back", true)] {
        let (x, mut gx) = (&v[..one], g[..one].to_vec());
        match (name.starts_with("max"), back) {
            (false, false) => blocked::average(isa, len, window, stride, x, &mut pooled),
            (true, false) => blocked::max(isa, len, window, stride, x, &mut pooled),
            (false, true) => blocked::average_grad(isa, len, window, stride, &pooled, &mut gx),
            (true, true) => blocked::max_grad(isa, len, window, stride, x, &pooled, &mut gx),
        }
        all.push((name, if back { unpacked(isa, channels, len, &gx) } else { unpacked(isa, channels, out, &pooled) }));
    }
    let mut mean = vec![f32::NAN; channels];
    blocked::mean(isa, len, &v[..one], &mut mean);
    all.push(("mean over time", bits(&mean)));
    all
}

/// A convolution in f64, in both forms.
fn double(s: Shape, group: usize, seed: u64, isa: Isa) -> Results {
    let wide_values = |n: u64, len: usize| values(seed + n, len).into_iter().map(|v| f64::from(v) * 1.000_000_1).collect::<Vec<_>>();
    let (w, b) = (wide_values(1, s.c_out * s.factor * s.c_in * s.taps), wide_values(2, s.c_out * s.factor));
    let run = |form: Scheme, activation: Activation| {
        let conv = DoubleConv::with_form(s, &w, &b, activation, form);
        let mut input = conv.input(group);
        (0..group).for_each(|n| input.fill(n, 0, &values(seed + 3 + n as u64, s.c_in * s.len_in)));
        let mut to = Signal::new(group, s.c_out, s.steps * s.factor, (1, 1, 0));
        conv.run(isa, &input, &mut [(&mut to, 0)], false);
        let mut y = vec![0.0; group * s.c_out * s.steps * s.factor];
        y.chunks_mut(s.c_out * s.steps * s.factor).enumerate().for_each(|(n, y)| to.give(n, y, |v| v));
        wide(&y)
    };
    vec![("direct in f64", run(Scheme::Direct, Activation::Leaky(0.2))), ("Toom and Cook's in f64", run(Scheme::Toom, Activation::Tanh))]
}

const CASES: u32 = if cfg!(miri) { 1 } else { 8 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn convolutions_are_the_same_on_every_instruction_set(conv in geometry(21, 90), batch in 1usize..4, seed in 0..u64::MAX / 2) {
        prop_assume!(conv.len_out() > 0);
        for form in forms(&conv) {
            same(&(conv, form), |isa| planar(&conv, batch, seed, form, isa))?;
            same(&(conv, form), |isa| fused(&conv, batch, seed, form, isa))?;
        }
    }

    /// Longer than the chains of a weight gradient.
    #[test]
    fn long_signals_are_the_same_on_every_instruction_set(mut conv in geometry(18, 9), len in 200usize..700, seed in 0..u64::MAX / 2) {
        (conv.len_in, conv.kernel) = (len, conv.kernel.min(5));
        (conv.pad_left, conv.pad_right) = (conv.pad_left.min(conv.kernel - 1), conv.pad_right.min(conv.kernel - 1));
        for form in [None, Some(Method::Direct)] {
            same(&(conv, form), |isa| planar(&conv, 1, seed, form, isa))?;
            same(&(conv, form), |isa| fused(&conv, 1, seed, form, isa))?;
        }
    }

    #[test]
    fn what_lies_between_convolutions_is_the_same(channels in 1usize..40, len in 1usize..50, batch in 1usize..4, seed in 0..u64::MAX / 2) {
        same(&(channels, len, batch), |isa| between(channels, len, batch, seed, isa))?;
    }

    #[test]
    fn convolutions_in_f64_are_the_same(
        (c_in, c_out, factor) in (1usize..12, 1usize..20, 1usize..4), taps in 1usize..14, stride in 1usize..4, len_in in 1usize..40,
        pad in 0usize..6, group in 1usize..4, seed in 0..u64::MAX / 2,
    ) {
        let (stride, pad) = (if factor > 1 { 1 } else { stride }, pad.min(taps - 1));
        let s = Shape { c_in, c_out, factor, taps, stride, pad, len_in, steps: len_in.div_ceil(stride) };
        same(&s, |isa| double(s, group, seed, isa))?;
    }
}

/// The form of a convolution follows its geometry, not the machine.
#[test]
fn every_instruction_set_takes_the_same_form() {
    for (c_in, c_out, kernel, len_in) in [(12, 64, 8, 600), (1, 8, 16, 5000), (9, 17, 50, 300), (13, 5, 31, 1000), (33, 33, 33, 333)] {
        let conv = Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left: (kernel - 1) / 2, pad_right: kernel / 2 };
        let of = |isa| Choice::new(&conv, isa).method;
        assert!(Isa::ALL.into_iter().all(|isa| of(isa) == of(Isa::Portable)), "{conv:?}");
    }
}
