//! The audit passes sound networks and catches broken ones: a flipped ReLU rule, a dropped batch-norm shift, padding off by one,
//! a wrong LRP rule, are each found and named.
#![allow(missing_docs)]

use cardiograd::attribution::{Explainer, GuidedBackprop, Method, Settings};
use cardiograd::audit::{Certificate, Check, Options, definitions, differences, digest, invariance, passages, prove, relu_rules, samplers};
use cardiograd::nn::{Model, architecture, initialise};
use cardiograd::progress::silent;
use cardiograd::random::{Stage, Stream};
use cardiograd::tape::*;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

fn noise(shape: &[usize], scale: f64, seed: u64) -> Tensor<f64> {
    let mut rng = Stream::new(seed, Stage::Simulator).rng();
    let mut value = || scale * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng);
    from_vec(shape, (0..shape.iter().product()).map(|_| value()).collect())
}

fn network(name: &str) -> Network<f32> {
    let program = architecture(name).unwrap();
    let mut network = Network::new(program.clone(), initialise(&program, 3, 0).unwrap()).unwrap();
    for id in program.parameters().into_iter().filter(|id| program.node(*id).name.ends_with("running_mean")) {
        let shape = network.parameter(id).shape().to_vec();
        network.set_parameter(id, cast(&noise(&shape, 0.2, id.0 as u64))).unwrap();
    }
    network
}

fn stream() -> Stream {
    Stream::new(1, Stage::Audit)
}

#[test]
fn sound_networks_pass_and_the_certificate_survives_json() {
    for name in ["stevennet", "standardconv"] {
        let network = network(name);
        let x = cast(&noise(&[2, 12, 48], 200.0, 4));
        // An untrained network bends so much along the path that a few steps may not do; the check itself is tried below.
        let options = Options { tolerance: 0.05, most_steps: 400, ..Options::default() };
        let certificate = prove(&network, &Settings::default(), &options, &x, &[5, 9], &silent).unwrap();
        for check in &certificate.checks {
            assert!(check.passed, "{name}: {check:?}");
        }
        assert!(certificate.passed && certificate.checks.len() > 12);
        let text = serde_json::to_string(&certificate).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&text).unwrap(), certificate);
    }
}

#[test]
fn too_few_steps_are_a_failing_line() {
    let network = network("stevennet");
    let x = cast(&noise(&[1, 12, 48], 200.0, 4));
    let options = Options { tolerance: 1e-12, most_steps: 4, ..Options::default() };
    let settings = Settings { steps: 2, ..Settings::default() };
    let certificate = prove(&network, &settings, &options, &x, &[0], &silent).unwrap();
    let failed: Vec<&str> = certificate.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    assert_eq!(failed, ["completeness of integrated gradients (f32)"]);
    assert!(!certificate.passed);
}

/// conv without bias → ReLU → mean over time → linear without bias, of one lead.
fn without_biases(weight: &[f32]) -> Network<f32> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), None]);
    let weights = |build: &mut Builder, name: &str, shape: &[usize]| build.parameter(name, shape, true);
    let w = weights(&mut build, "conv.weight", &[1, 1, weight.len()]);
    let y = build.node("conv", Op::Conv1d { stride: 1, dilation: 1, padding: (0, 0) }, &[x, w]);
    let y = build.node("relu", Op::Relu, &[y]);
    let y = build.node("pool", Op::GlobalAvgPool, &[y]);
    let w = weights(&mut build, "fc.weight", &[1, 1]);
    let y = build.node("fc", Op::Linear, &[y, w]);
    let values = [("conv.weight", from_vec(&[1, 1, weight.len()], weight.to_vec())), ("fc.weight", from_vec(&[1, 1], vec![2.0]))];
    Network::new(build.finish(y).unwrap(), values.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()).unwrap()
}

