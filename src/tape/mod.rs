//! The reverse-mode tape: programs, runs of them, and the walk back.
//!
//! - A [`Program`] is a network as data: nodes with an [`Op`], named inputs, one output. It can be printed, serialised and loaded.
//! - A [`Network`] is a program with its parameters.
//! - A [`Tape`] holds every value of one forward run.
//! - [`Network::backward`] walks back over a tape. At each node it asks the [`RuleSet`] for a [`Rule`]; without one, the op's own
//!   vector–Jacobian product acts. Ops know no method, methods know no op's internals: that is the whole design.
//!
//! ```
//! use cardiograd::tape::{Builder, Network, Parameters, RuleSet, Tensor};
//! use ndarray::arr2;
//!
//! // y = relu(x · wᵀ), differentiated in x.
//! let mut build = Builder::new();
//! let x = build.input("x", &[Some(2)]);
//! let hidden = build.linear("fc", x, 2, 1, false);
//! let y = build.relu("relu", hidden);
//! let program = build.finish(y)?;
//! let parameters = Parameters::<f64>::from([("fc.weight".to_owned(), arr2(&[[2.0, -1.0]]).into_dyn().into_shared())]);
//! let network = Network::new(program, parameters)?;
//!
//! let tape = network.run(&[arr2(&[[3.0, 1.0]]).into_dyn().into_shared()])?;
//! assert_eq!(tape.output()[[0, 0]], 5.0);
//! let gradients = network.gradient(&tape, &RuleSet::plain(), 0)?;
//! assert_eq!(gradients.as_slice().unwrap(), [2.0, -1.0]);
//! # Ok::<(), cardiograd::Error>(())
//! ```

mod backward;
mod build;
mod column;
mod fold;
mod formula;
pub mod limits;
mod network;
mod op;
mod ops;
pub mod plan;
mod polyphase;
mod probe;
mod program;
mod rewrite;
mod rule;
mod run;
mod tensor;

pub(crate) use backward::one_hot;
pub use backward::{Gradients, Want};
pub use build::{Builder, ConvLayer};
pub use cardiograd_kernels::Real;
pub use column::column;
pub use fold::{fold_batch_norm, reorder, unfuse_biases};
pub use formula::ReluFormula;
pub use network::{Network, Parameters};
pub use op::{Op, OpKind};
pub use ops::{Arithmetic, Context, Custom, Element, Initial, Lowering, OpClass, OpDefinition, Piece, Problem, Values};
#[cfg(feature = "files")]
pub(crate) use ops::{Attribute, Attributes};
pub(crate) use ops::{dense, sum_to};
pub use plan::{Keep, Look, RunBytes, TrainingPlan};
pub use polyphase::polyphase;
pub use program::{Node, NodeId, Program};
pub use rule::{Match, Rule, RuleSet, Site};
pub use run::{Mode, Saved, Tape};
pub use tensor::{Tensor, cast, from_vec, slice, stack, zeros};
