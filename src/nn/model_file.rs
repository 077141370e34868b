//! The project's own model file (`.cgm`): a network with what it predicts, from what, and how it came to be.

use super::container::{self, Kind};
use super::provenance::{OutputMetrics, Provenance};
use super::settings::Further;
use crate::dataset::{InputKind, Target};
use crate::tape::{Network, Parameters, Program, from_vec, slice};
use crate::{Error, Result, shape};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version 1 knows what the study's trainings need; what goes beyond them is in version 2, behind the same.
const PLAIN: Kind = Kind { letters: *b"CGM", version: 1, name: "cardiograd model" };
const KIND: Kind = Kind { version: 2, ..PLAIN };

/// A network that maps µV to a measurement, and what is known of it. What came from elsewhere (a PyTorch state dict) knows the network only.
#[derive(Clone, Debug)]
pub struct Model {
    /// Program and f32 parameters.
    pub network: Network<f32>,
    /// What it predicts.
    pub target: Option<Target>,
    /// What it looks at.
    pub input: Option<InputKind>,
    /// How it was trained.
    pub provenance: Option<Provenance>,
}

/// A model as it lies in a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    program: Program,
    parameters: Vec<StoredTensor>,
    target: Option<Target>,
    unit: String,
    input: Option<InputKind>,
    provenance: Option<Provenance>,
}

/// A model of version 2.
#[derive(Serialize, Deserialize)]
struct Further2 {
    stored: Stored,
    further: Further,
    outputs: Vec<OutputMetrics>,
}

/// A parameter as it lies in a file, row-major.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

pub(super) fn store(parameters: &Parameters<f32>) -> Vec<StoredTensor> {
    let stored = |(name, value): (&String, &crate::tape::Tensor<f32>)| StoredTensor {
        name: name.clone(),
        shape: value.shape().to_vec(),
        values: slice(value).to_vec(),
    };
    parameters.iter().map(stored).collect()
}

pub(super) fn restore(stored: Vec<StoredTensor>) -> Result<Parameters<f32>> {
    let mut parameters = Parameters::new();
    for StoredTensor { name, shape, values } in stored {
        if shape::elements(&shape, size_of::<f32>()) != Some(values.len()) {
            return Err(Error::Parameters(format!("parameter '{name}' of shape {shape:?} has {} values", values.len())));
        }
        if parameters.contains_key(&name) {
            return Err(Error::Parameters(format!("two parameters are called '{name}'")));
        }
        parameters.insert(name, from_vec(&shape, values));
    }
    Ok(parameters)
}

impl Model {
    /// A model of which nothing is known but its network.
    pub fn new(network: Network<f32>) -> Self {
        Model { network, target: None, input: None, provenance: None }
    }

    /// What each of its outputs says, where it is known: one target an output.
    ///
    /// # Errors
    /// As [`Target::outputs`].
    pub fn outputs(&self) -> Result<Vec<Target>> {
        self.target.map_or(Ok(Vec::new()), Target::outputs)
    }

    /// The unit of its predictions, empty where the target is not known.
    pub fn unit(&self) -> &'static str {
        self.target.map_or("", Target::unit)
    }

    /// Whether a file begins as one of these.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_model_file(path: &Path) -> Result<bool> {
        container::is(&KIND, path)
    }

    /// Writes the file, whole or not at all. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a model of more than half a gigabyte.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let stored = Stored {
            program: self.network.program().clone(),
            parameters: store(&self.network.parameters()),
            target: self.target,
            unit: self.unit().to_owned(),
            input: self.input,
            provenance: self.provenance.clone(),
        };
        let about = self.provenance.as_ref();
        let further = about.map_or_else(Further::default, |about| about.settings.further);
        let outputs = about.map_or_else(Vec::new, |about| about.outputs.clone());
        if self.target.is_none_or(Target::is_measurement) && further == Further::default() && outputs.is_empty() {
            return container::write(&PLAIN, path.as_ref(), &stored);
        }
        container::write(&KIND, path.as_ref(), &Further2 { stored, further, outputs })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Format`] for anything but a whole, undamaged model file of this version or the one before; [`Error::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let plain = |stored: Stored| Further2 { stored, further: Further::default(), outputs: Vec::new() };
        let Further2 { mut stored, further, outputs } = container::read_either(&KIND, path, plain)?;
        let fail = |problem: &dyn std::fmt::Display| Error::format(path, problem.to_string());
        if stored.unit != stored.target.map_or("", Target::unit) {
            return Err(fail(&format!(
                "its unit is '{}', that of its target is '{}'",
                stored.unit,
                stored.target.map_or("", Target::unit)
            )));
        }
        if let Some(about) = &mut stored.provenance {
            about.settings.further = further;
            about.outputs = outputs;
        }
        let network = restore(stored.parameters).and_then(|parameters| Network::new(stored.program, parameters));
        let network = network.map_err(|error| fail(&error))?;
        Ok(Model { network, target: stored.target, input: stored.input, provenance: stored.provenance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_impossible_shapes_and_of_one_name_are_refused() {
        let tensor =
            |name: &str, shape: &[usize], values: &[f32]| StoredTensor { name: name.into(), shape: shape.into(), values: values.into() };
        assert!(restore(vec![tensor("a", &[0, 3], &[]), tensor("b", &[2], &[1.0, 2.0])]).is_ok());
        let many = 1 << 40;
        for bad in [vec![tensor("a", &[0, many, many], &[])], vec![tensor("a", &[many, 0, many], &[])], vec![tensor("a", &[2], &[1.0])]] {
            assert!(restore(bad).unwrap_err().to_string().contains("parameter 'a'"));
        }
        assert!(restore(vec![tensor("a", &[1], &[1.0]), tensor("a", &[1], &[2.0])]).unwrap_err().to_string().contains("'a'"));
    }
}
