//! `cardiograd explain` as a script calls it: against PyTorch and Captum, and on everything that can be wrong.

#[path = "common/explain.rs"]
mod explain;

use cardiograd::files::state_dict::{self, StateDict};
use cardiograd::files::{npy, npz};
use explain::{data, maps, refusal, stdout};
use ndarray::{Array1, Array2, Array3, ArrayD, IxDyn};
use std::process::Command;

fn expected() -> StateDict {
    state_dict::read(data("oracles/standardconv/expected.safetensors")).unwrap()
}

fn array(dict: &StateDict, name: &str) -> ArrayD<f64> {
    let tensor = dict.get(name).unwrap_or_else(|| panic!("no {name}"));
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), tensor.to_f64()).unwrap()
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
