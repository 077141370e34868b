//! Readers of binary recordings: files of every kind as they are in the field, made here, give the ECG that was put in; broken ones are refused.
#![cfg(feature = "files")]

#[path = "readers_binary/endless.rs"]
mod endless;
mod formats;

use cardiograd::ecg::leads::twelve;
use cardiograd::ecg::read::{Given, Recording, Source, Unit, Windows};
use cardiograd::ecg::simulator::{Settings, Simulator};
use formats::dicom::{Group, Syntax};
use formats::scp::{Codes, Form};
use formats::{Leads, NAMES, dicom, edf, hdf5, ishne, matlab, parquet, scp};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Twelve leads of 5 s in whole µV: multiples of 20, so that every file's steps fit.
fn ecg(index: u64) -> Leads {
    let settings = Settings { seconds: 5.0, ..Settings::default() };
    let eight = Simulator::new(settings, 77).simulate(index).rhythm.samples().mapv(|x| (x / 20.0).round() * 20.0);
    twelve(eight.view()).rows().into_iter().map(|row| row.to_vec()).collect()
}

fn write(to: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = to.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn millivolts() -> Given {
    Given { unit: Some(Unit::Millivolt), rate: Some(500.0), leads: Vec::new() }
}

/// Reads every recording of a file and compares their leads with what was written.
fn same(path: &Path, given: &Given, ecgs: &[Leads], within: f64) -> Vec<Recording> {
    let source = Source::open(path, given.clone()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(source.len(), ecgs.len(), "{}", path.display());
    let read = |(at, ecg): (usize, &Leads)| {
        let recording = source.read(at).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((recording.rate, recording.leads.len()), (500.0, 12), "{}", path.display());
        for (name, wanted) in NAMES.iter().zip(ecg) {
            let found = &recording.leads.iter().find(|lead| lead.name == *name).unwrap().samples;
            assert_eq!(found.len(), wanted.len(), "{}: {name}", path.display());
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
            assert!(worst <= within, "{}: {name} is off by {worst} µV", path.display());
        }
        recording.rhythm(path).unwrap_or_else(|error| panic!("{error}"));
        recording
    };
    ecgs.iter().enumerate().map(read).collect()
}

/// The line that refuses a file.
fn refusal(path: &Path, given: &Given) -> String {
    let error = match Source::open(path, given.clone()) {
        Err(error) => error,
        Ok(source) => match source.read(source.len() - 1) {
            Err(error) => error,
            Ok(recording) => recording.rhythm(path).expect_err("it must be refused"),
        },
    };
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains(&*path.file_name().unwrap().to_string_lossy()), "one line that names the file: {text}");
    text
}

/// Every kind once: its name, its bytes, and what is not in it.
fn every(ecg: &Leads) -> Vec<(&'static str, Vec<u8>, Given)> {
    let none = Given::default();
    let own = Form { codes: Codes::Own, differences: 1, beats: Some(&[400, 900]) };
    let standard = Form { codes: Codes::Standard, differences: 2, beats: None };
    let groups = |groups: &[Group<'_>]| dicom::write(groups, Syntax::Explicit);
    let one = std::slice::from_ref(ecg);
    let length = ecg[0].len() as u64;
    vec![
        ("a.edf", edf::write(ecg, false, "uV", &[(1.5, "noise")], 0.0), none.clone()),
        ("a.bdf", edf::write(ecg, true, "uV", &[], 0.0), none.clone()),
        ("a.dcm", groups(&[Group::plain(&NAMES, ecg.clone())]), none.clone()),
        ("b.dcm", dicom::write(&[Group::plain(&NAMES, ecg.clone())], Syntax::Implicit), none.clone()),
        ("a.scp", scp::write(ecg, own), none.clone()),
        ("b.scp", scp::write(ecg, standard), none.clone()),
        ("a.ecg", ishne::write(ecg), none.clone()),
        ("a4.mat", matlab::level4(ecg), Given { unit: Some(Unit::Microvolt), ..millivolts() }),
        ("a5.mat", matlab::level5(ecg, false), none.clone()),
        ("b5.mat", matlab::structure(ecg), millivolts()),
        ("a7.mat", hdf5::matlab(ecg), none.clone()),
        ("a.h5", hdf5::code15(one, None, None), millivolts()),
        ("b.h5", hdf5::code15(one, Some(&[1, length / 2 + 100, 5]), Some("mV")), Given { unit: None, ..millivolts() }),
        ("a.parquet", parquet::instants(ecg), none),
        ("b.parquet", parquet::lists(one), Given { unit: Some(Unit::Microvolt), ..millivolts() }),
        ("c.parquet", parquet::nested(one), Given { unit: Some(Unit::Microvolt), ..millivolts() }),
    ]
}

#[test]
fn every_kind_gives_the_ecg_that_was_written() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(1));
    for (name, bytes, given) in every(&ecg) {
        let path = write(&to, name, bytes);
        let recording = same(&path, &given, std::slice::from_ref(&ecg), 0.01).remove(0);
        // The name of a file may be anything: what is in it tells its kind.
        if !name.ends_with("4.mat") {
            let other = write(&to, "nameless", std::fs::read(&path).unwrap());
            same(&other, &given, std::slice::from_ref(&ecg), 0.01);
        }
        let notes = recording.notes.join(" ") + &recording.id;
        assert!(!notes.contains("Secret") && !notes.contains("ID77"), "{name}: {notes}");
    }
}

