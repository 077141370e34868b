//! Readers of recordings: round trips over random contents, and files that are truncated, reordered, mislabelled or hostile.
#![cfg(feature = "files")]

use cardiograd::ecg::Rhythm;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS, twelve};
use cardiograd::ecg::read::{Given, Source, Unit, Windows, columns, lead_name, muse, osf, wfdb};
use cardiograd::ecg::simulator::{Settings, Simulator};
use ndarray::Array2;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A clean ECG in whole µV, (8, 5000).
fn ecg(index: u64) -> Array2<f32> {
    Simulator::new(Settings::default(), 77).simulate(index).rhythm.samples().mapv(f32::round)
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The error of reading and preparing a file, as the one line that people see.
fn refusal(source: &Path) -> String {
    let opened = Source::open(source, Given::default());
    let error = match opened {
        Err(error) => error,
        Ok(source) => match source.read(0) {
            Err(error) => error,
            Ok(recording) => recording.rhythm(source.path(0)).expect_err("it must be refused"),
        },
    };
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.is_empty(), "one line: {text}");
    text
}

/// How a WFDB file is to be written.
#[derive(Clone, Debug)]
struct Layout {
    format: u16,
    gain: f64,
    baseline: i64,
    unit: &'static str,
    order: Vec<usize>,
    /// Signals of the first of two files; all in one file if it is as many as there are.
    first_file: usize,
    skip: usize,
}

impl Layout {
    fn plain() -> Self {
        Layout { format: 16, gain: 1.0, baseline: 0, unit: "uV", order: (0..12).collect(), first_file: 12, skip: 0 }
    }
}

fn encode(format: u16, values: &[i64]) -> Vec<u8> {
    if format == 16 {
        return values.iter().flat_map(|&value| (value as i16).to_le_bytes()).collect();
    }
    let mut bytes = Vec::new();
    for pair in values.chunks(2) {
        let (a, b) = (pair[0] as u16 & 0xfff, pair.get(1).map_or(0, |&b| b as u16 & 0xfff));
        bytes.push(a as u8);
        bytes.push((a >> 8) as u8 | ((b >> 8) << 4) as u8);
        if pair.len() == 2 {
            bytes.push(b as u8);
        }
    }
    bytes
}

/// Writes a record `r.hea` with its signal files; `leads` (12, T) in µV.
fn write_wfdb(to: &TempDir, leads: &Array2<f32>, layout: &Layout) -> PathBuf {
    let unit = Unit::named(layout.unit).unwrap().microvolts();
    let digital = |lead: usize, t: usize| (f64::from(leads[[lead, t]]) / unit * layout.gain).round() as i64 + layout.baseline;
    let samples = leads.ncols();
    let mut header = format!("r {} 500 {samples}\n# a comment\n", layout.order.len());
    for (file, signals) in [&layout.order[..layout.first_file], &layout.order[layout.first_file..]].into_iter().enumerate() {
        let mut values = Vec::new();
        for t in 0..samples {
            values.extend(signals.iter().map(|&lead| digital(lead, t)));
        }
        for &lead in signals {
            let sum = (0..samples).fold(0i64, |sum, t| sum + digital(lead, t)) as i16;
            let offset = if layout.skip > 0 { format!("+{}", layout.skip) } else { String::new() };
            let (format, gain, baseline, unit) = (layout.format, layout.gain, layout.baseline, layout.unit);
            writeln!(
                header,
                "r{file}.dat {format}{offset} {gain}({baseline})/{unit} 16 0 {} {sum} 0 {}",
                digital(lead, 0),
                LEADS[lead].to_lowercase()
            )
            .unwrap();
        }
        let mut bytes = vec![0xAA; layout.skip];
        bytes.extend(encode(layout.format, &values));
        write(to, &format!("r{file}.dat"), bytes);
    }
    write(to, "r.hea", header)
}

fn read_rhythm(path: &Path, given: Given) -> Rhythm {
    let source = Source::open(path, given).unwrap();
    source.read(0).unwrap().rhythm(path).unwrap().0
}

