//! Every kernel once at small sizes, for Miri, which checks each access of the scalar path:
//! `MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks" RAYON_NUM_THREADS=1 cargo +nightly miri test -p cardiograd-kernels --test scalar`
//! (a few minutes).

use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::double::{Activation, DoubleConv, Scheme, Shape, Signal};
use cardiograd_kernels::training::{self, AdamStep, Affine, Moments};
use cardiograd_kernels::{Conv1d, Isa, Method, PreparedConv, Tiling, WeightGradient, conv1d, naive, team};

const ISA: Isa = Isa::Portable;

fn values(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 53) as f32 / 26.5 - 1.0).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

fn close(found: &[f32], wanted: &[f64]) {
    for (a, b) in found.iter().zip(wanted) {
        assert!((f64::from(*a) - b).abs() < 1e-4, "{a} for {b}");
    }
}

fn packed(channels: usize, len: usize, x: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; x.len() / (channels * len) * blocked::size(ISA, channels, len)];
    blocked::pack(ISA, channels, len, x, &mut to);
    to
}

fn unpacked(channels: usize, len: usize, x: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; x.len() / blocked::size(ISA, channels, len) * channels * len];
    blocked::unpack(ISA, channels, len, x, &mut to);
    to
}

/// One frame, two tiles, a stride with dilation, and a kernel longer than the signal.
fn geometries() -> Vec<(Conv1d, Option<Method>)> {
    let same = |c_in, c_out, len_in, kernel: usize| {
        let (pad_left, pad_right) = ((kernel - 1) / 2, kernel / 2);
        Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left, pad_right }
    };
    let spectral = |conv: Conv1d, half| (conv, Tiling::new(&conv, half).map(Method::Spectral));
    vec![
        spectral(same(2, 9, 8, 3), 5),
        spectral(same(9, 2, 9, 3), 4),
        (same(2, 3, 5, 3), Some(Method::Direct)),
        (Conv1d { stride: 2, dilation: 2, ..same(2, 3, 7, 3) }, Some(Method::Direct)),
        (same(1, 1, 3, 5), Some(Method::Direct)),
    ]
}

#[test]
fn convolutions() {
    for (conv, form) in geometries() {
        let batch = 2;
        let (x, w, b) = (values(1, batch * conv.input_size()), values(2, conv.weight_size()), values(3, conv.c_out));
        let gy = values(4, batch * conv.output_size());
        let (mut y64, mut gx64, mut gw64) = (vec![0.0; gy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        naive::forward(&conv, batch, &wide(&x), &wide(&w), Some(&wide(&b)), &mut y64);
        naive::grad_input(&conv, batch, &wide(&w), &wide(&gy), &mut gx64);
        naive::grad_weight(&conv, batch, &wide(&x), &wide(&gy), &mut gw64);
        let prepared = PreparedConv::with(conv, &w, ISA, form);
        let (mut y, mut gx, mut gw) = (vec![0.0; gy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        prepared.forward(batch, &x, Some(&b), &mut y);
        prepared.grad_input(batch, &gy, &mut gx);
        conv1d::grad_weight_with(&conv, ISA, form, batch, &x, &gy, &mut gw);
        close(&y, &y64);
        close(&gx, &gx64);
        close(&gw, &gw64);

        let (bx, bgy) = (packed(conv.c_in, conv.len_in, &x), packed(conv.c_out, conv.len_out(), &gy));
        for parallel in [false, true] {
            let mut by = vec![0.0; bgy.len()];
            let fused = FusedConv::forward(conv, &w, ISA, form);
            team(|| fused.run(batch, &bx, (Gate::Open, None), Some(&b), Finish::default(), &mut by, parallel));
            close(&unpacked(conv.c_out, conv.len_out(), &by), &y64);
        }
        let gradient = WeightGradient::new(conv, ISA, form);
        let mut sums = vec![0.0; batch * gradient.size()];
        for (n, sums) in sums.chunks_mut(gradient.size()).enumerate() {
            let (size_x, size_y) = (bx.len() / batch, bgy.len() / batch);
            gradient.part(1, &bx[n * size_x..][..size_x], &bgy[n * size_y..][..size_y], sums);
        }
        gradient.finish(&mut sums, &mut gw);
        close(&gw, &gw64);
    }
}

#[test]
fn elementwise_work() {
    let (channels, len, batch) = (9, 5, 2);
    let groups = 2;
    let v = packed(channels, len, &values(1, batch * channels * len));
    let g = packed(channels, len, &values(2, batch * channels * len));
    let moments = Moments::of(ISA, groups, len, &v);
    let affine = Affine { scale: vec![0.5; 16], shift: vec![0.1; 16] };
    let (mut y, mut gv) = (vec![0.0; v.len()], vec![0.0; v.len()]);
    training::normalise(ISA, len, &affine, &v, true, Some(&g), &mut y);
    training::gradient(ISA, len, &affine, true, [&affine.scale, &affine.shift, &affine.scale], &g, &v, &mut gv);
    let (sums, products) = training::gradient_sums(ISA, len, &v, &g, &affine, &moments.mean, true);
    assert!(sums.len() == 16 && products.iter().all(|v| v.is_finite()) && y.iter().chain(&gv).all(|v| v.is_finite()));
    let mut gated = g.clone();
    blocked::gate(ISA, v.len() / batch, Gate::PositiveDerivative(&v), &mut gated);
    assert!(gated.iter().zip(&v).all(|(g, v)| *g == 0.0 || *v > 0.0));
    let (mut p, mut m, mut s) = (values(3, 7), values(4, 7), vec![0.5; 7]);
    AdamStep { size: 0.1, root: 1.0, weight1: 0.1, beta2: 0.9, weight2: 0.1, epsilon: 1e-8 }.update(&mut p, &mut m, &mut s, &values(5, 7));
    assert!(p.iter().all(|v| v.is_finite()));
}

#[test]
fn convolutions_in_f64() {
    let s = Shape { c_in: 2, c_out: 3, factor: 1, taps: 3, stride: 2, pad: 1, len_in: 9, steps: 5 };
    let (x, w) = (values(1, 2 * 9), wide(&values(2, 3 * 2 * 3)));
    let conv = Conv1d { c_in: 2, c_out: 3, len_in: 9, kernel: 3, stride: 2, dilation: 1, pad_left: 1, pad_right: 1 };
    let mut wanted = vec![0.0; 3 * 5];
    naive::forward(&conv, 1, &wide(&x), &w, None, &mut wanted);
    for form in [Scheme::Direct, Scheme::Toom] {
        let conv = DoubleConv::with_form(s, &w, &[0.0; 3], Activation::Leaky(1.0), form);
        let (mut input, mut y) = (conv.input(2), Signal::new(2, 4, 5, (3, 2, 1)));
        (0..2).for_each(|example| input.fill(example, 0, &x));
        conv.run(ISA, &input, &mut [(&mut y, 1)], false);
        let mut found = vec![0.0; 4 * 5];
        y.give(1, &mut found, |v| v as f32);
        close(&found[5..], &wanted);
    }
}
