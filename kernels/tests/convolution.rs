//! Every form of the convolution, on every instruction set of this machine, against the f64 oracle; and byte equality across batches and threads.

use cardiograd_kernels::conv1d::grad_weight_with;
use cardiograd_kernels::{Conv1d, Isa, Method, PreparedConv, Tiling, naive};
use proptest::prelude::*;

/// Deterministic values in [−1, 1).
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

/// The largest error, relative to the largest value, or to the size that a sum of so many random products has if that is larger: a sum that
/// happens to cancel has no small relative error in f32.
fn error(found: &[f32], wanted: &[f64], terms: usize) -> f64 {
    let scale = wanted.iter().fold((terms.max(1) as f64).sqrt() / 3.0, |m: f64, v| m.max(v.abs()));
    found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / scale
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

/// The planner's own choice, the direct form, and FFTs of several lengths.
fn forms(conv: &Conv1d) -> Vec<Option<Method>> {
    let spectral = [4, 7, 15, 16, 24, 25, 42, 63, 64, 100, 168, 360].into_iter().filter_map(|half| Tiling::new(conv, half));
    let mut forms = vec![None, Some(Method::Direct)];
    let mut spectral: Vec<_> = spectral.filter(|t| t.tiles() < 40).map(|t| Some(Method::Spectral(t))).collect();
    let half = spectral.len() / 2;
    forms.extend(spectral.drain(..).enumerate().filter(|(i, _)| *i == 0 || *i == half || i + 1 == 2 * half).map(|(_, f)| f));
    forms
}

fn check(conv: &Conv1d, batch: usize, seed: u64) -> Result<(), TestCaseError> {
    let (x, w) = (values(seed, batch * conv.input_size()), values(seed + 1, conv.weight_size()));
    let (b, gy) = (values(seed + 2, conv.c_out), values(seed + 3, batch * conv.output_size()));
    let (mut y64, mut gx64, mut gw64) = (vec![0.0; gy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    naive::forward(conv, batch, &wide(&x), &wide(&w), Some(&wide(&b)), &mut y64);
    naive::grad_input(conv, batch, &wide(&w), &wide(&gy), &mut gx64);
    naive::grad_weight(conv, batch, &wide(&x), &wide(&gy), &mut gw64);
    for isa in isas() {
        for form in forms(conv) {
            let (mut y, mut gx, mut gw) = (vec![f32::NAN; gy.len()], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
            let prepared = PreparedConv::with(*conv, &w, isa, form);
            prepared.forward(batch, &x, Some(&b), &mut y);
            prepared.grad_input(batch, &gy, &mut gx);
            grad_weight_with(conv, isa, form, batch, &x, &gy, &mut gw);
            let (taps, time) = (conv.c_in * conv.kernel, batch * conv.len_out());
            let errors = [error(&y, &y64, taps), error(&gx, &gx64, taps), error(&gw, &gw64, time)];
            for (name, e) in ["forward", "grad_input", "grad_weight"].into_iter().zip(errors) {
                prop_assert!(e < 5e-6, "{name} is off by {e:.1e}: {isa}, {form:?}, batch {batch}, {conv:?}");
            }
        }
    }
    Ok(())
}

prop_compose! {
    fn geometry(max_len: usize, max_kernel: usize, max_channels: usize)(
        c_in in 1..=max_channels, c_out in 1..=max_channels, len_in in 1..=max_len, kernel in 1..=max_kernel,
        stride in prop_oneof![4 => Just(1usize), 1 => 2..6usize], dilation in prop_oneof![4 => Just(1usize), 1 => 2..4usize],
        left in 0.0..1.2f64, right in 0.0..1.2f64,
    ) -> Conv1d {
        let part = |share: f64| (share * (kernel - 1) as f64 * dilation as f64).round() as usize;
        Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: part(left), pad_right: part(right) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn small_geometries_match_the_oracle(conv in geometry(60, 70, 7), batch in 1..4usize, seed in 0..u64::MAX / 2) {
        check(&conv, batch, seed)?;
    }

    #[test]
    fn many_channels_match_the_oracle(conv in geometry(40, 20, 70), batch in 1..3usize, seed in 0..u64::MAX / 2) {
        check(&conv, batch, seed)?;
    }

    #[test]
    fn one_channel_at_any_length_matches_the_oracle(mut conv in geometry(700, 60, 1), batch in 1..34usize, seed in 0..u64::MAX / 2) {
        conv.c_in = 1;
        check(&conv, batch, seed)?;
    }

    #[test]
    fn an_example_does_not_depend_on_its_batch_nor_on_threads(conv in geometry(300, 50, 20), batch in 2..20usize, seed in 0..u64::MAX / 2) {
        let (x, w) = (values(seed, batch * conv.input_size()), values(seed + 1, conv.weight_size()));
        let gy = values(seed + 3, batch * conv.output_size());
        for isa in isas() {
            for form in forms(&conv) {
                let run = |threads: usize| {
                    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                        let prepared = PreparedConv::with(conv, &w, isa, form);
                        let (mut y, mut gx, mut gw) = (vec![0.0; gy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
                        prepared.forward(batch, &x, None, &mut y);
                        prepared.grad_input(batch, &gy, &mut gx);
                        grad_weight_with(&conv, isa, form, batch, &x, &gy, &mut gw);
                        (y, gx, gw)
                    })
                };
                let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                let (one, two, five) = (run(1), run(2), run(5));
                for other in [two, five] {
                    prop_assert_eq!(bits(&one.0), bits(&other.0));
                    prop_assert_eq!(bits(&one.1), bits(&other.1));
                    prop_assert_eq!(bits(&one.2), bits(&other.2));
                }
                let prepared = PreparedConv::with(conv, &w, isa, form);
                for n in [0, batch - 1] {
                    let (mut y, mut gx) = (vec![0.0; conv.output_size()], vec![0.0; conv.input_size()]);
                    prepared.forward(1, &x[n * conv.input_size()..][..conv.input_size()], None, &mut y);
                    prepared.grad_input(1, &gy[n * conv.output_size()..][..conv.output_size()], &mut gx);
                    prop_assert_eq!(bits(&y), bits(&one.0[n * conv.output_size()..][..conv.output_size()]));
                    prop_assert_eq!(bits(&gx), bits(&one.1[n * conv.input_size()..][..conv.input_size()]));
                }
            }
        }
    }
}

#[test]
fn the_study_network_matches_the_oracle() {
    let same = |c_in, c_out, len_in, kernel: usize| {
        let left = (kernel - 1) / 2;
        Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left: left, pad_right: kernel - 1 - left }
    };
    for conv in [same(12, 64, 600, 8), same(64, 32, 600, 3), same(32, 64, 300, 50)] {
        check(&conv, 1, 5).unwrap();
    }
    assert!(matches!(same(32, 64, 300, 50).plan().method, Method::Spectral(_)));
}
