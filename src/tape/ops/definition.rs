//! What an op has to say of itself.

use super::{OpClass, Ready};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Mode, Real, Saved, Site, Tensor};
use core::fmt;

/// What an op says that cannot work on its inputs; the node's name is added.
pub type Problem<T> = core::result::Result<T, String>;

/// How ops run: the mode, and weights made ready in earlier runs of the same network.
pub struct Context<'a, T: Real> {
    pub(crate) mode: Mode,
    pub(crate) cache: Option<&'a Ready<T>>,
}

impl<T: Real> Context<'_, T> {
    /// Evaluation without a cache.
    pub(crate) fn evaluation() -> Self {
        Context { mode: Mode::Evaluation, cache: None }
    }

    /// Training or evaluation.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// An op in one precision. Implement it for every [`Real`] at once: `impl<T: Real> Arithmetic<T> for …`.
pub trait Arithmetic<T: Real>: Send + Sync {
    /// The value for these inputs, of shape `shape` and in standard layout, and what the way back needs beyond inputs and value.
    ///
    /// # Errors
    /// What is wrong with the inputs, in words; the node's name is added.
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)>;

    /// The vector–Jacobian product: what each input receives of a gradient `grad` of the output, `None` where `site.needs` is false.
    ///
    /// # Errors
    /// Where there is no derivative; make them with [`Site::error`].
    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>>;

    /// The same between two runs, [`Site::reference`] being the other: factors m with which Σ m · Δinput = Σ grad · Δoutput exactly, every bend on the way
    /// being its chord and every product split evenly. `None` where the op has no such closed form; the mean derivative between the runs serves as well, if
    /// it can be found.
    fn secant(&self, _site: &Site<'_, T>, _grad: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
        None
    }
}

/// What an op is, whatever the precision. An op from outside of the crate enters by [`crate::tape::Op::custom`].
pub trait OpDefinition: Arithmetic<f32> + Arithmetic<f64> + fmt::Debug + Send + Sync + 'static {
    /// What rules may expect of it.
    fn class(&self) -> OpClass;

    /// How many inputs it takes, least and most.
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    /// How many of its inputs are signals that flow; the rest are parameters by role.
    fn signals(&self, inputs: usize) -> usize {
        inputs
    }

    /// Its attributes behind its name, e.g. `(2, stride 2)`.
    fn settings(&self) -> String {
        String::new()
    }

    /// What is wrong with its attributes.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// The shape of the output for inputs of these shapes.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>>;

    /// The op as a formula for people, with the sizes of its inputs filled in.
    fn formula(&self, inputs: &[&[usize]]) -> String;

    /// The letters of its parameters in the formula, in the order of the inputs behind the signals.
    fn letters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Element `at` of the output (of shape `shape`) in evaluation, by a loop of its own over the inputs: what audits compare [`Arithmetic::forward`]
    /// with.
    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element;

    /// For an activation with kinks, its pieces from the lowest inputs up; empty where there is no kink.
    fn pieces(&self) -> Vec<Piece> {
        Vec::new()
    }

    /// Whether its value is scaled by a factor per output channel if the weight is, along its first axis, and the bias: so a batch norm behind it can be
    /// folded into them.
    fn scales_by_output(&self) -> bool {
        false
    }

    /// How training begins with the parameter at input `at`, if the op says; weighted sums draw theirs by their class.
    fn initial(&self, _at: usize) -> Option<Initial> {
        None
    }

    /// What an execution plan can do with it ([`Lowering::Own`] if nothing better), for inputs of these shapes (batch first); `None` leaves the network to the tape. Plans ask only the
    /// ops of this crate, whose steps are tested to be their arithmetic byte for byte.
    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        None
    }
}

/// An input's values, widened to f64.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The shape.
    pub shape: &'a [usize],
    /// The elements in row-major order.
    pub data: &'a [f64],
}

/// An element by its definition, and what its rounding errors are measured by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    /// The value.
    pub value: f64,
    /// The sum of the absolute terms.
    pub scale: f64,
}

impl Element {
    /// A value that is one term.
    pub fn term(value: f64) -> Self {
        Element { value, scale: value.abs() }
    }

    /// A sum of terms.
    pub fn sum(terms: impl IntoIterator<Item = f64>) -> Self {
        let add = |sum: Element, term: f64| Element { value: sum.value + term, scale: sum.scale + term.abs() };
        terms.into_iter().fold(Element { value: 0.0, scale: 0.0 }, add)
    }

    /// A value whose error goes with `scale`.
    pub fn of_scale(value: f64, scale: f64) -> Self {
        Element { value, scale }
    }
}

/// A piece of an activation between kinks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The largest input that belongs to it.
    pub up_to: f64,
    /// Its derivative, where that is the same all over it.
    pub slope: Option<f64>,
}

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// With this value everywhere.
    Value(f64),
    /// Uniform in ±1/√n, n being the size of the last axis of the op's input of this number.
    UniformBy(usize),
}

/// The steps that execution plans know. A plan does the same operations on the same numbers as the op, in the same order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Lowering {
    /// The convolution of the first input with the second, plus the third.
    Convolution {
        /// Step between outputs.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Zeros before and after.
        padding: (usize, usize),
    },
    /// Batch normalisation in evaluation with this ε.
    Affine(f64),
    /// max(x, 0).
    Relu,
    /// The sum of two signals.
    Add,
    /// Means of windows (samples, step).
    Average(usize, usize),
    /// Maxima of windows (samples, step).
    Max(usize, usize),
    /// The mean over time.
    Mean,
    /// The same values in the same places.
    Same,
    /// x · wᵀ + b.
    Dense,
    /// What the op computes by itself, on values that lie as the tape's do: for ops that cannot fail on inputs of their shapes, and keep nothing ready
    /// from run to run. The way back is on the tape then.
    Own,
}