#[test]
fn edf_annotations_rates_and_units() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(2));
    for (name, bdf, unit) in [("p.edf", false, "mV"), ("p.bdf", true, "mV"), ("q.bdf", true, "uV")] {
        let notes = [(0.5, "first"), (3.25, "second")];
        let path = write(&to, name, edf::write(&ecg, bdf, unit, &notes, 0.0));
        let recording = same(&path, &Given::default(), std::slice::from_ref(&ecg), 0.01).remove(0);
        let found: Vec<(u64, &str)> = recording.annotations.iter().map(|one| (one.sample, one.text.as_str())).collect();
        assert_eq!(found, [(250, "first"), (1625, "second")]);
        assert!(recording.notes.iter().any(|note| note.contains("Resp nasal")), "{:?}", recording.notes);
        assert_eq!((recording.patient.name.as_deref(), recording.patient.id.as_deref()), (Some("Secret Name"), Some("ID77")));
    }
    let refuse = |bytes: Vec<u8>| refusal(&write(&to, "bad.edf", bytes), &Given::default());
    assert!(refuse(edf::write(&ecg, false, "uV", &[(1.0, "x")], 0.75)).contains("interrupted"));
    let good = edf::write(&ecg, false, "uV", &[], 0.0);
    let change = |from: &str, to: &str| {
        let place = good.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    assert!(refuse(change("uV      ", "V/m     ")).contains("V/m"));
    assert!(refuse(change("uV      ", "        ")).contains("--unit"));
    assert!(refuse(change("-32767  ", "32767   ")).contains("scale of ECG I"));
    assert!(
        refuse(change("500     ", "250     ")).contains("different rates") || refuse(change("500     ", "250     ")).contains("truncated")
    );
    assert!(refuse(change("500     ", "99999999")).contains("truncated"));
    assert!(refuse(change("3584    ", "3328    ")).contains("header of 3328"));
    assert!(refuse(change("ECG I   ", "ECG II  ")).contains("twice"));
    assert!(refuse(change("ECG V6", "EMG xx")).contains("V6"));
    // A table that begins with the same eight characters is none.
    let text: String = (0..2500).map(|t| format!("0       {} 0 0 0 0 0 0\n", t % 2)).collect();
    let source = Source::open(write(&to, "t.asc", text), Given::default()).unwrap();
    assert_eq!((source.kind(), source.read(0).unwrap().leads.len()), ("OSF .asc", 8));
}

