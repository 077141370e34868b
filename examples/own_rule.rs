//! A backward rule from outside the crate: gradients that are clipped at every ReLU, so that no unit can dominate a heatmap.
//! `cargo run --release --example own_rule`

use cardiograd::nn::{initialise, stevennet};
use cardiograd::tape::{Match, Network, OpKind, Real, Rule, RuleSet, Site, Tensor, from_vec, slice};
use std::sync::Arc;

/// g → clamp(g, −limit, limit) where the ReLU was open, else 0.
struct Clipped(f64);

impl<T: Real> Rule<T> for Clipped {
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
        // What would flow without the rule; a rule may also ignore it and look at site.inputs, site.output or site.reference.
        let plain = site.vjp(grad_out)?.swap_remove(0).ok_or_else(|| site.error("has no derivative"))?;
        let limit = T::of(self.0);
        let clipped = slice(&plain).iter().map(|g| {
            if *g > limit {
                limit
            } else if *g < -limit {
                -limit
            } else {
                *g
            }
        });
        Ok(vec![Some(from_vec(plain.shape(), clipped.collect()))])
    }

    fn name(&self) -> &str {
        "clipped"
    }
}

fn main() -> cardiograd::Result<()> {
    let program = stevennet(12, Some(600))?;
    let network: Network<f32> = Network::new(program.clone(), initialise(&program, 1, 0)?)?;
    let x = from_vec(&[1, 12, 600], (0..7200).map(|at| (at as f32 * 0.05).sin() * 300.0).collect());

    let tape = network.run(&[x])?;
    let plain = network.gradient(&tape, &RuleSet::plain(), 0)?;
    // An entry that matched nothing in the program would be an error, never silently the plain gradient.
    let rules = RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(Clipped(1e-3)));
    let clipped = network.gradient(&tape, &rules, 0)?;

    let norm = |map: &Tensor<f32>| map.iter().map(|v| v * v).sum::<f32>().sqrt();
    println!("prediction {}, |gradient| {:.3e}, clipped {:.3e}", tape.output()[[0, 0]], norm(&plain), norm(&clipped));
    Ok(())
}
