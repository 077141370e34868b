//! Speed of the convolutions that matter here: milliseconds per example, GFLOP/s counted as the direct product's (so an FFT can exceed the peak),
//! and the share of this machine's peak of fused multiply-adds. `cargo bench -p cardiograd-kernels`; `CARDIOGRAD_KERNEL` and `RAYON_NUM_THREADS` act.

use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::{Conv1d, Isa, PreparedConv, conv1d};
use std::hint::black_box;
use std::time::Instant;

/// The shortest of the runs of a third of a second.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < 0.3 {
        let at = Instant::now();
        work();
        best = best.min(at.elapsed().as_secs_f64());
    }
    best
}

/// Steps of the loop that measures the peak.
const STEPS: usize = 100_000;

#[cfg(target_arch = "x86_64")]
mod peak {
    use std::arch::x86_64::*;

    /// 16 chains of multiply-adds of 16 lanes.
    #[target_feature(enable = "avx512f")]
    pub fn avx512(x: f32) -> f32 {
        let (a, b) = (_mm512_set1_ps(x), _mm512_set1_ps(0.5));
        let mut sums = [_mm512_set1_ps(1.0); 16];
        for _ in 0..super::STEPS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    /// 12 chains of 8 lanes.
    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(x: f32) -> f32 {
        let (a, b) = (_mm256_set1_ps(x), _mm256_set1_ps(0.5));
        let mut sums = [_mm256_set1_ps(1.0); 12];
        for _ in 0..super::STEPS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        sums.into_iter().map(|sum| _mm256_cvtss_f32(sum)).sum()
    }
}

/// GFLOP/s of fused multiply-adds on one core; 0 where no loop is written for the instruction set.
fn fma_peak(isa: Isa) -> f64 {
    #[cfg(target_arch = "x86_64")]
    match isa {
        Isa::Avx512 if isa.available() => {
            // SAFETY: the instruction set is available.
            return (2 * 16 * 16 * STEPS) as f64
                / best(|| {
                    // SAFETY: the instruction set is available, as the match arm asks.
                    black_box(unsafe { peak::avx512(black_box(0.5)) });
                })
                / 1e9;
        }
        Isa::Avx2 if isa.available() => {
            // SAFETY: the instruction set is available.
            return (2 * 12 * 8 * STEPS) as f64
                / best(|| {
                    // SAFETY: the instruction set is available, as the match arm asks.
                    black_box(unsafe { peak::avx2(black_box(0.5)) });
                })
                / 1e9;
        }
        _ => {}
    }
    let _ = isa;
    0.0
}

fn geometries() -> Vec<(&'static str, Conv1d)> {
    let same = |c_in, c_out, len_in, kernel: usize| {
        let left = (kernel - 1) / 2;
        Conv1d { c_in, c_out, len_in, kernel, stride: 1, dilation: 1, pad_left: left, pad_right: kernel - 1 - left }
    };
    let encoder = Conv1d { stride: 2, ..same(64, 128, 1250, 25) };
    vec![
        ("first layer", same(12, 64, 600, 8)),
        ("second layer", same(64, 32, 600, 3)),
        ("block, wide", same(32, 64, 300, 50)),
        ("block, narrow", same(64, 32, 300, 50)),
        ("block, 10 s", same(32, 64, 2500, 50)),
        ("plain net", same(64, 32, 300, 5)),
        ("generator", same(64, 32, 1000, 25)),
        ("encoder, stride 2", encoder),
    ]
}

fn main() {
    let isa = Isa::best();
    let threads = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let peak = fma_peak(isa) * threads as f64;
    println!("{isa}, {threads} threads, peak {peak:.0} GFLOP/s of fused multiply-adds\n");
    println!("| convolution | form | batch | forward | data gradient | weight gradient | fused forward |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for (name, conv) in geometries() {
        for batch in [1, 32] {
            let (x, w) = (vec![0.5f32; batch * conv.input_size()], vec![0.25; conv.weight_size()]);
            let (mut y, mut gx, mut gw) = (vec![0.0; batch * conv.output_size()], vec![0.0; x.len()], vec![0.0; w.len()]);
            let prepared = PreparedConv::new(conv, &w);
            let fused = FusedConv::forward(conv, &w, isa, None);
            let mut blocked_x = vec![0.0; batch * blocked::size(isa, conv.c_in, conv.len_in)];
            let mut blocked_y = vec![0.0; batch * blocked::size(isa, conv.c_out, conv.len_out())];
            blocked::pack(isa, conv.c_in, conv.len_in, &x, &mut blocked_x);
            let seconds = [
                best(|| prepared.forward(batch, &x, None, &mut y)),
                best(|| prepared.grad_input(batch, &y, &mut gx)),
                best(|| conv1d::grad_weight(&conv, batch, &x, &y, &mut gw)),
                best(|| {
                    let finish = Finish { relu: true, ..Finish::default() };
                    fused.run(batch, &blocked_x, (Gate::Open, None), None, finish, &mut blocked_y, true);
                }),
            ];
            let flops = 2.0 * (conv.weight_size() * conv.len_out() * batch) as f64;
            let form = conv.plan().to_string();
            print!("| {name} | {} | {batch} |", form.split(" on ").next().unwrap_or_default());
            for s in seconds {
                let rate = flops / s / 1e9;
                let share = if peak > 0.0 { format!(", {:.0} %", 100.0 * rate / peak) } else { String::new() };
                print!(" {:.4} ms, {rate:.0} GFLOP/s{share} |", 1e3 * s / batch as f64);
            }
            println!();
        }
    }
}
