//! Safe functions are safe: each public function called with sizes that do not fit, wrap or are none. It panics, by an assertion of its own, in every
//! build; it never reads or writes what is not its.

use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::chain::{self, Link};
use cardiograd_kernels::double::{Activation, DoubleConv, Scheme, Shape, Signal};
use cardiograd_kernels::training::{self, AdamStep, Affine, Moments};
use cardiograd_kernels::{Choice, Conv1d, Isa, Method, PreparedConv, Real, Tiling, WeightGradient, batch_norm, conv1d, naive, pool};
use std::panic::{AssertUnwindSafe, catch_unwind};

const ISA: Isa = Isa::Portable;
/// Sizes that are none, wrap when multiplied by themselves, by 8 or 16, or by anything.
const HOSTILE: [usize; 7] = [0, 1 << 31, 1 << 56, 1 << 60, (1 << 61) + 1, usize::MAX - 7, usize::MAX];
const CONV: Conv1d = Conv1d { c_in: 2, c_out: 3, len_in: 9, kernel: 3, stride: 1, dilation: 1, pad_left: 1, pad_right: 1 };

/// That a call is refused.
#[track_caller]
fn refused<R>(what: &str, call: impl FnOnce() -> R) {
    // Memory refused by the allocator is no assertion, but a call that asks for so much has not been checked either.
    let outcome = catch_unwind(AssertUnwindSafe(call));
    let Err(panic) = outcome else { panic!("{what} was not refused") };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied()).unwrap_or("");
    let accident = ["attempt to", "out of range", "out of bounds", "capacity overflow", "divisor", "chunk size", "step !="];
    assert!(!accident.iter().any(|word| text.contains(word)), "{what} was refused by accident: {text}");
}

/// A geometry with one size replaced.
fn with(at: usize, size: usize) -> Conv1d {
    let mut conv = CONV;
    let sizes = [
        &mut conv.c_in,
        &mut conv.c_out,
        &mut conv.kernel,
        &mut conv.len_in,
        &mut conv.stride,
        &mut conv.dilation,
        &mut conv.pad_left,
        &mut conv.pad_right,
    ];
    for (index, place) in sizes.into_iter().enumerate() {
        if index == at {
            *place = size;
        }
    }
    conv
}

#[test]
fn geometries() {
    let w = vec![0.5f32; CONV.weight_size()];
    for at in 0..8 {
        for size in HOSTILE {
            let conv = with(at, size);
            // No signal and no padding are geometries, and so is a stride beyond the signal; 2³¹ of anything is large, but memory may hold it.
            let any = [3, 6, 7].contains(&at) && size == 0 || at == 4 && size > 0;
            if any || size == 1 << 31 {
                continue;
            }
            let what = format!("{conv:?}");
            refused(&what, || PreparedConv::new(conv, &w));
            refused(&what, || PreparedConv::with(conv, &w, ISA, Some(Method::Direct)));
            refused(&what, || FusedConv::forward(conv, &w, ISA, Some(Method::Direct)));
            refused(&what, || FusedConv::adjoint(conv, &w, ISA, None));
            refused(&what, || WeightGradient::new(conv, ISA, Some(Method::Direct)));
            refused(&what, || Choice::new(&conv, ISA));
            refused(&what, || Tiling::new(&conv, 8));
            refused(&what, || conv1d::grad_weight_with(&conv, ISA, None, 0, &[0f32; 0], &[], &mut [0.0; 18]));
            refused(&what, || naive::forward(&conv, 0, &[0f32; 0], &w, None, &mut []));
        }
    }
    assert!(Tiling::new(&CONV, 0).is_none() && Tiling::new(&CONV, usize::MAX).is_none());
}

