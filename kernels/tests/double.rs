//! The convolution in f64 against a naive loop, at odd sizes and on every instruction set; the same bytes whatever the group.

use cardiograd_kernels::Isa;
use cardiograd_kernels::double::{Activation, DoubleConv, Scheme, Shape, Signal};
use proptest::prelude::*;

fn values(seed: usize, len: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 1009) as f64 / 512.0 - 1.0).collect()
}

fn naive(s: &Shape, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let len = s.steps * s.factor;
    let mut y = vec![0.0; s.c_out * len];
    for (o, y) in y.chunks_mut(len).enumerate() {
        for (t, y) in y.iter_mut().enumerate() {
            let (q, row) = (t / s.factor, o * s.factor + t % s.factor);
            *y = b[row];
            for c in 0..s.c_in {
                for j in 0..s.taps {
                    let Some(at) = (q * s.stride + j).checked_sub(s.pad).filter(|at| *at < s.len_in) else { continue };
                    *y += w[(row * s.c_in + c) * s.taps + j] * x[c * s.len_in + at];
                }
            }
        }
    }
    y
}

/// Results by the kernel, (example, channel, time), stored behind three other channels.
fn kernel(conv: &DoubleConv, s: &Shape, isa: Isa, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut input = conv.input(x.len());
    x.iter().enumerate().for_each(|(n, x)| input.fill(n, 0, &x.iter().map(|v| *v as f32).collect::<Vec<_>>()));
    let len = s.steps * s.factor;
    let mut plain = Signal::new(x.len(), s.c_out, len, (1, 1, 0));
    let mut joined = Signal::new(x.len(), s.c_out + 4, len, (5, 3, 2));
    conv.run(isa, &input, &mut [(&mut plain, 0), (&mut joined, 3)], x.len().is_multiple_of(2));
    let give = |signal: &Signal, channels: usize, n: usize| {
        let mut y = vec![f64::NAN; channels * len];
        signal.give(n, &mut y, |v| v);
        y
    };
    (0..x.len())
        .map(|n| {
            let (y, behind) = (give(&plain, s.c_out, n), give(&joined, s.c_out + 4, n));
            assert_eq!(behind[3 * len..][..y.len()], y);
            assert!(behind[..3 * len].iter().chain(&behind[3 * len + y.len()..]).all(|v| *v == 0.0));
            y
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_naive_sum_on_every_instruction_set(
        c_in in 1usize..6, c_out in 1usize..21, taps in 1usize..14, len_in in 1usize..24, group in 1usize..6, phases in any::<bool>(),
        size in 1usize..6, pad in 0usize..9, seed in 0usize..1000,
    ) {
        let (factor, stride) = if phases { (size, 1) } else { (1, size) };
        let pad = pad.min(taps - 1);
        let s = Shape { c_in, c_out, factor, taps, stride, pad, len_in, steps: len_in.div_ceil(stride) };
        let (mut w, b) = (values(seed, c_out * factor * c_in * taps), values(seed + 1, c_out * factor));
        // The last tap is zero, as phases have them.
        if taps > 2 {
            w.chunks_mut(taps).for_each(|w| w[taps - 1] = 0.0);
        }
        let x: Vec<_> = (0..group).map(|n| values(seed + 2 + n, c_in * len_in)).collect();
        for form in [Scheme::Direct, Scheme::Toom] {
            let conv = DoubleConv::with_form(s, &w, &b, Activation::None, form);
            let mut fused: Option<Vec<Vec<f64>>> = None;
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                let y = kernel(&conv, &s, isa, &x);
                for (y, x) in y.iter().zip(&x) {
                    for (a, b) in y.iter().zip(naive(&s, x, &w, &b)) {
                        prop_assert!((a - b).abs() < 1e-12, "{:?}, {}: {} for {}", form, isa, a, b);
                    }
                    prop_assert_eq!(&kernel(&conv, &s, isa, std::slice::from_ref(x))[0], y);
                }
                prop_assert_eq!(fused.get_or_insert_with(|| y.clone()), &y);
            }
        }
    }

    #[test]
    fn activations_follow_the_sum(seed in 0usize..1000, slope in 0.0..1.0) {
        let s = Shape { c_in: 3, c_out: 9, factor: 2, taps: 5, stride: 1, pad: 2, len_in: 7, steps: 7 };
        let (w, b, x) = (values(seed, 18 * 15), values(seed + 1, 18), [values(seed + 2, 21)]);
        let sums = naive(&s, &x[0], &w, &b);
        for activation in [Activation::Leaky(slope), Activation::Tanh] {
            let of = |v: f64| match activation {
                Activation::Tanh => v.tanh(),
                _ => if v > 0.0 { v } else { slope * v },
            };
            let form = if seed % 2 == 0 { Scheme::Direct } else { Scheme::Toom };
            let conv = DoubleConv::with_form(s, &w, &b, activation, form);
            for (a, v) in kernel(&conv, &s, Isa::best(), &x)[0].iter().zip(&sums) {
                prop_assert!((a - of(*v)).abs() < 1e-12, "{:?}: {} for {}", activation, a, of(*v));
            }
        }
    }
}

/// More weights than caches hold: inputs are transformed for all, then panels of weights are shared out.
#[test]
fn many_weights() {
    let s = Shape { c_in: 117, c_out: 37, factor: 5, taps: 7, stride: 1, pad: 3, len_in: 29, steps: 29 };
    let (w, b) = (values(1, 37 * 5 * 117 * 7), values(2, 37 * 5));
    for group in [1, 2] {
        let x: Vec<_> = (0..group).map(|n| values(3 + n, 117 * 29)).collect();
        let conv = DoubleConv::with_form(s, &w, &b, Activation::None, Scheme::Toom);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            for (y, x) in kernel(&conv, &s, isa, &x).iter().zip(&x) {
                for (a, b) in y.iter().zip(naive(&s, x, &w, &b)) {
                    assert!((a - b).abs() < 1e-10, "{isa}: {a} for {b}");
                }
            }
        }
    }
}

/// The cheaper form is taken: Toom and Cook's for long signals of many channels, the direct one where two samples meet few taps or there is one channel.
#[test]
fn the_form_follows_the_sizes() {
    let form = |c_in: usize, c_out: usize, taps: usize, len_in: usize| {
        let s = Shape { c_in, c_out, factor: 1, taps, stride: 1, pad: taps / 2, len_in, steps: len_in };
        DoubleConv::new(s, &values(1, c_out * c_in * taps), &values(2, c_out), Activation::None).form()
    };
    assert_eq!([form(50, 50, 5, 200), form(50, 50, 13, 200)], [Scheme::Toom; 2]);
    assert_eq!([form(50, 50, 7, 2), form(1, 1, 5, 200), form(50, 50, 1, 200)], [Scheme::Direct; 3]);
}
