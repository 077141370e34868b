//! Perturbation against its definition, and its independence of threads and batches.
#![allow(missing_docs)]

use cardiograd::evaluation::perturbation::{PerturbationSettings, Predictor, noise, order, perturb};
use cardiograd::nn::{initialise, standardconv};
use cardiograd::progress::silent;
use cardiograd::random::{Stage, Stream};
use cardiograd::tape::{Network, Tensor, slice};
use cardiograd::{Error, Result};
use ndarray::{Array3, Axis};
use proptest::prelude::*;
use rand_distr::{Distribution, StandardNormal};

/// Predicts Σ weight · x, so that every curve can be written down.
struct Weighted(Vec<f32>);

impl Predictor for Weighted {
    fn predict_batch(&self, x: Tensor<f32>) -> Result<Vec<f32>> {
        let dot = |row: &[f32]| row.iter().zip(&self.0).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() as f32;
        Ok(slice(&x).chunks(self.0.len()).map(dot).collect())
    }
}

fn normal(seed: u64, shape: (usize, usize, usize)) -> Array3<f32> {
    let mut rng = Stream::new(seed, Stage::Simulator).rng();
    Array3::from_shape_simple_fn(shape, || {
        let draw: f64 = StandardNormal.sample(&mut rng);
        (100.0 * draw) as f32
    })
}

proptest! {
    #[test]
    fn points_come_by_decreasing_size_and_then_by_place(map in prop::collection::vec(-3i8..=3, 1..60), count in 0usize..70) {
        let map: Vec<f32> = map.into_iter().map(f32::from).collect();
        let mut slow: Vec<usize> = (0..map.len()).collect();
        slow.sort_by_key(|place| (-(map[*place].abs() as i32), *place));
        slow.truncate(count);
        prop_assert_eq!(order(&map, count).unwrap(), slow);
    }

    #[test]
    fn curves_are_what_the_procedure_says(seed in 0u64..1000, iterations in 1usize..20) {
        let (x, map) = (normal(seed, (2, 3, 7)), normal(seed + 1, (2, 3, 7)));
        let weights: Vec<f32> = normal(seed + 2, (1, 3, 7)).into_iter().collect();
        let settings = PerturbationSettings { iterations, seed, ..Default::default() };
        let curves = perturb(&Weighted(weights.clone()), x.view(), &[5, 9], &[map.view()], &settings, &silent).unwrap();
        prop_assert_eq!(curves[0].dim(), (2, iterations + 1));
        for (n, id) in [5u64, 9].into_iter().enumerate() {
            let mut now: Vec<f64> = x.index_axis(Axis(0), n).iter().map(|v| f64::from(*v)).collect();
            let sigma = 0.2 * (now.iter().copied().fold(f64::MIN, f64::max) - now.iter().copied().fold(f64::MAX, f64::min));
            let mut rng = Stream::new(seed, Stage::Perturbation).ecg(id).rng();
            let own: Vec<f32> = map.index_axis(Axis(0), n).iter().copied().collect();
            let mut places: Vec<usize> = (0..own.len()).collect();
            places.sort_by(|a, b| own[*b].abs().partial_cmp(&own[*a].abs()).unwrap());
            for t in 0..=iterations {
                if t > 0 {
                    let draw: f64 = StandardNormal.sample(&mut rng);
                    now[places[t - 1]] += sigma * draw;
                }
                let expected: f64 = now.iter().zip(&weights).map(|(x, w)| x * f64::from(*w)).sum();
                let found = f64::from(curves[0][[n, t]]);
                prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs() + 1e5), "{found} for {expected}");
            }
        }
    }
}

#[test]
fn the_noise_is_that_of_the_ecg_and_the_repeat_alone() {
    let x = normal(1, (1, 12, 40));
    let settings = PerturbationSettings { iterations: 30, seed: 3, ..Default::default() };
    let draws = noise(x.iter(), 7, &settings);
    assert_eq!(draws[..10], noise(x.iter(), 7, &PerturbationSettings { iterations: 10, ..settings }));
    assert_ne!(draws, noise(x.iter(), 8, &settings));
    assert_ne!(draws, noise(x.iter(), 7, &PerturbationSettings { repeat: 1, ..settings }));
    // Two methods with the same map, and one map given alone: the same curve.
    let weights = vec![1.0; 480];
    let run =
        |maps: &[ndarray::ArrayView3<'_, f32>]| perturb(&Weighted(weights.clone()), x.view(), &[7], maps, &settings, &silent).unwrap();
    let both = run(&[x.view(), x.view()]);
    assert_eq!(both[0], both[1]);
    assert_eq!(both[0], run(&[x.view()])[0]);
}

#[test]
fn curves_do_not_depend_on_threads_batches_or_company() {
    let program = standardconv(12, None).unwrap();
    let network: Network<f32> = Network::new(program.clone(), initialise(&program, 2, 0).unwrap()).unwrap();
    let (x, map) = (normal(4, (3, 12, 120)), normal(5, (3, 12, 120)));
    let settings = PerturbationSettings { iterations: 40, seed: 1, ..Default::default() };
    let run = |threads: usize, memory: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let settings = PerturbationSettings { memory, ..settings };
        pool.install(|| perturb(&network, x.view(), &[0, 1, 2], &[map.view()], &settings, &silent).unwrap())
    };
    let one = run(1, 64 << 20);
    assert_eq!(one, run(3, 64 << 20));
    assert_eq!(one, run(2, 7 * 12 * 120 * 4 * 2));
    let (alone, own) = (x.select(Axis(0), &[1]), map.select(Axis(0), &[1]));
    let alone = perturb(&network, alone.view(), &[1], &[own.view()], &settings, &silent).unwrap();
    assert_eq!(one[0].row(1), alone[0].row(0));
}

#[test]
fn what_cannot_be_perturbed_is_refused() {
    let x = normal(1, (1, 2, 5));
    let weights = Weighted(vec![1.0; 10]);
    let settings = PerturbationSettings { iterations: 5, ..Default::default() };
    let run = |x: &Array3<f32>, map: &Array3<f32>, settings: &PerturbationSettings| {
        perturb(&weights, x.view(), &[4], &[map.view()], settings, &silent)
    };
    assert!(run(&x, &x, &settings).is_ok());
    assert!(matches!(run(&x, &x, &PerturbationSettings { iterations: 11, ..settings }), Err(Error::Usage(_))));
    assert!(matches!(run(&x, &x, &PerturbationSettings { iterations: 0, ..settings }), Err(Error::Usage(_))));
    assert!(matches!(run(&x, &x, &PerturbationSettings { strength: f64::NAN, ..settings }), Err(Error::Usage(_))));
    assert!(matches!(run(&x, &normal(1, (1, 2, 4)), &settings), Err(Error::Shape { .. })));
    let mut broken = x.clone();
    broken[[0, 1, 3]] = f32::NAN;
    let error = run(&x, &broken, &settings).unwrap_err().to_string();
    assert!(error.contains("ECG 4, lead 1, sample 3") && error.contains("attribution"), "{error}");
    assert!(run(&broken, &x, &settings).is_err());
}
