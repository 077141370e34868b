//! Recordings, folders of them and datasets where commands take arrays; rows of an array; outputs by number and name.

use cardiograd::dataset::{DatasetWriter, Entry, InputKind, Origin, Target};
use cardiograd::ecg::axes::Axes;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::files::{npy, npz};
use cardiograd::nn::{Model, Near, Provenance, TrainSettings, Weights, initialise};
use cardiograd::tape::{Builder, ConvLayer, Network, Op};
use ndarray::{Array2, Array3, ArrayD, Axis, concatenate};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

/// What a command that works prints, and what it complains of.
fn works(folder: &Path, arguments: &str) -> (String, String) {
    let output = run(folder, arguments);
    let (out, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments}: {complaints}");
    (out, complaints)
}

/// The one line with which a command is refused.
fn refused(folder: &Path, arguments: &str, code: i32) -> String {
    let output = run(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// A simulated ECG, (8, 5000) µV.
fn simulated(id: u64) -> Array2<f32> {
    let simulator = Simulator::new(Settings { noise: 0.0, ..Settings::default() }, 4);
    simulator.simulate(id).rhythm.samples().to_owned()
}

/// The first of an axis.
fn part(array: &Array2<f32>, axis: usize, count: usize) -> Array2<f32> {
    array.slice_axis(Axis(axis), (..count).into()).to_owned()
}

/// A recording as a spreadsheet has it, in mV, of some leads, every `step`-th sample.
fn csv(path: &Path, leads: &[&str], samples: &Array2<f32>, step: usize) {
    let mut text = format!("time (s),{}\n", leads.iter().map(|lead| format!("{lead} (mV)")).collect::<Vec<_>>().join(","));
    for t in (0..samples.ncols()).step_by(step) {
        let _ = write!(text, "{}", t as f64 / 500.0);
        for uv in samples.column(t) {
            let _ = write!(text, ",{}", f64::from(*uv) / 1000.0);
        }
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}

/// (`channels`, any) → conv → ReLU → mean → linear of `outputs`.
fn model(channels: usize, outputs: usize, input: Option<InputKind>) -> Model {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(channels), None]);
    let conv = build.conv1d("conv", x, ConvLayer::same(channels, 4, 5));
    let act = build.relu("act", conv);
    let mean = build.node("mean", Op::GlobalAvgPool, &[act]);
    let y = build.linear("fc", mean, 4, outputs, true);
    let program = build.finish(y).unwrap();
    let parameters = initialise(&program, 1, 0).unwrap();
    Model { input, target: input.filter(|_| outputs == 1).map(|_| Target::Qt), ..Model::new(Network::new(program, parameters).unwrap()) }
}

fn map(path: &Path, name: &str) -> ArrayD<f32> {
    npz::read_one(path, name).unwrap().into_f32()
}

/// A file, its measured median and the dataset that it is imported into give one answer, by every command.
#[test]
fn a_recording_is_what_its_import_and_its_measured_beat_are() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, Some(InputKind::Median)).save(folder.join("m.cgm")).unwrap();
    csv(&folder.join("p7.csv"), &INDEPENDENT, &simulated(7), 1);
    works(folder, "measure p7.csv -o t.csv --medians beat.npy");
    works(folder, "import p7.csv -o data");
    works(folder, "explain m.cgm p7.csv -m saliency,smoothgrad -o positional.npz");
    works(folder, "explain m.cgm --input p7.csv -m saliency,smoothgrad -o named.npz");
    works(folder, "explain m.cgm -i beat.npy -m saliency,smoothgrad -o array.npz");
    works(folder, "explain m.cgm data -m saliency,smoothgrad -o dataset.npz");
    // An array of a dataset is at its rate, which a recorder's 8 leads need to become a beat.
    works(folder, "explain m.cgm data/rhythm.npy -m saliency,smoothgrad -o rhythm.npz");
    for name in ["saliency", "smoothgrad", "prediction"] {
        let wanted = map(&folder.join("array.npz"), name);
        for file in ["positional.npz", "named.npz", "dataset.npz", "rhythm.npz"] {
            assert_eq!(map(&folder.join(file), name), wanted, "{name} of {file}");
        }
    }
    let axes = Axes::of_archive(&folder.join("named.npz")).unwrap().unwrap();
    assert_eq!((axes.ids, axes.rate_hz, axes.input), (vec!["p7".to_owned()], 500.0, Some("median".to_owned())));
    assert_eq!(Axes::of_archive(&folder.join("array.npz")).unwrap(), None, "an array stays an array");
    let lines: Vec<String> = ["p7.csv", "beat.npy", "data"].map(|input| works(folder, &format!("predict m.cgm {input}")).0).to_vec();
    assert!(lines[0] == lines[1] && lines[1] == lines[2], "{lines:?}");
    works(folder, "trace m.cgm p7.csv -m saliency -o account");
    let traced = npy::read_f32(folder.join("account/map.npy")).unwrap();
    assert!(traced.iter().zip(map(&folder.join("array.npz"), "saliency").iter()).all(|(a, b)| (a - b).abs() < 1e-6));
    let page = std::fs::read_to_string(folder.join("account/trace.html")).unwrap();
    assert!(page.contains("QRS on") && page.contains("p7"), "the account marks the beat's fiducials");
    works(folder, "verify named.npz");
}

