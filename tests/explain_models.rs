//! `cardiograd explain` on networks made for one question: outputs, methods that cannot act, overflow, memory, interruptions.

#[path = "common/explain.rs"]
mod explain;

use cardiograd::dataset::InputKind;
use cardiograd::files::{npy, npz};
use cardiograd::nn::{Model, initialise};
use cardiograd::tape::{Builder, ConvLayer, Network, Op, from_vec};
use explain::{data, maps, refusal, stdout};
use ndarray::{Array3, Axis};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
