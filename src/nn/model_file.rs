//! The project's own model file (`.cgm`): a network with what it predicts, from what, and how it came to be.

use super::bare::{CALIBRATED, HALVED, HALVED_CALIBRATED, KIND, PLAIN, kind_of};
use super::container::{self, Kind};
use super::near::Near;
use super::provenance::{OutputMetrics, Provenance};
use super::settings::Further;
use super::stored::{Packed, StoredTensor, restore};
use crate::dataset::{InputKind, Target};
use crate::half::to_half;
use crate::tape::{Network, Parameters, Program, slice};
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Parameters of no more values than this (biases, batch norms, small layers) keep their 32 bits.
const SMALL: usize = 4096;
/// The largest power of two of a packed value: it leaves room below 65 504, the largest half, for what rounding adds.
const TOP: i32 = 14;

/// How weights lie in a model file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// As they are, f32.
    #[default]
    F32,
    /// Parameters of more than 4096 values as halves (IEEE 754 binary16) times a power of two, one for each parameter: within 2⁻¹¹ of a value, or 2⁻³⁹ of
    /// the largest. A file of half the size. The others as they are.
    F16,
}

impl Storage {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
        }
    }
}

impl std::str::FromStr for Storage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Storage::F32, Storage::F16]
            .into_iter()
            .find(|storage| storage.name() == text)
            .ok_or_else(|| Error::Usage(format!("unknown weights '{text}': f32, or f16 for files of half the size")))
    }
}

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
struct Stored<T> {
    program: Program,
    parameters: Vec<T>,
    target: Option<Target>,
    unit: String,
    input: Option<InputKind>,
    provenance: Option<Provenance>,
}

impl Stored<Packed> {
    fn unpacked(self) -> Result<Stored<StoredTensor>> {
        let Stored { program, parameters, target, unit, input, provenance } = self;
        let parameters = parameters.into_iter().map(Packed::whole).collect::<Result<_>>()?;
        Ok(Stored { program, parameters, target, unit, input, provenance })
    }
}

/// A model with what goes beyond the study's trainings.
#[derive(Serialize, Deserialize)]
struct Further2<T> {
    stored: Stored<T>,
    further: Further,
    outputs: Vec<OutputMetrics>,
    near: Vec<Near>,
}

impl<T> Further2<T> {
    fn of(stored: Stored<T>) -> Self {
        Further2 { stored, further: Further::default(), outputs: Vec::new(), near: Vec::new() }
    }
}

/// What a file holds, of whatever version; how the network was calibrated stands last.
fn read<T: DeserializeOwned>(kind: &Kind, bytes: &[u8], path: &Path) -> Result<(Further2<T>, Vec<f64>)> {
    match *kind {
        PLAIN => container::decode(kind, bytes, path).map(|stored| (Further2::of(stored), Vec::new())),
        KIND | HALVED => container::decode(kind, bytes, path).map(|model| (model, Vec::new())),
        _ => container::decode(kind, bytes, path),
    }
}

/// ⌊log₂ x⌋ of a number above 0, from its bits: in f64 none of f32 is subnormal.
fn power_of_two(x: f32) -> i32 {
    (f64::from(x).to_bits() >> 52) as i32 - 1023
}

impl Packed {
    fn new(StoredTensor { name, shape, values }: StoredTensor) -> Result<Self> {
        let largest = values.iter().fold(0f32, |most, v| if v.abs() > most || v.is_nan() { v.abs() } else { most });
        if !largest.is_finite() {
            return Err(Error::Parameters(format!("parameter '{name}' holds a value that is not finite")));
        }
        if values.len() <= SMALL {
            return Ok(Packed { name, shape, exponent: 0, halves: Vec::new(), values });
        }
        let power = if largest > 0.0 { power_of_two(largest) } else { 0 };
        let exponent = power - TOP;
        // By f64, in which the scale and every product are exact.
        let halves = values.iter().map(|v| to_half((f64::from(*v) * 2f64.powi(-exponent)) as f32)).collect();
        Ok(Packed { name, shape, exponent, halves, values: Vec::new() })
    }
}