#[test]
fn pages_and_pictures_of_a_recording() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, Some(InputKind::Median)).save(folder.join("m.cgm")).unwrap();
    csv(&folder.join("p7.csv"), &INDEPENDENT, &simulated(7), 1);
    let (_, complaints) = works(folder, "explain m.cgm p7.csv -m deeplift -o page.html");
    assert_eq!(complaints, "");
    let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("<h1>p7.csv: QT interval</h1>") && page.contains("<th scope=\"row\">Measured</th>"), "{}", &page[..400]);
    for (name, start) in [("a.png", &b"\x89PNG"[..]), ("a.svg", b"<"), ("a.pdf", b"%PDF")] {
        works(folder, &format!("explain m.cgm p7.csv -m deeplift,saliency -o {name}"));
        assert!(std::fs::read(folder.join(name)).unwrap().starts_with(start), "{name}");
    }
    // A model that knows how it errs near a value says so; one that does not, says nothing.
    assert!(!page.contains("Error near this value"));
    let mut knowing = Model::load(folder.join("m.cgm")).unwrap();
    let near = |low: f64, high: f64, mae: f64| Near { low, high, n: 15, mae, bias: mae / 2.0 };
    knowing.provenance = Some(Provenance {
        version: "cardiograd".into(),
        settings: TrainSettings::quick(),
        dataset: String::new(),
        train_mean: 400.0,
        epochs: Vec::new(),
        best_epoch: 0,
        weights: Weights::Best,
        metrics: Vec::new(),
        outputs: Vec::new(),
        near: vec![near(200.0, 250.0, 3.0), near(250.5, 600.0, 7.0)],
        calibration: Vec::new(),
    });
    knowing.save(folder.join("knowing.cgm")).unwrap();
    works(folder, "explain knowing.cgm p7.csv -m deeplift -o near.html");
    let page = std::fs::read_to_string(folder.join("near.html")).unwrap();
    assert!(page.contains("<th scope=\"row\">Error near this value</th><td class=\"value\">7.0 ms</td>"));
    assert!(page.contains("mean absolute error on its 15 test ECGs of 250.5 to 600.0 ms, on average 3.5 ms too high"));
    works(folder, "explain m.cgm p7.csv -m deeplift -o maps.npz");
    works(folder, "render --input p7.csv --heatmap maps.npz -o b.svg");
    let svg = std::fs::read_to_string(folder.join("b.svg")).unwrap();
    assert!(svg.contains("DeepLIFT, p7") && svg.contains("QRS on"), "the maps say that they are of the beat");
    works(folder, "render --input p7.csv --layout paper -o rhythm.svg");
    csv(&folder.join("p8.csv"), &INDEPENDENT, &simulated(8), 1);
    std::fs::create_dir(folder.join("other")).unwrap();
    std::fs::rename(folder.join("p8.csv"), folder.join("other/p8.csv")).unwrap();
    assert!(refused(folder, "render --input other --heatmap maps.npz -o c.svg", 1).contains("no recording 'p7'"));
}

