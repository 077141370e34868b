//! Digests (SHA-256) of networks and arrays, and the name of the kernels in use.

use crate::files::digest::sha256;
use crate::tape::{Network, NodeId, Op, Real, Tensor, slice};
use crate::{Error, Result};

/// The instruction set that the kernels use in this process: `portable`, `neon`, `avx2` or `avx512`. All give the same bytes.
pub fn kernel() -> String {
    cardiograd_kernels::Isa::best().to_string()
}

/// Whether there is a kernel of that name, on this machine or another.
pub fn is_kernel(name: &str) -> bool {
    cardiograd_kernels::Isa::ALL.into_iter().any(|isa| isa.to_string() == name)
}

/// The digest of a network's program, in its serialised form.
///
/// # Errors
/// [`Error::Program`] if the program cannot be written.
pub fn program<T: Real>(network: &Network<T>) -> Result<String> {
    let text = serde_json::to_vec(network.program()).map_err(|error| Error::Program(format!("writing the program: {error}")))?;
    Ok(sha256(&text))
}

/// The digest of an array's values, row-major, each as a little-endian f64 (which holds every f32 exactly).
pub fn values<T: Real>(array: &Tensor<T>) -> String {
    sha256(&bytes(array))
}

fn bytes<T: Real>(array: &Tensor<T>) -> Vec<u8> {
    slice(array).iter().flat_map(|v| v.f64().to_le_bytes()).collect()
}

/// The digest of every parameter's values, by name, in the program's order.
pub fn tensors<T: Real>(network: &Network<T>) -> Vec<(String, String)> {
    parameters_of(network).map(|id| (network.program().node(id).name.clone(), values(network.parameter(id)))).collect()
}

/// The digest of all parameters: names and values, in the program's order.
pub fn parameters<T: Real>(network: &Network<T>) -> String {
    let text: Vec<String> = tensors(network).into_iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
    sha256(text.concat().as_bytes())
}

fn parameters_of<T: Real>(network: &Network<T>) -> impl Iterator<Item = NodeId> {
    network.program().ids().filter(|id| matches!(network.program().node(*id).op, Op::Parameter { .. }))
}
