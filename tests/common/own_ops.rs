//! Ops that the crate does not know, made as anybody would make them: an activation, a joint function of a row that no rule knows, and a liar.
#![allow(dead_code)]

use cardiograd::Result;
use cardiograd::tape::{
    Arithmetic, Context, Element, Op, OpClass, OpDefinition, Problem, Real, Saved, Site, Tensor, Values, from_vec, slice,
};

/// y = x / (1 + |x|).
#[derive(Debug)]
pub struct Softsign;

impl<T: Real> Arithmetic<T> for Softsign {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let y = slice(inputs[0]).iter().map(|x| *x / (T::ONE + x.abs()));
        Ok((from_vec(shape, y.collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let gx = slice(grad).iter().zip(slice(site.inputs[0])).map(|(g, x)| {
            let root = T::ONE + x.abs();
            *g / (root * root)
        });
        Ok(vec![Some(from_vec(grad.shape(), gx.collect()))])
    }
}

impl OpDefinition for Softsign {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _: &[&[usize]]) -> String {
        "y = x / (1 + |x|)".into()
    }

    fn element(&self, inputs: &[Values<'_>], _: &[usize], at: usize) -> Element {
        let x = inputs[0].data[at];
        Element::of_scale(x / (1.0 + x.abs()), 1.0)
    }
}

/// y = x / √(Σ x² + 1) over each row: a function of all its samples at once.
#[derive(Debug)]
pub struct UnitRows {
    /// What is added to the definition's value: 0 for a true one.
    pub off: f64,
}

impl UnitRows {
    fn norm<T: Real>(row: &[T]) -> T {
        (row.iter().map(|v| *v * *v).sum::<T>() + T::ONE).sqrt()
    }
}

impl<T: Real> Arithmetic<T> for UnitRows {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let rows = slice(inputs[0]).chunks(shape[2]).flat_map(|row| row.iter().map(move |v| *v / UnitRows::norm(row)));
        Ok((from_vec(shape, rows.collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let len = grad.shape()[2];
        let rows = slice(site.inputs[0]).chunks(len).zip(slice(site.output).chunks(len)).zip(slice(grad).chunks(len));
        let gx = rows.flat_map(|((x, y), g)| {
            let (norm, dot) = (UnitRows::norm(x), y.iter().zip(g).map(|(y, g)| *y * *g).sum::<T>());
            y.iter().zip(g).map(move |(y, g)| (*g - *y * dot) / norm)
        });
        Ok(vec![Some(from_vec(grad.shape(), gx.collect()))])
    }
}

impl OpDefinition for UnitRows {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        if inputs[0].len() == 3 { Ok(inputs[0].to_vec()) } else { Err(format!("its input has shape {:?}, expected (N, C, L)", inputs[0])) }
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y[c,t] = x[c,t] / √(1 + Σ(s < {}) x[c,s]²)", inputs[0][2])
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let row = &inputs[0].data[at / shape[2] * shape[2]..][..shape[2]];
        Element::of_scale(inputs[0].data[at] / UnitRows::norm(row) + self.off, 1.0)
    }
}

pub fn softsign() -> Op {
    Op::custom("softsign", Softsign)
}

pub fn unit_rows() -> Op {
    Op::custom("unit_rows", UnitRows { off: 0.0 })
}
