//! `cardiograd explain` as a script calls it: against PyTorch and Captum, and on everything that can be wrong.

use cardiograd::dataset::InputKind;
use cardiograd::files::state_dict::{self, StateDict};
use cardiograd::files::{npy, npz};
use cardiograd::nn::{Model, initialise};
use cardiograd::tape::{Builder, ConvLayer, Network, Op, from_vec};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, IxDyn};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn expected() -> StateDict {
    state_dict::read(data("oracles/standardconv/expected.safetensors")).unwrap()
}

fn array(dict: &StateDict, name: &str) -> ArrayD<f64> {
    let tensor = dict.get(name).unwrap_or_else(|| panic!("no {name}"));
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), tensor.to_f64()).unwrap()
}

fn cardiograd(folder: &Path, model: &str, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).arg("explain").arg(data(model)).args(["--arch", "standardconv"]);
    command.args(arguments.split_whitespace()).output().unwrap()
}

fn stdout(folder: &Path, model: &str, arguments: &str) -> String {
    let output = cardiograd(folder, model, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line with which a command is refused; nothing may be left of its output.
fn refusal(folder: &Path, model: &str, arguments: &str, code: i32) -> String {
    let output = cardiograd(folder, model, &format!("{arguments} -o refused.npz"));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    let left: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.contains("refused") || name.contains("partial")), "{left:?}");
    text
}

/// A folder with the ECG, the draws and the baseline of the reference results.
fn folder() -> (tempfile::TempDir, StateDict) {
    let folder = tempfile::tempdir().unwrap();
    let expected = expected();
    for (file, key) in [("x", "x"), ("noise", "noise"), ("c", "coefficients"), ("base", "f64.deeplift_mean_baseline.baseline")] {
        npy::write(folder.path().join(format!("{file}.npy")), array(&expected, key).view()).unwrap();
    }
    (folder, expected)
}

fn maps(path: &Path, name: &str) -> ArrayD<f64> {
    npz::read_one(path, name).unwrap().into_f64()
}

fn relative(found: &ArrayD<f64>, wanted: &ArrayD<f64>) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let error = square(&mut found.iter().zip(wanted.iter()).map(|(a, b)| a - b));
    (error / square(&mut wanted.iter().copied())).sqrt()
}

#[test]
fn maps_are_those_of_captum() {
    let (folder, expected) = folder();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let models = ["state_dict/standardconv.pt", "state_dict/standardconv_legacy.pt", "state_dict/standardconv.safetensors"];
    let runs = [(models[0], "f32", "no"), (models[1], "f32", "yes"), (models[2], "f64", "no"), (models[0], "f64", "yes")];
    for (model, precision, multiply) in runs {
        let options = format!("--precision {precision} --multiply-by-inputs {multiply} --quadrature captum");
        stdout(path, model, &format!("-i x.npy --method all --draws noise.npy --coefficients c.npy -o out.npz {options}"));
        for name in npz::names(&out).unwrap().iter().filter(|name| *name != "random") {
            let scaled = ["deeplift", "integrated_gradients", "gradient_shap"].contains(&name.as_str());
            let key = if scaled && multiply == "no" { format!("f64.{name}_multipliers") } else { format!("f64.{name}") };
            let error = relative(&maps(&out, name), &array(&expected, &key));
            // In f32 a ReLU that flips on the last bit at one of many points moves a sum over points, in PyTorch just the same.
            let sampled = ["smoothgrad", "gradient_shap", "integrated_gradients"].contains(&name.as_str());
            let limit = if precision == "f64" {
                1e-10
            } else if sampled {
                1e-4
            } else {
                1e-5
            };
            assert!(error <= limit, "{name} from {model} in {precision}, multiplied {multiply}: {error:.1e}");
        }
        assert_eq!(npz::names(&out).unwrap().len(), 11);
    }
}

