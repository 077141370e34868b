//! Times the convolutions of the study's network: GFLOP/s counted as the direct product's, and milliseconds per example.

use cardiograd_kernels::{Conv1d, PreparedConv, conv1d};
use std::time::Instant;

fn best(mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    let mut best = f64::MAX;
    while start.elapsed().as_secs_f64() < 0.5 {
        let at = Instant::now();
        work();
        best = best.min(at.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let same = |c_in, c_out, len_in, kernel: usize| {
        let left = (kernel - 1) / 2;
        Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left: left, pad_right: kernel - 1 - left }
    };
    for conv in [same(12, 64, 600, 8), same(64, 32, 600, 3), same(32, 64, 300, 50), same(64, 32, 300, 50), same(32, 64, 2500, 50)] {
        println!("{} -> {} k{} L{}: {}", conv.c_in, conv.c_out, conv.kernel, conv.len_in, conv.plan());
        for batch in [1, 32, 200] {
            let (x, w) = (vec![0.5f32; batch * conv.input_size()], vec![0.25; conv.weight_size()]);
            let (mut y, mut gx, mut gw) = (vec![0.0; batch * conv.output_size()], vec![0.0; x.len()], vec![0.0; w.len()]);
            let prepared = PreparedConv::new(conv, &w);
            let seconds = [
                best(|| prepared.forward(batch, &x, None, &mut y)),
                best(|| prepared.grad_input(batch, &y, &mut gx)),
                best(|| conv1d::grad_weight(&conv, batch, &x, &y, &mut gw)),
                best(|| PreparedConv::new(conv, &w).forward(1, &x[..conv.input_size()], None, &mut y[..conv.output_size()])),
            ];
            let flops = 2.0 * (conv.weight_size() * conv.len_out() * batch) as f64;
            print!("  batch {batch:3}:");
            for (name, s) in ["forward", "grad_input", "grad_weight"].into_iter().zip(seconds) {
                print!("  {name} {:.4} ms/ECG ({:.0} GFLOP/s)", 1e3 * s / batch as f64, flops / s / 1e9);
            }
            println!("  prepare + 1: {:.3} ms", 1e3 * seconds[3]);
        }
    }
}
