//! The convolution in f64 against a naive loop, at odd sizes and on every instruction set; the same bytes whatever the group.

use cardiograd_kernels::Isa;
use cardiograd_kernels::double::{Activation, DoubleConv, Shape, Signal};
use proptest::prelude::*;

fn values(seed: usize, len: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 1009) as f64 / 504.5 - 1.0).collect()
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
    for (n, x) in x.iter().enumerate() {
        for t in 0..s.len_in {
            input.sample_mut(n, t).iter_mut().enumerate().for_each(|(c, to)| *to = x[c * s.len_in + t]);
        }
    }
    let len = s.steps * s.factor;
    let mut plain = Signal::new(x.len(), s.c_out, len, (1, 1, 0));
    let mut joined = Signal::new(x.len(), s.c_out + 4, len, (5, 3, 2));
    conv.run(isa, &input, &mut [(&mut plain, 0), (&mut joined, 3)], x.len().is_multiple_of(2));
    let of = |n: usize| (0..s.c_out).flat_map(|o| (0..len).map(move |t| (o, t))).map(move |(o, t)| (n, t, o));
    for (n, t, o) in (0..x.len()).flat_map(of) {
        assert_eq!(plain.sample(n, t)[o].to_bits(), joined.sample(n, t)[o + 3].to_bits());
        assert!(joined.sample(n, t)[..3].iter().chain(&joined.sample(n, t)[s.c_out + 3..]).all(|v| *v == 0.0));
    }
    (0..x.len()).map(|n| of(n).map(|(n, t, o)| plain.sample(n, t)[o]).collect()).collect()
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
        let conv = DoubleConv::new(s, &w, &b, Activation::None);
        let mut fused: Option<Vec<Vec<f64>>> = None;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let y = kernel(&conv, &s, isa, &x);
            for (y, x) in y.iter().zip(&x) {
                for (a, b) in y.iter().zip(naive(&s, x, &w, &b)) {
                    prop_assert!((a - b).abs() < 1e-12, "{}: {} for {}", isa, a, b);
                }
                prop_assert_eq!(&kernel(&conv, &s, isa, std::slice::from_ref(x))[0], y);
            }
            if isa != Isa::Portable {
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
            let conv = DoubleConv::new(s, &w, &b, activation);
            for (a, v) in kernel(&conv, &s, Isa::best(), &x)[0].iter().zip(&sums) {
                prop_assert!((a - of(*v)).abs() < 1e-12, "{:?}: {} for {}", activation, a, of(*v));
            }
        }
    }
}
