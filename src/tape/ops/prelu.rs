//! x where x > 0, else a slope of the network's own times x, one for all channels or each its own (He et al. 2015).

use super::definitions::Prelu;
use super::{Arithmetic, Context, Element, Initial, Lowering, OpClass, OpDefinition, Piece, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

/// The channel of each element, in order; all 0 for a lone slope.
fn channels(shape: &[usize], slopes: usize) -> impl Iterator<Item = usize> {
    let (channels, len) = (shape[1], shape[2..].iter().product::<usize>());
    (0..shape.iter().product::<usize>()).map(move |at| if slopes == 1 { 0 } else { at / len.max(1) % channels })
}

impl<T: Real> Arithmetic<T> for Prelu {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let slopes = slice(inputs[1]);
        let y = slice(inputs[0]).iter().zip(channels(shape, slopes.len())).map(|(x, c)| if *x > T::ZERO { *x } else { slopes[c] * *x });
        Ok((from_vec(shape, y.collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (x, slopes) = (slice(site.inputs[0]), slice(site.inputs[1]));
        let of = || x.iter().zip(slice(grad)).zip(channels(grad.shape(), slopes.len()));
        let gx = || of().map(|((x, g), c)| if *x > T::ZERO { *g } else { slopes[c] * *g }).collect();
        let sums = || {
            let mut sums = vec![0.0; slopes.len()];
            of().filter(|((x, _), _)| **x <= T::ZERO).for_each(|((x, g), c)| sums[c] += x.f64() * g.f64());
            sums.into_iter().map(T::of).collect()
        };
        Ok(vec![site.needs[0].then(|| from_vec(grad.shape(), gx())), site.needs[1].then(|| from_vec(site.inputs[1].shape(), sums()))])
    }
}

impl OpDefinition for Prelu {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0].get(1) {
            Some(channels) if *inputs[1] == [1] || inputs[1] == [*channels] => Ok(inputs[0].to_vec()),
            _ => Err(format!("its input has shape {:?}, its slopes {:?}: one for each channel, or one, is expected", inputs[0], inputs[1])),
        }
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y = x where x > 0, else a{} · x", if inputs[1][0] == 1 { "" } else { "[c]" })
    }

    fn letters(&self) -> &'static [&'static str] {
        &["a"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (x, slopes) = (inputs[0].data[at], inputs[1].data);
        let c = if slopes.len() == 1 { 0 } else { at / shape[2..].iter().product::<usize>() % shape[1] };
        Element::term(if x > 0.0 { x } else { slopes[c] * x })
    }

    fn pieces(&self) -> Vec<Piece> {
        vec![Piece { up_to: 0.0, slope: None }, Piece { up_to: f64::INFINITY, slope: Some(1.0) }]
    }

    fn initial(&self, _at: usize) -> Option<Initial> {
        Some(Initial::Value(0.25))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
