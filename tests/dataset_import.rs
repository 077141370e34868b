//! `import` as an OSF user meets it: labels, notes, an import that was stopped and goes on to the same bytes.
#![cfg(feature = "cli")]

use cardiograd::dataset::Dataset;
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::files::npy;
use ndarray::Axis;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn cardiograd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).args(arguments).output().unwrap()
}

fn ok(arguments: &[&str]) -> String {
    let output = cardiograd(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// ECG `index` as an `.asc` file.
fn asc(index: u64) -> String {
    let ecg = Simulator::new(Settings::default(), 31).simulate(index);
    ecg.rhythm.samples().axis_iter(Axis(1)).fold(String::new(), |mut text, column| {
        let line: Vec<String> = column.iter().map(|x| x.round().to_string()).collect();
        writeln!(text, "{}", line.join(" ")).unwrap();
        text
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_osf_layout_with_its_labels() {
    let root = tempfile::tempdir().unwrap();
    let (source, labels, out) = (root.path().join("asc"), root.path().join("truth.csv"), root.path().join("data"));
    std::fs::create_dir(&source).unwrap();
    for id in [1, 2, 10] {
        std::fs::write(source.join(format!("{id}.asc")), asc(id)).unwrap();
    }
    std::fs::write(&labels, "patid;VentRate;pr;qrs;qt\n10;61;;91;401\n1;62;151;92;402\n").unwrap();
    let said = ok(&["import", text(&source), "--labels", text(&labels), "-o", text(&out)]);
    assert!(said.contains("3 of 3 recordings (OSF .asc)") && said.contains("1 × no row in the labels"), "{said}");
    let data = Dataset::open(&out).unwrap();
    assert_eq!(data.records().iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["1", "2", "10"]);
    assert_eq!((data.measurements(0).pr_ms, data.measurements(2).pr_ms, data.measurements(2).qt_ms), (Some(151.0), None, Some(401.0)));
    assert!(data.measurements(1).rejected.as_deref().unwrap().contains("labels"));
    let notes = &data.manifest().unwrap().notes;
    assert_eq!(notes["no row in the labels"], 1, "{notes:?}");
    // The median beats are our own: those of measuring the same ECGs.
    let wanted = Simulator::new(Settings::default(), 31).simulate(10).rhythm.samples().mapv(f32::round);
    assert_eq!(data.rhythm(2).unwrap().mapv(f32::from), wanted);
}

/// A file that cannot be opened stops the import; once it is there the same command goes on, and nothing tells the difference.
#[cfg(unix)]
#[test]
fn a_stopped_import_goes_on_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (source, out, whole) = (root.path().join("asc"), root.path().join("data"), root.path().join("whole"));
    std::fs::create_dir(&source).unwrap();
    for id in [0, 1, 2, 4, 5] {
        std::fs::write(source.join(format!("{id}.asc")), asc(id)).unwrap();
    }
    // A broken file, not one that is missing, ends the import for good.
    std::fs::write(source.join("1.asc"), "1 2 3\n").unwrap();
    std::os::unix::fs::symlink(root.path().join("later"), source.join("3.asc")).unwrap();
    let stopped = cardiograd(&["import", text(&source), "-o", text(&out)]);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("1.asc") && !root.path().join(".data.cardiograd-partial").exists());
    std::fs::write(source.join("1.asc"), asc(1)).unwrap();
    let stopped = cardiograd(&["import", text(&source), "-o", text(&out)]);
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("3.asc"));
    let progress = std::fs::read_to_string(root.path().join(".data.cardiograd-partial/progress.json")).unwrap();
    assert!(progress.contains("\"rows\": 3") && progress.contains("\"taken\": 3"), "{progress}");
    let other = cardiograd(&["import", text(&source), "--thresholds", "expert", "-o", text(&out)]);
    assert_eq!(other.status.code(), Some(2), "an unfinished dataset of other settings is not continued");
    std::fs::write(root.path().join("later"), asc(3)).unwrap();
    assert!(ok(&["import", text(&source), "-o", text(&out)]).contains("6 of 6 recordings"));
    ok(&["import", text(&source), "--threads", "1", "-o", text(&whole)]);
    for file in ["rhythm.npy", "median.npy", "measurements.csv", "dataset.json"] {
        assert!(std::fs::read(out.join(file)).unwrap() == std::fs::read(whole.join(file)).unwrap(), "{file}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4);
}

fn within(folder: &Path, arguments: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments.split_whitespace()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One recording has one set of numbers, whether it is measured or imported, and they are printed to what is meant: 0.1 ms, 0.1 µV, the sample.
#[test]
fn measure_and_import_say_the_same_and_no_more_than_is_meant() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    // Steps of 4.88 µV, as recorders have them: no sample is a whole µV.
    let ecg = Simulator::new(Settings::default(), 3).simulate(0);
    let steps = ecg.rhythm.samples().mapv(|v| (v / 4.88).round() * 4.88);
    npy::write(folder.join("x.npy"), steps.view().insert_axis(Axis(0))).unwrap();
    npy::write(folder.join("mv.npy"), (&steps / 1000.0).view().insert_axis(Axis(0))).unwrap();
    assert_eq!(within(folder, "import x.npy -o data -q").0, Some(0));
    let held = Dataset::open(folder.join("data")).unwrap().measurements(0).clone();
    let told = |arguments: &str| -> serde_json::Value { serde_json::from_str(&within(folder, arguments).1).unwrap() };
    let json = told("measure x.npy --json");
    let tenth = |value: Option<f64>| (value.unwrap() * 10.0).round() / 10.0;
    for (name, value) in [
        ("pr_ms", held.pr_ms),
        ("qrs_ms", held.qrs_ms),
        ("qt_ms", held.qt_ms),
        ("rate_bpm", held.rate_bpm),
        ("j_v5_uv", held.j_v5_uv),
        ("t_v5_uv", held.t_v5_uv),
    ] {
        assert_eq!(json[0][name].as_f64(), Some(tenth(value)), "{name}: measure and import differ");
    }
    assert_eq!(json[0]["qrs_onset"].as_f64(), held.qrs_onset.map(f64::round));
    let row = within(folder, "measure x.npy").1;
    let fields: Vec<&str> = row.lines().nth(1).unwrap().split(',').collect();
    assert!(fields[1..8].iter().all(|field| field.split('.').nth(1).is_none_or(|decimals| decimals.len() == 1)), "{row}");
    assert!(fields[8..13].iter().all(|field| !field.contains('.')), "{row}");
    let help = within(folder, "measure --help").1.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        help.contains("samples of the median beat") && help.contains("in µV, to 0.1") && help.contains("Options of every command"),
        "{help}"
    );

    // Not µV: refused with what to say, and the same numbers once it is said.
    for command in ["measure mv.npy", "import mv.npy -o other"] {
        let (code, _, error) = within(folder, command);
        assert!(
            code == Some(1)
                && error.contains("too little for an ECG")
                && error.contains("--unit mV")
                && error.trim_end().lines().count() == 1,
            "{error}"
        );
        assert!(!folder.join("other").exists());
    }
    let said = told("measure mv.npy --unit mV --json");
    assert_eq!((said[0]["qt_ms"].as_f64(), said[0]["j_v5_uv"].as_f64()), (json[0]["qt_ms"].as_f64(), json[0]["j_v5_uv"].as_f64()));
}