#[test]
fn options_change_what_they_say() {
    let (folder, expected) = folder();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let model = "state_dict/standardconv.safetensors";
    let text = stdout(path, model, "-i x.npy --method deeplift --baseline base.npy --multiply-by-inputs yes --precision f64 -o out.npz");
    assert!(relative(&maps(&out, "deeplift"), &array(&expected, "f64.deeplift_mean_baseline")) < 1e-10);
    assert!(text.contains("deeplift: completeness error"), "{text}");
    stdout(path, model, "-i x.npy --method smoothgrad --draws noise.npy --absolute no --precision f64 -o out.npz");
    assert!(relative(&maps(&out, "smoothgrad"), &array(&expected, "f64.smoothgrad_signed")) < 1e-10);
    stdout(path, model, "-i x.npy --method gradcam --layer model.11 --precision f64 -o out.npz");
    let map = maps(&out, "gradcam");
    assert_eq!(map.shape(), [1, 12, 600]);
    let row = map.index_axis(ndarray::Axis(1), 7).to_owned().into_dyn();
    assert!(relative(&row, &array(&expected, "f64.gradcam")) < 1e-10);
    let (few, many) = ("--steps 5 --json", "--steps 80 --json");
    let error = |options: &str| {
        let text = stdout(path, model, &format!("-i x.npy --method integrated_gradients --precision f64 -o out.npz {options}"));
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        told["completeness"]["integrated_gradients"][0]["relative_error"].as_f64().unwrap()
    };
    assert!(error(many) < error(few));
    assert_eq!(stdout(path, model, "-i x.npy --method saliency --quiet -o out.npz"), "");
}