/// What a rhythm becomes is said: cut, filled up, resampled; and its rate and leads travel with the maps to the picture.
#[test]
fn a_rhythm_is_made_to_fit_and_says_so() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, Some(InputKind::Rhythm)).save(folder.join("r.cgm")).unwrap();
    let ecg = simulated(3);
    let long = concatenate(Axis(1), &[ecg.view(), part(&ecg, 1, 1000).view()]).unwrap();
    for (name, samples) in [("whole", ecg.clone()), ("long", long), ("short", part(&ecg, 1, 4000))] {
        csv(&folder.join(format!("{name}.csv")), &INDEPENDENT, &samples, 1);
    }
    let predicted = |input: &str| works(folder, &format!("predict r.cgm {input}"));
    let (whole, quiet) = predicted("whole.csv");
    let (cut, noted) = predicted("long.csv");
    assert!(quiet.is_empty() && cut == whole && noted.contains("note: cut to the first 10.0 s"), "{noted}");
    assert!(predicted("short.csv").1.contains("lasts 8.0 s: filled up to 10.0 s with 0 µV"));
    // Eight leads become twelve, as an import has them.
    npy::write(folder.join("eight.npy"), ecg.mapv(|uv| uv.round() as i16).insert_axis(Axis(0)).view()).unwrap();
    assert_eq!(predicted("eight.npy").0, whole);
    // A rate that is said makes recordings of an array that would not fit.
    let slow = ecg.select(Axis(1), &(0..5000).step_by(2).collect::<Vec<_>>());
    npy::write(folder.join("slow.npy"), slow.view()).unwrap();
    assert!(refused(folder, "predict r.cgm slow.npy", 1).contains("say the --rate of recordings"));
    assert!(predicted("slow.npy --rate 250").1.contains("resampled from 250 to 500 Hz"));

    // A network of others at 100 Hz.
    model(12, 1, None).save(folder.join("foreign.cgm")).unwrap();
    let (_, noted) = works(folder, "explain foreign.cgm whole.csv --network-rate 100 -m saliency -o maps.npz");
    assert!(noted.contains("resampled from 500 to 100 Hz for the network"), "{noted}");
    assert_eq!(map(&folder.join("maps.npz"), "saliency").shape(), [1, 12, 1000]);
    works(folder, "render --input whole.csv --heatmap maps.npz -o slow.svg");
    let svg = std::fs::read_to_string(folder.join("slow.svg")).unwrap();
    assert!(svg.contains(">10 s<"), "a 100 Hz ECG of 1000 samples lasts 10 s");
    let twelve = Array2::from_shape_fn((12, 1000), |(lead, t)| ((lead + 1) * (t % 100)) as f32);
    npy::write(folder.join("plain.npy"), twelve.view()).unwrap();
    works(folder, "render --input plain.npy --rate 100 -o plain.svg");
    assert!(std::fs::read_to_string(folder.join("plain.svg")).unwrap().contains(">10 s<"));
    npy::write(folder.join("three.npy"), part(&twelve, 0, 3).view()).unwrap();
    assert!(refused(folder, "render --input three.npy -o x.svg", 1).contains("--leads"));
    works(folder, "render --input three.npy --leads V1,X,II --rate 100 -o three.svg");
    let svg = std::fs::read_to_string(folder.join("three.svg")).unwrap();
    assert!(svg.contains(">X<") && svg.contains(">V1<") && svg.contains("3-lead ECG"));
}

/// A watch has one lead, and a network of one lead takes it.
#[test]
fn one_lead_goes_into_a_network_of_one() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(1, 1, None).save(folder.join("watch.cgm")).unwrap();
    let ecg = simulated(3);
    csv(&folder.join("watch.csv"), &["I"], &part(&ecg, 0, 1), 1);
    csv(&folder.join("whole.csv"), &INDEPENDENT, &ecg, 1);
    let out = works(folder, "predict watch.cgm watch.csv --leads I").0;
    assert_eq!(works(folder, "predict watch.cgm whole.csv --leads I").0, out);
    assert!(refused(folder, "predict watch.cgm watch.csv --leads II", 1).contains("it has no lead II; its leads are I"));
    assert!(refused(folder, "predict watch.cgm whole.csv", 1).contains("--leads"));
    works(folder, "explain watch.cgm watch.csv --leads I -m saliency -o watch.png");
}

