#![cfg_attr(fuzzing, no_main)]
//! Random tensors under random names through each format of weights and back; random models through every file that `convert` writes.

use arbitrary::{Result, Unstructured};
use cardiograd::files::state_dict::{self, StateDict, Tensor, Values};
use cardiograd::nn::{Model, load_model, to_state_dict};
use cardiograd_fuzz::tensors::{round_trip, sorted};
use cardiograd_fuzz::{path, plans, programs};

fn check(input: &[u8]) {
    let mut from = Unstructured::new(input);
    if from.ratio(3u8, 4u8).unwrap_or(true) {
        if let Ok(dict) = tensors(&mut from) {
            round_trip(&dict);
        }
    } else if let Ok((program, mut draw)) = programs::arbitrary(&mut from)
        && let Some((network, _)) = plans::prepare(program, 16, &mut draw)
    {
        convert(&Model::new(network));
    }
}

/// Tensors of any shape, sizes of 0 among them, under any names.
fn tensors(from: &mut Unstructured<'_>) -> Result<StateDict> {
    let mut dict = StateDict::new();
    for _ in 0..from.int_in_range(0..=6)? {
        let name: String = from.arbitrary()?;
        let shape: Vec<usize> = (0..from.int_in_range(0..=4)?).map(|_| from.int_in_range(0..=4)).collect::<Result<_>>()?;
        let count: usize = shape.iter().product();
        let values = match from.int_in_range(0..=2)? {
            0 => Values::F32((0..count).map(|_| Ok(f32::from_bits(from.arbitrary()?))).collect::<Result<_>>()?),
            1 => Values::F64((0..count).map(|_| Ok(f64::from_bits(from.arbitrary()?))).collect::<Result<_>>()?),
            _ => Values::I64((0..count).map(|_| from.arbitrary()).collect::<Result<_>>()?),
        };
        let tensor = Tensor::new(shape, values).expect("as many values as the shape asks for");
        // A name that is taken is refused.
        let taken = dict.get(&name).is_some();
        assert_eq!(dict.insert(name, tensor).is_err(), taken);
    }
    Ok(dict)
}

/// Asserts that a model's weights come back from our own file, and from a state dict together with the program.
fn convert(model: &Model) {
    let dict = to_state_dict(&model.network).expect("the weights of a model");
    let (own, program) = (path("model.cgm"), path("program.json"));
    model.save(&own).expect("a model can be written");
    std::fs::write(&program, serde_json::to_vec(model.network.program()).expect("a program can be written")).expect("a file");
    let arch = program.to_str();
    for (name, arch) in [("model.cgm", None), ("model.pt", arch), ("model.safetensors", arch)] {
        let path = path(name);
        if arch.is_some() {
            state_dict::write(&path, &dict).expect("weights can be written");
        }
        let back = load_model(&path, arch).unwrap_or_else(|error| panic!("what was written is refused: {error}"));
        assert!(back.network.program() == model.network.program(), "another program");
        assert_eq!(sorted(&to_state_dict(&back.network).expect("weights")), sorted(&dict), "{name}");
    }
}

cardiograd_fuzz::target!(check);
