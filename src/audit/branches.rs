//! Which linear piece of a piecewise-linear network a run was on: the units that were open and the winners of max-pooling.

use crate::Result;
use crate::tape::{Match, Network, NodeId, OpClass, Piece, Real, Rule, RuleSet, Site, Tape, Tensor, from_vec, slice};
use std::collections::BTreeMap;
use std::sync::Arc;

/// At each activation with kinks the number of the piece that each input was on; at each selection the position of the winner within its row.
pub(super) type Branches = BTreeMap<usize, Vec<u32>>;

/// The branches of a run.
pub(super) fn branches<T: Real>(network: &Network<T>, tape: &Tape<T>) -> Branches {
    let program = network.program();
    let of = |id: NodeId| {
        let node = program.node(id);
        if let Some(winners) = tape.winners(id) {
            return Some((id.0, winners.to_vec()));
        }
        let kinks: Vec<T> = kinks(&node.op.definition().pieces()).collect();
        let piece = |x: &T| kinks.iter().filter(|kink| *x > **kink).count() as u32;
        (!kinks.is_empty()).then(|| (id.0, slice(tape.value(node.inputs[0])).iter().map(piece).collect()))
    };
    program.ids().filter_map(of).collect()
}

/// Where one piece ends and the next begins.
fn kinks<T: Real>(pieces: &[Piece]) -> impl Iterator<Item = T> {
    pieces.iter().map(|piece| piece.up_to).filter(|kink| kink.is_finite()).map(T::of)
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
        let x = site.inputs[0];
        if site.op().class() == OpClass::Selection {
            // The rows of the input, along its last axis; each gives as many outputs.
            let len = x.shape()[x.ndim() - 1];
            let out = grad.len() * len / x.len().max(1);
            let mut gx = vec![T::ZERO; x.len()];
            slice(grad).iter().enumerate().for_each(|(at, g)| gx[at / out * len + branch[at] as usize] += *g);
            return Ok(vec![Some(from_vec(x.shape(), gx))]);
        }
        let pieces = site.op().definition().pieces();
        let slopes: Option<Vec<T>> = pieces.iter().map(|piece| piece.slope.map(T::of)).collect();
        // A curved piece has no slope to be held: its derivative is as good on either side of a kink that the two runs straddle.
        let Some(slopes) = slopes else { return site.vjp(grad) };
        let held = |(g, piece): (&T, &u32)| match slopes[*piece as usize] {
            slope if slope == T::ONE => *g,
            slope => slope * *g,
        };
        Ok(vec![Some(from_vec(x.shape(), slice(grad).iter().zip(branch).map(held).collect()))])
    }

    fn name(&self) -> &str {
        "held branches"
    }
}

/// Rules that hold a network on these branches.
pub(super) fn hold<T: Real>(network: &Network<T>, branches: &Branches) -> RuleSet<T> {
    let rule: Arc<dyn Rule<T>> = Arc::new(Hold(branches.clone()));
    let (program, on_path) = (network.program(), network.program().on_path());
    let held = program.ids().filter(|id| on_path[id.0] && branches.contains_key(&id.0));
    held.fold(RuleSet::plain(), |rules, id| rules.with(Match::Name(program.node(id).name.clone()), Arc::clone(&rule)))
}