#[test]
fn rows_of_an_array_are_those_of_the_whole_run() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, None).save(folder.join("m.cgm")).unwrap();
    let x = Array3::from_shape_fn((6, 12, 50), |(n, lead, t)| (((n + 2) * (lead + 3) * (t + 5)) % 401) as f32);
    npy::write(folder.join("x.npy"), x.view()).unwrap();
    let methods = "smoothgrad,random,gradient_shap,deeplift";
    works(folder, &format!("explain m.cgm -i x.npy -m {methods} -o whole.npz"));
    works(folder, &format!("explain m.cgm -i x.npy -m {methods} --rows 2..5 -o some.npz"));
    for name in methods.split(',').chain(["prediction"]) {
        let (whole, some) = (map(&folder.join("whole.npz"), name), map(&folder.join("some.npz"), name));
        assert_eq!(some.shape()[0], 3);
        for (row, ecg) in some.outer_iter().zip(whole.outer_iter().skip(2)) {
            assert_eq!(row, ecg, "{name}");
        }
    }
    assert_eq!(works(folder, "predict m.cgm x.npy --rows 4..").0.lines().count(), 2);
    assert!(refused(folder, "predict m.cgm x.npy --rows 4..7", 2).contains("--rows 4..7: x.npy holds 6 ECGs"));
    works(folder, "verify some.npz");
}

#[test]
fn broken_files_are_passed_over_when_asked_and_named() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, Some(InputKind::Median)).save(folder.join("m.cgm")).unwrap();
    std::fs::create_dir(folder.join("in")).unwrap();
    for id in [1, 2] {
        csv(&folder.join(format!("in/{id}.csv")), &INDEPENDENT, &simulated(id), 1);
    }
    std::fs::write(folder.join("in/10.csv"), "time (s),I (mV)\n0,1\n0.002,x\n").unwrap();
    assert!(refused(folder, "explain m.cgm in -m smoothgrad -o maps.npz", 1).contains("10.csv"));
    let (_, noted) = works(folder, "explain m.cgm in -m smoothgrad --skip-unreadable -o maps.npz");
    assert!(noted.contains("note: passed over: ") && noted.contains("10.csv"), "{noted}");
    assert_eq!(Axes::of_archive(&folder.join("maps.npz")).unwrap().unwrap().ids, ["1", "2"]);
    works(folder, "explain m.cgm in -m smoothgrad --rows 1..2 -o second.npz");
    let (all, second) = (map(&folder.join("maps.npz"), "smoothgrad"), map(&folder.join("second.npz"), "smoothgrad"));
    assert_eq!(all.index_axis(Axis(0), 1), second.index_axis(Axis(0), 0), "draws go by the place in the folder");
    std::fs::remove_file(folder.join("in/2.csv")).unwrap();
    std::fs::remove_file(folder.join("in/1.csv")).unwrap();
    assert!(refused(folder, "predict m.cgm in --skip-unreadable", 1).contains("none of its recordings can be used"));
}

fn dataset(folder: &Path, ecgs: u64) {
    let mut writer = DatasetWriter::create(folder, Origin { source: "simulator".into(), ..Origin::default() }).unwrap();
    let simulator = Simulator::new(Settings { noise: 0.0, ..Settings::default() }, 4);
    for id in 0..ecgs {
        let ecg = simulator.simulate(id);
        let rhythm = ecg.rhythm.samples().mapv(|v| v as i16);
        writer.append(&Entry { id: id.to_string(), rhythm, median: ecg.beat, measurements: ecg.truth, truth: None, kind: None }).unwrap();
    }
    writer.finish().unwrap();
}

