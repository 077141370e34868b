//! Blocked activations: fused convolutions, weight gradients in parts and batch norm's pieces against the f64 oracle, on every instruction set, at odd
//! sizes; and the same bytes from all of them.

use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::chain::{self, Link};
use cardiograd_kernels::training::{self, AdamStep, Affine, Moments};
use cardiograd_kernels::{Conv1d, Isa, Method, Tiling, WeightGradient, naive};
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

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

fn packed(isa: Isa, channels: usize, len: usize, x: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; x.len() / (channels * len) * blocked::size(isa, channels, len)];
    blocked::pack(isa, channels, len, x, &mut to);
    to
}

fn unpacked(isa: Isa, channels: usize, len: usize, x: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; x.len() / blocked::size(isa, channels, len) * channels * len];
    blocked::unpack(isa, channels, len, x, &mut to);
    to
}

/// The largest difference, relative to the largest value (or 1).
fn error(found: &[f32], wanted: &[f64]) -> f64 {
    let scale = wanted.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / scale
}

prop_compose! {
    fn geometry()(
        c_in in 1usize..40, c_out in 1usize..40, len_in in 1usize..150, kernel in 1usize..60, stride in prop_oneof![4 => Just(1usize), 1 => 2..4usize],
        dilation in prop_oneof![4 => Just(1usize), 1 => 2..4usize], left in 0.0..1.0f64, right in 0.0..1.0f64,
    ) -> Conv1d {
        let part = |share: f64| (share * (kernel - 1) as f64 * dilation as f64).round() as usize;
        Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: part(left), pad_right: part(right) }
    }
}

