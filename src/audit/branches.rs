//! Which linear piece of a piecewise-linear network a run was on: the units that were open and the winners of max-pooling.

use crate::Result;
use crate::tape::{Match, Network, NodeId, Op, OpKind, Real, Rule, RuleSet, Site, Tape, Tensor, from_vec, slice};
use std::collections::BTreeMap;
use std::sync::Arc;

/// At each ReLU 1 where the input was above 0; at each max-pooling the position of the winner within its row.
pub(super) type Branches = BTreeMap<usize, Vec<u32>>;

/// The branches of a run.
pub(super) fn branches<T: Real>(network: &Network<T>, tape: &Tape<T>) -> Branches {
    let program = network.program();
    let of = |id: NodeId| {
        let node = program.node(id);
        let x = || tape.value(node.inputs[0]);
        match node.op {
            Op::Relu | Op::LeakyRelu { .. } => Some((id.0, slice(x()).iter().map(|v| u32::from(*v > T::ZERO)).collect())),
            Op::MaxPool1d { window, stride } => Some((id.0, winners(x(), tape.value(id).shape()[2], window, stride))),
            _ => None,
        }
    };
    program.ids().filter_map(of).collect()
}

fn winners<T: Real>(x: &Tensor<T>, out: usize, window: usize, stride: usize) -> Vec<u32> {
    let first_best = |row: &[T], from: usize| {
        let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
        (from..(from + window).min(row.len())).fold(from, better) as u32
    };
    slice(x).chunks(x.shape()[2]).flat_map(|row| (0..out).map(move |t| first_best(row, t * stride))).collect()
}

/// How many branches two runs take differently, per node.
pub(super) fn flips(a: &Branches, b: &Branches) -> Vec<(usize, usize)> {
    let count =
        |(id, left): (&usize, &Vec<u32>)| (*id, b.get(id).map_or(0, |right| left.iter().zip(right).filter(|(l, r)| l != r).count()));
    a.iter().map(count).filter(|(_, flips)| *flips > 0).collect()
}

/// Takes the derivative on given branches, whatever the run's own were.
struct Hold(Branches);

impl<T: Real> Rule<T> for Hold {
    fn propagate(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let branch = self.0.get(&site.id.0).ok_or_else(|| site.error("no branches were recorded"))?;
        let slope = match site.op() {
            Op::LeakyRelu { slope } => T::of(*slope),
            _ => T::ZERO,
        };
        let x = site.inputs[0];
        if site.op().kind() == OpKind::MaxPool1d {
            let (len, out) = (x.shape()[2], grad.shape()[2]);
            let mut gx = vec![T::ZERO; x.len()];
            slice(grad).iter().enumerate().for_each(|(at, g)| gx[at / out * len + branch[at] as usize] += *g);
            return Ok(vec![Some(from_vec(x.shape(), gx))]);
        }
        let gx = slice(grad).iter().zip(branch).map(|(g, open)| if *open == 1 { *g } else { slope * *g });
        Ok(vec![Some(from_vec(x.shape(), gx.collect()))])
    }

    fn name(&self) -> &str {
        "held branches"
    }
}

/// Rules that hold a network on these branches.
pub(super) fn hold<T: Real>(network: &Network<T>, branches: &Branches) -> RuleSet<T> {
    let rule: Arc<dyn Rule<T>> = Arc::new(Hold(branches.clone()));
    let kinds = [OpKind::Relu, OpKind::LeakyRelu, OpKind::MaxPool1d].into_iter().filter(|kind| !network.program().acting(*kind).is_empty());
    kinds.fold(RuleSet::plain(), |rules, kind| rules.with(Match::Kind(kind), Arc::clone(&rule)))
}