#[test]
fn dicom_groups_skew_and_measurements() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(3));
    let one = std::slice::from_ref(&ecg);
    for syntax in [Syntax::Explicit, Syntax::Implicit, Syntax::Deflated, Syntax::Big] {
        // A derived group of medians, limb leads and chest leads apart; steps of 2.5 µV around 10 µV.
        let odd = |names, leads: &[Vec<f32>]| Group { step: 2.5, base: 10.0, ..Group::plain(names, leads.to_vec()) };
        let median = Group { derived: true, ..Group::plain(&NAMES, ecg.iter().map(|lead| lead[..600].to_vec()).collect()) };
        let groups = [median, odd(&NAMES[..6], &ecg[..6]), odd(&NAMES[6..], &ecg[6..])];
        let path = write(&to, "g.dcm", dicom::write(&groups, syntax));
        let recording = same(&path, &Given::default(), one, 0.01).remove(0);
        let labels = recording.labels.unwrap();
        let found = [labels.pr_ms, labels.qrs_ms, labels.qt_ms, labels.rate_bpm];
        assert_eq!(labels.further.unwrap().axes, [None, Some(-30.0), None]);
        assert_eq!(found, [160.0, 92.0, 400.0, 75.0].map(Some), "{syntax:?}");
        assert_eq!((recording.annotations[0].sample, recording.annotations[0].text.as_str()), (250, "noise"));
        let patient = &recording.patient;
        assert_eq!((patient.name.as_deref(), patient.age_years, patient.sex.as_deref()), (Some("Secret Name"), Some(61.0), Some("F")));
    }
    // Every second channel was sampled three samples late; the last three stand still.
    let skewed = Group { skew: 3, ..Group::plain(&NAMES, ecg.clone()) };
    let path = write(&to, "s.dcm", dicom::write(&[skewed], Syntax::Explicit));
    let recording = Source::open(&path, Given::default()).unwrap().read(0).unwrap();
    for (lead, wanted) in recording.leads.iter().zip(&ecg) {
        let pairs = lead.samples.iter().zip(wanted).skip(3).take(2490);
        assert!(pairs.clone().all(|(a, b)| (a - f64::from(*b)).abs() < 0.01), "{}", lead.name);
    }
    // What stands for no sample is cut off at the end; 0 within an ECG is a voltage, the lowest number is none.
    for padding in [(0, 300), (i16::MIN, 300), (7, 0)] {
        let padded = Group { padding: Some(padding), ..Group::plain(&NAMES, ecg.clone()) };
        let path = write(&to, "p.dcm", dicom::write(&[padded], Syntax::Explicit));
        let recording = Source::open(&path, Given::default()).unwrap().read(0).unwrap();
        let left = recording.leads[1].samples.len();
        assert!(
            left <= 2500 && recording.leads[1].samples.iter().zip(&ecg[1]).all(|(a, b)| (a - f64::from(*b)).abs() < 0.01),
            "{padding:?}"
        );
        assert!(left == 2500 || padding.0 == 0 && ecg.iter().all(|lead| lead[left..].iter().all(|x| *x == 0.0)), "{padding:?}: {left}");
    }
    let refuse = |bytes: Vec<u8>| refusal(&write(&to, "bad.dcm", bytes), &Given::default());
    let good = dicom::write(&[Group::plain(&NAMES, ecg.clone())], Syntax::Explicit);
    let change = |from: &[u8], to: &[u8]| {
        let place = good.windows(from.len()).position(|part| part == from).unwrap();
        let mut bytes = good.clone();
        bytes[place..place + to.len()].copy_from_slice(to);
        bytes
    };
    assert!(refuse(change(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4\0")).contains("transfer syntax"));
    assert!(refuse(change(b"mV", b"kV")).contains("kV"));
    assert!(refuse(change(b"SS", b"MB")).contains("MB"));
    assert!(
        refuse(change(&[0x3a, 0, 0x10, 0, b'U', b'L', 4, 0], &[0x3a, 0, 0x10, 0, b'U', b'L', 4, 0, 255, 255, 255, 255]))
            .contains("too long")
    );
    assert!(refuse(change(&[0, 0x54, 0, 1], &[0, 0x54, 0, 2])).contains("no waveform"));
    // Sequences within sequences without end.
    let mut deep = good[..132].to_vec();
    deep.extend(b"\x02\0\x10\0UI\x12\x001.2.840.10008.1.2\0");
    deep.extend(b"\x08\0\x11\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff".repeat(5000));
    assert!(refuse(deep).contains("deep"));
}

#[test]
fn scp_in_every_way_of_coding() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(4));
    let one = std::slice::from_ref(&ecg);
    for codes in [Codes::Plain, Codes::Standard, Codes::Own] {
        for differences in 0..3 {
            for beats in [None, Some(&[35u32, 600, 1100, 2490][..])] {
                let path = write(&to, "x.scp", scp::write(&ecg, Form { codes, differences, beats }));
                let recording = same(&path, &Given::default(), one, 0.01).remove(0);
                let labels = recording.labels.unwrap();
                assert_eq!([labels.pr_ms, labels.qrs_ms, labels.qt_ms, labels.rate_bpm], [160.0, 92.0, 400.0, 70.0].map(Some));
                let further = labels.further.unwrap();
                assert_eq!((further.p_ms, further.axes), (Some(100.0), [Some(45.0), Some(60.0), None]));
                assert_eq!([labels.r_v5_uv, labels.j_v5_uv, labels.t_v5_uv], [1200.0, -15.0, 310.0].map(Some));
                let patient = &recording.patient;
                assert_eq!(
                    (patient.name.as_deref(), patient.age_years, patient.sex.as_deref()),
                    (Some("Secret Name"), Some(61.0), Some("F"))
                );
            }
        }
    }
    let refuse = |bytes: Vec<u8>| refusal(&write(&to, "bad.scp", bytes), &Given::default());
    let good = scp::write(&ecg, Form { codes: Codes::Standard, differences: 2, beats: Some(&[600]) });
    let sections = |change: &dyn Fn(u16, &mut Vec<u8>) -> bool| {
        let mut bodies = Vec::new();
        let mut at = 6;
        while at < good.len() {
            let length = u32::from_le_bytes(good[at + 4..at + 8].try_into().unwrap()) as usize;
            let id = u16::from_le_bytes([good[at + 2], good[at + 3]]);
            let mut body = good[at + 16..at + length].to_vec();
            if id > 0 && change(id, &mut body) {
                bodies.push((id, body));
            }
            at += length;
        }
        scp::assemble(&bodies)
    };
    assert_eq!(sections(&|_, _| true), good);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(refuse(flipped.clone()).contains("checksum"));
    // The record's sum is right again, the section's is not.
    let sum = formats::checksum(&flipped[2..]);
    flipped[..2].copy_from_slice(&sum.to_le_bytes());
    let text = refuse(flipped);
    assert!(text.contains("section 10") && text.contains("checksum"), "{text}");
    let edit = |wanted: u16, at: usize, byte: u8| {
        sections(&move |id, body| {
            if id == wanted {
                body[at] = byte;
            }
            true
        })
    };
    let overlapping = Form { codes: Codes::Plain, differences: 0, beats: Some(&[400; 70]) };
    assert!(refuse(scp::write(&ecg, overlapping)).contains("overlap"));
    assert!(refuse(edit(6, 5, 1)).contains("bimodal"));
    assert!(refuse(edit(6, 4, 3)).contains("no edition"));
    assert!(refuse(edit(6, 2, 100)).contains("every 2000"));
    assert!(refuse(edit(3, 2, 9)).contains("same time"));
    assert!(refuse(edit(2, 0, 0)).contains("tables"));
    assert!(refuse(sections(&|id, _| id != 6)).contains("section 6"));
    assert!(refuse(sections(&|id, _| id != 4)).contains("section 4"));
    assert!(
        refuse(sections(&|id, body| {
            body.truncate(if id == 6 { body.len() / 2 } else { body.len() });
            true
        }))
        .contains("section 6")
    );
}

