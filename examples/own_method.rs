//! A method of one's own: a rule, a sampler, a reduction and a name; then it is explained, traced and perturbed like the built-in ones.
//!
//! ```text
//! cargo run --release --example own_method
//! ```

use cardiograd::attribution::{Design, Explainer, Family, Method, Recipe, Reduction, Row, Sampler, Settings, Sum, Unit};
use cardiograd::ecg::simulator::{self, Simulator};
use cardiograd::evaluation::perturbation::{PerturbationSettings, perturb};
use cardiograd::nn::{architecture, initialise};
use cardiograd::progress::silent;
use cardiograd::tape::{Match, OpKind, Program, Real, Rule, RuleSet, Site, Tensor};
use ndarray::{Axis, Ix3};
use std::sync::Arc;

/// Through a ReLU that was open passes the gradient, through a closed one a tenth of it.
struct Leak;

impl<T: Real> Rule<T> for Leak {
    fn propagate(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
        let mut grad = grad.clone();
        grad.zip_mut_with(site.inputs[0], |g, x| *g = if *x > T::ZERO { *g } else { T::of(0.1) * *g });
        Ok(vec![Some(grad)])
    }

    fn name(&self) -> &str {
        "leak"
    }
}

/// That rule at every ReLU, under noise, times the input.
struct Leaky;

impl Design for Leaky {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::gradients(RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(Leak)), Sampler::Noise, Reduction::TimesInput)
    }
}

fn main() -> cardiograd::Result<()> {
    let leaky = Method::register(Row {
        name: "leaky",
        title: "Leaky gradient × input",
        short: "Leaky",
        paper: "this example",
        family: Family::PseudoGradient,
        unit: Unit::Arbitrary,
        sum: Sum::Free,
        heeds: &["samples"],
        design: &Leaky,
    })?;
    let program = architecture("standardconv")?;
    let network = cardiograd::tape::Network::new(program.clone(), initialise(&program, 1, 0)?)?;
    let beat = Simulator::new(simulator::Settings::default(), 1).simulate(0).beat;
    let x = beat.insert_axis(Axis(0));
    let (input, settings) = (x.clone().into_dyn().into_shared(), Settings::default());

    let found = Explainer::new(&network, &settings)?.explain(&input, &[0], &[Method::Saliency, leaky], &silent)?;
    for (method, map) in &found.maps {
        let most = map.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        println!("{:<24} {:<18} largest value {most:.3e}", method.title(), method.row().family.name());
    }
    let trace = cardiograd::trace::trace(&network, &settings, &input, 0, leaky)?;
    let ruled = trace.walks[0].entries.iter().filter(|entry| entry.flow.as_ref().is_some_and(|flow| flow.rule == "leak")).count();
    println!("the rule acted at {ruled} of {} nodes, in {} runs", trace.walks[0].entries.len(), trace.walks[0].runs);

    let maps: Vec<_> = found.maps.iter().map(|(_, map)| map.to_owned().into_dimensionality::<Ix3>().expect("maps are (N, C, L)")).collect();
    let views: Vec<_> = maps.iter().map(|map| map.view()).collect();
    let curves = perturb(&network, x.view(), &[0], &views, &PerturbationSettings::default(), &silent)?;
    for ((method, _), curve) in found.maps.iter().zip(&curves) {
        println!("{:<24} after {} perturbed points the prediction is {:?}", method.title(), curve.ncols() - 1, curve.row(0).last());
    }
    Ok(())
}