#[test]
fn every_option_of_lrp_and_occlusion_does_what_it_says() {
    let (folder, _) = folder();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let model = "state_dict/standardconv.safetensors";
    let map = |options: &str, name: &str| {
        stdout(path, model, &format!("-i x.npy --precision f64 -o out.npz --method {name} {options}"));
        maps(&out, name)
    };
    for (name, option) in [("lrp_epsilon", "--lrp-epsilon 0.5"), ("lrp_gamma", "--lrp-gamma 2")] {
        assert!(relative(&map(option, name), &map("", name)) > 1e-3, "{option}");
    }
    let wide = map("--occlusion-window 600 --occlusion-stride 600", "occlusion");
    let row = wide.index_axis(ndarray::Axis(0), 0).index_axis(ndarray::Axis(0), 3).to_owned();
    assert!(row.iter().all(|v| *v == row[[0]]), "one window covers the row");
    assert!(relative(&map("--occlusion-window 60 --occlusion-stride 60", "occlusion"), &wide) > 1e-3);

    let columns = "id,pr_ms,qrs_ms,qt_ms,rate_bpm,r_v5_uv,j_v5_uv,t_v5_uv,p_onset,p_offset,qrs_onset,qrs_offset,t_offset,status";
    std::fs::write(path.join("m.csv"), format!("{columns}\na,,,,,,,,,,200,260,420,ok\n")).unwrap();
    map("--segments m.csv", "saliency");
    let drops = maps(&out, "occlusion_segments");
    assert_eq!(drops.shape(), [1, 5]);
    let missing: Vec<bool> = drops.iter().map(|v| v.is_nan()).collect();
    assert_eq!(missing, [true, true, false, false, false], "no P was measured");
    assert!(drops.iter().skip(2).all(|v| *v != 0.0));
    for (options, code, word) in
        [("--occlusion-window 0", 2, "window"), ("--lrp-epsilon=-1", 2, "epsilon"), ("--segments x.npy", 1, "x.npy")]
    {
        let text = refusal(path, model, &format!("-i x.npy --method saliency {options}"), code);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_sample_of_baselines_is_averaged_over() {
    let (folder, expected) = folder();
    let (path, out) = (folder.path(), folder.path().join("out.npz"));
    let model = "state_dict/standardconv.safetensors";
    let x: Array3<f64> = array(&expected, "x").into_dimensionality().unwrap();
    let zero = Array3::<f64>::zeros(x.dim());
    let half = x.mapv(|v| 0.5 * v);
    npy::write(path.join("half.npy"), half.view()).unwrap();
    npy::write(path.join("both.npy"), ndarray::concatenate(ndarray::Axis(0), &[zero.view(), half.view()]).unwrap().view()).unwrap();
    let quarter = x.mapv(|v| 0.25 * v);
    npy::write(path.join("quarter.npy"), quarter.view()).unwrap();
    let map = |options: &str, name: &str| {
        stdout(path, model, &format!("-i x.npy --precision f64 -o out.npz --method deeplift,saliency {options}"));
        maps(&out, name)
    };
    let mean = (map("", "deeplift") + map("--baseline half.npy", "deeplift")) / 2.0;
    assert!(relative(&map("--baseline both.npy", "deeplift"), &mean) < 1e-12);
    assert_eq!(map("--baseline both.npy", "saliency"), map("", "saliency"), "a gradient has no baseline");
    assert_eq!(map("--baseline both.npy --baseline-use mean", "deeplift"), map("--baseline quarter.npy", "deeplift"));
    assert_eq!(map("--baseline both.npy --baselines 1", "deeplift"), map("", "deeplift"));

    let mut generate = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    assert!(generate.current_dir(path).args("generate --source simulator -n 12 -o data -q".split(' ')).status().unwrap().success());
    let few = map("--baseline data --baselines 2", "deeplift");
    assert_ne!(few, map("--baseline data --baselines 3", "deeplift"));
    assert_eq!(few, map("--baseline data --baselines 2 --threads 1", "deeplift"));
    assert_ne!(few, map("--baseline data --baselines 2 --baseline-use mean", "deeplift"));
}

#[test]
fn any_number_type_and_one_ecg_without_a_batch() {
    let (folder, expected) = folder();
    let path = folder.path();
    let whole: Array3<i16> = array(&expected, "x").mapv(|v| v.round() as i16).into_dimensionality().unwrap();
    let one: Array2<i16> = whole.index_axis(ndarray::Axis(0), 0).to_owned();
    let both = ndarray::stack(ndarray::Axis(0), &[one.view(), one.view()]).unwrap();
    npy::write(path.join("one.npy"), one.view()).unwrap();
    npy::write(path.join("both.npy"), both.mapv(f64::from).view()).unwrap();
    npy::write(path.join("single.npy"), both.mapv(f32::from).view()).unwrap();
    let model = "state_dict/standardconv.pt";
    let mut found = Vec::new();
    for (file, threads) in [("one", 1), ("both", 2), ("single", 1)] {
        stdout(path, model, &format!("-i {file}.npy --method saliency,smoothgrad --samples 3 --seed 5 --threads {threads} -o {file}.npz"));
        found.push(npz::read_one(path.join(format!("{file}.npz")), "smoothgrad").unwrap().into_f32());
    }
    assert_eq!((found[0].shape(), found[1].shape()), (&[1, 12, 600][..], &[2, 12, 600][..]));
    assert_eq!(found[1], found[2]);
    assert_eq!(found[0].index_axis(ndarray::Axis(0), 0), found[1].index_axis(ndarray::Axis(0), 0));
    let saliency = npz::read_one(path.join("both.npz"), "saliency").unwrap().into_f32();
    assert_eq!(saliency.index_axis(ndarray::Axis(0), 0), saliency.index_axis(ndarray::Axis(0), 1), "a map depends on its company");
}

#[test]
fn what_is_wrong_is_said_in_one_line_and_leaves_nothing() {
    let (folder, expected) = folder();
    let path = folder.path();
    let x: Array3<f64> = array(&expected, "x").into_dimensionality().unwrap();
    let write = |name: &str, array: &Array3<f64>| npy::write(path.join(name), array.view()).unwrap();
    let mut broken = x.clone();
    broken[[0, 7, 100]] = f64::NAN;
    write("nan.npy", &broken);
    broken[[0, 7, 100]] = f64::NEG_INFINITY;
    write("inf.npy", &broken);
    write("eleven.npy", &x.select(ndarray::Axis(1), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    npy::write(path.join("flat.npy"), Array1::<f32>::zeros(7200).view()).unwrap();
    npy::write(path.join("short.npy"), Array2::<f32>::zeros((12, 500)).view()).unwrap();
    std::fs::write(path.join("cut.npy"), &std::fs::read(path.join("x.npy")).unwrap()[..5000]).unwrap();
    let model = "state_dict/standardconv.safetensors";
    let said = |arguments: &str, code: i32, words: &[&str]| {
        let text = refusal(path, model, arguments, code);
        assert!(words.iter().all(|word| text.contains(word)), "{arguments}: {text}");
    };
    said("-i nan.npy --method saliency", 1, &["nan.npy", "sample 100", "NaN"]);
    said("-i inf.npy --method saliency", 1, &["inf.npy", "sample 100", "inf"]);
    said("-i eleven.npy --method saliency", 1, &["eleven.npy", "12", "11"]);
    said("-i flat.npy --method saliency", 1, &["flat.npy", "(N, 12, L)"]);
    said("-i cut.npy --method saliency", 1, &["cut.npy"]);
    said("-i absent.npy --method saliency", 1, &["absent.npy"]);
    said("-i x.npy --method saliency,magic", 2, &["magic", "saliency"]);
    said("-i x.npy --method saliency,saliency", 2, &["twice"]);
    said("-i x.npy --method deeplift --baseline short.npy", 1, &["baseline", "500"]);
    said("-i x.npy --method deeplift --baseline nothing", 2, &["nothing"]);
    said("-i x.npy --method gradcam --layer block8.conv2", 2, &["block8.conv2"]);
    said("-i x.npy --method smoothgrad --samples 0", 2, &["samples"]);
    said("-i x.npy --method smoothgrad --samples 60 --draws noise.npy", 2, &["50", "60"]);
    said("-i x.npy --method smoothgrad --draws short.npy", 1, &["short.npy"]);
}

#[test]
fn a_state_dict_must_be_that_of_the_network() {
    let (folder, _) = folder();
    let path = folder.path();
    let whole = state_dict::read(data("state_dict/standardconv.safetensors")).unwrap();
    let copy = |leave: &str| {
        let mut dict = StateDict::new();
        for (name, tensor) in whole.iter().filter(|(name, _)| *name != leave) {
            dict.insert(name, tensor.clone()).unwrap();
        }
        dict
    };
    state_dict::write(path.join("missing.safetensors"), &copy("model.5.bias")).unwrap();
    let mut extra = copy("");
    extra.insert("model.99.weight", whole.get("model.5.bias").unwrap().clone()).unwrap();
    state_dict::write(path.join("extra.safetensors"), &extra).unwrap();
    let said = |model: &str, words: &[&str]| {
        let text = refusal(path, path.join(model).to_str().unwrap(), "-i x.npy --method saliency", 1);
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    said("missing.safetensors", &["model.5.bias", "missing"]);
    said("extra.safetensors", &["model.99.weight", "no place"]);
}

/// Runs any command.
fn command(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

/// The first line with which a command fails; its output `refused` must not be there.
fn fails(folder: &Path, arguments: &str, code: i32) -> String {
    let output = command(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert!(!folder.join("refused.npz").exists(), "{arguments}");
    text
}

fn succeeds(folder: &Path, arguments: &str) -> Output {
    let output = command(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A model (12, any) → conv → (ReLU) → mean → linear of `outputs`, of which nothing is known but `input`.
fn model(outputs: usize, relu: bool, input: Option<InputKind>) -> Model {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let conv = build.conv1d("conv", x, ConvLayer::same(12, 4, 5));
    let act = if relu { build.relu("act", conv) } else { conv };
    let mean = build.node("mean", Op::GlobalAvgPool, &[act]);
    let y = build.linear("fc", mean, 4, outputs, true);
    let program = build.finish(y).unwrap();
    let parameters = initialise(&program, 1, 0).unwrap();
    Model { input, ..Model::new(Network::new(program, parameters).unwrap()) }
}

/// ECGs (n, 12, samples) of some µV.
fn ecgs(n: usize, samples: usize, scale: f64) -> Array3<f64> {
    Array3::from_shape_fn((n, 12, samples), |(n, lead, t)| scale * (((n + 2) * (lead + 3) * (t + 5)) % 401) as f64)
}

#[test]
fn several_outputs_are_listed_and_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    model(2, true, None).save(path.join("two.cgm")).unwrap();
    model(1, true, None).save(path.join("one.cgm")).unwrap();
    npy::write(path.join("x.npy"), ecgs(3, 40, 1.0).view()).unwrap();
    for (arguments, code) in [
        ("explain two.cgm -i x.npy -m saliency -o refused.npz", 2),
        ("predict two.cgm -i x.npy", 2),
        ("trace two.cgm -i x.npy -m saliency -o refused.npz", 2),
        ("explain two.cgm -i x.npy -m saliency --column 2 -o refused.npz", 2),
        ("predict one.cgm -i x.npy --column 1", 2),
    ] {
        let text = fails(path, arguments, code);
        assert!(text.contains("2 outputs (0, 1)") && text.contains("--column") || text.contains("1 output (0)"), "{arguments}: {text}");
    }
    let methods = "saliency,random,gradcam,deeplift,lrp_epsilon,occlusion,smoothgrad";
    let run = |column: &str, out: &str| {
        succeeds(path, &format!("explain two.cgm -i x.npy -m {methods} --samples 3 --column {column} -o {out} --json"))
    };
    let (first, second, both) = (run("0", "first.npz"), run("1", "second.npz"), run("all", "both.npz"));
    for name in methods.split(',').chain(["prediction"]) {
        let (all, [a, b]) = (maps(&path.join("both.npz"), name), ["first.npz", "second.npz"].map(|file| maps(&path.join(file), name)));
        assert_eq!(all.shape()[..2], [3, 2], "{name}");
        assert_eq!(all.index_axis(Axis(1), 0), a, "{name}");
        assert_eq!(all.index_axis(Axis(1), 1), b, "{name}");
        assert!(a != b, "{name} is the same for both outputs");
    }
    let json = |output: Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    let (first, second, both) = (json(first), json(second), json(both));
    assert_eq!(both["prediction"], serde_json::json!([first["prediction"], second["prediction"]]));
    assert_eq!(
        both["completeness"]["deeplift"],
        serde_json::json!([first["completeness"]["deeplift"], second["completeness"]["deeplift"]])
    );

    succeeds(path, "predict two.cgm -i x.npy --column all -o all.npy");
    succeeds(path, "predict two.cgm -i x.npy --column 1 -o one.npy");
    let (all, one) = (npy::read_f64(path.join("all.npy")).unwrap(), npy::read_f64(path.join("one.npy")).unwrap());
    assert_eq!((all.shape(), one.shape()), (&[3, 2][..], &[3][..]));
    assert_eq!(all.index_axis(Axis(1), 1), one);
    assert_eq!(one, maps(&path.join("second.npz"), "prediction"));
    succeeds(path, "trace two.cgm -i x.npy -m deeplift --column 1 --precision f32 -o account");
    let map = npy::read_f64(path.join("account/map.npy")).unwrap();
    assert_eq!(map.index_axis(Axis(0), 0), maps(&path.join("second.npz"), "deeplift").index_axis(Axis(0), 0));
    // One output needs no word, and is the same with it.
    succeeds(path, "explain one.cgm -i x.npy -m saliency -o plain.npz");
    succeeds(path, "explain one.cgm -i x.npy -m saliency --column 0 -o asked.npz");
    assert_eq!(maps(&path.join("plain.npz"), "saliency"), maps(&path.join("asked.npz"), "saliency"));
}

#[test]
fn methods_that_cannot_act_are_left_out_of_all_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    model(1, false, None).save(path.join("linear.cgm")).unwrap();
    npy::write(path.join("x.npy"), ecgs(1, 40, 1.0).view()).unwrap();
    let output = succeeds(path, "explain linear.cgm -i x.npy -m all --samples 2 --steps 3 -o all.npz --json");
    let said = String::from_utf8(output.stderr).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for method in ["deconvolution", "guided_backprop", "guided_gradcam"] {
        assert!(
            said.contains(&format!("{method} is left out: ")) && told["left_out"][method].as_str().unwrap().contains("acts nowhere"),
            "{said}"
        );
        let text = fails(path, &format!("explain linear.cgm -i x.npy -m saliency,{method} -o refused.npz"), 1);
        assert!(text.contains("acts nowhere"), "{text}");
    }
    assert_eq!(npz::names(path.join("all.npz")).unwrap().len(), 7 + 1);
    // An option that none of the methods heeds is said to have no effect; of `all`, some method heeds it.
    assert!(!said.contains("has no effect"), "{said}");
    let output = succeeds(path, "explain linear.cgm -i x.npy -m saliency,gradcam --steps 3 --layer conv -o idle.npz");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "--steps has no effect here: it belongs to integrated_gradients\n");
    assert!(succeeds(path, "explain linear.cgm -i x.npy -m all --samples 2 --steps 3 -o quiet.npz --quiet").stderr.is_empty());
}

#[test]
fn a_model_that_says_its_input_takes_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    model(1, true, Some(InputKind::Median)).save(path.join("median.cgm")).unwrap();
    model(1, true, None).save(path.join("any.cgm")).unwrap();
    for (name, samples, scale) in [("median", 600, 1.0), ("rhythm", 5000, 1.0), ("mv", 600, 1e-3), ("nv", 600, 1e3)] {
        npy::write(path.join(format!("{name}.npy")), ecgs(1, samples, scale).view()).unwrap();
    }
    for command in ["explain {} -m saliency -o refused.npz", "predict {}", "trace {} -m saliency -o refused.npz"] {
        let with = |what: &str| command.replace("{}", &format!("median.cgm -i {what}"));
        let text = fails(path, &with("rhythm.npy"), 1);
        assert!(text.contains("5000 samples; the model looks at median ECGs of 600") && text.contains("--any-length"), "{text}");
        let text = fails(path, &with("mv.npy"), 1);
        assert!(text.contains("mv.npy: ECG 0: its leads span 0.4") && text.contains("--unit mV"), "{text}");
        assert!(fails(path, &with("nv.npy"), 1).contains("divide by 1000"));
    }
    succeeds(path, "predict median.cgm -i median.npy");
    // A file of heatmaps says what its values are, in the words of the methods' rows.
    succeeds(path, "explain median.cgm -i median.npy -m saliency,inputxgradient -o maps.npz");
    let said = String::from_utf8(succeeds(path, "inspect maps.npz").stdout).unwrap();
    assert!(
        said.contains("slope, the prediction's unit per µV. Slopes: ")
            && said.contains("contribution, the prediction's unit. Contributions: "),
        "{said}"
    );
    succeeds(path, "predict median.cgm -i rhythm.npy --any-length");
    succeeds(path, "predict median.cgm -i mv.npy --any-amplitude");
    // In mV and said so: the same ECG, to the rounding of its samples.
    let told = |arguments: &str| -> f64 {
        String::from_utf8(succeeds(path, arguments).stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    let (uv, mv) = (told("predict median.cgm -i median.npy"), told("predict median.cgm -i mv.npy --unit mV"));
    assert!((uv - mv).abs() <= 1e-3 * uv.abs().max(1.0), "{uv} {mv}");
    assert!(fails(path, "predict median.cgm -i mv.npy --unit pints", 2).contains("the units are uV, mV and V"));
    // Of other models nothing is known: they may have been trained in mV, at any length.
    succeeds(path, "predict any.cgm -i rhythm.npy");
    succeeds(path, "predict any.cgm -i mv.npy");
}

#[test]
fn a_prediction_that_overflows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), Some(4)]);
    let layer = |c_in, c_out| ConvLayer { bias: false, ..ConvLayer::same(c_in, c_out, 1) };
    let first = build.conv1d("first", x, layer(1, 2));
    let second = build.conv1d("second", first, layer(2, 1));
    let act = build.relu("act", second);
    let mean = build.node("mean", Op::GlobalAvgPool, &[act]);
    let y = build.linear("fc", mean, 1, 1, true);
    let of = |name: &str, shape: &[usize], values: &[f32]| (name.to_owned(), from_vec(shape, values.to_vec()));
    let parameters = [
        of("first.weight", &[2, 1, 1], &[1e30, -1e30]),
        of("second.weight", &[1, 2, 1], &[1.0, 1.0]),
        of("fc.weight", &[1, 1], &[1.0]),
        of("fc.bias", &[1], &[5.0]),
    ];
    Model::new(Network::new(build.finish(y).unwrap(), parameters.into()).unwrap()).save(path.join("m.cgm")).unwrap();
    npy::write(path.join("x.npy"), Array3::from_elem((1, 1, 4), 1e10f32).view()).unwrap();
    for (plans, kernel) in [("on", ""), ("on", "portable"), ("off", "")] {
        for arguments in [
            "explain m.cgm -i x.npy -m saliency -o refused.npz",
            "explain m.cgm -i x.npy -m deeplift -o refused.npz --json",
            "predict m.cgm -i x.npy",
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_cardiograd"))
                .current_dir(path)
                .args(arguments.split_whitespace())
                .envs([("CARDIOGRAD_PLANS", plans), ("CARDIOGRAD_KERNEL", kernel)])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{plans} {kernel} {arguments}: {text}");
            assert!(text.contains("ECG 0") && text.contains("NaN") && output.stdout.is_empty(), "{text}");
            assert!(!path.join("refused.npz").exists());
        }
    }
}

/// ECGs of 12 × `samples`, each another.
fn waves(path: &Path, ecgs: usize, samples: usize) {
    let wave =
        |(n, c, t): (usize, usize, usize)| 300.0 * ((t as f32 + 7.0 * c as f32) * (0.03 + 0.001 * n as f32)).sin() + (t * 31 % 17) as f32;
    npy::write(path, Array3::from_shape_fn((ecgs, 12, samples), wave).view()).unwrap();
}

const MODEL: &str = "state_dict/standardconv.safetensors";

#[test]
fn bytes_do_not_depend_on_how_many_ecgs_are_in_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    waves(&path.join("x.npy"), 5, 120);
    waves(&path.join("b.npy"), 3, 120);
    let fiducials = "id,pr_ms,qrs_ms,qt_ms,rate_bpm,r_v5_uv,j_v5_uv,t_v5_uv,p_onset,p_offset,qrs_onset,qrs_offset,t_offset,status\n";
    let rows: String = (0..5).map(|n| format!("{n},,,,,,,,{},20,30,50,100,ok\n", 4 + n)).collect();
    std::fs::write(path.join("m.csv"), fiducials.to_owned() + &rows).unwrap();
    let methods = "saliency,smoothgrad,vargrad,deeplift,integrated_gradients,gradient_shap,guided_gradcam,occlusion,lrp_composite,random";
    for options in ["--segments m.csv", "--baseline mean --precision f64", "--baseline b.npy --multiply-by-inputs yes"] {
        let run = |more: &str| {
            stdout(path, MODEL, &format!("-i x.npy -m {methods} --samples 3 --steps 3 {options} {more} -o out.npz"));
            std::fs::read(path.join("out.npz")).unwrap()
        };
        let usual = run("");
        // What one ECG takes, with the weights made ready, and little more.
        let memory = if options.contains("f64") { 8 } else { 3 };
        assert!(usual == run(&format!("--memory {memory}")), "{options}: the memory changed the bytes");
        assert!(usual == run(&format!("--memory {memory} --threads 1")), "{options}: the threads changed the bytes");
        assert_eq!(npz::names(path.join("out.npz")).unwrap().len(), 11 + usize::from(options.contains("segments")));
    }
}

/// A run that is killed once its journal tells of some ECGs; the folder in which it worked.
fn killed(folder: &Path, arguments: &str) -> PathBuf {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).arg("explain").arg(data(MODEL)).args(["--arch", "standardconv", "-q"]);
    let mut child = command.args(arguments.split_whitespace()).spawn().unwrap();
    loop {
        let work = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.join("journal").exists());
        if let Some(work) = work.filter(|work| std::fs::read_to_string(work.join("journal")).is_ok_and(|text| text.lines().count() > 1)) {
            child.kill().unwrap();
            child.wait().unwrap();
            return work;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    waves(&path.join("x.npy"), 24, 120);
    let options = "-m saliency,smoothgrad,deeplift --samples 12 --memory 2 --json";
    let told = |output: &str| {
        let text = stdout(path, MODEL, &format!("-i x.npy {options} -o {output}"));
        text.replace(output, "OUT")
    };
    let whole = told("whole.npz");
    killed(path, &format!("-i x.npy {options} -o out.npz"));
    assert!(!path.join("out.npz").exists());
    assert_eq!(told("out.npz"), whole);
    let bytes = std::fs::read(path.join("whole.npz")).unwrap();
    assert!(std::fs::read(path.join("out.npz")).unwrap() == bytes);
    let names = || -> Vec<String> { std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect() };
    assert_eq!(names().len(), 5, "{:?}", names());

    // What is done is not done again: a bit that was turned in it stays, and the archive's check finds it.
    let work = killed(path, &format!("-i x.npy {options} -o out.npz"));
    assert!(std::fs::read(path.join("out.npz")).unwrap() == bytes, "the old result stays until the new one is whole");
    let place = work.join("out.npz");
    let mut made = std::fs::read(&place).unwrap();
    made[200] ^= 1;
    std::fs::write(&place, made).unwrap();
    told("out.npz");
    let found = std::fs::read(path.join("out.npz")).unwrap();
    assert_eq!((0..bytes.len()).filter(|at| bytes[*at] != found[*at]).collect::<Vec<_>>(), [200]);
    assert!(npz::read(path.join("out.npz")).is_err());

    // Another input, or another setting, is another run.
    killed(path, &format!("-i x.npy {options} -o out.npz"));
    assert!(stdout(path, MODEL, &format!("-i x.npy {options} --seed 1 -o out.npz")).contains("smoothgrad"));
    assert!(maps(&path.join("out.npz"), "smoothgrad") != maps(&path.join("whole.npz"), "smoothgrad"));
    assert!(maps(&path.join("out.npz"), "saliency") == maps(&path.join("whole.npz"), "saliency"));
    killed(path, &format!("-i x.npy {options} -o out.npz"));
    waves(&path.join("x.npy"), 23, 120);
    told("out.npz");
    let other = std::fs::read(path.join("out.npz")).unwrap();
    told("whole.npz");
    assert!(std::fs::read(path.join("whole.npz")).unwrap() == other);
}

#[test]
fn what_does_not_fit_in_memory_is_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    waves(&folder.path().join("x.npy"), 1, 60_000);
    let line = refusal(folder.path(), MODEL, "-i x.npy -m all --memory 64", 2);
    assert!(line.contains("--memory 64: one ECG of 12 × 60000 takes") && line.contains("the weights made ready"), "{line}");
    let needed: usize = line.split("give --memory ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    let less = refusal(folder.path(), MODEL, &format!("-i x.npy -m all --memory {}", needed - 1), 2);
    assert!(less.contains(&format!("give --memory {needed}")), "{less}");
    stdout(folder.path(), MODEL, &format!("-i x.npy -m saliency --memory {needed} -o out.npz"));
}

/// The most memory that a command had in use, MB: the kernel's own account of the child, looked at until it ends.
#[cfg(target_os = "linux")]
fn peak_mb(folder: &Path, arguments: &str) -> usize {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).arg("explain").arg(data(MODEL)).args(["--arch", "standardconv", "-q"]);
    let mut child = command.args(arguments.split_whitespace()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let found = told.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(found.unwrap_or(0usize));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success(), "{arguments}");
    peak / 1024
}

/// Beyond the ceiling there is the program itself, and nothing that grows with the ECGs, the methods or their weights.
#[cfg(target_os = "linux")]
#[test]
fn the_ceiling_of_memory_holds() {
    /// The program, its threads and what an allocator keeps, MB; a debug build is larger than a release.
    const PROGRAM: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    waves(&path.join("long.npy"), 1, 20_000);
    waves(&path.join("many.npy"), 150, 400);
    let needed = |input: &str, options: &str| -> usize {
        let line = refusal(path, MODEL, &format!("-i {input} {options} --memory 1"), 2);
        line.split("give --memory ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
    };
    for options in [
        "-m saliency --threads 2",
        "-m deeplift,smoothgrad,guided_gradcam --samples 2 --threads 2",
        "-m lrp_composite,saliency --precision f64 --threads 1",
    ] {
        let least = needed("long.npy", options);
        let peak = peak_mb(path, &format!("-i long.npy {options} --memory {least} -o long.npz"));
        assert!(peak <= least + PROGRAM, "{options}: {peak} MB for --memory {least}");
    }
    let options = "-m saliency,inputxgradient,guided_backprop,deconvolution,deeplift,random --threads 2";
    let least = needed("many.npy", options) + 2;
    let peak = peak_mb(path, &format!("-i many.npy {options} --memory {least} -o many.npz"));
    assert!(peak <= least + PROGRAM, "{peak} MB for --memory {least}");
}
