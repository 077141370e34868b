#![cfg_attr(fuzzing, no_main)]
//! `.pt` files as PyTorch wrote them before 1.6: pickles and raw storages.

fn check(input: &[u8]) {
    cardiograd_fuzz::tensors::check("input.pt", input);
}

cardiograd_fuzz::target!(check);