#[test]
fn many_ecgs_in_one_file() {
    let (to, ecgs) = (tempfile::tempdir().unwrap(), [ecg(5), ecg(6), ecg(7)]);
    let microvolts = Given { unit: Some(Unit::Microvolt), ..millivolts() };
    for (name, bytes, given, ids) in [
        ("a.h5", hdf5::code15(&ecgs, None, None), millivolts(), ["1000", "1001", "1002"]),
        ("b.h5", hdf5::code15(&ecgs, Some(&[2, 999, 7]), None), millivolts(), ["1000", "1001", "1002"]),
        ("a.parquet", parquet::lists(&ecgs), microvolts.clone(), ["e0", "e1", "e2"]),
        ("b.parquet", parquet::nested(&ecgs), microvolts, ["b:0", "b:1", "b:2"]),
    ] {
        let path = write(&to, name, bytes);
        let found: Vec<String> = same(&path, &given, &ecgs, 0.01).into_iter().map(|recording| recording.id).collect();
        assert_eq!(found, ids, "{name}");
        if name.ends_with(".h5") {
            let text = refusal(&path, &Given { unit: None, ..given.clone() });
            assert!(text.contains("--unit"), "{text}");
            assert!(refusal(&path, &Given { rate: None, ..given }).contains("--rate"));
        }
    }
}