/// On a flat stretch every unit of such a network is at its kink, and there is no derivative to compare with: no figure, in words.
#[test]
fn a_figure_that_is_not_a_number_is_a_failing_line_that_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let flat = from_vec(&[1, 1, 40], vec![120.0; 40]);
    // A weight that overflows f32, and in f64 not.
    for (weight, x, words) in
        [([1.0, -1.0], &flat, "every direction crosses a kink"), ([3e38, 3e38], &flat, "node 'conv' (conv1d), element 0: inf")]
    {
        let mut certificate = prove(&without_biases(&weight), &Settings::default(), &Options::default(), x, &[7], &silent).unwrap();
        let failed = certificate.failures();
        assert!(!certificate.passed && failed.iter().any(|check| check.figure.is_nan() && check.detail.contains(words)), "{failed:#?}");
        assert!(failed.iter().all(|check| check.figure.is_finite() || check.detail.starts_with("the figure is ")), "{failed:#?}");
        let text = serde_json::to_string(&certificate).unwrap();
        assert!(text.contains("\"figure\":\"not a number\"") && !text.contains("null"), "{text}");
        let path = folder.path().join("certificate.json");
        std::fs::write(&path, &text).unwrap();
        let read = Certificate::read(&path).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        // Certificates of earlier versions have null there.
        std::fs::write(&path, text.replace("\"not a number\"", "null")).unwrap();
        assert_eq!(serde_json::to_string(&Certificate::read(&path).unwrap()).unwrap(), text);
        certificate.hold_against(&read);
        assert!(!certificate.passed);
    }
    let check = Check::new("x", f64::NEG_INFINITY, 1.0, "");
    assert!(!check.passed && check.detail == "the figure is minus infinite");
}

/// Lets the gradient through where the input is not positive.
struct Flipped;

impl Rule<f64> for Flipped {
    fn propagate(&self, site: &Site<'_, f64>, grad: &Tensor<f64>) -> cardiograd::Result<Vec<Option<Tensor<f64>>>> {
        let through = slice(grad).iter().zip(slice(site.inputs[0])).map(|(g, x)| if *x > 0.0 { 0.0 } else { *g });
        Ok(vec![Some(from_vec(grad.shape(), through.collect()))])
    }

    fn name(&self) -> &str {
        "flipped"
    }
}

#[test]
fn a_flipped_relu_rule_is_caught() {
    let network = network("standardconv").cast::<f64>();
    let x = noise(&[1, 12, 48], 200.0, 6);
    let (sound, _) = differences::finite_differences(&network, &RuleSet::plain(), 0, &x, stream()).unwrap();
    let flipped = RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(Flipped));
    let (broken, _) = differences::finite_differences(&network, &flipped, 0, &x, stream()).unwrap();
    assert!(sound < 1e-5 && broken > 0.1, "{sound} {broken}");
}

#[test]
fn a_dropped_batch_norm_shift_is_caught_and_named() {
    let network = network("stevennet").cast::<f64>();
    let mut broken = fold_batch_norm(&network).unwrap();
    let bias = broken.program().find("block3.conv1.bias").unwrap();
    broken.parameter_mut(bias).fill(0.0);
    let x = noise(&[1, 12, 48], 200.0, 7);
    let check = invariance::invariance(&network, &broken, "folded", &Settings::default(), &x, &[Method::Saliency]).unwrap();
    assert!(!check.passed);
    assert!(check.detail.contains("'block3.bn1'"), "{}", check.detail);
}

/// The program with one convolution's padding moved by one sample.
fn shifted(network: &Network<f64>, name: &str) -> Network<f64> {
    let program = network.program();
    let mut nodes = program.nodes().to_vec();
    let Op::Conv1d { padding, .. } = &mut nodes[program.find(name).unwrap().0].op else { unreachable!() };
    *padding = (padding.0 + 1, padding.1 - 1);
    Network::new(Program::new(nodes, program.output()).unwrap(), network.parameters()).unwrap()
}

#[test]
fn padding_off_by_one_is_caught_and_named() {
    let network = network("stevennet").cast::<f64>();
    let broken = shifted(&network, "block2.conv2");
    let x = noise(&[1, 12, 60], 200.0, 8);
    let run = broken.run(std::slice::from_ref(&x)).unwrap();
    assert!(definitions::definitions(broken.program(), &run, 0).passed);
    let check = definitions::definitions(network.program(), &run, 0);
    assert!(!check.passed && check.detail.contains("'block2.conv2'"), "{check:?}");
    let check = invariance::invariance(&network, &broken, "shifted", &Settings::default(), &x, &[Method::Saliency]).unwrap();
    assert!(!check.passed && check.detail.contains("'block2.conv2'"), "{check:?}");
    assert_ne!(digest::program(&network).unwrap(), digest::program(&broken).unwrap());
}

/// The network with one bit of one weight turned.
fn bit_turned(network: &Network<f32>, name: &str) -> Network<f32> {
    let mut network = network.clone();
    let id = network.program().find(name).unwrap();
    let mut values = network.parameter_mut(id);
    let value = &mut values[[1, 2, 0]];
    *value = f32::from_bits(value.to_bits() ^ 1);
    network
}