fn farthest(a: &Rhythm, b: &Array2<f32>) -> f32 {
    a.samples().iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Any gain, baseline, unit, lead order and number of files brings back the same µV, to half a step.
    #[test]
    fn wfdb_round_trip(
        index in 0u64..20,
        twelve_bit in any::<bool>(),
        gain in 0.15f64..3.0,
        baseline in -300i64..300,
        millivolts in any::<bool>(),
        order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
        first_file in 1usize..12,
        skip in prop_oneof![Just(0usize), Just(24)],
    ) {
        let to = folder();
        let ecg = ecg(index);
        // Twelve bits hold ± 2047: a gain that keeps 5 mV inside.
        let per_microvolt = if twelve_bit { 0.15 * gain.min(2.0) } else { gain };
        let (unit, gain) = if millivolts { ("mV", per_microvolt * 1000.0) } else { ("uV", per_microvolt) };
        let largest = ecg.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        prop_assume!(f64::from(largest) * 1.8 * per_microvolt + 300.0 < if twelve_bit { 2000.0 } else { 32_000.0 });
        let layout = Layout { format: if twelve_bit { 212 } else { 16 }, gain, baseline, unit, order, first_file, skip };
        let path = write_wfdb(&to, &twelve(ecg.view()), &layout);
        let rhythm = read_rhythm(&path, Given::default());
        prop_assert!(f64::from(farthest(&rhythm, &ecg)) <= 0.51 / per_microvolt);
    }

    /// Whatever bytes a file holds, reading it ends in an answer, never in a panic.
    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..6) {
        let to = folder();
        let name = ["x.hea", "x.xml", "x.asc", "x.csv", "x.npy", "x.npz"][kind];
        let path = write(&to, name, bytes);
        refusal(&path);
    }

    /// A header damaged anywhere is refused or still means the same kind of thing: no panic, no allocation without bound.
    #[test]
    fn damaged_headers_do_not_panic(at in 0usize..600, byte in 32u8..127) {
        let to = folder();
        let path = write_wfdb(&to, &twelve(ecg(0).view()), &Layout::plain());
        let mut header = std::fs::read(&path).unwrap();
        let at = at % header.len();
        header[at] = byte;
        std::fs::write(&path, header).unwrap();
        if let Ok(recording) = wfdb::read(&path) {
            let _ = recording.rhythm(&path);
        }
    }
}

/// Samples of every lead.
fn part(of: &Array2<f32>, samples: std::ops::Range<usize>) -> ndarray::ArrayView2<'_, f32> {
    of.slice_axis(ndarray::Axis(1), ndarray::Slice::from(samples))
}

/// A long record in windows is the record, whatever its packing; what a window leaves over is kept; checksums are compared at the end.
#[test]
fn windows_are_parts_of_the_recording() {
    let long = Simulator::new(Settings { seconds: 23.0, ..Settings::default() }, 78)
        .simulate(0)
        .rhythm
        .samples()
        .mapv(|x| x.round().clamp(-2000.0, 2000.0));
    for (format, first_file) in [(16, 9), (212, 9), (212, 4)] {
        let to = folder();
        // Nine signals and an odd number of samples a window: in format 212 every second window begins within three bytes.
        let layout = Layout { format, order: vec![6, 7, 8, 9, 10, 11, 5, 1, 0], first_file, ..Layout::plain() };
        let path = write_wfdb(&to, &twelve(long.view()), &layout);
        for (seconds, starts) in [(7.002, vec![0, 3501, 7002]), (9.0, vec![0, 4500, 9000]), (60.0, vec![0])] {
            let mut windows = Windows::open(&path, Given::default(), seconds).unwrap().remove(0);
            assert_eq!((windows.id(), windows.count()), ("r", starts.len()));
            for (at, &start) in starts.iter().enumerate() {
                let window = windows.take_next().unwrap().unwrap();
                let end = starts.get(at + 1).copied().unwrap_or(long.ncols());
                assert_eq!(window.start, start as f64 / 500.0);
                let rhythm = window.recording.rhythm(&path).unwrap().0;
                assert_eq!(rhythm.samples(), part(&long, start..end), "format {format}, window {at}");
            }
            assert!(windows.take_next().unwrap().is_none());
        }
        let header = std::fs::read_to_string(&path).unwrap();
        let mut bytes = std::fs::read(to.path().join("r0.dat")).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(to.path().join("r0.dat"), bytes).unwrap();
        let mut windows = Windows::open(&path, Given::default(), 10.0).unwrap().remove(0);
        assert!(windows.take_next().is_ok());
        assert!(windows.take_next().unwrap_err().to_string().contains("sums to"));
        write(&to, "r.hea", header.replace(" 11500\n", " 11501\n"));
        assert!(Windows::open(&path, Given::default(), 10.0).err().unwrap().to_string().contains("truncated"));
        write(&to, "r.hea", header.replace(" v3", " v9"));
        assert!(Windows::open(&path, Given::default(), 10.0).err().unwrap().to_string().contains("lead V3 is not there"));
    }
    let to = folder();
    let path = to.path().join("x.npy");
    cardiograd::files::npy::write(&path, twelve(long.view()).insert_axis(ndarray::Axis(0)).mapv(|x| x as i16).view()).unwrap();
    let mut windows = Windows::open(&path, Given::default(), 10.0).unwrap().remove(0);
    let second = (windows.take_next().unwrap().unwrap(), windows.take_next().unwrap().unwrap()).1;
    assert_eq!(second.recording.rhythm(&path).unwrap().0.samples(), part(&long, 5000..11500));
}

