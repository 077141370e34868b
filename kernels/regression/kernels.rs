//! Times of the kernels and of whole runs, held against those of an earlier state, by criterion:
//!
//! ```text
//! cargo bench --manifest-path kernels/regression/Cargo.toml -- --save-baseline before      # at the earlier state
//! cargo bench --manifest-path kernels/regression/Cargo.toml -- --baseline before           # at the later one: change in %, and whether it is more than noise
//! cargo bench --manifest-path kernels/regression/Cargo.toml -- --baseline before fft       # those whose names match
//! ```
//!
//! With `CARGO_TARGET_DIR` the two states may be two checkouts. `CARDIOGRAD_KERNEL` and `RAYON_NUM_THREADS` act.

use cardiograd::nn::{initialise, stevennet};
use cardiograd::tape::{Network, RuleSet, from_vec};
use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::{Conv1d, Isa, PreparedConv, conv1d};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

/// Numbers between −1 and 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A convolution that keeps the length.
fn same(c_in: usize, c_out: usize, len_in: usize, kernel: usize) -> Conv1d {
    let left = (kernel - 1) / 2;
    Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left: left, pad_right: kernel - 1 - left }
}

/// The layers of the study's network, a strided one, and kernels on either side of where transforms begin to pay.
fn layers() -> Vec<(&'static str, Conv1d)> {
    vec![
        ("first 12→64 k8", same(12, 64, 600, 8)),
        ("second 64→32 k3", same(64, 32, 600, 3)),
        ("wide 32→64 k50", same(32, 64, 300, 50)),
        ("narrow 64→32 k50", same(64, 32, 300, 50)),
        ("ten seconds 32→64 k50", same(32, 64, 2500, 50)),
        ("short 64→64 k5", same(64, 64, 250, 5)),
        ("middle 32→32 k17", same(32, 32, 1000, 17)),
        ("long 32→32 k300", same(32, 32, 1000, 300)),
        ("strided 64→64 k5 /2", Conv1d { stride: 2, ..same(64, 64, 500, 5) }),
    ]
}

/// The three products of each layer, planar, for a batch as training has it.
fn products(criterion: &mut Criterion) {
    const BATCH: usize = 16;
    let mut group = criterion.benchmark_group("convolution");
    for (name, conv) in layers() {
        let (x, gy) = (noise(BATCH * conv.input_size()), noise(BATCH * conv.output_size()));
        let (mut y, mut gx, mut gw) = (gy.clone(), x.clone(), noise(conv.weight_size()));
        let prepared = PreparedConv::new(conv, &noise(conv.weight_size()));
        group.throughput(Throughput::Elements((BATCH * conv.output_size()) as u64));
        group.bench_function(BenchmarkId::new("forward", name), |b| b.iter(|| prepared.forward(BATCH, black_box(&x), None, &mut y)));
        group.bench_function(BenchmarkId::new("input gradient", name), |b| b.iter(|| prepared.grad_input(BATCH, black_box(&gy), &mut gx)));
        group.bench_function(BenchmarkId::new("weight gradient", name), |b| {
            b.iter(|| conv1d::grad_weight(&conv, BATCH, black_box(&x), &gy, &mut gw));
        });
    }
    group.finish();
}

/// The same layers as plans run them: blocked, with a ReLU at the store, one example without other threads.
fn fused(criterion: &mut Criterion) {
    let isa = Isa::best();
    let mut group = criterion.benchmark_group("fused");
    for (name, conv) in layers() {
        let form = FusedConv::forward(conv, &noise(conv.weight_size()), isa, None);
        let mut x = vec![0.0; blocked::size(isa, conv.c_in, conv.len_in)];
        blocked::pack(isa, conv.c_in, conv.len_in, &noise(conv.input_size()), &mut x);
        let mut y = vec![0.0; blocked::size(isa, conv.c_out, conv.len_out())];
        group.bench_function(name, |b| {
            b.iter(|| {
                let finish = Finish { relu: true, ..Finish::default() };
                form.run(1, black_box(&x), (Gate::Open, None), None, finish, &mut y, false);
            });
        });
    }
    group.finish();
}

/// The study's network: predictions and gradients of one ECG and of many.
fn network(criterion: &mut Criterion) {
    let program = stevennet(12, None).expect("the study's network");
    let parameters = initialise(&program, 1, 0).expect("its first weights");
    let network = Network::new(program, parameters).expect("a network");
    let mut group = criterion.benchmark_group("stevennet");
    for (batch, len) in [(1, 600), (32, 600), (1, 5000)] {
        let x = from_vec(&[batch, 12, len], noise(batch * 12 * len));
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("forward {batch} × {len}"), |b| {
            b.iter(|| network.predict(std::slice::from_ref(&x)).expect("a prediction"))
        });
        group.bench_function(format!("gradient {batch} × {len}"), |b| {
            b.iter(|| {
                let look = network.look(x.clone()).expect("a run");
                network.look_back(&look, &RuleSet::plain(), None, 0).expect("a gradient")
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20).noise_threshold(0.03);
    targets = products, fused, network
}
criterion_main!(kernels);