#[test]
fn one_weight_bit_is_caught_by_an_earlier_certificate_and_named() {
    let sound = network("stevennet");
    let x = cast(&noise(&[1, 12, 48], 200.0, 4));
    let options = Options { tolerance: 0.05, most_steps: 400, ..Options::default() };
    let certify = |network: &Network<f32>, x: &Tensor<f32>| prove(network, &Settings::default(), &options, x, &[0], &silent).unwrap();
    let earlier = certify(&sound, &x);
    let mut again = certify(&sound, &x);
    again.hold_against(&earlier);
    assert!(again.passed && again.checks.len() == earlier.checks.len() + 3);

    let mut broken = certify(&bit_turned(&sound, "block3.conv1.weight"), &x);
    assert!(broken.passed, "one bit breaks no mathematics");
    broken.hold_against(&earlier);
    let failures = broken.failures();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].name.contains("parameter") && failures[0].detail == "'block3.conv1.weight' changed", "{failures:?}");

    let mut moved = x.to_owned();
    moved[[0, 3, 3]] += 1.0;
    let mut other = certify(&sound, &moved.into_shared());
    other.hold_against(&earlier);
    assert_eq!(other.failures()[0].name, "ECGs as certified");
}

#[test]
fn a_rule_that_differs_from_its_formula_is_caught_and_named() {
    let network = network("stevennet").cast::<f64>();
    let x = noise(&[1, 12, 60], 200.0, 9);
    let tape = network.run(&[x]).unwrap();
    let guided: Arc<dyn Rule<f64>> = Arc::new(GuidedBackprop);
    let check = |rules: &RuleSet<f64>| relu_rules(&network, &tape, None, rules, Method::GuidedBackprop, 0).unwrap();
    let sound = RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::clone(&guided));
    assert!(check(&sound).passed);
    let one = RuleSet::plain().with(Match::Name("block4.relu2".into()), Arc::new(Flipped)).with(Match::Kind(OpKind::Relu), guided);
    let found = check(&one);
    assert!(!found.passed && found.detail.contains("'block4.relu2'") && found.detail.contains("guided_backprop"), "{found:?}");
    assert!(!check(&RuleSet::plain()).passed, "the plain gradient is not guided backprop");
    assert!(relu_rules(&network, &tape, None, &RuleSet::plain(), Method::Saliency, 0).unwrap().passed);
}

#[test]
fn a_wrong_map_is_caught_by_its_formula() {
    let network = network("stevennet").cast::<f64>();
    let x = noise(&[1, 12, 60], 200.0, 11);
    let few = samplers::with_few_samples(&Settings::default(), &x, 3);
    for method in samplers::METHODS {
        let maps = |settings: &Settings| {
            Explainer::new(&network, settings).unwrap().explain(&x, &[0], &[method], &silent).unwrap().maps.remove(0).1
        };
        let against = |map: &Tensor<f64>| samplers::against_formula(&network, &few, &x, method, map).unwrap();
        let sound = maps(&few);
        assert!(against(&sound).passed, "{:?}", against(&sound));
        let mut turned = sound.to_owned();
        let largest = slice(&sound).iter().copied().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap().0;
        turned[[0, largest / 60, largest % 60]] *= -1.0;
        let found = against(&turned.into_shared());
        assert!(!found.passed && found.name == format!("{method} against its formula (f64)"), "{found:?}");
    }
    // Another reduction is another map.
    let signed = Settings { absolute: Some(false), ..few.clone() };
    let map = Explainer::new(&network, &signed).unwrap().explain(&x, &[0], &[Method::SmoothGrad], &silent).unwrap().maps.remove(0).1;
    assert!(!samplers::against_formula(&network, &few, &x, Method::SmoothGrad, &map).unwrap().passed);
}

/// Hands on less than it received.
struct Leaking;

impl Rule<f64> for Leaking {
    fn propagate(&self, _: &Site<'_, f64>, relevance: &Tensor<f64>) -> cardiograd::Result<Vec<Option<Tensor<f64>>>> {
        Ok(vec![Some(relevance.map(|r| 0.9 * r).into_shared())])
    }

    fn name(&self) -> &str {
        "leaking"
    }
}

#[test]
fn a_rule_that_loses_relevance_is_caught_and_named() {
    let network = network("standardconv").cast::<f64>();
    let tape = network.run(&[noise(&[1, 12, 48], 200.0, 10)]).unwrap();
    let relu = network.program().of_kind(OpKind::Relu)[1];
    let rules = RuleSet::plain().with(Match::Name(network.program().node(relu).name.clone()), Arc::new(Leaking));
    let found = passages(&network, &tape, tape.output().clone(), &rules).unwrap();
    assert!((found[&relu].lost() - 0.1).abs() < 0.1 && found[&relu].lost() > 1e-3, "{:?}", found[&relu]);
    let adds = network.program().of_kind(OpKind::Flatten);
    assert!(adds.iter().all(|id| found[id].lost() < 1e-12));
}

