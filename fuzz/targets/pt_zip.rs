#![cfg_attr(fuzzing, no_main)]
//! `.pt` files that are zip archives: as they are, and with the checksums of their entries made right.

fn check(input: &[u8]) {
    cardiograd_fuzz::tensors::check("input.pt", input);
    if let Some(fixed) = cardiograd_fuzz::checksums::zip(input) {
        cardiograd_fuzz::tensors::check("input.pt", &fixed);
    }
}

cardiograd_fuzz::target!(check);
