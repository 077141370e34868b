//! A plan in words, or why there is none.

use super::compile::{Plan, Unplanned};
use super::steps::{Layout, StepOp};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Program, Real};
use core::fmt::Write;

impl Plan {
    /// The steps, then what is done with them in which buffers, forward and back.
    fn told(&self, program: &Program) -> String {
        let mut text = String::new();
        let convolutions = self.steps.list.iter().filter(|step| step.op.convolution().is_some()).count();
        let _ = writeln!(
            text,
            "the whole network is planned: {} nodes in {} steps, {convolutions} of them convolutions with what follows them",
            self.steps.nodes.len(),
            self.steps.list.len()
        );
        for (index, step) in self.steps.list.iter().enumerate() {
            let nodes: Vec<&str> = step.nodes.iter().map(|id| program.node(*id).name.as_str()).collect();
            let how = match &step.op {
                StepOp::Conv(conv) => conv.conv.plan().to_string(),
                StepOp::Affine(..) => "a factor and a shift per channel".into(),
                StepOp::Relu => "ReLU".into(),
                StepOp::Add => "sum".into(),
                StepOp::Average(window, stride) => format!("means of {window}, step {stride}"),
                StepOp::Max(window, stride) => format!("maxima of {window}, step {stride}"),
                StepOp::Mean => "mean over time".into(),
                StepOp::Same => "the same values".into(),
                StepOp::Dense(..) => "matrix product".into(),
                StepOp::Own(own) => format!("{} as on the tape", own.op.kind()),
            };
            let size = match self.steps.layouts[step.y] {
                Some(Layout::Blocked(channels, len)) => format!("{channels} × {len}"),
                Some(Layout::Features(features)) => features.to_string(),
                None => String::new(),
            };
            let _ = writeln!(text, "  step {index}: {} → {size}, {how}", nodes.join(" + "));
        }
        let _ = write!(text, "forward: {}", self.forward);
        match &self.back {
            Ok(back) => {
                let _ = write!(text, "back: {back}");
            }
            Err(why) => {
                let _ = writeln!(text, "the way back is on the tape: {why}");
            }
        }
        text
    }
}

impl Unplanned {
    /// The reason, with the part that could have been planned.
    fn told(&self, program: &Program) -> String {
        let Some(id) = self.node else { return format!("no plan: {}\n", self.why) };
        let node = program.node(id);
        let computed = || program.nodes().iter().zip(program.live()).filter(|(node, live)| *live && !node.inputs.is_empty());
        let before = computed().take_while(|(other, _)| other.name != node.name).count();
        format!(
            "no plan, the network runs on the tape: node '{}' ({}): {}; {before} of {} nodes stand before it\n",
            node.name,
            node.op.kind(),
            self.why,
            computed().count()
        )
    }
}

impl<T: Real> Network<T> {
    /// How the network runs on examples of this shape (without the batch axis), in words: its execution plan, step by step with its buffers, or why
    /// there is none and it runs on the tape.
    pub fn plan_text(&self, example: &[usize]) -> String {
        if let Some(why) = self.never_planned() {
            return format!("no plan: {why}\n");
        }
        match Plan::compile(self, example) {
            Ok(plan) => plan.told(self.program()),
            Err(unplanned) => unplanned.told(self.program()),
        }
    }
}
