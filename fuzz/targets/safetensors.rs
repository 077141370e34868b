#![cfg_attr(fuzzing, no_main)]
//! `.safetensors` files.

fn check(input: &[u8]) {
    cardiograd_fuzz::tensors::check("input.safetensors", input);
}

cardiograd_fuzz::target!(check);
