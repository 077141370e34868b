//! The study's networks against PyTorch: the same weights, made by a formula on both sides, give the same predictions.

use cardiograd::nn::architecture;
use cardiograd::tape::{Network, Op, Parameters, from_vec};

/// Values in shift ± scale by an integer hash of the name and the index.
fn values(name: &str, count: usize, scale: f64, shift: f64) -> Vec<f64> {
    let seed: u64 = name.bytes().zip(1..).map(|(byte, at)| u64::from(byte) * at).sum();
    let hash = |i: u64| {
        let h = (i + seed * 1_000_003).wrapping_mul(2_654_435_761) % (1 << 32);
        let h = ((h ^ (h >> 15)) * 2_246_822_519) % (1 << 32);
        (h ^ (h >> 13)) as f64
    };
    (0..count as u64).map(|i| shift + scale * (hash(i) / f64::from(1u32 << 31) - 1.0)).collect()
}

fn network(name: &str) -> Network<f64> {
    let program = architecture(name).unwrap();
    let mut parameters = Parameters::new();
    for node in program.parameters().into_iter().map(|id| program.node(id)) {
        let Op::Parameter { shape, .. } = &node.op else { unreachable!() };
        let count: usize = shape.iter().product();
        let (scale, shift) = match shape.len() {
            1 if node.name.ends_with("running_var") || node.name.ends_with("weight") => (0.5, 1.0),
            1 => (0.3, 0.0),
            _ => (2.0 / ((count / shape[0]) as f64).sqrt(), 0.0),
        };
        parameters.insert(node.name.clone(), from_vec(shape, values(&node.name, count, scale, shift)));
    }
    Network::new(program, parameters).unwrap()
}

/// Predictions of PyTorch 2 in float64 for x (2, 12, 150).
fn agrees(name: &str, expected: [f64; 2]) {
    let x = from_vec(&[2, 12, 150], values("x", 2 * 12 * 150, 1.0, 0.0));
    let network = network(name);
    let found = network.predict(std::slice::from_ref(&x)).unwrap();
    let single = network.cast::<f32>().predict(&[cardiograd::tape::cast(&x)]).unwrap();
    for row in 0..2 {
        assert!((found[[row, 0]] - expected[row]).abs() < 1e-11 * expected[row].abs(), "{name}: {} {}", found[[row, 0]], expected[row]);
        assert!((f64::from(single[[row, 0]]) - expected[row]).abs() < 1e-5 * expected[row].abs());
    }
}

#[test]
fn stevennet_predicts_as_in_pytorch() {
    agrees("stevennet", [6.674277706259693, 6.4010424406778865]);
}

#[test]
fn standardconv_predicts_as_in_pytorch() {
    agrees("standardconv", [0.7862052026977927, 0.8168367337892927]);
}