#[test]
fn wfdb_files_that_are_not_what_their_header_says() {
    let to = folder();
    let path = write_wfdb(&to, &twelve(ecg(1).view()), &Layout::plain());
    let (header, data) = (std::fs::read_to_string(&path).unwrap(), std::fs::read(to.path().join("r0.dat")).unwrap());
    let with_header = |text: String| {
        std::fs::write(&path, text).unwrap();
        refusal(&path)
    };
    assert!(with_header(header.replace(" 5000\n", " 1152921504606846976\n")).contains("truncated"));
    assert!(with_header(header.replacen("r 12", "r 4000000000", 1)).contains("signals"));
    assert!(with_header(header.replacen("r0.dat", "../r0.dat", 12)).contains("plain file name"));
    assert!(with_header(header.replacen("r0.dat", "/etc/passwd", 12)).contains("plain file name"));
    assert!(with_header(header.replace("/uV", "/furlong")).contains("furlong"));
    assert!(with_header(header.replace(" 1(0)/uV", " 0(0)/uV")).contains("gain is 0"));
    // A gain near 0 makes infinities, in f64 or in the f32 of an array; a baseline far off leaves f32 no room for an ECG.
    for gain in ["1e-320", "1e-300"] {
        let text = with_header(header.replace(" 1(0)/uV", &format!(" {gain}(0)/uV")));
        assert!(text.contains("is not a voltage") && text.len() < 200, "{text}");
    }
    assert!(with_header(header.replace(" 1(0)/uV", " 1(-100000000)/uV")).contains("1e8 µV from zero"));
    assert!(with_header(header.replace(".dat 16 ", ".dat 81 ")).contains("format 81"));
    assert!(with_header(header.replace(" v3\n", " banana\n")).contains("V3"));
    assert!(with_header(header.replace(" v3\n", " v2\n")).contains("twice"));
    // I and II exchanged: III and the augmented leads betray it.
    let swapped = header.replace(" 0 i\n", " 0 ?\n").replace(" 0 ii\n", " 0 i\n").replace(" 0 ?\n", " 0 ii\n");
    assert!(with_header(swapped).contains("mislabelled"));
    std::fs::write(&path, &header).unwrap();
    std::fs::write(to.path().join("r0.dat"), &data[..data.len() - 2]).unwrap();
    assert!(refusal(&path).contains("truncated"));
    let mut reordered = data.clone();
    reordered.rotate_left(24 * 100);
    std::fs::write(to.path().join("r0.dat"), reordered).unwrap();
    assert!(refusal(&path).contains("begins with"));
    let mut damaged = data;
    damaged[50_001] ^= 0x10;
    std::fs::write(to.path().join("r0.dat"), damaged).unwrap();
    assert!(refusal(&path).contains("sums to"));
}

