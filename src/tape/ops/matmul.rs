//! The matrix product of two signals, example by example: (N, …, A, B) · (N, …, B, C).

use super::definitions::Matmul;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

/// Rows, inner size and columns, of inputs whose shapes fit.
fn sizes(a: &[usize], b: &[usize]) -> (usize, usize, usize) {
    (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1])
}

/// C ← A · B for each pair of matrices, where a matrix may be read by (row, column) strides.
fn products<T: Real>(sizes: (usize, usize, usize), a: (&[T], usize, usize), b: (&[T], usize, usize)) -> Vec<T> {
    let (m, k, n) = sizes;
    let count = a.0.len() / (m * k).max(1);
    let mut c = vec![T::ZERO; count * m * n];
    for (at, c) in c.chunks_mut((m * n).max(1)).enumerate() {
        let (a, b) = ((&a.0[at * m * k..][..m * k], a.1, a.2), (&b.0[at * k * n..][..k * n], b.1, b.2));
        T::gemm(m, k, n, T::ONE, a, b, T::ZERO, (c, n, 1));
    }
    c
}

impl<T: Real> Arithmetic<T> for Matmul {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (m, k, n) = sizes(inputs[0].shape(), inputs[1].shape());
        Ok((from_vec(shape, products((m, k, n), (slice(inputs[0]), k, 1), (slice(inputs[1]), n, 1))), Saved::Nothing))
    }

    /// gA = g · Bᵀ, gB = Aᵀ · g.
    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (a, b) = (site.inputs[0], site.inputs[1]);
        let (m, k, n) = sizes(a.shape(), b.shape());
        let g = slice(grad);
        Ok(vec![
            site.needs[0].then(|| from_vec(a.shape(), products((m, n, k), (g, n, 1), (slice(b), 1, n)))),
            site.needs[1].then(|| from_vec(b.shape(), products((k, m, n), (slice(a), 1, k), (g, n, 1)))),
        ])
    }
}

impl OpDefinition for Matmul {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let (a, b) = (inputs[0], inputs[1]);
        let rank = a.len();
        let fit = rank >= 3 && b.len() == rank && a[..rank - 2] == b[..rank - 2] && a[rank - 1] == b[rank - 2] && a[rank - 1] > 0;
        if !fit || a[rank - 2] == 0 || b[rank - 1] == 0 {
            return Err(format!("its inputs have shapes {a:?} and {b:?}, expected (N, …, A, B) and (N, …, B, C)"));
        }
        Ok([&a[..rank - 1], &b[rank - 1..]].concat())
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y[i,j] = Σ(k < {}) a[i,k] · b[k,j]", inputs[0][inputs[0].len() - 1])
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let (m, k, n) = sizes(inputs[0].shape, inputs[1].shape);
        let (matrix, i, j) = (at / (m * n), at / n % m, at % n);
        Element::sum((0..k).map(|l| inputs[0].data[(matrix * m + i) * k + l] * inputs[1].data[(matrix * k + l) * n + j]))
    }
}