/// A stride beyond the signal acts on nothing: there is one output.
#[test]
fn a_stride_beyond_the_signal() {
    let w: Vec<f32> = (0..18).map(|i| i as f32 - 7.5).collect();
    let x: Vec<f32> = (0..18).map(|i| (i * i % 11) as f32).collect();
    for stride in [11, 1 << 31, 1 << 48, 1 << 56, 1 << 58, usize::MAX] {
        for (dilation, kernel) in [(1, 3), (usize::MAX, 1)] {
            let conv = Conv1d { stride, dilation, kernel, ..CONV };
            if dilation > 1 {
                // A lone tap's dilation acts on nothing either.
                assert_eq!((conv.span(), conv.len_out()), (1, 1));
            }
            let w = &w[..conv.weight_size()];
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                let (mut y, mut wanted) = ([0.0f32; 3], [0.0f32; 3]);
                PreparedConv::with(conv, w, isa, None).forward(1, &x, None, &mut y);
                naive::forward(&conv, 1, &x, w, None, &mut wanted);
                assert_eq!(y, wanted, "{isa} {conv:?}");
                let (mut packed, mut out) = (vec![0.0; blocked::size(isa, 2, 9)], vec![0.0; blocked::size(isa, 3, 1)]);
                blocked::pack(isa, 2, 9, &x, &mut packed);
                FusedConv::forward(conv, w, isa, None).run(1, &packed, (Gate::Open, None), None, Finish::default(), &mut out, false);
                blocked::unpack(isa, 3, 1, &out, &mut y);
                assert_eq!(y, wanted);
                let (mut gw, mut wanted) = (vec![0.0f32; w.len()], vec![0.0f32; w.len()]);
                naive::grad_weight(&conv, 1, &x, &[1.0f32, -2.0, 0.5], &mut wanted);
                conv1d::grad_weight_with(&conv, isa, None, 1, &x, &[1.0f32, -2.0, 0.5], &mut gw);
                assert_eq!(gw, wanted);
                let gradient = WeightGradient::new(conv, isa, None);
                let mut sums = vec![0.0; gradient.size()];
                blocked::pack(isa, 3, 1, &[1.0, -2.0, 0.5], &mut out);
                gradient.part(1, &packed, &out, &mut sums);
                gradient.finish(&mut sums, &mut gw);
                assert_eq!(gw, wanted);
                let (mut gx, mut wanted) = ([0.0f32; 18], [0.0f32; 18]);
                naive::grad_input(&conv, 1, w, &[1.0f32, -2.0, 0.5], &mut wanted);
                PreparedConv::with(conv, w, isa, None).grad_input(1, &[1.0f32, -2.0, 0.5], &mut gx);
                assert_eq!(gx, wanted);
            }
        }
    }
}

/// Taps further apart than the slack behind a padded signal.
#[test]
fn a_wide_dilation() {
    let conv = Conv1d { c_in: 1, c_out: 1, len_in: 70, kernel: 2, stride: 1, dilation: 60, pad_left: 0, pad_right: 0 };
    let x: Vec<f32> = (0..70).map(|i| i as f32).collect();
    let (mut y, mut wanted) = ([0.0f32; 10], [0.0f32; 10]);
    PreparedConv::with(conv, &[2.0, -1.0], ISA, Some(Method::Direct)).forward(1, &x, None, &mut y);
    naive::forward(&conv, 1, &x, &[2.0, -1.0], None, &mut wanted);
    assert_eq!(y, wanted);
}

