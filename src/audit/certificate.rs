//! What an audit found, for machines; a later audit can be held against it.

use super::Check;
use crate::Result;
use crate::intake::{self, Most};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Certificates longer than this are not read; one of StevenNet takes 15 kB.
const LONGEST: Most = Most { bytes: 1 << 24, of: "a certificate of an audit" };

/// Where and when an audit was made: what its figures do not depend on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The model's file as it was named.
    pub model: String,
    /// Its digest, SHA-256.
    pub model_sha256: String,
    /// The dataset's folder as it was named.
    pub dataset: String,
    /// The digest of its manifest, which holds those of its files.
    pub dataset_sha256: String,
    /// The day, as in 2026-11-27, in UTC.
    pub date: String,
    /// The command line.
    pub command: String,
}

/// What an audit found, for machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The program, e.g. `cardiograd 0.1.0`.
    pub version: String,
    /// Digest of the network's program.
    pub program_sha256: String,
    /// Digest of its parameters.
    pub parameters_sha256: String,
    /// Digest of each parameter, by name.
    pub tensors: BTreeMap<String, String>,
    /// Digest of the ECGs looked at.
    pub inputs_sha256: String,
    /// The instruction set the kernels used.
    pub kernel: String,
    /// The seed of ECGs, points and directions.
    pub seed: u64,
    /// The ECGs looked at.
    pub ecgs: Vec<u64>,
    /// Every line.
    pub checks: Vec<Check>,
    /// Whether every line passed.
    pub passed: bool,
    /// What passing says nothing of.
    #[serde(default)]
    pub not_covered: Vec<String>,
    /// Where and when it was made, by whoever made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] if the file is no certificate.
    pub fn read(path: &Path) -> Result<Self> {
        intake::json(path, LONGEST)
    }

    /// Adds the lines that hold the network and the ECGs against those of an earlier audit; the figure is the number of differences.
    /// ECGs are compared where both audits looked at the same numbers.
    pub fn hold_against(&mut self, earlier: &Certificate) {
        let line = |name: &str, differing: Vec<String>, same: &str| {
            let detail = if differing.is_empty() { same.to_owned() } else { differing.join(", ") };
            Check::new(name, differing.len() as f64, 0.0, detail)
        };
        let program = if self.program_sha256 == earlier.program_sha256 { Vec::new() } else { vec!["the program is another".to_owned()] };
        self.checks.push(line("program as certified", program, "the same"));
        let mut tensors: Vec<String> = Vec::new();
        for (name, digest) in &self.tensors {
            match earlier.tensors.get(name) {
                None => tensors.push(format!("'{name}' is new")),
                Some(other) if other != digest => tensors.push(format!("'{name}' changed")),
                Some(_) => (),
            }
        }
        tensors.extend(earlier.tensors.keys().filter(|name| !self.tensors.contains_key(*name)).map(|name| format!("'{name}' is gone")));
        self.checks.push(line("every parameter as certified", tensors, "the same bits"));
        if self.ecgs == earlier.ecgs {
            let inputs = if self.inputs_sha256 == earlier.inputs_sha256 { Vec::new() } else { vec!["their samples changed".to_owned()] };
            self.checks.push(line("ECGs as certified", inputs, "the same bits"));
        }
        self.passed = self.checks.iter().all(|check| check.passed);
    }

    /// The lines that failed.
    pub fn failures(&self) -> Vec<&Check> {
        self.checks.iter().filter(|check| !check.passed).collect()
    }
}
