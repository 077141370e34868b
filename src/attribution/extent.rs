//! What one example is made of: the ECG and, in networks with several inputs, what stands beside it. Methods work on the values one after another, the
//! ECG's first, then the others' in the program's order.

use super::Settings;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Program, Real, Tensor, from_vec, slice};
use crate::{Error, Result};

/// The shapes of a network's inputs for one example.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    /// The ECG's.
    pub channels: usize,
    pub len: usize,
    /// Its place among the program's inputs.
    main: usize,
    /// The others, in the program's order.
    beside: Vec<Beside>,
}

/// An input beside the ECG.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub name: String,
    /// Without the batch.
    pub shape: Vec<usize>,
    /// Its first value among an example's.
    pub from: usize,
}

impl Beside {
    /// Where its values lie among an example's.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.from..self.from + self.shape.iter().product::<usize>()
    }
}

impl Extent {
    /// For a program's inputs: `channels` × `len` of the ECG, and the others' shapes (batch first) in the program's order.
    ///
    /// # Errors
    /// [`Error::Usage`] if another number of inputs was given.
    pub fn new(program: &Program, (channels, len): (usize, usize), beside: &[&[usize]]) -> Result<Self> {
        let main = program.ecg_input()?;
        let others = program.inputs().into_iter().enumerate().filter(|(at, _)| *at != main).map(|(_, id)| program.node(id).name.clone());
        let names: Vec<String> = others.collect();
        if names.len() != beside.len() {
            let given = beside.len();
            return Err(Error::Usage(format!(
                "beside the ECG the network takes {} inputs ({}), {given} were given",
                names.len(),
                names.join(", ")
            )));
        }
        let mut from = channels * len;
        let mut all = Vec::new();
        for (name, shape) in names.into_iter().zip(beside) {
            let shape = shape.get(1..).unwrap_or_default().to_vec();
            all.push(Beside { name, shape, from });
            from = all.last().map_or(from, |last| last.range().end);
        }
        Ok(Extent { channels, len, main, beside: all })
    }

    /// Values of the ECG.
    pub fn ecg(&self) -> usize {
        self.channels * self.len
    }

    /// Values of one example.
    pub fn size(&self) -> usize {
        self.beside.last().map_or(self.ecg(), |last| last.range().end)
    }

    /// What stands beside the ECG.
    pub fn beside(&self) -> &[Beside] {
        &self.beside
    }

    /// The inputs' shapes without the batch, in the program's order.
    pub fn examples(&self) -> Vec<Vec<usize>> {
        let mut all: Vec<Vec<usize>> = self.beside.iter().map(|input| input.shape.clone()).collect();
        all.insert(self.main, vec![self.channels, self.len]);
        all
    }

    /// Examples one after another as the program's inputs.
    pub fn tensors<T: Real>(&self, flat: Vec<T>) -> Vec<Tensor<T>> {
        let count = flat.len() / self.size().max(1);
        if self.beside.is_empty() {
            return vec![from_vec(&[count, self.channels, self.len], flat)];
        }
        let part =
            |range: core::ops::Range<usize>| -> Vec<T> { flat.chunks(self.size()).flat_map(|one| one[range.clone()].to_vec()).collect() };
        let mut all: Vec<Tensor<T>> =
            self.beside.iter().map(|input| from_vec(&[&[count], &input.shape[..]].concat(), part(input.range()))).collect();
        all.insert(self.main, from_vec(&[count, self.channels, self.len], part(0..self.ecg())));
        all
    }

    /// The program's inputs, or what reached them, as examples one after another.
    pub fn flat<T: Real>(&self, tensors: &[Tensor<T>]) -> Vec<T> {
        if self.beside.is_empty() {
            return slice(&tensors[self.main]).to_vec();
        }
        let others = tensors.iter().enumerate().filter(|(at, _)| *at != self.main).map(|(_, tensor)| tensor);
        let parts: Vec<&[T]> = core::iter::once(&tensors[self.main]).chain(others).map(|tensor| slice(tensor)).collect();
        let count = tensors[self.main].shape()[0];
        (0..count)
            .flat_map(|n| parts.iter().flat_map(move |part| &part[n * part.len() / count..(n + 1) * part.len() / count]))
            .copied()
            .collect()
    }

    /// The baseline of one example.
    pub fn baseline<T: Real>(&self, baseline: &super::Baseline, settings: &Settings, x: &[T]) -> Vec<T> {
        let mut all = super::sampler::baseline(baseline, &x[..self.ecg()], self.channels);
        for input in &self.beside {
            match settings.beside.get(&input.name) {
                Some(values) => all.extend(values.iter().map(|v| T::of(*v))),
                None => all.resize(input.range().end, T::ZERO),
            }
        }
        all
    }

    /// That the settings speak of inputs that there are, in their sizes.
    ///
    /// # Errors
    /// [`Error::Usage`] or [`Error::Value`] naming the first that does not fit.
    pub fn check(&self, settings: &Settings) -> Result<()> {
        for (name, values) in &settings.beside {
            let Some(input) = self.beside.iter().find(|input| input.name == *name) else {
                let known: Vec<&str> = self.beside.iter().map(|input| input.name.as_str()).collect();
                return Err(Error::Usage(format!("a baseline was given for '{name}'; beside the ECG there are [{}]", known.join(", "))));
            };
            if values.len() != input.range().len() {
                return Err(Error::shape(format!("the baseline of '{name}'"), &input.shape[..], &[values.len()][..]));
            }
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::Value { at: format!("the baseline of '{name}'"), problem: format!("element {at} is not finite") });
            }
        }
        Ok(())
    }
}
