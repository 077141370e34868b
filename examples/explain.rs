//! Load a PyTorch state dict, explain one ECG, write an `.npz`:
//! `cargo run --release --example explain -- model.pt stevennet x.npy out.npz`

use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::files::{npy, npz::NpzWriter};
use cardiograd::nn::load_model;
use cardiograd::progress::silent;
use ndarray::Axis;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, arch, input, output] = &arguments[..] else {
        return Err("usage: explain MODEL ARCH X.npy OUT.npz".into());
    };
    let model = load_model(model, Some(arch))?;

    // One ECG, (12, L) in µV, as a batch of one.
    let x = npy::read_f32(input)?;
    let x = if x.ndim() == 2 { x.insert_axis(Axis(0)) } else { x };

    // The settings of the study; `seed` and the ECG's number (here 0) address every random draw.
    let settings = Settings { seed: 1, ..Settings::default() };
    let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
    let explainer = Explainer::new(&model.network, &settings)?;
    let found = explainer.explain(&x.into_shared(), &ids, &Method::STUDY, &silent)?;

    let mut archive = NpzWriter::create(output)?;
    for (method, map) in &found.maps {
        archive.add(method.name(), map.view())?;
    }
    archive.finish()?;
    println!("prediction {:?}; {} maps in {output}", found.prediction, found.maps.len());
    Ok(())
}