#[test]
fn limb_leads_are_derived_from_any_two() {
    let ecg = ecg(2);
    let all = twelve(ecg.view());
    for pair in [[2, 5], [3, 4], [0, 2], [1, 5]] {
        let to = folder();
        let order: Vec<usize> = pair.into_iter().chain(6..12).collect();
        let layout = Layout { gain: 8.0, first_file: order.len(), order, ..Layout::plain() };
        let path = write_wfdb(&to, &all, &layout);
        let recording = wfdb::read(&path).unwrap();
        let (rhythm, notes) = recording.rhythm(&path).unwrap();
        assert!(farthest(&rhythm, &ecg) < 0.5, "{pair:?}");
        assert_eq!(notes.iter().any(|note| note.contains("derived")), pair != [0, 1], "{notes:?}");
    }
}

/// A MUSE file of an ECG in steps of 4.88 µV, with a median of zeros and measurements.
fn muse_xml(ecg: &Array2<f32>) -> String {
    use base64::Engine;
    let lead = |samples: Vec<i16>, name: &str| {
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let text: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!(
            "<LeadData><LeadSampleCountTotal>{}</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>\
             <LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize>\
             <WaveFormData>\n{}\n</WaveFormData></LeadData>",
            samples.len(),
            text.join("\n")
        )
    };
    let waveform = |kind: &str, samples: &dyn Fn(usize) -> Vec<i16>| {
        let leads: String = INDEPENDENT.iter().enumerate().map(|(row, name)| lead(samples(row), name)).collect();
        format!(
            "<Waveform><WaveformType>{kind}</WaveformType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{leads}</Waveform>"
        )
    };
    let rhythm = waveform("Rhythm", &|row| ecg.row(row).iter().map(|x| (x / 4.88).round() as i16).collect());
    let median = waveform("Median", &|_| vec![0; 600]);
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<!DOCTYPE RestingECG SYSTEM \"restecg.dtd\">\n<RestingECG><RestingECGMeasurements>\
         <VentricularRate>61</VentricularRate><PRInterval>150</PRInterval><QRSDuration>90</QRSDuration><QTInterval></QTInterval>\
         </RestingECGMeasurements>{median}{rhythm}</RestingECG>"
    )
}

#[test]
fn muse_round_trip_and_refusals() {
    let to = folder();
    let ecg = ecg(3);
    let xml = muse_xml(&ecg);
    let path = write(&to, "m.xml", &xml);
    let recording = muse::read(&path).unwrap();
    assert!(farthest(&recording.rhythm(&path).unwrap().0, &ecg) <= 2.45);
    let labels = recording.labels.unwrap();
    assert_eq!((labels.pr_ms, labels.qt_ms, labels.rate_bpm), (Some(150.0), None, Some(61.0)));
    assert_eq!(recording.median.unwrap().dim(), (12, 600));
    let refuse = |text: String| refusal(&write(&to, "bad.xml", text));
    assert!(refuse(xml.replace("RestingECG>", "Pizza>").replace("<!DOCTYPE RestingECG SYSTEM \"restecg.dtd\">", "")).contains("MUSE"));
    assert!(refuse(xml.replace("<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>", "")).contains("LeadAmplitudeUnits"));
    assert!(refuse(xml.replace("MICROVOLTS", "PARSECS")).contains("PARSECS"));
    assert!(refuse(xml.replace("<SampleBase>500</SampleBase>", "")).contains("SampleBase"));
    assert!(refuse(xml.replace("<LeadID>V4<", "<LeadID>V99<")).contains("V99"));
    assert!(refuse(xml.replace(">5000<", ">1152921504606846976<")).contains("announced"));
    assert!(refuse(xml[..xml.len() / 2].to_owned()).contains("XML"));
    // Entities that would grow to gigabytes.
    let bomb = xml.replace(
        "SYSTEM \"restecg.dtd\"",
        "[<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&c;&b;\">]",
    );
    refuse(bomb.replace("<LeadID>V4<", "<LeadID>&c;<"));
}

fn asc(ecg: &Array2<f32>) -> String {
    ecg.columns().into_iter().fold(String::new(), |mut text, column| {
        let line: Vec<String> = column.iter().map(|x| x.to_string()).collect();
        writeln!(text, "{}", line.join(" ")).unwrap();
        text
    })
}