/// What h5py writes in the latest format (`tests/data/hdf5/make.py`), in every layout and index of chunks that is read.
#[test]
fn hdf5_of_the_latest_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5");
    for (name, count) in [("contiguous", 3), ("single", 3), ("packed_single", 3), ("implicit", 3), ("fixed", 3), ("paged", 30)] {
        let source = Source::open(folder.join(format!("{name}.h5")), Given::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.len(), count, "{name}");
        for n in 0..count {
            let recording = source.read(n).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((recording.id, recording.rate), (format!("e{n}"), 250.0), "{name}");
            for (at, lead) in recording.leads.iter().enumerate() {
                let wanted = (0..64).map(|t| ((7 * n + 3 * t + 11 * at) % 101) as f64 - 50.0);
                assert!(lead.name == NAMES[at] && lead.samples.iter().copied().eq(wanted), "{name}, ECG {n}, lead {}", lead.name);
            }
        }
    }
}

/// Files of hours are read a window at a time; what is put together is the whole.
#[test]
fn windows_of_long_recordings() {
    let to = tempfile::tempdir().unwrap();
    let ecg: Leads =
        ecg(13).iter().zip(&ecg(14)).map(|(a, b)| [a.clone(), b.clone(), a[..700].to_vec(), b[..300].to_vec()].concat()).collect();
    let files = [("a.edf", edf::write(&ecg, false, "uV", &[(1.5, "noise")], 0.0)), ("a.ecg", ishne::write(&ecg))];
    for (name, bytes) in files {
        let path = write(&to, name, bytes);
        let mut windows = Windows::open(&path, Given::default(), 5.002).unwrap().remove(0);
        assert_eq!((windows.id(), windows.count()), ("a", 2));
        let mut found: Vec<Vec<f64>> = vec![Vec::new(); 12];
        while let Some(window) = windows.take_next().unwrap() {
            assert_eq!(window.start, found[0].len() as f64 / 500.0);
            window.recording.rhythm(&path).unwrap();
            found.iter_mut().zip(window.recording.leads).for_each(|(all, lead)| all.extend(lead.samples));
        }
        for (found, wanted) in found.iter().zip(&ecg) {
            assert!(found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - f64::from(*b)).abs() < 0.01), "{name}");
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(Windows::open(&write(&to, name, &bytes[..bytes.len() - 9]), Given::default(), 5.0).is_err());
    }
    let path = write(&to, "p.edf", edf::write(&ecg, false, "uV", &[], 2.0));
    assert!(Windows::open(&path, Given::default(), 5.0).err().unwrap().to_string().contains("interrupted"));
}

/// ECGs of unlike length stand in one array with zeros at their ends.
#[test]
fn padding_is_cut_off() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(8));
    let padded = ecg.iter().map(|lead| [vec![0.0; 96], lead.clone(), vec![0.0; 204]].concat()).collect();
    let path = write(&to, "p.h5", hdf5::code15(&[padded], None, None));
    let recording = Source::open(&path, millivolts()).unwrap().read(0).unwrap();
    let outer = ecg[1].iter().take_while(|x| **x == 0.0).count() + ecg[1].iter().rev().take_while(|x| **x == 0.0).count();
    assert!((ecg[1].len() - outer..=ecg[1].len()).contains(&recording.leads[1].samples.len()), "{}", recording.leads[1].samples.len());
    assert_eq!(recording.notes, ["padding with zeros cut off"]);
}

