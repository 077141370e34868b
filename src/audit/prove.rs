//! The audit: every check on sampled ECGs, one line each.

use super::conservation::passages;
use super::definitions::definitions;
use super::differences::{DIRECTIONS, adjoint, finite_differences};
use super::invariance::{invariance, planned, variants};
use super::{Certificate, Check, NOT_COVERED, Worst, digest, precision, samplers};
use crate::attribution::{Explainer, MaxPoolRule, Method, Recipe, Settings};
use crate::evaluation::ranks::larger;
use crate::progress::{Report, Step, silent};
use crate::random::{Stage, Stream};
use crate::tape::{Network, Real, RuleSet, Tensor, cast, fold_batch_norm, from_vec, slice};
use crate::{Error, Result};

/// What an audit looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The seed of points and directions.
    pub seed: u64,
    /// The largest completeness error of integrated gradients; steps are doubled until it holds.
    pub tolerance: f64,
    /// The most steps tried.
    pub most_steps: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { seed: 0, tolerance: 0.01, most_steps: 1600 }
    }
}

/// What all checks share.
struct Subject<'a> {
    network: &'a Network<f32>,
    reference: Network<f64>,
    settings: &'a Settings,
    options: &'a Options,
    x: Tensor<f32>,
    ids: &'a [u64],
}