/// The planner's choice, the direct form, and an FFT where one is allowed.
fn forms(conv: &Conv1d) -> Vec<Option<Method>> {
    let spectral = [63, 100, 168].into_iter().filter_map(|half| Tiling::new(conv, half)).next();
    [None, Some(Method::Direct)].into_iter().chain(spectral.map(|t| Some(Method::Spectral(t)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn some_samples_of_a_direct_convolution_are_those_of_all(
        conv in geometry(), seed in any::<u64>(), (from, to) in (0.0..1.0f64, 0.0..1.0f64), relu in any::<bool>(),
    ) {
        prop_assume!(conv.len_out() > 0);
        let (x, w, b) = (values(seed, conv.input_size()), values(seed + 1, conv.weight_size()), values(seed + 2, conv.c_out));
        let (scale, shift, add) = (values(seed + 3, conv.c_out), values(seed + 4, conv.c_out), values(seed + 5, conv.output_size()));
        let len = conv.len_out();
        let at = |share: f64| (share * (len + 1) as f64) as usize;
        let time = at(from.min(to))..at(from.max(to));
        for isa in isas() {
            let width = isa.width();
            let (x, add) = (packed(isa, conv.c_in, conv.len_in, &x), packed(isa, conv.c_out, len, &add));
            let finish = || Finish { affine: Some((&scale, &shift)), relu, add: Some(&add), ..Finish::default() };
            let mut all = vec![f32::NAN; add.len()];
            let direct = FusedConv::forward(conv, &w, isa, Some(Method::Direct));
            direct.run(1, &x, (Gate::Open, None), Some(&b), finish(), &mut all, false);
            let mut some = vec![f32::NAN; add.len()];
            prop_assert!(blocked::run_within(&direct, &x, Some(&b), finish(), &mut some, time.clone()));
            for (at, (found, wanted)) in some.iter().zip(&all).enumerate() {
                let within = time.contains(&(at / width % len));
                prop_assert!(if within { found.to_bits() == wanted.to_bits() } else { found.is_nan() }, "{isa}, element {at} of {time:?}");
            }
        }
        if let Some(tiling) = Tiling::new(&conv, 105) {
            let spectral = FusedConv::forward(conv, &w, Isa::Portable, Some(Method::Spectral(tiling)));
            let (x, mut y) = (packed(Isa::Portable, conv.c_in, conv.len_in, &x), vec![0.0; blocked::size(Isa::Portable, conv.c_out, len)]);
            prop_assert!(!blocked::run_within(&spectral, &x, None, Finish::default(), &mut y, 0..len));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn fused_convolutions_are_their_parts(conv in geometry(), batch in 1usize..5, seed in any::<u64>(), which in 0usize..7) {
        prop_assume!(conv.len_out() > 0);
        let (x, w, b) = (values(seed, batch * conv.input_size()), values(seed + 1, conv.weight_size()), values(seed + 2, conv.c_out));
        let (scale, shift) = (values(seed + 3, conv.c_out), values(seed + 4, conv.c_out));
        let (factor, gate, add) = (values(seed + 5, conv.c_in), values(seed + 6, x.len()), values(seed + 7, batch * conv.output_size()));
        let through = |at: usize| -> f64 {
            let (g, v) = (f64::from(x[at]), f64::from(gate[at]));
            match which {
                0 => g,
                1 | 5 => if v > 0.0 { g } else { 0.0 },
                2 => g.max(0.0),
                3 | 6 => if v > 0.0 { g.max(0.0) } else { 0.0 },
                // Against a reference at −v: Δx = 2v, Δy = ReLU(v) − ReLU(−v) = v.
                _ => g * 0.5,
            }
        };
        let gated: Vec<f64> = (0..x.len()).map(|at| through(at) * f64::from(factor[at / conv.len_in % conv.c_in])).collect();
        let mut kept = vec![0.0; add.len()];
        naive::forward(&conv, batch, &gated, &wide(&w), Some(&wide(&b)), &mut kept);
        let given = kept.clone();
        let channel = |at: usize| at / conv.len_out() % conv.c_out;
        for (at, v) in kept.iter_mut().enumerate() {
            *v = f64::from(scale[channel(at)]) * *v + f64::from(shift[channel(at)]);
        }
        let wanted: Vec<f64> = kept.iter().zip(&add).map(|(v, add)| v.max(0.0) + f64::from(*add)).collect();
        let mut planar = Vec::new();
        for isa in isas() {
            for form in forms(&conv) {
                let mut fused = FusedConv::forward(conv, &values(seed + 9, w.len()), isa, form);
                fused.refresh(&w);
                let (bx, bgate, badd) = (packed(isa, conv.c_in, conv.len_in, &x), packed(isa, conv.c_in, conv.len_in, &gate), packed(isa, conv.c_out, conv.len_out(), &add));
                let base: Vec<f32> = bgate.iter().map(|v| -v).collect();
                let mut bits = vec![0; bgate.len() / isa.width()];
                blocked::signs(isa, &bgate, &mut bits);
                let gate = match which {
                    0 => Gate::Open,
                    1 => Gate::Derivative(&bgate),
                    2 => Gate::Positive,
                    3 => Gate::PositiveDerivative(&bgate),
                    5 => Gate::DerivativeSigns(&bits),
                    6 => Gate::PositiveDerivativeSigns(&bits),
                    _ => Gate::Chord(&bgate, &base),
                };
                let (mut raw, mut keep, mut y) = (vec![f32::NAN; badd.len()], vec![f32::NAN; badd.len()], vec![f32::NAN; badd.len()]);
                let (mut signs, mut wanted_signs) = (vec![0; keep.len() / isa.width()], vec![0; keep.len() / isa.width()]);
                let finish = Finish { raw: Some(&mut raw), affine: Some((&scale, &shift)), keep: Some(&mut keep), signs: Some(&mut signs), relu: true, add: Some(&badd), accumulate: false };
                fused.run(batch, &bx, (gate, Some(&factor)), Some(&b), finish, &mut y, seed % 2 == 0);
                for (bits, v) in wanted_signs.iter_mut().zip(keep.chunks(isa.width())) {
                    *bits = v.iter().enumerate().fold(0u16, |bits, (lane, v)| bits | u16::from(*v > 0.0) << lane);
                }
                prop_assert_eq!(&signs, &wanted_signs);
                let (y, keep) = (unpacked(isa, conv.c_out, conv.len_out(), &y), unpacked(isa, conv.c_out, conv.len_out(), &keep));
                prop_assert!(error(&unpacked(isa, conv.c_out, conv.len_out(), &raw), &given) < 2e-5, "{isa} {form:?} {conv:?}");
                prop_assert!(error(&keep, &kept) < 2e-5 && error(&y, &wanted) < 2e-5, "{isa} {form:?} gate {which} {conv:?}");
                planar.push((form, y));
            }
        }
        for (form, y) in &planar {
            prop_assert!(planar.iter().all(|(other, found)| other != form || found == y), "instruction sets differ: {form:?} {conv:?}");
        }
    }

    #[test]
    fn weight_gradients_add_up(conv in geometry(), batch in 1usize..6, share in 1usize..4, seed in any::<u64>()) {
        prop_assume!(conv.len_out() > 0);
        let (x, gy) = (values(seed, batch * conv.input_size()), values(seed + 1, batch * conv.output_size()));
        let w = values(seed + 2, conv.weight_size());
        let mut wanted = vec![0.0; conv.weight_size()];
        naive::grad_weight(&conv, batch, &wide(&x), &wide(&gy), &mut wanted);
        for isa in isas() {
            for form in forms(&conv) {
                let gradient = WeightGradient::new(conv, isa, form);
                let (x, gy) = (packed(isa, conv.c_in, conv.len_in, &x), packed(isa, conv.c_out, conv.len_out(), &gy));
                let (size_x, size_y) = (x.len() / batch, gy.len() / batch);
                let mut sums = vec![f32::NAN; batch.div_ceil(share) * gradient.size()];
                let parts = x.chunks(share * size_x).zip(gy.chunks(share * size_y)).zip(sums.chunks_mut(gradient.size()));
                parts.for_each(|((x, gy), sums)| gradient.part(x.len() / size_x, x, gy, sums));
                let mut gw = vec![f32::NAN; wanted.len()];
                gradient.finish(&mut sums, &mut gw);
                prop_assert!(error(&gw, &wanted) < 2e-5, "{isa} {form:?} {:.1e} {conv:?}", error(&gw, &wanted));
                let Some(adjoint) = FusedConv::adjoint(conv, &w, isa, form) else { continue };
                let (mut alone, mut gx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
                let finish = || Finish { add: Some(&x), ..Finish::default() };
                adjoint.run(batch, &gy, (Gate::Open, None), None, finish(), &mut alone, false);
                let mut mirrored = FusedConv::adjoint(conv, &values(seed + 3, w.len()), isa, form).unwrap();
                mirrored.refresh_adjoint(&FusedConv::forward(conv, &w, isa, form), &w);
                let mut same = vec![f32::NAN; x.len()];
                mirrored.run(batch, &gy, (Gate::Open, None), None, finish(), &mut same, false);
                prop_assert!(error(&same, &wide(&alone)) < 2e-6, "{isa} {form:?} {:.1e} mirrored weights {conv:?}", error(&same, &wide(&alone)));
                let mut sums = vec![f32::NAN; gradient.size()];
                gradient.part_with(&adjoint, batch, &x, &gy, finish(), &mut gx, &mut sums);
                prop_assert!(gx == alone, "{isa} {form:?} the data gradient beside the weights' {conv:?}");
                gradient.finish(&mut sums, &mut gw);
                prop_assert!(error(&gw, &wanted) < 2e-5, "{isa} {form:?} {:.1e} with the data gradient {conv:?}", error(&gw, &wanted));
            }
        }
    }

    #[test]
    fn batch_norm_in_pieces(channels in 1usize..40, len in 1usize..50, batch in 2usize..6, relu in any::<bool>(), seed in any::<u64>()) {
        let size = channels * len;
        let v: Vec<f32> = values(seed, batch * size).iter().enumerate().map(|(at, v)| 3.0 * v + 100.0 * ((at / len % channels) as f32)).collect();
        let (g, add) = (values(seed + 1, v.len()), values(seed + 2, v.len()));
        let column = |x: &[f32], c: usize| -> Vec<f64> {
            x.chunks(len).enumerate().filter(|(row, _)| row % channels == c).flat_map(|(_, row)| wide(row)).collect()
        };
        for isa in isas() {
            let groups = channels.div_ceil(isa.width());
            let (bv, bg, badd) = (packed(isa, channels, len, &v), packed(isa, channels, len, &g), packed(isa, channels, len, &add));
            let one = bv.len() / batch;
            let moments = Moments::of(isa, groups, len, &bv[..one]).merge(&Moments::of(isa, groups, len, &bv[one..]));
            prop_assert_eq!(moments.count, batch * len);
            let mut affine = Affine { scale: vec![0.0; groups * isa.width()], shift: vec![0.0; groups * isa.width()] };
            for c in 0..channels {
                let x = column(&v, c);
                let mean = x.iter().sum::<f64>() / x.len() as f64;
                let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
                prop_assert!((moments.mean[c] - mean).abs() < 1e-5 * (1.0 + mean.abs()) && (moments.squares[c] - squares).abs() < 1e-4 * (squares + 1e-3));
                affine.scale[c] = (1.0 / (squares / x.len() as f64 + 1e-5).sqrt()) as f32;
                affine.shift[c] = 0.1 - mean as f32 * affine.scale[c];
            }
            let z = |at: usize, c: usize| affine.scale[c] * v[at] + affine.shift[c];
            let mut y = vec![f32::NAN; bv.len()];
            training::normalise(isa, len, &affine, &bv, relu, Some(&badd), &mut y);
            let mut gv = vec![f32::NAN; bv.len()];
            let coefficients = [&affine.scale[..], &affine.shift[..], &affine.scale[..]];
            training::gradient(isa, len, &affine, relu, coefficients, &bg, &bv, &mut gv);
            let (y, gv) = (unpacked(isa, channels, len, &y), unpacked(isa, channels, len, &gv));
            let (sums, products) = training::gradient_sums(isa, len, &bv, &bg, &affine, &moments.mean, relu);
            let plain = training::channel_sums(isa, groups, len, &bg);
            let (mut wanted, mut wanted_products) = (vec![0.0; channels], vec![0.0; channels]);
            for at in 0..v.len() {
                let c = at / len % channels;
                let passed = if relu && z(at, c) <= 0.0 { 0.0 } else { g[at] };
                prop_assert_eq!(y[at], if relu { z(at, c).max(0.0) } else { z(at, c) } + add[at]);
                prop_assert_eq!(gv[at], affine.scale[c] * passed + affine.shift[c] * v[at] + affine.scale[c]);
                wanted[c] += f64::from(passed);
                wanted_products[c] += f64::from(passed) * (f64::from(v[at]) - moments.mean[c]);
            }
            for c in 0..channels {
                prop_assert!((sums[c] - wanted[c]).abs() < 1e-4 && (products[c] - wanted_products[c]).abs() < 1e-3);
                prop_assert!((plain[c] - column(&g, c).iter().sum::<f64>()).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn adam_is_its_formula(len in 1usize..70, seed in any::<u64>()) {
        let (p, m, g) = (values(seed, len), values(seed + 1, len), values(seed + 2, len));
        let v: Vec<f32> = values(seed + 3, len).iter().map(|v| v * v).collect();
        let step = AdamStep { size: 0.02, root: 0.5, weight1: 0.1, beta2: 0.999, weight2: 0.001, epsilon: 1e-8 };
        let (mut p1, mut m1, mut v1) = (p.clone(), m.clone(), v.clone());
        step.update(&mut p1, &mut m1, &mut v1, &g);
        for i in 0..len {
            let (m, v) = (f64::from(m[i]) + 0.1 * f64::from(g[i] - m[i]), 0.999 * f64::from(v[i]) + 0.001 * f64::from(g[i]).powi(2));
            let wanted = f64::from(p[i]) - 0.02 * m / (v.sqrt() / 0.5 + 1e-8);
            prop_assert!((f64::from(m1[i]) - m).abs() < 1e-6 && (f64::from(v1[i]) - v).abs() < 1e-6);
            prop_assert!((f64::from(p1[i]) - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{} {wanted}", p1[i]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_chain_is_its_links(
        (a, b, kernel) in (1usize..20, 1usize..20, 1usize..12),
        len in 12usize..90, batch in 1usize..4, links in 1usize..5, tiles in 1usize..4, seed in any::<u64>(),
    ) {
        let conv = |c_in: usize, c_out: usize| Conv1d {
            c_in, c_out, len_in: len, kernel, stride: 1, dilation: 1, pad_left: (kernel - 1) / 2, pad_right: kernel / 2,
        };
        let Some(tiling) = [7usize, 12, 15, 20, 28, 36, 45, 49, 64, 75, 96, 100].into_iter()
            .filter_map(|half| Tiling::new(&conv(a, b), half)).find(|tiling| tiling.tiles() <= tiles) else { return Ok(()) };
        let geometry: Vec<Conv1d> = (0..links).map(|n| if n % 2 == 0 { conv(a, b) } else { conv(b, a) }).collect();
        for isa in isas() {
            let method = Some(Method::Spectral(tiling));
            let convs: Vec<FusedConv> = geometry.iter().enumerate()
                .map(|(n, conv)| FusedConv::forward(*conv, &values(seed + n as u64, conv.weight_size()), isa, method)).collect();
            if !convs.windows(2).all(|pair| chain::follows(&pair[0], &pair[1])) {
                continue;
            }
            let factors = |n: usize, count: usize| values(seed + 40 + n as u64, count);
            let gates: Vec<Vec<f32>> = geometry.iter().enumerate()
                .map(|(n, conv)| packed(isa, conv.c_in, len, &values(seed + 20 + n as u64, batch * conv.input_size()))).collect();
            let gate = |n: usize| match (seed as usize + n) % 4 { 0 => Gate::Open, 1 => Gate::Derivative(&gates[n]), 2 => Gate::Positive, _ => Gate::PositiveDerivative(&gates[n]) };
            let x = packed(isa, a, len, &values(seed + 60, batch * a * len));
            // One by one: every second link adds what went into the one before it.
            let (mut ys, mut keeps): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (vec![x.clone()], vec![]);
            for (n, fused) in convs.iter().enumerate() {
                let (scale, shift, bias, factor) = (factors(n, fused.conv().c_out), factors(n + 9, fused.conv().c_out), factors(n + 18, fused.conv().c_out), factors(n + 27, fused.conv().c_in));
                let size = batch * blocked::size(isa, fused.conv().c_out, len);
                let (mut y, mut keep) = (vec![f32::NAN; size], vec![f32::NAN; size]);
                let add = (n % 2 == 1).then(|| ys[n - 1].clone());
                let finish = Finish { affine: Some((&scale, &shift)), keep: Some(&mut keep), relu: n != 0, add: add.as_deref(), ..Finish::default() };
                fused.run(batch, &ys[n], (gate(n), Some(&factor)), Some(&bias), finish, &mut y, false);
                ys.push(y);
                keeps.push(keep);
            }
            // As a chain: even links go nowhere unless they are last, odd ones into the buffer that they add.
            let (mut first, mut last) = (x.clone(), vec![f32::NAN; ys[links].len()]);
            let mut kept: Vec<Vec<f32>> = keeps.iter().map(|keep| vec![f32::NAN; keep.len()]).collect();
            let parameters: Vec<[Vec<f32>; 4]> = convs.iter().enumerate()
                .map(|(n, f)| [factors(n, f.conv().c_out), factors(n + 9, f.conv().c_out), factors(n + 18, f.conv().c_out), factors(n + 27, f.conv().c_in)]).collect();
            let mut chained: Vec<Link<'_>> = kept.iter_mut().enumerate().map(|(n, keep)| Link {
                conv: &convs[n],
                gate: gate(n),
                scale: Some(&parameters[n][3]),
                bias: Some(&parameters[n][2]),
                finish: Finish { affine: Some((&parameters[n][0], &parameters[n][1])), keep: Some(keep), relu: n != 0, ..Finish::default() },
                add: (n % 2 == 1).then_some(0),
                y: if n % 2 == 1 { Some(0) } else { (n + 1 == links).then_some(1) },
            }).collect();
            chain::run(batch, &mut [&mut first, &mut last], 0, &mut chained, seed % 2 == 0);
            let found = if links % 2 == 0 { &first } else { &last };
            prop_assert!(found == &ys[links], "{isa} {tiling:?} {links} links");
            prop_assert!(kept == keeps, "{isa} {tiling:?} kept values");
        }
    }
}
