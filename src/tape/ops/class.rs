//! What rules and checks may expect of an op, so that they need not know it.

/// The class of an op. Rules match on it: an op of a known class is right under every method that knows the class, and one of a class that a method
/// has no rule for is refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OpClass {
    /// Given from outside: inputs and parameters.
    Source,
    /// A weighted sum over channels and time, plus a bias: y = Σ w · x + b. Inputs: the signal, the weight, and perhaps a bias (one per output channel).
    Convolution,
    /// The same over features.
    Dense,
    /// A factor and a shift per channel that do not depend on the signal (in evaluation).
    Normalisation,
    /// Weighted sums with fixed weights ≥ 0: means of windows, of all time, along an axis.
    Mean,
    /// A sum or difference of signals, element by element.
    Sum,
    /// Values of the signals in other places, or 0: joining, repeating, cutting, padding, another shape.
    Movement,
    /// A function of one signal, element by element.
    Activation,
    /// Each output is one of the values in a row (along the last axis) of the input; which one is saved ([`crate::tape::Saved::ArgMax`]).
    Selection,
    /// The product of two signals, element by element.
    Product,
    /// None of these: rules that need to know more of an op than its derivative refuse it.
    Other,
}

impl OpClass {
    /// Whether the op is linear in its signals, up to a constant: its derivative is its multiplier, between any two points.
    pub fn is_linear(self) -> bool {
        use OpClass::{Convolution, Dense, Mean, Movement, Normalisation, Source, Sum};
        matches!(self, Source | Convolution | Dense | Normalisation | Mean | Sum | Movement)
    }

    /// Whether the op has weights as its second input and perhaps a bias as its third, by output channel.
    pub fn is_weighted(self) -> bool {
        matches!(self, OpClass::Convolution | OpClass::Dense)
    }

    /// The name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            OpClass::Source => "source",
            OpClass::Convolution => "convolution",
            OpClass::Dense => "dense layer",
            OpClass::Normalisation => "normalisation",
            OpClass::Mean => "mean",
            OpClass::Sum => "sum",
            OpClass::Movement => "movement",
            OpClass::Activation => "activation",
            OpClass::Selection => "selection",
            OpClass::Product => "product",
            OpClass::Other => "op of no known class",
        }
    }
}