#[test]
fn batches() {
    let w = vec![0.5f32; CONV.weight_size()];
    let (mut x, mut y) = (vec![0.0f32; 18], vec![0.0f32; 27]);
    let (mut bx, mut by) = (vec![0.0f32; blocked::size(ISA, 2, 9)], vec![0.0f32; blocked::size(ISA, 3, 9)]);
    let prepared = PreparedConv::with(CONV, &w, ISA, None);
    let fused = FusedConv::forward(CONV, &w, ISA, None);
    let gradient = WeightGradient::new(CONV, ISA, None);
    let adjoint = FusedConv::adjoint(CONV, &w, ISA, None).unwrap();
    let tiling = Tiling::new(&CONV, 8).unwrap();
    let spectral = FusedConv::forward(CONV, &w, ISA, Some(Method::Spectral(tiling)));
    for batch in HOSTILE.into_iter().chain([2]) {
        // 72 · (2⁶¹ + 1) wraps to 72: the slices of one example would do.
        let what = format!("a batch of {batch}");
        refused(&what, || prepared.forward(batch, &x, None, &mut y));
        refused(&what, || prepared.grad_input(batch, &y, &mut x));
        refused(&what, || conv1d::grad_weight_with(&CONV, ISA, None, batch, &x, &y, &mut w.clone()));
        refused(&what, || naive::grad_input(&CONV, batch, &w, &y, &mut x));
        refused(&what, || naive::grad_weight(&CONV, batch, &x, &y, &mut w.clone()));
        refused(&what, || fused.run(batch, &bx, (Gate::Open, None), None, Finish::default(), &mut by, false));
        let mut sums = vec![0.0; gradient.size()];
        refused(&what, || gradient.part(batch, &bx, &by, &mut sums));
        refused(&what, || gradient.part_with(&adjoint, batch, &bx.clone(), &by, Finish::default(), &mut bx, &mut sums));
        if batch > 0 {
            let link =
                || Link { conv: &spectral, gate: Gate::Open, scale: None, bias: None, finish: Finish::default(), add: None, y: Some(1) };
            refused(&what, || chain::run(batch, &mut [&mut bx.clone(), &mut by.clone()], 0, &mut [link()], false));
        }
    }
    refused("sums of no part", || gradient.finish(&mut [], &mut w.clone()));
    refused("a part of sums", || gradient.finish(&mut vec![0.0; gradient.size() - 1], &mut w.clone()));
    refused("a short bias", || prepared.forward(1, &x, Some(&[0.0]), &mut y));
    refused("short factors", || fused.run(1, &bx, (Gate::Open, Some(&[1.0])), None, Finish::default(), &mut by, false));
    refused("a short gate", || fused.run(1, &bx, (Gate::Derivative(&[1.0; 8]), None), None, Finish::default(), &mut by, false));
    refused("few signs", || fused.run(1, &bx, (Gate::DerivativeSigns(&[1; 8]), None), None, Finish::default(), &mut by, false));
    let kept = &mut [0.0f32; 8];
    let finish = Finish { keep: Some(kept), ..Finish::default() };
    refused("short room", || fused.run(1, &bx, (Gate::Open, None), None, finish, &mut by, false));
    refused("other weights", || fused.clone().refresh(&[0.0; 17]));
    refused("other weights", || adjoint.clone().refresh_adjoint(&fused, &[0.0; 17]));
}

#[test]
fn blocked_activations() {
    for size in HOSTILE.into_iter().filter(|size| *size > 0) {
        let what = format!("a size of {size}");
        let (x, mut to) = (vec![0.0f32; 64], vec![0.0f32; 64]);
        for (count, len) in [(size, 8), (8, size), (size, size), (size, 1 << 61), (1 << 61, size)] {
            refused(&what, || blocked::pack(ISA, count, len, &x, &mut to));
            refused(&what, || blocked::unpack(ISA, count, len, &x, &mut to));
        }
        refused(&what, || blocked::gate(ISA, size, Gate::Positive, &mut to));
        for (len, window, stride) in [(size, 2, 2), (8, size, 2)] {
            refused(&what, || blocked::average(ISA, len, window, stride, &x, &mut to));
            refused(&what, || blocked::average_grad(ISA, len, window, stride, &x, &mut to));
            refused(&what, || blocked::max(ISA, len, window, stride, &x, &mut to));
            refused(&what, || blocked::max_grad(ISA, len, window, stride, &x, &x, &mut to));
            refused(&what, || pool::average(len, window, stride, &x, &mut to));
            refused(&what, || pool::average_grad(len, window, stride, &x, &mut to));
            refused(&what, || pool::max(len, window, stride, &x, &mut to, &mut [0; 64]));
        }
        refused(&what, || blocked::mean(ISA, size, &x, &mut to));
        refused(&what, || blocked::mean_grad(ISA, size, &x, &mut to));
        refused(&what, || blocked::affine(ISA, size, &x, &x, &mut to));
        refused(&what, || pool::max_grad(size, 1, &[0; 64], &x, &mut to));
    }
    let (x, mut to) = ([0.0f32; 64], [0.0f32; 64]);
    for (window, stride) in [(0, 1), (1, 0)] {
        refused("a pooling of 0", || blocked::max(ISA, 8, window, stride, &x, &mut to));
        refused("a pooling of 0", || pool::max(8, window, stride, &x, &mut to, &mut [0; 64]));
    }
    // This one is the slice's own check.
    assert!(catch_unwind(|| pool::max_grad(4, 1, &[4], &[1.0f32], &mut [0.0; 4])).is_err());
    refused("too few bits", || blocked::signs(ISA, &x, &mut [0; 7]));
    refused("a gate of other size", || blocked::gate(ISA, 64, Gate::PositiveDerivative(&x[..8]), &mut to));
    refused("half a register", || blocked::gate(ISA, 4, Gate::Positive, &mut to));
}

