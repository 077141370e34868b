//! `--beside NAME=X.npy`: what networks with several inputs get beside the ECG, as age and sex.

use super::provenance::Input;
use crate::files::npy;
use crate::tape::{Op, Program, Real, Tensor};
use crate::{Error, Result};
use ndarray::{ArrayD, Axis};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

/// A file for an input of the network, by the input's name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    input: String,
    path: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((input, path)) if !input.is_empty() && !path.is_empty() => Ok(Named { input: input.into(), path: path.into() }),
            _ => Err("NAME=FILE is expected, NAME being the network's name for the input".into()),
        }
    }
}

/// The values of inputs beside the ECG.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct BesideOptions {
    /// What an input of the network beside the ECG gets, by its name: (N, F), or (F) for one ECG. Once for each such input.
    #[arg(long, value_name = "NAME=X.npy")]
    beside: Vec<Named>,
}

/// What they are compared with.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct BesideBaselines {
    /// What baseline methods compare an input beside the ECG with, (F) [default: zeros].
    #[arg(long, value_name = "NAME=FILE.npy")]
    beside_baseline: Vec<Named>,
}

/// The files as inputs of a command.
fn files<'a>(role: &'static str, named: &'a mut [Named]) -> impl Iterator<Item = (&'static str, Input<'a>)> + use<'a> {
    named.iter_mut().map(move |named| (role, Input::Path(&mut named.path)))
}

impl BesideOptions {
    /// Its files.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, Input<'_>)> {
        files("beside", &mut self.beside)
    }

    /// Whether any is given.
    pub fn is_empty(&self) -> bool {
        self.beside.is_empty()
    }

    /// The values for `ecgs` ECGs.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that the network does not have or that is given twice, and for an input without a file; [`Error::Format`] for a file
    /// that does not fit; as [`npy::read_f64`].
    pub fn open(&self, program: &Program, ecgs: usize) -> Result<Beside> {
        let mut inputs = Vec::new();
        let others = beside(program)?;
        self.beside.iter().try_for_each(|named| known(&others, named))?;
        for (name, shape) in others {
            let given: Vec<&Named> = self.beside.iter().filter(|named| named.input == name).collect();
            let [named] = given[..] else {
                return Err(Error::Usage(format!("the network's input '{name}' needs its values once: --beside {name}=X.npy")));
            };
            let mut values = npy::read_f64(&named.path)?;
            if values.shape() == shape && ecgs == 1 {
                values = values.insert_axis(Axis(0));
            }
            if values.shape()[..] != [&[ecgs], &shape[..]].concat() {
                let expected = format!("({ecgs}, {})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
                return Err(Error::shape(named.path.display().to_string(), &expected[..], values.shape()));
            }
            // A network may lose a NaN on its way: it is not asked.
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let (size, value) = ((values.len() / ecgs).max(1), values.iter().nth(at).copied().unwrap_or(f64::NAN));
                let what = format!("ECG {}, '{name}', element {}: {value} is not finite", at / size, at % size);
                return Err(Error::format(&named.path, what));
            }
            inputs.push((name, values));
        }
        Ok(Beside(inputs))
    }
}

impl BesideBaselines {
    /// Its files.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, Input<'_>)> {
        files("beside_baseline", &mut self.beside_baseline)
    }

    /// The values by input.
    ///
    /// # Errors
    /// As [`BesideOptions::open`].
    pub fn read(&self, program: &Program) -> Result<BTreeMap<String, Vec<f64>>> {
        let others = beside(program)?;
        let mut all = BTreeMap::new();
        for named in &self.beside_baseline {
            known(&others, named)?;
            let values = npy::read_f64(&named.path)?;
            if all.insert(named.input.clone(), values.iter().copied().collect()).is_some() {
                return Err(Error::Usage(format!("--beside-baseline gives '{}' twice", named.input)));
            }
        }
        Ok(all)
    }
}

/// The network's inputs beside the ECG, with the shapes of one example.
fn beside(program: &Program) -> Result<Vec<(String, Vec<usize>)>> {
    let main = program.ecg_input()?;
    let others = program.inputs().into_iter().enumerate().filter(|(at, _)| *at != main);
    let one = |(_, id): (usize, crate::tape::NodeId)| {
        let node = program.node(id);
        let Op::Input { shape } = &node.op else { return Err(Error::Program(format!("'{}' is no input", node.name))) };
        let sizes: Option<Vec<usize>> = shape.iter().copied().collect();
        let sizes = sizes.ok_or_else(|| Error::Program(format!("input '{}' leaves a size open", node.name)))?;
        Ok((node.name.clone(), sizes))
    };
    others.map(one).collect()
}

fn known(others: &[(String, Vec<usize>)], named: &Named) -> Result<()> {
    if others.iter().any(|(name, _)| *name == named.input) {
        return Ok(());
    }
    let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    let has = if names.is_empty() { "none".into() } else { names.join(", ") };
    Err(Error::Usage(format!("--beside {}: the network has no such input beside the ECG; it has {has}", named.input)))
}

/// The values of inputs beside the ECG, in the program's order.
#[derive(Debug, Default)]
pub(super) struct Beside(Vec<(String, ArrayD<f64>)>);

impl Beside {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The inputs' names and the shapes of one example.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(name, values)| (name.as_str(), &values.shape()[1..]))
    }

    /// The values of some ECGs, by their numbers.
    pub fn some<T: Real>(&self, ecgs: &[usize]) -> Vec<Tensor<T>> {
        let of = |(_, values): &(String, ArrayD<f64>)| values.select(Axis(0), ecgs).mapv(T::of).into_shared();
        self.0.iter().map(of).collect()
    }

    /// All inputs of the program for some ECGs, of which the ECGs themselves are `x`.
    pub fn with<T: Real>(&self, program: &Program, x: Tensor<T>, ecgs: &[usize]) -> Result<Vec<Tensor<T>>> {
        let mut all = self.some(ecgs);
        all.insert(program.ecg_input()?, x);
        Ok(all)
    }
}