pub(super) fn store(parameters: &Parameters<f32>) -> Vec<StoredTensor> {
    let stored = |(name, value): (&String, &crate::tape::Tensor<f32>)| StoredTensor {
        name: name.clone(),
        shape: value.shape().to_vec(),
        values: slice(value).to_vec(),
    };
    parameters.iter().map(stored).collect()
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
        Ok(Self::storage_of(path)?.is_some())
    }

    /// How the weights of a model file lie in it; `None` if it is not one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn storage_of(path: &Path) -> Result<Option<Storage>> {
        Ok(if container::is(&KIND, path)? {
            Some(Storage::F32)
        } else if container::is(&HALVED, path)? {
            Some(Storage::F16)
        } else {
            None
        })
    }

    /// Writes the file, whole or not at all. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a model of more than half a gigabyte.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_as(path, Storage::F32)
    }

    /// The same, with weights stored as said.
    ///
    /// # Errors
    /// As [`Model::save`]; [`Error::Parameters`] for a weight that is not finite, in 16 bits.
    pub fn save_as(&self, path: impl AsRef<Path>, storage: Storage) -> Result<()> {
        crate::atomic::write(path.as_ref(), &self.bytes_as(storage)?)
    }

    /// The bytes of the file that [`Model::save`] writes.
    ///
    /// # Errors
    /// [`Error::Data`] for a model of more than half a gigabyte.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.bytes_as(Storage::F32)
    }

    fn bytes_as(&self, storage: Storage) -> Result<Vec<u8>> {
        let parameters = store(&self.network.parameters());
        let about = self.provenance.as_ref();
        let further = about.map_or_else(Further::default, |about| about.settings.further);
        let outputs = about.map_or_else(Vec::new, |about| about.outputs.clone());
        let near = about.map_or_else(Vec::new, |about| about.near.clone());
        let calibration = about.map_or(&[][..], |about| &about.calibration);
        if storage == Storage::F16 {
            let packed = parameters.into_iter().map(Packed::new).collect::<Result<Vec<_>>>()?;
            let model = Further2 { stored: self.stored(packed), further, outputs, near };
            return match calibration {
                [] => container::encode(&HALVED, &model),
                _ => container::encode(&HALVED_CALIBRATED, &(model, calibration)),
            };
        }
        let stored = self.stored(parameters);
        if !calibration.is_empty() {
            return container::encode(&CALIBRATED, &(Further2 { stored, further, outputs, near }, calibration));
        }
        if self.target.is_none_or(Target::is_measurement) && further == Further::default() && outputs.is_empty() && near.is_empty() {
            return container::encode(&PLAIN, &stored);
        }
        container::encode(&KIND, &Further2 { stored, further, outputs, near })
    }

    fn stored<T>(&self, parameters: Vec<T>) -> Stored<T> {
        Stored {
            program: self.network.program().clone(),
            parameters,
            target: self.target,
            unit: self.unit().to_owned(),
            input: self.input,
            provenance: self.provenance.clone(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Format`] for anything but a whole, undamaged model file of a version that is known; [`Error::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::decoded(&container::whole(&KIND, path)?, path)
    }

    /// Reads the bytes of such a file; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] as [`Model::load`].
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        Self::decoded(bytes, Path::new(name))
    }

    fn decoded(bytes: &[u8], path: &Path) -> Result<Self> {
        let kind = kind_of(bytes);
        let (Further2 { mut stored, further, outputs, near }, calibration) = if kind.letters == HALVED.letters {
            let (Further2 { stored, further, outputs, near }, calibration) = read::<Packed>(&kind, bytes, path)?;
            let stored = stored.unpacked().map_err(|error: Error| Error::format(path, error.to_string()))?;
            (Further2 { stored, further, outputs, near }, calibration)
        } else {
            read::<StoredTensor>(&kind, bytes, path)?
        };
        let fail = |problem: &dyn std::fmt::Display| Error::format(path, problem.to_string());
        if stored.unit != stored.target.map_or("", Target::unit) {
            return Err(fail(&format!(
                "its unit is '{}', that of its target is '{}'",
                stored.unit,
                stored.target.map_or("", Target::unit)
            )));
        }
        if let Some(about) = &mut stored.provenance {
            about.settings.further = Further { calibrate: !calibration.is_empty(), ..further };
            about.outputs = outputs;
            about.near = near;
            about.calibration = calibration;
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
    fn halves_stand_for_weights_within_their_word() {
        let values: Vec<f32> = (0..5000).map(|i| ((i as f32 * 0.37).sin() * 10f32.powi(-(i % 7))) * 3e-6).collect();
        let tensor = |values: &[f32]| StoredTensor { name: "w".into(), shape: vec![values.len()], values: values.to_vec() };
        let packed = Packed::new(tensor(&values)).unwrap();
        assert!(packed.halves.len() == 5000 && packed.values.is_empty());
        let largest = values.iter().fold(0f32, |most, v| most.max(v.abs()));
        for (found, value) in packed.whole().unwrap().values.iter().zip(&values) {
            assert!((found - value).abs() <= (value.abs() / 2048.0).max(largest * 2f32.powi(-39)), "{found} for {value}");
        }
        assert_eq!(Packed::new(tensor(&values[..100])).unwrap().whole().unwrap().values, values[..100]);
        assert!(Packed::new(tensor(&[0.0; 5000])).unwrap().whole().unwrap().values.iter().all(|v| *v == 0.0));
        assert!(Packed::new(tensor(&[f32::NAN; 2])).is_err());
        let bad = |exponent, halves| Packed { name: "w".into(), shape: vec![1], exponent, halves, values: vec![1.0] };
        assert!(bad(0, vec![1]).whole().is_err() && bad(4000, vec![]).whole().is_err());
    }

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