#[test]
fn osf_recordings_round_trip_and_refusals() {
    let to = folder();
    let ecg = ecg(4);
    let text = asc(&ecg);
    for id in [10, 2, 1] {
        write(&to, &format!("{id}.asc"), &text);
    }
    let source = Source::open(to.path(), Given::default()).unwrap();
    let ids: Vec<String> = (0..source.len()).map(|at| source.read(at).unwrap().id).collect();
    assert_eq!(ids, ["1", "2", "10"], "numbers in the order of numbers");
    assert_eq!(farthest(&source.read(0).unwrap().rhythm(to.path()).unwrap().0, &ecg), 0.0);
    let refuse = |text: String| refusal(&write(&to, "bad.asc", text));
    assert!(refuse(text.lines().take(1000).collect::<Vec<_>>().join("\n")).contains("2.0 s"));
    assert!(refuse(text.replacen(' ', " 7 ", 1)).contains("line 1: more than 8"));
    assert!(refuse(text[..text.len() - 6].to_owned()).contains("line 5000"));
    assert!(refuse(text.replacen(' ', " x", 1)).contains("not a number"));
    assert!(refuse(text.replacen(' ', " NaN", 1)).contains("not a number"));
    assert!(refuse(asc(&ecg.mapv(|x| x / 1000.0))).contains("mV"), "millivolts taken for µV are noticed");
}

#[test]
fn osf_tables_with_either_separator() {
    let to = folder();
    let table = "patid;VentRate;pr;qrs;qt;R_PeakAmpl_v5;STJ_v5;T_PeakAmpl_v5;qonset;qoffset;ponset;toffset\n7;61;;90;400;1200.5;-10;300;218;263;;420\n";
    for text in [table.to_owned(), table.replace(';', ","), format!("\u{feff}{table}")] {
        let labels = osf::read_labels(write(&to, "truth.csv", text)).unwrap();
        let label = &labels["7"];
        assert_eq!((label.pr_ms, label.qrs_ms, label.r_v5_uv, label.t_offset), (None, Some(90.0), Some(1200.5), Some(420.0)));
    }
    let refuse = |text: String| osf::read_labels(write(&to, "truth.csv", text)).unwrap_err().to_string();
    assert!(refuse(table.replace("patid", "who")).contains("patid"));
    assert!(refuse(table.replace(";90;", ";ninety;")).contains("ninety"));
    assert!(refuse(format!("{table}7;61;;90;400;1;1;1;218;263;;420\n")).contains("twice"));
    assert!(refuse("patid;x\n1;2\n".into()).contains("columns"));
}

#[test]
fn osf_medians() {
    let to = folder();
    let beat = Array2::from_shape_fn((12, 600), |(lead, t)| (lead * 1000 + t) as f32);
    let rows = |count: usize| {
        (0..count).fold("patient 7\n12 lead medians\n".to_owned(), |mut text, t| {
            beat.column(t).iter().for_each(|x| write!(text, "{x},").unwrap());
            text + "\n"
        })
    };
    assert_eq!(osf::read_median(write(&to, "7.csv", rows(600))).unwrap(), beat);
    let refuse = |text: String| osf::read_median(write(&to, "7.csv", text)).unwrap_err().to_string();
    assert!(refuse(rows(599)).contains("599"));
    assert!(refuse(rows(600).replace("medians", "m")).contains("12 lead medians"));
    assert!(refuse(rows(600).replacen("1000,", "", 1)).contains("11 numbers"));
    assert!(refuse(rows(600).replacen("1000,", "inf,", 1)).contains("not a number"));
}