/// A file that ends early is refused wherever it ends: each of these formats says how long it is.
#[test]
fn cut_files_are_refused() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(9));
    for (name, bytes, given) in every(&ecg) {
        for share in [0.0, 0.001, 0.02, 0.2, 0.5, 0.77, 0.95] {
            refusal(&write(&to, name, &bytes[..(bytes.len() as f64 * share) as usize]), &given);
        }
    }
}

/// Bytes exchanged at random: refused, or another ECG, but no panic and no endless work. What checksums would catch at once is made right again.
#[test]
fn damaged_files_do_not_harm() {
    let to = tempfile::tempdir().unwrap();
    let short: Leads = ecg(10).iter().map(|lead| lead[..100].to_vec()).collect();
    let mut state = 1u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (name, good, given) in every(&short) {
        for _ in 0..24 {
            let mut bytes = good.clone();
            for _ in 0..1 + draw(3) {
                let at = draw(bytes.len());
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, draw(256) as u8][draw(6)];
            }
            if name.ends_with("scp") {
                scp::mend(&mut bytes);
            }
            let path = write(&to, name, bytes);
            if let Ok(source) = Source::open(&path, given.clone()) {
                for at in 0..source.len().min(3) {
                    let _ = source.read(at).map(|recording| recording.rhythm(&path));
                }
            }
        }
    }
}

#[test]
fn arrays_that_claim_more_than_they_hold() {
    let (to, ecg) = (tempfile::tempdir().unwrap(), ecg(11));
    let good = hdf5::code15(std::slice::from_ref(&ecg), None, None);
    // The shape (1, T, 12) of the tracings, which claims 2^32 ECGs, and as many chunks.
    let shape: Vec<u8> = [1u64, ecg[0].len() as u64, 12].iter().flat_map(|size| size.to_le_bytes()).collect();
    let claim = |good: &[u8]| {
        let place = good.windows(24).position(|part| part == shape).unwrap();
        let mut bytes = good.to_vec();
        bytes[place + 4] = 1;
        bytes
    };
    let text = refusal(&write(&to, "x.h5", claim(&good)), &millivolts());
    assert!(text.contains("damaged or cut off"), "{text}");
    let text = refusal(&write(&to, "y.h5", claim(&hdf5::code15(&[ecg], Some(&[1, 1000, 12]), None))), &millivolts());
    assert!(text.contains("never written"), "{text}");
    // A tree of chunks, and a group, that lead back to themselves.
    let mut circle = hdf5::code15(&[self::ecg(11)], Some(&[1, 1000, 12]), None);
    let place = circle.windows(6).position(|part| part == b"TREE\x01\x00").unwrap();
    circle[place + 5] = 1;
    let own = place.to_le_bytes();
    circle[place + 24 + 40..place + 24 + 48].copy_from_slice(&own);
    assert!(refusal(&write(&to, "z.h5", circle), &millivolts()).contains("circle"));
    let mut group = good;
    group[160 + 5] = 1;
    group[160 + 32..160 + 40].copy_from_slice(&160u64.to_le_bytes());
    assert!(refusal(&write(&to, "g.h5", group), &millivolts()).contains("circle"));
}

#[test]
fn arrays_without_leads_are_named() {
    let to = tempfile::tempdir().unwrap();
    let seven: Leads = ecg(12)[..7].to_vec();
    let mut bytes = matlab::level4(&seven);
    bytes[4] = 7;
    let given = Given { unit: Some(Unit::Microvolt), ..millivolts() };
    let path = write(&to, "seven.mat", bytes);
    let text = refusal(&path, &given);
    assert!(text.contains("val [7, 2500]") && text.contains("--leads"), "{text}");
    let given = Given { leads: "I II III aVR aVL aVF V1".split(' ').map(String::from).collect(), ..given };
    let recording = Source::open(&path, given).unwrap().read(0).unwrap();
    assert_eq!((recording.leads.len(), recording.leads[6].name.as_str()), (7, "V1"));
    assert!(refusal(&write(&to, "not.mat", b"hello, this is no file of MATLAB's at all"), &millivolts()).contains("not a MATLAB file"));
}