/// The program, on a dataset of three simulated ECGs and a network of random weights.
#[test]
fn the_command_certifies_and_catches_a_changed_weight() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cardiograd"));
        command.current_dir(folder.path()).args(arguments.split_whitespace()).output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(run("generate --source simulator -n 3 -o data -q").status.success());
    let sound = network("standardconv");
    let save = |network: Network<f32>, name: &str| Model::new(network).save(folder.path().join(name)).unwrap();
    save(bit_turned(&sound, "model.5.weight"), "broken.cgm");
    save(sound, "sound.cgm");

    let audit = "--data data -n 1 --seed 4 --tolerance 0.2 --steps 400";
    let first = run(&format!("audit sound.cgm {audit} -o certificate.json --page certificate.html"));
    assert_eq!(first.status.code(), Some(0), "{}{}", text(&first.stdout), text(&first.stderr));
    let lines = text(&first.stdout);
    let begins = |line: &str| line.starts_with("pass ") || line.starts_with("not tested ");
    assert!(lines.lines().skip(1).all(begins) && lines.contains("finite differences") && !lines.contains('\u{1b}'), "{lines}");
    for formula in ["inputxgradient", "smoothgrad", "integrated_gradients", "gradient_shap", "guided_gradcam"] {
        assert!(lines.contains(&format!("{formula} against its formula")), "{formula} is not among\n{lines}");
    }
    assert!(lines.contains("not tested  ECGs other than those sampled"), "{lines}");
    let certificate: Certificate = serde_json::from_slice(&std::fs::read(folder.path().join("certificate.json")).unwrap()).unwrap();
    assert!(certificate.passed && certificate.ecgs.len() == 1);
    let about = certificate.about.as_ref().expect("where and when");
    assert!(
        about.model == "sound.cgm"
            && about.dataset == "data"
            && about.command == "cardiograd audit sound.cgm --data=data --ecgs=1 --seed=4 --tolerance=0.2 --steps=400",
        "{about:?}"
    );
    assert!(about.model_sha256.len() == 64 && about.dataset_sha256.len() == 64 && about.date.len() == 10, "{about:?}");
    let page = std::fs::read_to_string(folder.path().join("certificate.html")).unwrap();
    for words in ["All ", "sound.cgm, SHA-256 ", &about.date, "Not tested", "smoothgrad against its formula", "@media print"] {
        assert!(page.contains(words), "{words} is not on the page");
    }
    assert!(!page.contains("<script") && !page.to_lowercase().contains("proves"));

    let second = run(&format!("audit broken.cgm {audit} --certificate certificate.json --json"));
    assert_eq!(second.status.code(), Some(1));
    let told: Certificate = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(told.failures().len(), 1);
    let error = text(&second.stderr);
    assert!(error.trim_end().lines().count() == 1 && error.contains("'model.5.weight' changed"), "{error}");

    // A network that overflows: lines that fail, a certificate that is read again, and no success.
    let mut overflowing = network("standardconv");
    let id = overflowing.program().find("model.5.weight").unwrap();
    let shape = overflowing.parameter(id).shape().to_vec();
    overflowing.set_parameter(id, cast(&noise(&shape, 2e37, 3))).unwrap();
    Model::new(overflowing).save(folder.path().join("large.cgm")).unwrap();
    let third = run("audit large.cgm --data data -n 1 --steps 100 -o large.json");
    assert_eq!(third.status.code(), Some(1), "{}", text(&third.stderr));
    let lines = text(&third.stdout);
    assert!(lines.lines().any(|line| line.starts_with("FAIL") && line.contains("not a number")), "{lines}");
    let again = run("audit large.cgm --data data -n 1 --steps 100 --certificate large.json -q");
    assert!(again.status.code() == Some(1) && text(&again.stderr).contains("checks failed"), "{}", text(&again.stderr));

    for (arguments, code, word) in [
        ("audit sound.cgm --data data --tolerance inf", 2, "tolerance"),
        ("audit sound.cgm --data data -n 0", 2, "ECG"),
        ("audit sound.cgm --data data --tolerance=0", 2, "tolerance"),
        ("audit sound.cgm --data data --certificate sound.cgm", 1, "sound.cgm"),
        ("audit sound.cgm --data absent", 1, "absent"),
    ] {
        let refused = run(arguments);
        let error = text(&refused.stderr);
        assert!(
            refused.status.code() == Some(code) && error.contains(word) && error.trim_end().lines().count() == 1,
            "{arguments}: {error}"
        );
    }
}
