//! Networks from ONNX files of PyTorch's exporters (`tests/data/onnx/make.py`), our own in ONNX and back, files that cannot be taken, and heatmaps as graphs.
//! That these graphs give our maps in another engine is asked by `tests/onnxruntime/run.sh`.

#[path = "formats/varint.rs"]
mod varint;

use cardiograd::attribution::{Method, Settings};
use cardiograd::export::heatmap;
use cardiograd::nn::{Model, architecture, initialise, load_model, onnx};
use cardiograd::tape::{Builder, Network, Op, OpKind, Program, Tensor, cast, from_vec, slice};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use varint::varint;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(name)
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn named(name: &str, seed: u64) -> Network<f32> {
    let program = architecture(name).unwrap();
    let parameters = initialise(&program, seed, 0).unwrap();
    Network::new(program, parameters).unwrap()
}

fn cardiograd(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn done(folder: &Path, arguments: &str) -> String {
    let output = cardiograd(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &str, code: i32) -> String {
    let output = cardiograd(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// The error of loading bytes as a file.
fn fault(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    std::fs::write(&path, bytes).unwrap();
    load_model(&path, None).err().map(|error| error.to_string())
}

#[test]
fn networks_of_both_exporters_predict_what_pytorch_predicts() {
    let expected: serde_json::Value = serde_json::from_str(include_str!("data/onnx/expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    assert!(expected.len() >= 8);
    for (name, case) in expected {
        let path = data(&format!("{name}.onnx"));
        let network = load_model(&path, None).unwrap_or_else(|error| panic!("{error}")).network;
        let y = numbers(&case["y"]);
        let mut wide: Vec<Tensor<f64>> = vec![from_vec(&[2, 3, 40], numbers(&case["x"]))];
        wide.extend(case.get("numbers").map(|beside| from_vec(&[2, 2], numbers(beside))));
        // Weights are f32 in the program; exporters fold batch norms into convolutions in the precision of the file.
        let found = network.cast::<f64>().predict(&wide).unwrap();
        let narrow = network.predict(&wide.iter().map(cast).collect::<Vec<_>>()).unwrap();
        if name.ends_with("f64") {
            let whole = onnx::read_in::<f64>(&path).unwrap().predict(&wide).unwrap();
            for (found, y) in slice(&whole).iter().zip(&y) {
                assert!((found - y).abs() <= 1e-12 * y.abs().max(0.1), "{name}: {found}, PyTorch has {y}");
            }
        }
        for (at, y) in y.iter().enumerate() {
            let (wide, narrow) = (slice(&found)[at], f64::from(slice(&narrow)[at]));
            assert!((wide - y).abs() <= 1e-6 * y.abs().max(0.1), "{name}: {wide}, PyTorch has {y}");
            assert!((narrow - y).abs() <= 1e-5 * y.abs().max(0.1), "{name}: {narrow}, PyTorch has {y}");
        }
    }
    // Halves lose digits, not more.
    let network = load_model(data("residual_half.onnx"), None).unwrap().network;
    let case = &expected["residual_11"];
    let found = network.predict(&[from_vec(&[2, 3, 40], numbers(&case["x"]).iter().map(|v| *v as f32).collect())]).unwrap();
    for (found, y) in slice(&found).iter().zip(numbers(&case["y"])) {
        assert!((f64::from(*found) - y).abs() <= 0.02 * y.abs().max(0.1), "{found} {y}");
    }
}

#[test]
fn networks_go_into_onnx_and_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["stevennet", "standardconv"] {
        let network = named(name, 3);
        let path = folder.path().join(format!("{name}.onnx"));
        std::fs::write(&path, onnx::to_bytes(&network, &[]).unwrap()).unwrap();
        let back = load_model(&path, None).unwrap().network;
        let x = from_vec(&[2, 12, 600], (0..2 * 12 * 600).map(|at| ((at * 37 % 1001) as f32 - 500.0) * 0.4).collect());
        assert_eq!(slice(&network.predict(std::slice::from_ref(&x)).unwrap()), slice(&back.predict(&[x]).unwrap()), "{name}");
        let names = |program: &Program| {
            program.parameters().into_iter().map(|id| program.node(id).name.clone()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(network.program()), names(back.program()), "{name}");
    }
}

/// Recurrent layers and inputs beside the ECG, written and read again.
#[test]
fn recurrent_networks_and_those_of_several_inputs_go_back_into_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let mut networks: Vec<Network<f32>> =
        ["lstm_18_dynamo", "gru_17_f64"].iter().map(|name| load_model(data(&format!("{name}.onnx")), None).unwrap().network).collect();
    let mut build = Builder::new();
    let numbers = build.input("numbers", &[Some(2)]);
    let x = build.input("x", &[Some(3), None]);
    let states = build.lstm("rnn", x, 3, 4, true);
    let mean = build.node("mean", Op::GlobalAvgPool, &[states]);
    let fc = build.linear("fc", numbers, 2, 3, true);
    let joined = build.node("join", Op::Concat, &[mean, fc]);
    let y = build.linear("y", joined, 7, 2, true);
    let program = build.finish(y).unwrap();
    let parameters = initialise(&program, 5, 0).unwrap();
    networks.push(Network::new(program, parameters).unwrap());
    for (at, network) in networks.into_iter().enumerate() {
        let path = folder.path().join(format!("{at}.onnx"));
        std::fs::write(&path, onnx::to_bytes(&network, &[]).unwrap()).unwrap();
        let back = load_model(&path, None).unwrap_or_else(|error| panic!("{error}")).network;
        let draw = |shape: &[usize]| -> Tensor<f32> {
            from_vec(shape, (0..shape.iter().product()).map(|at: usize| (at * 37 % 101) as f32 / 50.0 - 1.0).collect())
        };
        // Each in its program's own order of inputs.
        let inputs = |network: &Network<f32>| -> Vec<Tensor<f32>> {
            network.program().input_shapes(2, &[3, 40]).unwrap().iter().map(|shape| draw(shape)).collect()
        };
        let (a, b) = (network.predict(&inputs(&network)).unwrap(), back.predict(&inputs(&back)).unwrap());
        assert_eq!(slice(&a), slice(&b), "{at}");
        let recurrent = |network: &Network<f32>| [OpKind::Lstm, OpKind::Gru].map(|kind| network.program().of_kind(kind).len());
        assert_eq!(recurrent(&network), recurrent(&back), "{at}");
    }
}

/// "The last sample" is sample 599 in a file that was read for 600 samples, and another one in a longer ECG: such a network takes one length.
#[test]
fn a_network_that_means_other_samples_at_another_length_takes_one_length() {
    let network = load_model(data("open_17.onnx"), None).unwrap().network;
    let x = |len: usize| from_vec(&[2, 3, len], (0..2 * 3 * len).map(|at| ((at * 37 % 101) as f32 - 50.0) / 50.0).collect());
    let expected: Vec<f64> = serde_json::from_str(include_str!("data/onnx/open.json")).unwrap();
    for (found, y) in slice(&network.predict(&[x(600)]).unwrap()).iter().zip(expected) {
        assert!((f64::from(*found) - y).abs() < 1e-5 * y.abs().max(0.1), "{found}, PyTorch has {y}");
    }
    let error = network.predict(&[x(700)]).unwrap_err().to_string();
    assert!(error.contains("(N, 3, 600)"), "{error}");
    // One that means the same at any length stays open.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stevennet.onnx");
    std::fs::write(&path, onnx::to_bytes(&named("stevennet", 3), &[]).unwrap()).unwrap();
    let network = load_model(&path, None).unwrap().network;
    assert_eq!(network.predict(&[from_vec(&[1, 12, 700], vec![0.5; 12 * 700])]).unwrap().shape(), [1, 1]);
}

/// What the layers are imported as: nothing that an exporter's turning of axes leaves.
#[test]
fn a_recurrent_layer_is_an_op_a_direction() {
    let network = load_model(data("lstm_17.onnx"), None).unwrap().network;
    let text = network.program().to_string();
    assert_eq!(network.program().of_kind(OpKind::Lstm).len(), 4, "{text}");
    // Between layers nothing but the join of the two directions.
    assert_eq!(network.program().of_kind(OpKind::Transpose).len(), 0, "{text}");
}

#[test]
fn the_command_line_takes_and_gives_onnx() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    Model::new(named("standardconv", 5)).save(folder.join("net.cgm")).unwrap();
    let x: Vec<f32> = (0..2 * 12 * 600).map(|at| ((at * 37 % 1001) as f32 - 500.0) * 0.4).collect();
    cardiograd::files::npy::write(folder.join("x.npy"), from_vec(&[2, 12, 600], x).view()).unwrap();
    assert!(done(folder, "convert net.cgm net.onnx").contains("net.onnx"));
    assert_eq!(done(folder, "predict net.onnx -i x.npy"), done(folder, "predict net.cgm -i x.npy"));
    let text = done(folder, "inspect net.onnx");
    assert!(text.starts_with("net.onnx: an ONNX network, taken as") && text.contains("conv1d"), "{text}");
    for model in ["net.cgm", "net.onnx"] {
        done(folder, &format!("explain {model} -i x.npy -m saliency,deeplift,guided_gradcam -o {model}.npz"));
    }
    let maps = |name: &str| {
        ["saliency", "deeplift", "guided_gradcam"]
            .map(|method| cardiograd::files::npz::read_one(folder.join(name), method).unwrap().into_f32())
    };
    assert_eq!(maps("net.cgm.npz"), maps("net.onnx.npz"));
    done(folder, "convert net.onnx back.cgm");
    assert_eq!(done(folder, "predict back.cgm -i x.npy"), done(folder, "predict net.cgm -i x.npy"));
    done(folder, "convert net.onnx net.safetensors");
    assert!(refused(folder, "predict net.onnx --arch stevennet -i x.npy", 2).contains("holds its own network"));

    let text = done(folder, "export net.cgm -m integrated_gradients --length 600 --steps 20 -o map.onnx --json");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["inputs"], serde_json::json!(["ecg", "baseline"]));
    assert!(std::fs::metadata(folder.join("map.onnx")).unwrap().len() > 10_000);
    assert!(refused(folder, "export net.cgm -m smoothgrad --length 600 -o map.onnx", 2).contains("draws numbers"));
    assert!(refused(folder, "export net.cgm -m saliency -o map.onnx", 2).contains("--length SAMPLES"));
    assert!(refused(folder, "export net.cgm -m saliency --length 600 -o map.txt", 2).contains("written as .onnx"));
    // A graph of a heatmap has two outputs: it is no network of ours.
    assert!(refused(folder, "predict map.onnx -i x.npy", 1).contains("2 outputs (prediction, map)"));
}

/// What stands beside the ECG comes in under the network's name for it, and its maps go out under METHOD.NAME.
#[test]
fn the_command_line_takes_inputs_beside_the_ecg() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let expected: serde_json::Value = serde_json::from_str(include_str!("data/onnx/expected.json")).unwrap();
    let case = &expected["beside_17_f64"];
    let write = |name: &str, shape: &[usize], values: Vec<f64>| {
        cardiograd::files::npy::write(folder.join(name), from_vec(shape, values).view()).unwrap();
    };
    write("x.npy", &[2, 3, 40], numbers(&case["x"]));
    write("numbers.npy", &[2, 2], numbers(&case["numbers"]));
    write("base.npy", &[2], vec![0.5, -0.5]);
    std::fs::copy(data("beside_17_f64.onnx"), folder.join("net.onnx")).unwrap();
    let beside = "--beside numbers=numbers.npy --column all";
    done(folder, &format!("predict net.onnx -i x.npy {beside} -o y.npy"));
    let y = cardiograd::files::npy::read_f64(folder.join("y.npy")).unwrap();
    for (found, y) in y.iter().zip(numbers(&case["y"])) {
        assert!((found - y).abs() < 1e-5, "{found} {y}");
    }
    let method = "-m saliency,deeplift,gradcam --precision f64 --beside-baseline numbers=base.npy --multiply-by-inputs yes";
    done(folder, &format!("explain net.onnx -i x.npy {beside} {method} -o maps.npz"));
    let map = |name: &str| cardiograd::files::npz::read_one(folder.join("maps.npz"), name).map(|array| array.into_f64());
    assert_eq!((map("deeplift").unwrap().shape(), map("deeplift.numbers").unwrap().shape()), (&[2, 2, 3, 40][..], &[2, 2, 2][..]));
    assert!(map("saliency.numbers").is_ok() && map("gradcam").is_ok() && map("gradcam.numbers").is_err());
    let network = onnx::read_in::<f64>(folder.join("net.onnx")).unwrap();
    let at_base = network.predict(&[from_vec(&[1, 3, 40], vec![0.0; 120]), from_vec(&[1, 2], vec![0.5, -0.5])]).unwrap();
    let (ecg, beside_ecg) = (map("deeplift").unwrap(), map("deeplift.numbers").unwrap());
    for (at, y) in numbers(&case["y"]).into_iter().enumerate() {
        let sum = |map: &ndarray::ArrayD<f64>| {
            map.as_standard_layout().as_slice().unwrap().chunks(map.len() / 4).nth(at).unwrap().iter().sum::<f64>()
        };
        let wanted = y - slice(&at_base)[at % 2];
        assert!((sum(&ecg) + sum(&beside_ecg) - wanted).abs() < 1e-9, "output {at}");
    }
    assert!(refused(folder, "predict net.onnx -i x.npy --column 0", 2).contains("'numbers' needs its values once: --beside numbers=X.npy"));
    assert!(
        refused(folder, "predict net.onnx -i x.npy --column 0 --beside age=numbers.npy", 2)
            .contains("no such input beside the ECG; it has numbers")
    );
    assert!(refused(folder, "predict net.onnx -i x.npy --column 0 --beside numbers=base.npy", 1).contains("(2, 2)"));
    for wrong in [f64::NAN, f64::INFINITY] {
        write("wrong.npy", &[2, 2], vec![1.0, 2.0, 3.0, wrong]);
        for command in ["predict net.onnx", "explain net.onnx -m saliency -o wrong.npz"] {
            let text = refused(folder, &format!("{command} -i x.npy --column 0 --beside numbers=wrong.npy"), 1);
            assert!(text.contains("wrong.npy: ECG 1, 'numbers', element 1:") && text.contains("is not finite"), "{text}");
        }
    }
    assert!(
        refused(folder, "explain net.onnx -i x.npy --column 0 --beside numbers=numbers.npy -m saliency -o page.html", 2)
            .contains("one input")
    );
}

#[test]
fn every_method_that_draws_nothing_has_a_graph() {
    let network = named("standardconv", 1);
    let settings = Settings::default();
    for method in Method::ALL {
        let made = heatmap(&network, method, &settings, (12, 600), &[]);
        let drawn = [Method::SmoothGrad, Method::GradientShap, Method::VarGrad, Method::Random, Method::Occlusion].contains(&method);
        assert_eq!(made.is_err(), drawn, "{method}");
    }
}

#[test]
fn what_cannot_be_taken_is_named_with_its_node() {
    let refused = |name: &str| load_model(data(name), None).unwrap_err().to_string();
    let text = refused("refused_memory.onnx");
    assert!(text.contains("a further output of a node before") && text.contains("the memory of an LSTM"), "{text}");
    let text = refused("refused_outputs.onnx");
    assert!(text.contains("2 outputs (mean, spread)"), "{text}");
    let text = refused("refused_external.onnx");
    assert!(text.contains("only files beside the model"), "{text}");
    let whole = std::fs::read(data("residual_17.onnx")).unwrap();
    assert!(fault(&whole[..whole.len() / 2]).unwrap().contains("not an ONNX model"));
    assert!(fault(b"").unwrap().contains("no graph"));
    assert!(fault(b"PK\x03\x04").is_some());
}

/// Every byte behind the name of a number of a geometry made 0 or 255: a dilation of nothing, windows that no signal holds.
#[test]
fn geometry_of_any_numbers_is_taken_or_refused() {
    let whole = std::fs::read(data("disguised_13.onnx")).unwrap();
    let (mut tried, mut nothing) = (0, 0);
    for word in ["dilations", "strides", "pads", "kernel_shape"] {
        for at in (0..whole.len()).filter(|at| whole[*at..].starts_with(word.as_bytes())) {
            for place in at + word.len()..(at + word.len() + 16).min(whole.len()) {
                for value in [0, 255] {
                    let mut bytes = whole.clone();
                    bytes[place] = value;
                    tried += 1;
                    if let Some(text) = fault(&bytes) {
                        assert!(text.lines().count() == 1 && text.len() < 2048 && text.contains("x.onnx"), "{text}");
                        nothing += usize::from(text.contains("a stride or dilation of 0"));
                    }
                }
            }
        }
    }
    assert!(tried > 200 && nothing > 2, "{nothing} of {tried}");
}

/// A convolution whose bias is another layer's, of another length.
#[test]
fn a_bias_of_another_length_is_refused() {
    let whole = std::fs::read(data("branches_15.onnx")).unwrap();
    let at = whole.windows(9).position(|word| word == b"even.bias").unwrap();
    let mut bytes = whole;
    bytes[at..at + 9].copy_from_slice(b"gate.bias");
    let text = fault(&bytes).unwrap();
    assert!(text.contains("a bias of shape") && text.lines().count() == 1, "{text}");
}

/// A field of a message of protobuf: its number, and a text, a message or (by [`whole`]) a number.
fn field(number: u64, body: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(number << 3 | 2), varint(body.as_ref().len() as u64), body.as_ref().to_vec()].concat()
}

fn whole(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// A network of (1, 12, 600) to which nodes (inputs, op, output) and whole numbers are added; `last` goes into the mean and the layer that end it.
fn graph(nodes: &[(Vec<&str>, &str, String)], numbers: &[(&str, u64)], last: &str) -> Vec<u8> {
    let node = |inputs: &[&str], op: &str, output: &str| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input)).collect();
        field(1, [inputs, field(2, output), field(4, op)].concat())
    };
    let info = |name: &str, shape: &[u64]| {
        let dims: Vec<u8> = shape.iter().flat_map(|size| field(1, whole(1, *size))).collect();
        [field(1, name), field(2, field(1, [whole(1, 1), field(2, dims)].concat()))].concat()
    };
    let mut all: Vec<u8> = nodes.iter().flat_map(|(inputs, op, output)| node(inputs, op, output)).collect();
    all.extend([node(&[last], "GlobalAveragePool", "p"), node(&["p"], "Flatten", "f"), node(&["f", "w"], "Gemm", "y")].concat());
    let weight: Vec<u8> = (0..12).flat_map(|at| (at as f32).to_le_bytes()).collect();
    all.extend(field(5, [whole(1, 12), whole(1, 1), whole(2, 1), field(8, "w"), field(9, weight)].concat()));
    for (name, value) in numbers {
        all.extend(field(5, [whole(1, 1), whole(2, 7), field(8, name), field(9, value.to_le_bytes())].concat()));
    }
    all.extend([field(11, info("x", &[1, 12, 600])), field(12, info("y", &[1, 1]))].concat());
    [whole(1, 8), field(8, whole(2, 13)), field(7, all)].concat()
}

