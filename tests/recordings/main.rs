//! Recordings in the kinds of file of the field, made here: what is read is what the signal was, to the file's resolution; damaged ones are refused.
#![cfg(feature = "files")]

mod text;
mod wfdb;
mod xml;

use cardiograd::ecg::Rhythm;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS, twelve};
use cardiograd::ecg::read::{Given, Recording, Source, write};
use cardiograd::ecg::simulator::{Settings, Simulator};
use ndarray::Array2;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use text::npy;
use xml::{aecg, left_over, mortara, philips, schiller, xli};

/// A clean ECG of twelve leads in whole µV, (12, 5000): even, so that halves are whole.
fn ecg() -> &'static Array2<f32> {
    static ECG: OnceLock<Array2<f32>> = OnceLock::new();
    ECG.get_or_init(|| {
        let rhythm = Simulator::new(Settings::default(), 77).simulate(0).rhythm;
        twelve(rhythm.samples().mapv(|x| (x / 20.0).round() * 20.0).view())
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(to: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = to.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path) -> Recording {
    let source = Source::open(path, Given::default()).unwrap_or_else(|error| panic!("{error}"));
    source.read(0).unwrap_or_else(|error| panic!("{error}"))
}

fn rhythm(path: &Path) -> (Rhythm, Vec<String>) {
    read(path).rhythm(path).unwrap_or_else(|error| panic!("{error}"))
}

/// How far the eight leads are from those of [`ecg`], µV.
fn off(rhythm: &Rhythm) -> f32 {
    let at = [0, 1, 6, 7, 8, 9, 10, 11];
    assert_eq!(rhythm.samples().dim(), (8, 5000));
    rhythm.samples().indexed_iter().map(|((row, t), x)| (x - ecg()[[at[row], t]]).abs()).fold(0.0, f32::max)
}

fn refusal(path: &Path) -> String {
    let opened = Source::open(path, Given::default());
    let outcome = opened.and_then(|source| source.read(0)).and_then(|recording| recording.rhythm(path).map(drop));
    let text = outcome.expect_err("it must be refused").to_string();
    assert!(!text.contains('\n') && text.len() < 2048, "{text}");
    text
}

/// Stored values of the twelve leads at so many µV a step.
fn stored(step: f32) -> Vec<Vec<i64>> {
    ecg().rows().into_iter().map(|row| row.iter().map(|x| (x / step).round() as i64).collect()).collect()
}

fn interleaved(leads: &[Vec<i64>]) -> Vec<i64> {
    (0..leads[0].len()).flat_map(|t| leads.iter().map(move |lead| lead[t])).collect()
}

/// Bytes of values in a format.
fn packed(format: &str, values: &[i64], signals: usize) -> Vec<u8> {
    let every = |of: &dyn Fn(i64) -> Vec<u8>| values.iter().flat_map(|value| of(*value)).collect();
    match format {
        "8" => (0..values.len()).map(|at| if at < signals { 0 } else { (values[at] - values[at - signals]) as i8 as u8 }).collect(),
        "16" => every(&|x| (x as i16).to_le_bytes().to_vec()),
        "24" => every(&|x| (x as i32).to_le_bytes()[..3].to_vec()),
        "32" => every(&|x| (x as i32).to_le_bytes().to_vec()),
        "61" => every(&|x| (x as i16).to_be_bytes().to_vec()),
        "80" => every(&|x| vec![(x + 128) as u8]),
        "160" => every(&|x| ((x + 32_768) as u16).to_le_bytes().to_vec()),
        "212" => values
            .chunks(2)
            .flat_map(|pair| {
                let (a, b) = (pair[0] as u16 & 0xfff, pair.get(1).map_or(0, |b| *b as u16 & 0xfff));
                [a as u8, (a >> 8) as u8 | ((b >> 8) << 4) as u8, b as u8]
            })
            .collect(),
        "310" => values
            .chunks(3)
            .flat_map(|three| {
                let ten = |at: usize| three.get(at).map_or(0, |x| *x as u16 & 0x3ff);
                let third = ten(2);
                [(ten(0) << 1 | (third & 0x1f) << 11).to_le_bytes(), (ten(1) << 1 | (third >> 5) << 11).to_le_bytes()].concat()
            })
            .collect(),
        "311" => values
            .chunks(3)
            .flat_map(|three| {
                let ten = |at: usize| three.get(at).map_or(0, |x| *x as u32 & 0x3ff);
                (ten(0) | ten(1) << 10 | ten(2) << 20).to_le_bytes()
            })
            .collect(),
        _ => panic!("{format}"),
    }
}

/// A header of signals `FILE FORMAT GAIN/UNIT … FIRST SUM 0 NAME`.
fn header(format: &str, step: f32, leads: &[Vec<i64>], names: &[&str]) -> String {
    let mut text = format!("r {} 500 {}\n", leads.len(), leads[0].len());
    for (lead, name) in leads.iter().zip(names) {
        let sum = lead.iter().sum::<i64>() as i16;
        writeln!(text, "r.dat {format} {}(0)/mV 16 0 {} {sum} 0 {name}", 1000.0 / step, lead[0]).unwrap();
    }
    text
}

#[test]
fn a_calibration_pulse_is_cut_off() {
    let to = folder();
    for (at_end, lead) in [(false, 12), (true, 12), (true, 8)] {
        let all: Vec<Vec<i64>> = stored(1.0);
        let pulse: Vec<i64> = (0..500).map(|t| if (150..250).contains(&t) { 1000 } else { 0 }).collect();
        let with = |lead: &Vec<i64>| if at_end { [&lead[..], &pulse[..]].concat() } else { [&pulse[..], &lead[..]].concat() };
        let names = if lead == 12 { LEADS.to_vec() } else { INDEPENDENT.to_vec() };
        let leads: Vec<Vec<i64>> = names.iter().map(|name| with(&all[LEADS.iter().position(|other| other == name).unwrap()])).collect();
        put(&to, "r.dat", packed("16", &interleaved(&leads), lead));
        let path = put(&to, "r.hea", header("16", 1.0, &leads, &names));
        let (got, notes) = rhythm(&path);
        assert!(notes.iter().any(|note| note.contains("calibration pulse")), "{notes:?}");
        let samples = got.samples();
        // Nothing of the pulse is left, and little of the ECG is lost.
        assert!((4600..=5250).contains(&samples.ncols()), "{}", samples.ncols());
        let lost = if at_end { 0 } else { 5500 - samples.ncols() as isize - 500 };
        let far = (0..samples.ncols().min(4600))
            .filter(|t| *t as isize + lost >= 0)
            .map(|t| (samples[[3, t]] - ecg()[[7, (t as isize + lost) as usize]]).abs());
        assert_eq!(far.fold(0.0, f32::max), 0.0);
    }
}

#[test]
fn what_is_written_comes_back() {
    let to = folder();
    let leads = stored(1.0);
    let source = put(&to, "r.hea", header("16", 1.0, &leads, &LEADS) + "# Secret\n");
    put(&to, "r.dat", packed("16", &interleaved(&leads), 12));
    let mut recording = read(&source);
    recording.leads[4].samples[7] = f64::NAN;
    recording.leads.push(cardiograd::ecg::read::Lead::new("V7", vec![40_000.0; 5000]));
    for name in ["w.hea", "w.csv"] {
        let path = to.path().join(name);
        write(&path, &recording).unwrap();
        let back = read(&path);
        assert_eq!((back.rate, back.leads.len()), (500.0, 13), "{name}");
        for (a, b) in recording.leads.iter().zip(&back.leads) {
            assert_eq!(a.name, b.name);
            assert!(
                a.samples.iter().zip(&b.samples).all(|(a, b)| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-3),
                "{name}, {}",
                a.name
            );
        }
        assert!(!std::fs::read_to_string(&path).unwrap().contains("Secret"));
    }
    let path = to.path().join("w.npy");
    assert_eq!(write(&path, &recording).unwrap(), LEADS, "twelve leads in the usual order need no names");
    assert!(read(&path).leads[4].samples[7].is_nan());
    assert!(write(&to.path().join("w.doc"), &recording).unwrap_err().exit_code() == 2);
    assert!(write(&to.path().join("a b.hea"), &recording).unwrap_err().to_string().contains("letters"));
}

/// Damage anywhere is refused in a line or read as something; nothing panics.
#[test]
fn damaged_files_of_every_kind() {
    let to = folder();
    let leads = stored(5.0);
    put(&to, "r.dat", packed("310", &interleaved(&leads), 12));
    let xli: Vec<u8> = left_over().iter().flat_map(|lead| xli(lead)).collect();
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("r.hea", header("310", 10.0, &leads, &LEADS).into_bytes()),
        ("a.xml", aecg().into_bytes()),
        ("p.xml", philips("compressmethod=\"XLI\"", &xli).into_bytes()),
        ("s.xml", schiller().into_bytes()),
        ("o.xml", mortara().into_bytes()),
        ("w.csv", b"Sample Rate,512 hertz\nLead,Lead I\nUnit,uV\n1.5\n-2\n".to_vec()),
        ("n.npy", npy("<f2", true, "(1, 12, 4)", vec![0x3c; 96])),
    ];
    let mut state = 1u64;
    let mut roll = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    for (name, bytes) in seeds {
        for _ in 0..12 {
            let mut damaged = bytes.clone();
            for _ in 0..=roll(3) {
                let at = if roll(2) == 0 { roll(damaged.len()) } else { roll(damaged.len().min(1500)) };
                damaged[at] = roll(256) as u8;
            }
            let path = put(&to, name, damaged);
            let outcome =
                Source::open(&path, Given::default()).and_then(|source| source.read(0)).and_then(|one| one.rhythm(&path).map(drop));
            if let Err(error) = outcome {
                let text = error.to_string();
                assert!(!text.contains(char::is_control) && text.len() < 2048 && !text.is_empty(), "{text:?}");
            }
        }
    }
}

#[cfg(feature = "cli")]
mod program {
    use super::xml::{muse, muse_leads, muse_wave};
    use super::*;
    use std::process::{Command, Output};

    fn cardiograd(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cardiograd")).args(arguments).output().unwrap()
    }

    #[test]
    fn folders_of_many_kinds_with_broken_files_and_names_of_people() {
        let to = folder();
        put(&to, "in/m.xml", muse(&muse_wave(&muse_leads())));
        put(&to, "in/a.xml", aecg());
        put(&to, "in/broken.xml", &aecg()[..5000]);
        put(&to, "in/notes.doc", "not an ECG");
        let [input, table, data] = ["in", "t.csv", "data"].map(|name| to.path().join(name).to_str().unwrap().to_owned());
        let run = cardiograd(&["measure", &input, "-o", &table]);
        assert_eq!(run.status.code(), Some(1));
        assert!(!Path::new(&table).exists());
        let run = cardiograd(&["measure", &input, "-o", &table, "--skip-unreadable"]);
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success() && said.contains("passed over: ") && said.contains("broken.xml"), "{said}");
        let text = std::fs::read_to_string(&table).unwrap();
        let column = |text: &str, name: &str, row: usize| {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let at = reader.headers().unwrap().iter().position(|have| have == name).unwrap_or_else(|| panic!("{name}"));
            reader.records().nth(row - 1).unwrap().unwrap()[at].to_owned()
        };
        assert_eq!((text.lines().count(), column(&text, "id", 1)), (3, "a".into()));
        assert_eq!((column(&text, "file_pr_ms", 1), column(&text, "file_pr_ms", 2)), ("152".into(), "150".into()));
        assert_eq!(column(&text, "file_age_years", 2), "57");
        let run = cardiograd(&["import", &input, "-o", &data, "--skip-unreadable"]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let rows = std::fs::read_to_string(Path::new(&data).join("measurements.csv")).unwrap();
        assert_eq!(column(&rows, "file_pr_ms", 1), "152");
        assert!(cardiograd(&["inspect", &data]).status.success());
        for written in [&text, &rows, &std::fs::read_to_string(Path::new(&data).join("dataset.json")).unwrap()] {
            assert!(!written.contains("Secret") && !written.contains("ID4711Q"));
        }
        let run = cardiograd(&["measure", &input, "-o", &table, "--skip-unreadable", "--keep-identity", "--quiet"]);
        assert!(run.status.success() && run.stderr.is_empty());
        assert_eq!(column(&std::fs::read_to_string(&table).unwrap(), "file_patient_name", 2), "Secret");
        // And as others read it.
        let (one, out) = (to.path().join("in/m.xml"), to.path().join("out.hea"));
        let run = cardiograd(&["convert", one.to_str().unwrap(), out.to_str().unwrap()]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(off(&rhythm(&out).0) <= 2.0);
    }
}