#[test]
fn columns_round_trip_and_refusals() {
    let to = folder();
    let ecg = ecg(5);
    let make = |unit: &str, factor: f32, separator: &str| {
        let names: Vec<String> = INDEPENDENT.iter().map(|lead| format!("{lead}{unit}")).collect();
        let mut text = format!("time (ms){separator}{}\n", names.join(separator));
        for (t, column) in ecg.columns().into_iter().enumerate() {
            let line: Vec<String> = column.iter().map(|x| (x * factor).to_string()).collect();
            writeln!(text, "{}{separator}{}", 2 * t, line.join(separator)).unwrap();
        }
        text
    };
    for (unit, factor, separator) in [(" (uV)", 1.0, ","), (" [mV]", 0.001, ";"), (" (V)", 1e-6, "\t")] {
        let path = write(&to, "c.csv", make(unit, factor, separator));
        assert!(farthest(&read_rhythm(&path, Given::default()), &ecg) < 0.1, "{unit}");
    }
    let bare = make("", 0.001, ",");
    let path = write(&to, "c.csv", &bare);
    assert!(refusal(&path).contains("unit of lead I"));
    let given = Given { unit: Some(Unit::Millivolt), ..Given::default() };
    assert!(farthest(&read_rhythm(&path, given), &ecg) < 0.1);
    let good = make(" (uV)", 1.0, ",");
    let refuse = |text: String| refusal(&write(&to, "bad.csv", text));
    assert!(refuse(good.replace("V6 (uV)", "V7 (uV)")).contains("V7"));
    assert!(refuse(good.replace("V6 (uV)", "V6 (ft)")).contains("ft"));
    assert!(refuse(good.replace("time (ms)", "sample")).contains("--rate"));
    let mut lines: Vec<&str> = good.lines().collect();
    lines.swap(100, 2000);
    assert!(refuse(lines.join("\n")).contains("not even"));
    lines.swap(100, 2000);
    lines.remove(50);
    assert!(refuse(lines.join("\n")).contains("not even"));
    assert!(columns::read(&to.path().join("none.csv"), &Given::default()).is_err());
}

#[test]
fn arrays_and_what_they_lack() {
    let to = folder();
    let ecg = ecg(6);
    let path = to.path().join("x.npy");
    cardiograd::files::npy::write(&path, twelve(ecg.view()).view()).unwrap();
    assert!(farthest(&read_rhythm(&path, Given::default()), &ecg) == 0.0);
    let refuse = |array: Array2<f32>| {
        cardiograd::files::npy::write(&path, array.view()).unwrap();
        refusal(&path)
    };
    assert!(refuse(Array2::zeros((7, 5000))).contains("8 or 12"));
    assert!(refuse(ecg.mapv(|x| x / 1000.0)).contains("--unit mV"));
    let mut broken = ecg;
    broken[[4, 321]] = f32::INFINITY;
    let text = refuse(broken);
    assert!(text.contains("V3") && text.contains("321"), "{text}");
    let none = Source::open(to.path().join("nothing.npy"), Given::default()).err().unwrap().to_string();
    assert!(none.contains("nothing.npy"));
    assert!(Source::open(folder().path(), Given::default()).is_err(), "an empty folder");
}

#[test]
fn lead_names_in_every_spelling() {
    for (text, lead) in [("avr", "aVR"), ("AVF", "aVF"), (" V1 ", "V1"), ("Lead II", "II"), ("MDC_ECG_LEAD_V5", "V5"), ("ECG_I", "I")] {
        assert_eq!(lead_name(text), Some(lead), "{text}");
    }
    for text in ["", "V0", "V7", "IV", "X", "resp", "IIII"] {
        assert_eq!(lead_name(text), None, "{text}");
    }
}