#[test]
fn training_between_convolutions() {
    let x = vec![0.5f32; 1200];
    // The sizes of the report: one group of 100 samples, 1 200 values, so an example and a half.
    refused("half an example", || Moments::of(ISA, 1, 100, &x));
    refused("half an example", || training::channel_sums(ISA, 1, 100, &x));
    refused("no example", || Moments::of(ISA, 1, 100, &[]));
    let affine = |channels: usize| Affine { scale: vec![1.0; channels], shift: vec![0.0; channels] };
    let mut y = vec![0.0f32; 64];
    let v = vec![0.5f32; 64];
    for size in HOSTILE {
        let what = format!("a size of {size}");
        for (groups, len) in [(size, 8), (1, size), (size, size)] {
            refused(&what, || Moments::of(ISA, groups, len, &v));
            refused(&what, || training::channel_sums(ISA, groups, len, &v));
            refused(&what, || batch_norm::channel_sums(groups, len, &v));
            refused(&what, || batch_norm::statistics(groups, len, &v));
            refused(&what, || batch_norm::gradient_sums(groups, len, &v, &v, &[0.0; 8], &[1.0; 8]));
            refused(&what, || batch_norm::affine(groups, len, &v, &[1.0; 8], &[0.0; 8], &mut y));
            refused(&what, || batch_norm::combine(groups, len, &[(1.0, 0.0, 0.0); 8], &v, &v, &mut y));
        }
        refused(&what, || training::normalise(ISA, size, &affine(8), &v, true, None, &mut y));
        refused(&what, || training::gradient_sums(ISA, size, &v, &v, &affine(8), &[0.0; 8], true));
        let abd = [&v[..8]; 3];
        refused(&what, || training::gradient(ISA, size, &affine(8), true, abd, &v, &v, &mut y));
    }
    for channels in [0, 4, 12] {
        refused("half registers", || training::normalise(ISA, 8, &affine(channels), &v, true, None, &mut y));
        refused("half registers", || training::gradient_sums(ISA, 8, &v, &v, &affine(channels), &[0.0; 16], true));
        refused("half registers", || training::gradient(ISA, 8, &affine(channels), true, [&v[..channels]; 3], &v, &v, &mut y));
    }
    refused("few means", || training::gradient_sums(ISA, 8, &v, &v, &affine(8), &[0.0; 7], true));
    refused("few coefficients", || training::gradient(ISA, 8, &affine(8), true, [&v[..7]; 3], &v, &v, &mut y));
    refused("another gradient", || training::gradient_sums(ISA, 8, &v, &v[..63], &affine(8), &[0.0; 8], true));
    refused("another addend", || training::normalise(ISA, 8, &affine(8), &v, true, Some(&v[..63]), &mut y));
    refused("other parts", || Moments::of(ISA, 1, 8, &v).merge(&Moments::of(ISA, 2, 4, &v)));
    let step = AdamStep { size: 0.1, root: 1.0, weight1: 0.1, beta2: 0.9, weight2: 0.1, epsilon: 1e-8 };
    refused("another gradient", || step.update(&mut y, &mut v.clone(), &mut v.clone(), &v[..63]));
}