/// Runs every check on the ECGs `x` (N, C, L), numbered `ids`.
///
/// # Errors
/// If the network cannot run on `x`; a check that fails, or meets a value that is not finite, is a line of the certificate, not an error.
pub fn prove(
    network: &Network<f32>,
    settings: &Settings,
    options: &Options,
    x: &Tensor<f32>,
    ids: &[u64],
    report: Report<'_>,
) -> Result<Certificate> {
    let x = x.as_standard_layout().into_owned().into_shared();
    let subject = Subject { network, reference: network.cast(), settings, options, x, ids };
    type Line<'a> = fn(&Subject<'a>) -> Result<Vec<Check>>;
    let lines: [(&str, Line<'_>); 10] = [
        ("every op against its definition", Subject::ops),
        ("gradient against finite differences", Subject::gradients),
        ("rules at ReLUs against their formulas", Subject::rules),
        ("methods against their formulas", Subject::samplers),
        ("f32 against f64", Subject::precisions),
        ("completeness of DeepLIFT", Subject::deeplift),
        ("completeness of integrated gradients", Subject::integrated_gradients),
        ("conservation of relevance", Subject::conservation),
        ("implementation invariance", Subject::invariances),
        ("implementation invariance: execution plans", Subject::plans),
    ];
    let mut checks = Vec::new();
    for (done, (name, line)) in lines.iter().enumerate() {
        report(Step { label: "auditing", done: done as u64, total: lines.len() as u64, unit: "checks", note: "" });
        match line(&subject) {
            Ok(found) => checks.extend(found),
            // A value that nothing can be computed with is what an audit is there to find.
            Err(error @ Error::Value { .. }) => checks.push(Check::without_figure(*name, 0.0, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    report(Step { label: "auditing", done: lines.len() as u64, total: lines.len() as u64, unit: "checks", note: "" });
    Ok(Certificate {
        version: format!("cardiograd {}", env!("CARGO_PKG_VERSION")),
        program_sha256: digest::program(network)?,
        parameters_sha256: digest::parameters(network),
        tensors: digest::tensors(network).into_iter().collect(),
        inputs_sha256: digest::values(&subject.x),
        kernel: digest::kernel(),
        seed: options.seed,
        ecgs: ids.to_vec(),
        passed: checks.iter().all(|check: &Check| check.passed),
        checks,
        not_covered: NOT_COVERED.map(str::to_owned).to_vec(),
        about: None,
    })
}

impl Subject<'_> {
    /// One ECG, (1, C, L).
    fn ecg(&self, at: usize) -> Tensor<f32> {
        let shape = self.x.shape();
        let size: usize = shape[1..].iter().product();
        from_vec(&[1, shape[1], shape[2]], slice(&self.x)[at * size..(at + 1) * size].to_vec())
    }

    fn ops(&self) -> Result<Vec<Check>> {
        let tape = self.network.run(std::slice::from_ref(&self.x))?;
        let wide = self.reference.run(&[cast(&self.x)])?;
        let seed = self.options.seed;
        Ok(vec![
            definitions(self.network.program(), &tape, seed),
            definitions(self.network.program(), &wide, seed),
            adjoint(&self.reference, &wide, seed)?,
        ])
    }

    fn gradients(&self) -> Result<Vec<Check>> {
        let (mut worst, mut kinks) = (Worst::default(), 0);
        for (at, id) in self.ids.iter().enumerate() {
            let stream = Stream::new(self.options.seed, Stage::Audit).target(2).ecg(*id);
            let (error, skipped) =
                finite_differences(&self.reference, &RuleSet::plain(), self.settings.output, &cast(&self.ecg(at)), stream)?;
            kinks += skipped;
            let all = skipped == DIRECTIONS;
            worst.see(error, || if all { format!("ECG {id}, where every direction crosses a kink") } else { format!("ECG {id}") });
        }
        let detail = format!("worst at {}; {kinks} directions at a kink left out", worst.at);
        Ok(vec![Check::new("gradient against finite differences (f64)", worst.figure, 1e-5, detail)])
    }

    fn rules(&self) -> Result<Vec<Check>> {
        Ok(super::rules::catalogued(&self.reference, self.settings, &cast(&self.x))?.into_iter().collect())
    }

    fn samplers(&self) -> Result<Vec<Check>> {
        samplers::formulas(&self.reference, self.settings, &cast(&self.ecg(0)), self.options.seed)
    }

    fn precisions(&self) -> Result<Vec<Check>> {
        let (mut prediction, mut rounding, mut all, mut flips) = (Worst::default(), Worst::default(), Worst::default(), 0);
        let mut first = None;
        for (at, id) in self.ids.iter().enumerate() {
            let found = precision(self.network, &self.reference, self.settings.output, &self.ecg(at))?;
            prediction.see(found.prediction, || format!("ECG {id}"));
            rounding.see(found.rounding, || format!("ECG {id}"));
            all.see(found.gradient, || format!("ECG {id}"));
            flips += found.flips;
            first = first.or(found.first);
        }
        let named = first.map_or("no unit flips".into(), |name| format!("{flips} units flip, the first at '{name}'"));
        let effect = format!("{named}; with them the gradients differ by {:.1e}; worst at {}", all.figure, rounding.at);
        Ok(vec![
            Check::new("f32 prediction against f64", prediction.figure, 1e-3, format!("worst at {}", prediction.at)),
            Check::new("f32 gradient against f64, flips held", rounding.figure, 1e-3, effect),
        ])
    }

    /// The largest completeness error of a method, as a share of the difference (of 1 % of the prediction, where the difference is less).
    fn completeness(&self, in_f64: bool, settings: &Settings, method: Method) -> Result<Worst> {
        if in_f64 {
            completeness(&self.reference, &cast(&self.x), self.ids, settings, method)
        } else {
            completeness(self.network, &self.x, self.ids, settings, method)
        }
    }

    fn deeplift(&self) -> Result<Vec<Check>> {
        // The rule that promises completeness, also behind max-pools.
        let settings = Settings { absolute: None, max_pool: MaxPoolRule::Exact, ..self.settings.clone() };
        let wide = self.completeness(true, &settings, Method::DeepLift)?;
        let work = self.completeness(false, &settings, Method::DeepLift)?;
        Ok(vec![
            Check::new("completeness of DeepLIFT (f64)", wide.figure, 1e-6, wide.at),
            Check::new("completeness of DeepLIFT (f32)", work.figure, 1e-2, work.at),
        ])
    }

    fn integrated_gradients(&self) -> Result<Vec<Check>> {
        let mut steps = self.settings.steps;
        let study = self.completeness(false, &Settings { absolute: None, ..self.settings.clone() }, Method::IntegratedGradients)?;
        let first = format!("{:.1e} at {steps} steps", study.figure);
        let mut worst = study;
        while worst.figure > self.options.tolerance && steps * 2 <= self.options.most_steps {
            steps *= 2;
            worst = self.completeness(false, &Settings { absolute: None, steps, ..self.settings.clone() }, Method::IntegratedGradients)?;
        }
        let detail = format!("{steps} steps needed ({first}); {}", worst.at);
        Ok(vec![Check::new("completeness of integrated gradients (f32)", worst.figure, self.options.tolerance, detail)])
    }

    /// Without biases, and with a vanishing stabiliser, no rule may lose relevance at any node.
    fn conservation(&self) -> Result<Vec<Check>> {
        let mut network = fold_batch_norm(&self.reference)?;
        let biases: Vec<_> = network
            .program()
            .nodes()
            .iter()
            .filter(|node| node.op.signals(node.inputs.len()) == 1)
            .filter_map(|node| node.inputs.get(2).copied())
            .collect();
        for id in biases {
            network.parameter_mut(id).fill(0.0);
        }
        let settings = Settings { lrp_epsilon: 1e-13, ..self.settings.clone() };
        let mut checks = Vec::new();
        for method in [Method::LrpEpsilon, Method::LrpGamma, Method::LrpZPlus, Method::LrpComposite] {
            let Recipe::Relevance(rules) = method.row().recipe::<f64>(network.program(), &settings) else { continue };
            let mut worst = Worst::default();
            for at in 0..self.ids.len() {
                let tape = network.run(&[cast(&self.ecg(at))])?;
                let seed = crate::tape::one_hot(tape.output(), self.settings.output)? * tape.output();
                for (id, passage) in passages(&network, &tape, seed, &rules)? {
                    worst.see(passage.lost(), || format!("most is lost at node '{}'", network.program().node(id).name));
                }
            }
            checks.push(Check::new(format!("conservation of {method}, biases removed (f64)"), worst.figure, 1e-6, worst.at));
        }
        Ok(checks)
    }

    fn invariances(&self) -> Result<Vec<Check>> {
        let x = cast::<f32, f64>(&self.ecg(0));
        let methods = [Method::Saliency, Method::DeepLift, Method::GuidedBackprop];
        let variants = variants(&self.reference, self.options.seed)?;
        let fits =
            |method: &Method| *method != Method::GuidedBackprop || !self.network.program().acting(crate::tape::OpKind::Relu).is_empty();
        let methods: Vec<Method> = methods.into_iter().filter(fits).collect();
        variants.iter().map(|(name, variant)| invariance(&self.reference, variant, name, self.settings, &x, &methods)).collect()
    }

    fn plans(&self) -> Result<Vec<Check>> {
        Ok(vec![planned(self.network, self.settings, &self.x)?])
    }
}

fn completeness<T: Real>(network: &Network<T>, x: &Tensor<T>, ids: &[u64], settings: &Settings, method: Method) -> Result<Worst> {
    let found = Explainer::new(network, settings)?.explain(x, ids, &[method], &silent)?;
    let mut worst = Worst::default();
    let entries = found.completeness.iter().flat_map(|(_, all)| all);
    for ((entry, id), prediction) in entries.zip(ids).zip(&found.prediction) {
        let scale = larger(larger(f64::MIN_POSITIVE, 0.01 * prediction.f64().abs()), entry.difference.abs());
        let figures = || format!("ECG {id}: Σ {:.6e}, f(x) − f(baseline) {:.6e}", entry.sum, entry.difference);
        worst.see((entry.sum - entry.difference).abs() / scale, figures);
    }
    Ok(worst)
}