#[test]
fn archives_of_arrays() {
    use cardiograd::files::npy::NpyArray;
    use cardiograd::files::npz;
    let to = folder();
    let ecgs = [ecg(7), ecg(8)];
    let both = ndarray::stack(ndarray::Axis(0), &[ecgs[0].view(), ecgs[1].view()]).unwrap();
    let path = to.path().join("x.npz");
    npz::write(&path, &[("x", &NpyArray::F32(both.clone().into_dyn())), ("other", &NpyArray::F32(ndarray::arr1(&[1.0]).into_dyn()))])
        .unwrap();
    let source = Source::open(&path, Given::default()).unwrap();
    assert_eq!(source.len(), 2);
    for (at, ecg) in ecgs.iter().enumerate() {
        assert_eq!(farthest(&source.read(at).unwrap().rhythm(&path).unwrap().0, ecg), 0.0);
    }
    npz::write(&path, &[("a", &NpyArray::F32(both.clone().into_dyn())), ("b", &NpyArray::F32(both.into_dyn()))]).unwrap();
    assert!(refusal(&path).contains("a, b"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refusal(&path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A file that ends early is refused wherever it ends, whatever its kind.
    #[test]
    fn cut_files_are_refused(kind in 0usize..6, share in 0.0f64..0.999) {
        let to = folder();
        let ecg = ecg(9);
        let (path, cut) = match kind {
            0 | 1 => {
                let layout = Layout { format: [16, 212][kind], gain: 0.2, ..Layout::plain() };
                (write_wfdb(&to, &twelve(ecg.view()), &layout), to.path().join("r0.dat"))
            }
            2 => {
                let path = write(&to, "m.xml", muse_xml(&ecg));
                (path.clone(), path)
            }
            3 => {
                let path = write(&to, "x.asc", asc(&ecg));
                (path.clone(), path)
            }
            4 => {
                let path = to.path().join("x.npy");
                cardiograd::files::npy::write(&path, ecg.view()).unwrap();
                (path.clone(), path)
            }
            _ => {
                let path = to.path().join("x.npz");
                cardiograd::files::npz::write(&path, &[("x", &cardiograd::files::npy::NpyArray::F32(ecg.into_dyn()))]).unwrap();
                (path.clone(), path)
            }
        };
        let bytes = std::fs::read(&cut).unwrap();
        let keep = (bytes.len() as f64 * share) as usize;
        // Plain text has no length of its own: an .asc file of 5 s or more that ends with a line is a shorter recording.
        let keep = if kind == 3 { keep.min(bytes.len() / 3) } else { keep };
        std::fs::write(&cut, &bytes[..keep]).unwrap();
        refusal(&path);
    }
}

/// The program as a script sees it.
#[cfg(feature = "cli")]
mod program {
    use super::*;
    use std::process::Command;

    /// Imports into a folder that must not come to be, and gives the one line that says why.
    fn import_fails(code: i32, to: &TempDir, arguments: &[&Path]) -> String {
        let out = to.path().join("data");
        let output = Command::new(env!("CARGO_BIN_EXE_cardiograd")).arg("import").args(arguments).arg("-o").arg(&out).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(output.stdout.is_empty() && error.lines().count() == 1, "{error}");
        let left = std::fs::read_dir(to.path()).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("data"));
        assert!(!left, "something was left behind: {error}");
        error
    }

    #[test]
    fn a_bad_file_gives_one_line_and_no_dataset() {
        let to = folder();
        let ecg = ecg(10);
        let source = to.path().join("osf");
        std::fs::create_dir(&source).unwrap();
        let text = asc(&ecg);
        let put = |name: &str, text: &str| std::fs::write(source.join(name), text).unwrap();
        put("1.asc", &text);
        put("2.asc", &text[..text.len() / 2]);
        assert!(import_fails(1, &to, &[&source]).contains("2.asc"));
        put("2.asc", &text.replacen(' ', " 1 ", 1));
        assert!(import_fails(1, &to, &[&source]).contains("line 1"));
        put("2.asc", &text);
        let labels = write(&to, "truth.csv", "patid;pr\n1;160\n1;161\n");
        assert!(import_fails(1, &to, &[&source, Path::new("--labels"), &labels]).contains("twice"));
        // Folders may hold several kinds.
        put("2.xml", "<RestingECG/>");
        assert!(import_fails(1, &to, &[&source]).contains("2.xml: there is no waveform"));
        assert!(import_fails(1, &to, &[&to.path().join("absent.asc")]).contains("absent.asc"));
        assert!(import_fails(2, &to, &[&write(&to, "notes.doc", "")]).contains("notes.doc"));
    }

    #[test]
    fn mislabelled_leads_give_one_line_and_no_dataset() {
        let to = folder();
        let path = write_wfdb(&to, &twelve(ecg(11).view()), &Layout::plain());
        let header = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, header.replace(" 0 i\n", " 0 ?\n").replace(" 0 ii\n", " 0 i\n").replace(" 0 ?\n", " 0 ii\n")).unwrap();
        assert!(import_fails(1, &to, &[&path]).contains("mislabelled"));
        std::fs::write(&path, header.replace(" 0 v6\n", " 0 v9\n")).unwrap();
        assert!(import_fails(1, &to, &[&path]).contains("V6"));
        // The signals of one file must stand together: elsewhere their samples would be taken from the wrong places.
        let parts = write_wfdb(&to, &twelve(ecg(11).view()), &Layout { first_file: 6, ..Layout::plain() });
        let mut lines: Vec<String> = std::fs::read_to_string(&parts).unwrap().lines().map(str::to_owned).collect();
        lines.swap(3, 13);
        std::fs::write(&parts, lines.join("\n")).unwrap();
        assert!(import_fails(1, &to, &[&parts]).contains("together"));
    }
}