#[test]
fn convolutions_in_f64() {
    let shape = Shape { c_in: 2, c_out: 3, factor: 1, taps: 3, stride: 1, pad: 1, len_in: 9, steps: 9 };
    let w = vec![0.5; 18];
    for form in [Scheme::Direct, Scheme::Toom] {
        let make = |shape: Shape| DoubleConv::with_form(shape, &w, &[0.0; 3], Activation::None, form);
        for size in HOSTILE {
            let shapes = [
                Shape { c_in: size, ..shape },
                Shape { c_out: size, ..shape },
                Shape { factor: size, ..shape },
                Shape { taps: size, ..shape },
                Shape { len_in: size, ..shape },
                Shape { steps: size, ..shape },
                Shape { stride: size, ..shape },
            ];
            for shape in shapes.into_iter().filter(|shape| shape.len_in != 1 << 31) {
                refused(&format!("{shape:?}"), || make(shape));
            }
            if size > 1 << 31 {
                refused("a padding beyond memory", || make(Shape { pad: size, ..shape }).input(1));
                refused("a group beyond memory", || make(shape).input(size));
                refused("a long signal", || Signal::new(1, 1, size, (1, 1, 0)));
                refused("many channels", || Signal::new(1, size, 8, (1, 1, 0)));
            }
            let conv = make(shape);
            let (input, mut y) = (conv.input(1), Signal::new(1, 4, 9, (1, 1, 0)));
            refused("a channel that wraps", || conv.run(ISA, &input, &mut [(&mut y, size.max(2))], false));
            refused("a channel that wraps", || conv.input(1).fill(0, size.max(2), &[0.0; 9]));
        }
        let conv = make(shape);
        let mut y = Signal::new(1, 3, 9, (1, 1, 0));
        refused("another input", || conv.run(ISA, &Signal::new(1, 2, 9, (3, 1, 0)), &mut [(&mut y, 0)], false));
        refused("another group", || conv.run(ISA, &conv.input(2), &mut [(&mut y, 0)], false));
        refused("another length", || conv.run(ISA, &conv.input(1), &mut [(&mut Signal::new(1, 3, 8, (1, 1, 0)), 0)], false));
        refused("no such example", || conv.input(1).fill(1, 0, &[0.0; 18]));
        refused("no such example", || conv.input(1).give(1, &mut [0.0; 18], |v| v));
    }
}

#[test]
fn matrix_products() {
    let (a, mut c) = ([1.0f64; 4], [0.0f64; 4]);
    for size in HOSTILE.into_iter().filter(|size| *size > 1) {
        let strides = [(size, 1), (1, size)];
        for (row, col) in strides {
            refused("strides of A", || f64::gemm(2, 2, 2, 1.0, (&a, row, col), (&a, 2, 1), 0.0, (&mut c, 2, 1)));
            refused("strides of B", || f64::gemm(2, 2, 2, 1.0, (&a, 2, 1), (&a, row, col), 0.0, (&mut c, 2, 1)));
            refused("strides of C", || f64::gemm(2, 2, 2, 1.0, (&a, 2, 1), (&a, 2, 1), 0.0, (&mut c, row, col)));
        }
        refused("rows of A", || f64::gemm(size, 1, 1, 1.0, (&a, 1, 1), (&a, 1, 1), 0.0, (&mut c, 1, 1)));
        refused("terms", || f64::gemm(1, size, 1, 1.0, (&a, 1, 1), (&a, 1, 1), 0.0, (&mut c, 1, 1)));
        refused("columns", || f64::gemm(1, 1, size, 1.0, (&a, 1, 1), (&a, 1, 1), 0.0, (&mut c, 1, 1)));
    }
    // usize::MAX is −1 as a pointer's stride, also where there is one row.
    refused("a stride of −1", || f64::gemm(1, 2, 1, 1.0, (&a, usize::MAX, 1), (&a, 1, 1), 0.0, (&mut c, 1, 1)));
    refused("elements that are one", || f64::gemm(2, 1, 1, 1.0, (&a, 1, 1), (&a, 1, 1), 0.0, (&mut c, 0, 1)));
    refused("elements that are one", || f64::gemm(2, 1, 2, 1.0, (&a, 1, 1), (&a, 1, 1), 0.0, (&mut c, 1, 1)));
    f64::gemm(2, 0, 2, 1.0, (&[], 0, 1), (&[], 2, 1), 1.0, (&mut c, 2, 1));
    f64::gemm(0, usize::MAX, 0, 1.0, (&[], 0, 1), (&[], 2, 1), 1.0, (&mut c, 2, 1));
    assert_eq!(c, [0.0; 4]);
}
