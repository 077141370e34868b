//! The maximum over all time; of equal ones the first.

use super::definitions::GlobalMaxPool;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for GlobalMaxPool {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (rows, len) = (slice(inputs[0]), inputs[0].shape()[2]);
        let best = |row: &[T]| (1..row.len()).fold(0, |best, at| if row[at].beats(row[best]) { at } else { best }) as u32;
        let at: Vec<u32> = rows.chunks(len).map(best).collect();
        let y = rows.chunks(len).zip(&at).map(|(row, at)| row[*at as usize]).collect();
        Ok((from_vec(shape, y), Saved::ArgMax(at)))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (at, _) = site.argmax().ok_or_else(|| site.error("no record of its maxima"))?;
        let x = site.inputs[0];
        let mut gx = vec![T::ZERO; x.len()];
        gx.chunks_mut(x.shape()[2]).zip(at).zip(slice(grad)).for_each(|((row, at), g)| row[*at as usize] = *g);
        Ok(vec![Some(from_vec(x.shape(), gx))])
    }
}

impl OpDefinition for GlobalMaxPool {
    fn class(&self) -> OpClass {
        OpClass::Selection
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0] {
            &[batch, channels, len] if len > 0 => Ok(vec![batch, channels]),
            x => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
        }
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y[c] = max(t < {}) x[c,t]", inputs[0][2])
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let len = inputs[0].shape[2];
        let row = &inputs[0].data[at * len..][..len];
        Element::term(row.iter().fold(f64::NEG_INFINITY, |most, v| if v.beats(most) { *v } else { most }))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