/// Nodes that make much of nothing, many that do, and one weight that many read.
#[test]
fn what_is_computed_is_bounded_in_all() {
    let of = |count: usize| (0..count).map(|at| (vec!["s"], "ConstantOfShape", format!("big{at}"))).collect::<Vec<_>>();
    assert_eq!(fault(&graph(&of(1), &[("s", 12)], "x")), None);
    let text = fault(&graph(&of(1), &[("s", 1 << 28)], "x")).unwrap();
    assert!(text.contains("a tensor of shape [268435456]"), "{text}");
    let text = fault(&graph(&of(40), &[("s", 1 << 20)], "x")).unwrap();
    assert!(text.contains("its nodes make more than 8 times the weights"), "{text}");
    // Every product becomes a node and a parameter, named after the one weight.
    let outputs: Vec<String> = (0..20_000).map(|at| format!("m{at}")).collect();
    let reads = |at: usize| if at == 0 { "x" } else { &outputs[at - 1] };
    let nodes: Vec<_> = outputs.iter().enumerate().map(|(at, output)| (vec![reads(at), "c"], "Mul", output.clone())).collect();
    let text = fault(&graph(&nodes, &[("c", 1)], "m19999"));
    assert_eq!(text, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_taken_or_refused_in_a_line(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let mut bytes = std::fs::read(data("branches_15.onnx")).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = with;
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Some(text) = fault(&bytes) {
            prop_assert!(text.lines().count() == 1 && text.len() < 2048 && text.contains("x.onnx"), "{text}");
        }
    }
}