/// No command takes the first of several outputs silently, and each takes the one that is asked for.
#[test]
fn every_command_asks_which_of_several_outputs_is_meant() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 3, None).save(folder.join("three.cgm")).unwrap();
    dataset(&folder.join("data"), 12);
    let judged = "--data data --target qt --input median";
    let commands = [
        ("predict three.cgm data --kind median".to_owned(), "-o y.npy"),
        ("explain three.cgm data --kind median -m saliency".into(), "-o maps.npz"),
        ("trace three.cgm data --kind median -m saliency".into(), "-o account"),
        (format!("evaluate three.cgm {judged}"), ""),
        (format!("perturb three.cgm {judged} -m saliency -n 2 --iterations 16"), "-o curves"),
        (format!("challenge three.cgm {judged} -m saliency --criteria localisation -n 2"), "-o challenge"),
        ("audit three.cgm --data data --input median".into(), ""),
    ];
    for (command, output) in &commands {
        let text = refused(folder, &format!("{command} {output}"), 2);
        assert!(text.contains("3 outputs (0, 1, 2): which is asked for: --column"), "{command}: {text}");
        let text = refused(folder, &format!("{command} --column 3 {output}"), 2);
        assert!(text.contains("--column 3: the network has 3 outputs (0, 1, 2)"), "{command}: {text}");
        let text = refused(folder, &format!("{command} --column lbbb {output}"), 2);
        assert!(text.contains("--column lbbb: the network has 3 outputs (0, 1, 2), without names"), "{command}: {text}");
    }
    for (command, output) in &commands {
        works(folder, &format!("{command} --column 1 {output}"));
    }
    let y = npy::read_f32(folder.join("y.npy")).unwrap();
    assert_eq!(map(&folder.join("maps.npz"), "prediction"), y);
    // What is perturbed begins with what is predicted.
    let curves = std::fs::read_dir(folder.join("curves/curves/three.1")).unwrap().next().unwrap().unwrap().path();
    let (ecgs, first) = (map(&curves, "ecgs"), map(&curves, "predictions"));
    for (row, ecg) in ecgs.iter().enumerate() {
        assert!((first[[row, 0]] - y[[*ecg as usize]]).abs() < 1e-4 * y[[*ecg as usize]].abs().max(1.0));
    }
    works(folder, "trace three.cgm data --kind median -m saliency --column all -o accounts");
    assert!(folder.join("accounts/output-2/trace.html").is_file());
    assert!(refused(folder, &format!("perturb three.cgm {judged} --column all -m random -o x"), 2).contains("choose one with --column K"));
}

/// Recordings are perturbed as the dataset of them, scored by what is known of them, and by the change of the prediction where nothing is.
#[test]
fn recordings_and_arrays_are_perturbed_and_audited() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::create_dir(folder.join("in")).unwrap();
    (0..3).for_each(|id| csv(&folder.join(format!("in/p{id}.csv")), &INDEPENDENT, &simulated(id), 1));
    model(12, 1, Some(InputKind::Median)).save(folder.join("m.cgm")).unwrap();
    model(12, 1, None).save(folder.join("foreign.cgm")).unwrap();
    let rest = "-m saliency,random --iterations 18";
    works(folder, &format!("perturb m.cgm --data in {rest} -o whole"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read("whole/ecgs.csv"), "ecg,id\n0,p0\n1,p1\n2,p2\n");
    assert!(read("whole/table4.csv").starts_with("method,qt\n"), "QT was measured");
    assert!(folder.join("whole/table4_physical.csv").exists() && !folder.join("whole/table4_per_sd.csv").exists());
    let curves = |folder_name: &str, of: &str, name: &str| map(&folder.join(folder_name).join("curves").join(of).join("random.npz"), name);
    let whole = curves("whole", "m", "predictions");
    let predicted: Vec<f32> =
        works(folder, "predict m.cgm in").0.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    whole.index_axis(Axis(1), 0).iter().zip(&predicted).for_each(|(first, said)| assert!((first - said).abs() < 1e-3));
    works(folder, "measure in -o t.csv");
    let qt: Vec<f32> = read("t.csv").lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect();
    assert_eq!(curves("whole", "m", "truth").iter().copied().collect::<Vec<_>>(), qt, "what is measured is what is held against");
    // Part of a folder draws as in the whole of it, and the dataset of the same recordings gives the same curves.
    works(folder, &format!("perturb m.cgm --data in --rows 1..3 -n 1 {rest} -o part"));
    assert_eq!(curves("part", "m", "predictions").index_axis(Axis(0), 0), whole.index_axis(Axis(0), 1));
    assert_eq!(read("part/ecgs.csv"), "ecg,id\n1,p1\n");
    works(folder, "verify part");
    std::fs::write(folder.join("y.csv"), "id,age\np0,50\np2,70\n").unwrap();
    works(folder, &format!("perturb foreign.cgm --data in --target age --labels y.csv --network-rate 250 --length 2000 {rest} -o aged"));
    assert_eq!(curves("aged", "foreign", "truth").iter().copied().collect::<Vec<_>>(), [50.0, 70.0]);
    assert!(read("aged/table4.csv").starts_with("method,age\n"));
    // Of an array, and of a network that says nothing, no value is known.
    works(folder, "measure in -o t.csv --medians beats.npy");
    let (_, notes) = works(folder, &format!("perturb m.cgm --data beats.npy {rest} -o array"));
    assert!(notes.contains("no value of qt is known"), "{notes}");
    assert!(folder.join("array/table4_change.csv").exists() && !folder.join("array/table4_physical.csv").exists());
    let array = curves("array", "m", "predictions");
    array.iter().zip(whole.iter()).for_each(|(a, b)| assert!((a - b).abs() < 1e-3, "{a} {b}"));
    works(folder, &format!("perturb foreign.cgm --data in {rest} -o foreign"));
    assert!(read("foreign/table4.csv").starts_with("method,output\n"));
    assert!(refused(folder, &format!("perturb m.cgm --data in --labels y.csv --target weight {rest} -q -o x"), 2).contains("weight"));
    works(folder, "import in -o data");
    assert!(refused(folder, &format!("perturb m.cgm --data data --rows 0..1 {rest} -o x"), 2).contains("is a dataset"));
    let said = works(folder, "audit m.cgm --data in -n 2").0;
    assert!(said.contains("pass") && !said.contains("FAIL"), "{said}");
    assert!(refused(folder, "audit m.cgm --data data --rows 0..1", 2).contains("is a dataset"));
}

/// An archive of arrays says what its axes are, and readers that know nothing of it read the arrays as ever.
#[test]
fn axes_travel_with_an_archive_of_ecgs() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    model(12, 1, None).save(folder.join("foreign.cgm")).unwrap();
    csv(&folder.join("p7.csv"), &INDEPENDENT, &simulated(7), 1);
    works(folder, "explain foreign.cgm p7.csv --network-rate 250 --length 2000 -m inputxgradient -o maps.npz");
    assert_eq!(npz::names(folder.join("maps.npz")).unwrap(), ["inputxgradient", "prediction"]);
    assert_eq!(npz::read(folder.join("maps.npz")).unwrap().len(), 2);
    assert!(npz::is_npz(folder.join("maps.npz")).unwrap());
    let axes = Axes::of_archive(&folder.join("maps.npz")).unwrap().unwrap();
    assert_eq!((axes.rate_hz, &axes.leads[..], &axes.unit[..]), (250.0, &LEADS.map(str::to_owned)[..], "uV"));
    let said = works(folder, "inspect maps.npz --json").0;
    assert!(said.contains("\"rate_hz\""), "{said}");
}

/// A system lets a process hold some hundred files open: recordings in windows, and inputs, may be thousands.
#[cfg(unix)]
#[test]
fn more_recordings_than_files_may_be_open() {
    let folder = tempfile::tempdir().unwrap();
    let ecg = simulated(0);
    let rows = |count: usize| Array3::from_shape_fn((count, 8, 2500), |(_, lead, t)| ecg[[lead, t]] as i16);
    npy::write(folder.path().join("many.npy"), rows(150).view()).unwrap();
    for at in 0..150 {
        npy::write(folder.path().join(format!("x{at}.npy")), rows(1).view()).unwrap();
    }
    let limited = |arguments: &str| {
        let command = format!("ulimit -n 100 && exec {} {arguments}", env!("CARGO_BIN_EXE_cardiograd"));
        let output = Command::new("sh").current_dir(folder.path()).args(["-c", &command]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap().lines().count();
    limited("measure many.npy --window 5 -o windows.csv");
    limited("measure x*.npy -o whole.csv");
    assert_eq!((lines("windows.csv"), lines("whole.csv")), (151, 151));
}
