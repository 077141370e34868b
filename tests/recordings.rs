//! Recordings in the kinds of file of the field, made here: what is read is what the signal was, to the file's resolution; damaged ones are refused.
#![cfg(feature = "files")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS, twelve};
use cardiograd::ecg::read::{Given, Recording, Source, Unit, write};
use cardiograd::ecg::simulator::{Settings, Simulator};
use cardiograd::ecg::{Measurements, Rhythm};
use ndarray::{Array2, Array3};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

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

// ---- WFDB

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
fn every_wfdb_format_gives_the_signal() {
    for (format, step) in [
        ("8", 20.0),
        ("16", 1.0),
        ("24", 0.25),
        ("32", 0.1),
        ("61", 1.0),
        ("80", 40.0),
        ("160", 1.0),
        ("212", 4.0),
        ("310", 10.0),
        ("311", 10.0),
    ] {
        let to = folder();
        let leads = stored(step);
        put(&to, "r.dat", packed(format, &interleaved(&leads), 12));
        let path = put(&to, "r.hea", header(format, step, &leads, &LEADS));
        let (rhythm, notes) = rhythm(&path);
        assert!(off(&rhythm) <= step / 2.0 + 0.01, "format {format}: {}", off(&rhythm));
        assert!(notes.is_empty(), "{notes:?}");
        let bytes = std::fs::read(to.path().join("r.dat")).unwrap();
        put(&to, "r.dat", &bytes[..bytes.len() - 8]);
        assert!(refusal(&path).contains("truncated"), "format {format}");
    }
}

/// FLAC of verbatim frames.
#[cfg(feature = "flac")]
fn flac(bits: u32, leads: &[Vec<i64>]) -> Vec<u8> {
    let crc = |bytes: &[u8], width: u32, polynomial: u32| {
        bytes.iter().fold(0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << (width - 8), |crc, _| {
                let next = crc << 1;
                (if crc >> (width - 1) & 1 == 1 { next ^ polynomial } else { next }) & ((1 << width) - 1)
            })
        })
    };
    const BLOCK: usize = 1000;
    let (channels, total) = (leads.len(), leads[0].len());
    let mut out = b"fLaC\x80\0\0\x22".to_vec();
    out.extend([(BLOCK as u16).to_be_bytes(), (BLOCK as u16).to_be_bytes()].concat());
    out.extend([0; 6]);
    let about = 500u64 << 44 | (channels as u64 - 1) << 41 | u64::from(bits - 1) << 36 | total as u64;
    out.extend(about.to_be_bytes());
    out.extend([0; 16]);
    for (number, start) in (0..total).step_by(BLOCK).enumerate() {
        let size = BLOCK.min(total - start);
        let width = [(8, 1), (16, 4), (24, 6)].into_iter().find(|(known, _)| *known == bits).unwrap().1;
        let mut frame = vec![0xff, 0xf8, 0x70, (channels as u8 - 1) << 4 | width << 1, number as u8];
        frame.extend(((size - 1) as u16).to_be_bytes());
        frame.push(crc(&frame, 8, 0x07) as u8);
        for lead in leads {
            frame.push(0x02);
            let bytes = |x: &i64| (*x as i32).to_be_bytes()[4 - bits as usize / 8..].to_vec();
            frame.extend(lead[start..start + size].iter().flat_map(bytes));
        }
        let sum = crc(&frame, 16, 0x8005) as u16;
        frame.extend(sum.to_be_bytes());
        out.extend(frame);
    }
    out
}

#[cfg(feature = "flac")]
#[test]
fn wfdb_packed_with_flac() {
    for (format, bits, step) in [("508", 8, 40.0), ("516", 16, 1.0), ("524", 24, 0.25)] {
        let to = folder();
        let leads: Vec<Vec<i64>> = [0, 1, 6, 7, 8, 9, 10, 11].map(|at| stored(step)[at].clone()).to_vec();
        let bytes = flac(bits, &leads);
        put(&to, "r.dat", &bytes);
        let text = header(format, step, &leads, &INDEPENDENT);
        let path = put(&to, "r.hea", &text);
        assert!(off(&rhythm(&path).0) <= step / 2.0 + 0.01, "format {format}");
        put(&to, "r.dat", &bytes[..bytes.len() / 2]);
        refusal(&path);
        put(&to, "r.dat", &bytes);
        put(&to, "r.hea", text.replace(" 5000\n", " 5001\n"));
        assert!(refusal(&path).contains("truncated"));
    }
}

/// What the record holds that was refused before: one sample a frame said as `x1`, an offset, other signals, Latin-1, missing samples in one lead.
#[test]
fn wfdb_headers_of_the_field() {
    let to = folder();
    let leads = stored(1.0);
    let mut text = header("16x1+24", 1.0, &leads, &LEADS).into_bytes();
    put(&to, "r.dat", [vec![7; 24], packed("16", &interleaved(&leads), 12)].concat());
    let path = put(&to, "r.hea", &text);
    assert_eq!(off(&rhythm(&path).0), 0.0);
    // As a .mat beside its header, named by either.
    put(&to, "m/r.mat", [vec![7; 24], packed("16", &interleaved(&leads), 12)].concat());
    put(&to, "m/r.hea", String::from_utf8(text.clone()).unwrap().replace("r.dat", "r.mat") + "#Age: 56\n#Sex: Female\n#Dx: 1,2\n");
    assert_eq!(off(&rhythm(&to.path().join("m/r.mat")).0), 0.0);
    let recording = read(&to.path().join("m"));
    assert_eq!((recording.patient.age_years, recording.patient.sex.as_deref()), (Some(56.0), Some("Female")));
    assert_eq!(recording.statements, ["1", "2"]);
    // Latin-1, and a pressure and a signal without unit beside.
    let mut more = leads.clone();
    more.extend([vec![80; 5000], vec![3; 5000]]);
    put(&to, "r.dat", packed("16", &interleaved(&more), 14));
    text = header("16", 1.0, &leads, &LEADS).replace("r 12 ", "r 14 ").into_bytes();
    text.extend(b"r.dat 16 1/mmHg 16 0 80 6784 0 ABP\nr.dat 16 1/g 16 0 3 15000 0 X\n");
    let at = text.windows(4).position(|four| four == b"/mV ").unwrap();
    text.splice(at..at + 3, b"/\xb5V".to_vec());
    let first = String::from_utf8_lossy(&text).into_owned();
    let at = first.find("1000(0)").unwrap();
    text.splice(at..at + 4, b"1".to_vec());
    let path = put(&to, "r.hea", &text);
    let (got, notes) = rhythm(&path);
    assert_eq!(off(&got), 0.0);
    assert!(notes.iter().any(|note| note.contains("'ABP' passed over")) && notes.len() == 2, "{notes:?}");
    // A redundant lead that lacks samples is derived anew, another is refused.
    for (lead, fate) in [(4, Ok("aVL")), (0, Ok("lead I lacks")), (8, Err("lead V3, sample 100 is missing"))] {
        let mut holes = leads.clone();
        holes[lead][100..140].fill(-32_768);
        put(&to, "r.dat", packed("16", &interleaved(&holes), 12));
        let path = put(&to, "r.hea", header("16", 1.0, &holes, &LEADS));
        match fate {
            Ok(hint) => {
                let (got, notes) = rhythm(&path);
                assert!(off(&got) == 0.0 && notes[0].contains(hint), "{notes:?}");
            }
            Err(hint) => assert!(refusal(&path).contains(hint)),
        }
    }
}

#[test]
fn wfdb_frames_skew_and_names() {
    let to = folder();
    let leads = stored(1.0);
    // 125 frames a second: four samples of each lead, one of respiration. V6 three frames late, aVR upside down, the limb leads in Spanish.
    let late: Vec<i64> = vec![leads[11][0]; 12].into_iter().chain(leads[11].iter().copied()).take(5000).collect();
    let mut own = leads.clone();
    own[11] = late;
    own[3].iter_mut().for_each(|x| *x = -*x);
    let values: Vec<i64> = (0..1250)
        .flat_map(|frame| own.iter().flat_map(move |lead| lead[4 * frame..4 * frame + 4].to_vec()).chain([frame as i64 % 50]))
        .collect();
    put(&to, "r.dat", packed("16", &values, 1));
    let names = ["DI", "D2", "lead III", "-aVR", "ECG aVL", "MDC_ECG_LEAD_AVF", "C1", "C2", "V3", "v4", "EKG V5", "V6"];
    let mut text =
        header("16x4", 1.0, &own, &names).replace("r 12 500 5000", "r 13 125 1250").replace("16x4 1000(0)/mV 16 0", "16x4 1000/mV 16 0");
    let last = text.rfind("16x4").unwrap();
    text.replace_range(last..last + 4, "16x4:3");
    let sum = (0..1250).map(|frame| frame % 50).sum::<i64>() as i16;
    writeln!(text, "r.dat 16 0 16 0 0 {sum} 0 resp").unwrap();
    let path = put(&to, "r.hea", text);
    let recording = read(&path);
    assert_eq!((recording.rate, recording.leads[0].samples.len()), (500.0, 5000 - 12));
    let (got, notes) = recording.rhythm(&path).unwrap();
    let far = (0..4988)
        .map(|t| (got.samples()[[7, t]] - ecg()[[11, t]]).abs() + (got.samples()[[0, t]] - ecg()[[0, t]]).abs())
        .fold(0.0, f32::max);
    assert_eq!(far, 0.0);
    assert!(notes.iter().any(|note| note.contains("skew")) && notes.iter().any(|note| note.contains("resp")), "{notes:?}");
}

#[test]
fn wfdb_in_segments_and_folders() {
    let to = folder();
    let leads = stored(1.0);
    let part = |range: std::ops::Range<usize>| leads.iter().map(|lead| lead[range.clone()].to_vec()).collect::<Vec<_>>();
    for (name, range) in [("a/s1", 0..2000), ("a/s2", 2000..5000)] {
        put(&to, &format!("{name}.dat"), packed("16", &interleaved(&part(range.clone())), 12));
        let text = header("16", 1.0, &part(range), &LEADS).replace("r.dat", &format!("{}.dat", &name[2..]));
        put(&to, &format!("{name}.hea"), text);
    }
    let path = put(&to, "r.hea", "r/2 12 500 5000\na/s1 2000\na/s2 3000\n");
    let (got, notes) = rhythm(&path);
    assert!(off(&got) == 0.0 && notes[0].contains("2 segments"), "{notes:?}");
    let gap = put(&to, "g.hea", "g/3 12 500 6000\na/s1 2000\n~ 1000\na/s2 3000\n");
    assert!(read(&gap).leads[0].samples[2500].is_nan());
    assert!(refusal(&gap).contains("sample 2000 is missing"));
    for (text, hint) in [
        ("r/2 12 500 5000\na/s1 2000\n", "lists 1"),
        ("r/1 12 500 5000\n../s1 5000\n", "plain file name"),
        ("r/1 12 250 5000\na/s1 2000\n", "250 Hz"),
        ("r/1 12 500 5000\nr 5000\n", "segments"),
        ("r/2 12 500 5000\na/s1 2000\n~ 99999999999999\n", "more than are read"),
    ] {
        assert!(refusal(&put(&to, "r.hea", text)).contains(hint), "{text}");
    }
    // Records in folders within are found; what is in none is said.
    std::fs::remove_file(to.path().join("r.hea")).unwrap();
    std::fs::remove_file(to.path().join("g.hea")).unwrap();
    let source = Source::open(to.path(), Given::default()).unwrap();
    assert_eq!((0..source.len()).map(|at| source.id(at)).collect::<Vec<_>>(), ["s1", "s2"]);
}

// ---- XML

fn base64_of(values: &[i64]) -> String {
    STANDARD.encode(packed("16", values, 1))
}

fn muse_lead(name: &str, values: &[i64], data: &str) -> String {
    format!(
        "<LeadData><LeadSampleCountTotal>{}</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4</LeadAmplitudeUnitsPerBit>\
         <LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID><WaveFormData>{data}</WaveFormData></LeadData>",
        values.len()
    )
}

fn muse_wave(leads: &str) -> String {
    format!("<Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{leads}</Waveform>")
}

fn muse(waves: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><RestingECG><PatientDemographics><PatientID>ID4711Q</PatientID><PatientAge>57</PatientAge><AgeUnits>YEARS</AgeUnits>\
         <Gender>FEMALE</Gender><PatientLastName>Secret</PatientLastName></PatientDemographics><RestingECGMeasurements>\
         <VentricularRate>61</VentricularRate><PRInterval>150</PRInterval><RAxis>-30</RAxis></RestingECGMeasurements>{waves}</RestingECG>"
    )
}

fn muse_leads() -> String {
    let values = stored(4.0);
    [0, 1, 6, 7, 8, 9, 10, 11].map(|at| muse_lead(LEADS[at], &values[at], &base64_of(&values[at]))).concat()
}

#[test]
fn muse_in_every_dress() {
    let to = folder();
    let values = stored(4.0);
    let right = ["V3R", "V4R", "V7"].map(|name| muse_lead(name, &values[8], &base64_of(&values[8]))).concat();
    let short = muse_wave(&muse_lead("II", &values[1], &base64_of(&values[1])));
    let plain = muse(&format!("{short}{}", muse_wave(&(muse_leads() + &right))));
    let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| [mark.to_vec(), plain.encode_utf16().flat_map(bytes).collect()].concat();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(plain.as_bytes()).unwrap();
    let files =
        [plain.clone().into_bytes(), wide([0xff, 0xfe], u16::to_le_bytes), wide([0xfe, 0xff], u16::to_be_bytes), gz.finish().unwrap()];
    for bytes in files {
        let path = put(&to, "m.xml", bytes);
        let recording = read(&path);
        let (got, notes) = recording.rhythm(&path).unwrap();
        assert!(off(&got) <= 2.0);
        assert!(
            notes.iter().any(|note| note.contains("V3R, V4R, V7")) && notes.iter().any(|note| note.contains("block 2 of 2")),
            "{notes:?}"
        );
        assert_eq!(recording.leads.last().unwrap().name, "V7", "kept under its name");
        assert_eq!((recording.patient.id.as_deref(), recording.patient.name.as_deref()), (Some("ID4711Q"), Some("Secret")));
        assert_eq!(recording.file_fields()[..4], ["150", "", "", "61"]);
    }
    // Samples that zlib packed.
    let pack = |values: &[i64]| {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(&packed("16", values, 1)).unwrap();
        STANDARD.encode(out.finish().unwrap())
    };
    let leads = [0, 1, 6, 7, 8, 9, 10, 11].map(|at| muse_lead(LEADS[at], &values[at], &pack(&values[at]))).concat();
    let packed = muse(&muse_wave(&leads));
    assert!(off(&rhythm(&put(&to, "z.xml", &packed)).0) <= 2.0);
    assert!(refusal(&put(&to, "z.xml", packed.replace(">5000<", ">20<"))).contains("more than the 40 bytes"));
}

fn aecg() -> String {
    let sequence = |code: &str, value: String| format!("<component><sequence><code code=\"{code}\"/>{value}</sequence></component>");
    let time = |code: &str| {
        sequence(code, "<value xsi:type=\"GLIST_PQ\"><head value=\"0\" unit=\"s\"/><increment value=\"0.002\" unit=\"s\"/></value>".into())
    };
    let lead = |(name, values): (&&str, &[i64])| {
        let digits: Vec<String> = values.iter().map(i64::to_string).collect();
        let value = format!(
            "<value xsi:type=\"SLIST_PQ\"><origin value=\"0\" unit=\"uV\"/><scale value=\"0.004\" unit=\"mV\"/><digits>{}</digits></value>",
            digits.join(" ")
        );
        sequence(&format!("MDC_ECG_LEAD_{}", name.to_uppercase()), value)
    };
    let values = stored(4.0);
    let set = |range: std::ops::Range<usize>, time: String| {
        let leads: String = LEADS.iter().zip(values.iter().map(|lead| &lead[range.clone()])).map(lead).collect();
        format!("<component><sequenceSet>{time}{leads}</sequenceSet></component>")
    };
    let annotation = |code: &str, value: &str| {
        format!("<component><annotation><code code=\"{code}\"/><value xsi:type=\"PQ\" {value}/></annotation></component>")
    };
    format!(
        "<AnnotatedECG xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><componentOf><subject><trialSubject>\
         <id root=\"1\" extension=\"ID4711Q\"/><subjectDemographicPerson><name><family>Secret</family></name>\
         <administrativeGenderCode code=\"F\"/></subjectDemographicPerson></trialSubject></subject></componentOf>\
         <component><series><code code=\"RHYTHM\"/>{}<derivation><derivedSeries><code code=\"REPRESENTATIVE_BEAT\"/>{}</derivedSeries></derivation>\
         <subjectOf><annotationSet>{}{}{}</annotationSet></subjectOf></series></component></AnnotatedECG>",
        set(0..5000, time("TIME_ABSOLUTE")),
        set(0..700, time("TIME_RELATIVE")),
        annotation("MDC_ECG_TIME_PD_PR", "value=\"0.152\" unit=\"s\""),
        annotation("MDC_ECG_HEART_RATE", "value=\"61\" unit=\"bpm\""),
        annotation("MDC_ECG_ANGLE_QRS_FRONT", "value=\"-30\" unit=\"deg\""),
    )
}

fn cardiosoft() -> String {
    let values = stored(5.0);
    let lead = |(name, values): (&&str, &Vec<i64>)| {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        format!("<WaveformData lead=\"{name}\">\n\t{}</WaveformData>", text.join(",\n\t"))
    };
    let leads: String = LEADS.iter().zip(&values).map(lead).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><CardiologyXML><PatientInfo><PID>ID4711Q</PID><Name><FamilyName>Secret</FamilyName></Name>\
         <Age units=\"years\">44</Age><Gender>MALE</Gender></PatientInfo><RestingECGMeasurements><VentricularRate units=\"BPM\">61</VentricularRate>\
         <PQInterval units=\"ms\">152</PQInterval><RAxis units=\"degrees\">-30</RAxis></RestingECGMeasurements><StripData>\
         <SampleRate units=\"Hz\">500</SampleRate><ChannelSampleCountTotal>5000</ChannelSampleCountTotal>\
         <Resolution units=\"uVperLsb\">5</Resolution>{leads}</StripData></CardiologyXML>"
    )
}

fn mortara() -> String {
    let values = stored(2.5);
    let lead = |(name, values): (&&str, &Vec<i64>)| {
        format!(
            "<CHANNEL OFFSET=\"0\" BITS=\"16\" FORMAT=\"SIGNED\" UNITS_PER_MV=\"400\" DURATION=\"10000\" SAMPLE_FREQ=\"500\" NAME=\"{name}\" \
             ENCODING=\"BASE64\" DATA=\"{}\"/>",
            base64_of(values)
        )
    };
    let leads: String = LEADS.iter().zip(&values).map(lead).collect();
    format!(
        "<ECG ACQUISITION_TIME=\"20200101\" VENT_RATE=\"61\"><SUBJECT LAST_NAME=\"Secret\" ID=\"ID4711Q\" AGE=\"44\" GENDER=\"M\"/>\
         <TYPICAL_CYCLE PR_DURATION=\"152\" QRS_AXIS=\"-30\"/>{leads}</ECG>"
    )
}

fn schiller() -> String {
    let values = stored(5.0);
    let lead = |(name, values): (&&str, &Vec<i64>)| {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        format!("<channel><name>{name}</name><datastype>COMMASEPARATE</datastype><data>{}</data></channel>", text.join(","))
    };
    let leads: String = LEADS.iter().zip(&values).map(lead).collect();
    format!(
        "<examdescript><patdata><id>ID4711Q</id><lastname>Secret</lastname></patdata><eventdata><event><wavedata><type>ECG_AVERAGES</type></wavedata>\
         <wavedata><type>ECG_RHYTHMS</type><resolution><samplerate><value>500</value><exponent>1</exponent></samplerate>\
         <yres><unitperbit>5</unitperbit><units>uV</units></yres></resolution>{leads}</wavedata></event></eventdata></examdescript>"
    )
}

/// Philips' packing with codes of single bytes alone (strings are for the unit test of the unpacker).
fn xli(lead: &[i64]) -> Vec<u8> {
    let residual = |at: usize| 2 * lead[at - 1] - lead[at - 2] - lead[at];
    let values: Vec<i16> = (0..lead.len())
        .map(|at| {
            (if at < 2 {
                lead[at]
            } else if at + 1 < lead.len() {
                residual(at + 1) + 64
            } else {
                64
            }) as i16
        })
        .collect();
    let bytes = values.iter().map(|x| x.to_be_bytes()[0]).chain(values.iter().map(|x| x.to_be_bytes()[1]));
    let bits: Vec<u8> = bytes.flat_map(|byte| (0..10).rev().map(move |bit| (u16::from(byte) >> bit & 1) as u8)).collect();
    let packed: Vec<u8> = bits.chunks(8).map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << (7 - at))).collect();
    [&(packed.len() as u32).to_le_bytes()[..], &[0, 0], &(residual(2) as i16).to_le_bytes()[..], &packed[..]].concat()
}

fn philips(packing: &str, data: &[u8]) -> String {
    format!(
        "<restingecgdata xmlns=\"http://www3.medical.philips.com\"><documentinfo><documenttype>SierraECG</documenttype>\
         <documentversion>1.03</documentversion></documentinfo><patient><generalpatientdata><patientid>ID4711Q</patientid>\
         <name><lastname>Secret</lastname></name><age><years>44</years></age><sex>Male</sex></generalpatientdata></patient><dataacquisition>\
         <signalcharacteristics><samplingrate>500</samplingrate><resolution>5</resolution></signalcharacteristics></dataacquisition>\
         <interpretations><interpretation><statement><statementcode>SR</statementcode></statement><globalmeasurements><heartrate>61</heartrate><print>152</print><qrsfrontaxis>-30</qrsfrontaxis>\
         </globalmeasurements></interpretation></interpretations><waveforms><parsedwaveforms dataencoding=\"Base64\" {packing} \
         durationperchannel=\"10000\" leadlabels=\"{}\" numberofleads=\"12\">{}</parsedwaveforms></waveforms></restingecgdata>",
        LEADS.join(" "),
        STANDARD.encode(data)
    )
}

/// The limb leads beyond two as Philips stores them: what I and II leave over.
fn left_over() -> Vec<Vec<i64>> {
    let mut leads = stored(5.0);
    let (one, two) = (leads[0].clone(), leads[1].clone());
    let half = |x: i64| x.div_euclid(2);
    for t in 0..5000 {
        let (i, ii) = (one[t], two[t]);
        leads[2][t] = ii - i - leads[2][t];
        leads[3][t] = -half(i + ii) - leads[3][t];
        leads[4][t] = half(i - (ii - i)) - leads[4][t];
        leads[5][t] = half(ii + (ii - i)) - leads[5][t];
    }
    leads
}

#[test]
fn ecgs_in_xml_of_other_makers() {
    let to = folder();
    let packed_leads: Vec<u8> = left_over().iter().flat_map(|lead| xli(lead)).collect();
    let whole: Vec<i64> = stored(5.0).concat();
    let files = [
        ("aecg.xml", aecg(), 2.0),
        ("cardiosoft.xml", cardiosoft(), 2.5),
        ("mortara.xml", mortara(), 1.25),
        ("philips.xml", philips("compressmethod=\"XLI\"", &packed_leads), 2.5),
        ("whole.xml", philips("", &packed("16", &whole, 1)), 2.5),
        ("left.xml", philips("", &packed("16", &left_over().concat(), 1)), 2.5),
        ("schiller.xml", schiller(), 2.5),
    ];
    for (name, text, step) in &files {
        let path = put(&to, name, text);
        let recording = read(&path);
        let (got, notes) = recording.rhythm(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(off(&got) <= step + 0.01, "{name}: {} {notes:?}", off(&got));
        assert_eq!(recording.leads.len(), 12, "{name}");
        // The limb leads that the file holds agree with those that follow from I and II: nothing is said of them.
        assert!(!notes.iter().any(|note| note.contains("gains")), "{name}: {notes:?}");
        assert_eq!((recording.patient.id.as_deref(), recording.patient.name.as_deref()), (Some("ID4711Q"), Some("Secret")), "{name}");
        let fields = recording.file_fields();
        if *name == "schiller.xml" {
            assert_eq!(recording.labels, None::<Measurements>);
        } else {
            assert_eq!((fields[0].as_str(), fields[3].as_str(), fields[7].as_str()), ("152", "61", "-30"), "{name}");
        }
        // Cut anywhere it is refused.
        for share in [3, 17, 60, 97] {
            refusal(&put(&to, name, &text[..text.len() * share / 100]));
        }
    }
    for (name, text, from, with, hint) in [
        ("aecg.xml", aecg(), "<increment value=\"0.002\"", "<increment value=\"0\"", "every 0 s"),
        ("aecg.xml", aecg(), "scale value=\"0.004\" unit=\"mV\"", "scale value=\"0.004\" unit=\"ft\"", "'ft'"),
        ("c.xml", cardiosoft(), "uVperLsb", "ft", "'ft'"),
        ("c.xml", cardiosoft(), ">5000<", ">5001<", "5001 are announced"),
        ("m.xml", mortara(), "BITS=\"16\"", "BITS=\"12\"", "16 bits"),
        ("m.xml", mortara(), "DURATION=\"10000\"", "DURATION=\"11000\"", "announced"),
        ("p.xml", philips("compressmethod=\"XLI\"", &packed_leads), "\"XLI\"", "\"ZIP\"", "packed by 'ZIP'"),
        ("p.xml", philips("compressmethod=\"XLI\"", &packed_leads), "\"10000\"", "\"12000\"", "fewer than the 6000"),
        ("p.xml", philips("", &packed("16", &whole, 1)), "\"10000\"", "\"12000\"", "announced"),
        ("p.xml", philips("", &packed("16", &whole, 1)), "<resolution>5</resolution>", "", "resolution"),
        ("s.xml", schiller(), "<exponent>1<", "<exponent>2<", "exponent"),
        ("x.xml", "<Pizza/>".into(), "", "", "Pizza"),
    ] {
        let text = refusal(&put(&to, name, text.replace(from, with)));
        assert!(text.contains(hint), "{text}");
    }
}

// ---- text and arrays

#[test]
fn csv_of_watches_and_spreadsheets() {
    let to = folder();
    let table = |head: &str, line: &dyn Fn(usize) -> String| (0..5000).fold(head.to_owned() + "\n", |text, t| text + &line(t) + "\n");
    let fields = |t: usize, unit: f32, mark: &str, point: &str| {
        let fields: Vec<String> = ecg().column(t).iter().map(|x| (x * unit).to_string().replace('.', point)).collect();
        fields.join(mark)
    };
    let names = |end: &str, mark: &str| LEADS.map(|name| format!("{name}{end}")).join(mark);
    let files = [
        table(&format!("# a comment\n# rate: 500 Hz\n# unit: mV\n{}", names("", ",")), &|t| fields(t, 1e-3, ",", ".")),
        table(&format!("time_ms;label;{}", names("_mV", ";")), &|t| format!("{};N;{}", 2 * t, fields(t, 1e-3, ";", ","))),
        table(&format!("Time [s]\t{}", names(" [uV]", "\t")), &|t| format!("{}\t{}", t as f64 / 500.0, fields(t, 1.0, "\t", ","))),
        table(
            &format!(
                "'Elapsed time',{}\n'hh:mm:ss.mmm',{}",
                names("'", ",").replace(',', ",'").replacen('I', "'I", 1),
                ["'mV'"; 12].join(",")
            ),
            &|t| format!("'0:{:02}.{:03}',{}", t / 500, 2 * (t % 500), fields(t, 1e-3, ",", ".")),
        ),
    ];
    for (at, text) in files.iter().enumerate() {
        let path = put(&to, "c.csv", text);
        let (got, notes) = rhythm(&path);
        assert!(off(&got) <= 0.01, "file {at}: {}", off(&got));
        assert_eq!(notes.iter().any(|note| note.contains("'label' passed over")), at == 1, "{notes:?}");
    }
    // One lead as a watch exports it, in two languages.
    for (head, point) in [
        (
            "Name,A Secret\nDate of Birth,\"Jan 1, 1980\"\nClassification,Sinus Rhythm\nSample Rate,512 hertz\n\n\nLead,Lead I\nUnit,µV\n",
            ".",
        ),
        ("Name;A Secret\nAbtastrate;512 Hertz\nAbleitung;Ableitung I\nEinheit;µV\n", ","),
    ] {
        let path = put(&to, "w.csv", table(head, &|t| format!("{:.3}", ecg()[[0, t]]).replace('.', point)));
        let recording = read(&path);
        assert_eq!((recording.rate, recording.leads.len(), recording.leads[0].name.as_str()), (512.0, 1, "I"));
        assert!(recording.leads[0].samples.iter().zip(ecg().row(0)).all(|(a, b)| (a - f64::from(*b)).abs() < 0.01));
        assert_eq!(recording.patient.name.as_deref(), Some("A Secret"));
        assert!(refusal(&path).contains("there: I"));
    }
    // A redundant lead may lack samples, others not.
    let holes = |lead: &str| {
        let at = LEADS.iter().position(|name| *name == lead).unwrap();
        table(&format!("time_ms;{}", names(" (uV)", ";")), &|t| {
            let fields: Vec<String> =
                ecg().column(t).iter().enumerate().map(|(i, x)| if i == at && t > 4000 { String::new() } else { x.to_string() }).collect();
            format!("{};{}", 2 * t, fields.join(";"))
        })
    };
    assert_eq!(off(&rhythm(&put(&to, "c.csv", holes("aVF"))).0), 0.0);
    assert!(refusal(&put(&to, "c.csv", holes("V2"))).contains("lead V2, sample 4001"));
    for (text, hint) in [
        ("a,b\n1,2\n3,4\n", "no names"),
        ("# nothing\n", "no column"),
        ("I (uV),II (uV)\n1,2\n1\n", "row 3: 1 fields"),
        ("I (uV),II (uV)\n1,2\n1,x\n", "row 3"),
        ("Lead,Lead I\nUnit,uV\n1\n2\n", "sampling rate"),
    ] {
        assert!(refusal(&put(&to, "c.csv", text)).contains(hint), "{text}: {}", refusal(&put(&to, "c.csv", text)));
    }
}

/// A `.npy` file of any type.
fn npy(descr: &str, fortran: bool, shape: &str, data: Vec<u8>) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let dict = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend((dict.len() as u16).to_le_bytes());
    out.extend(dict.as_bytes());
    out.extend(data);
    out
}

/// binary16 of a number that it can hold exactly.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    match x == 0.0 {
        true => 0,
        false => (bits >> 16 & 0x8000) as u16 | (((bits >> 23 & 0xff) as i32 - 112) as u16) << 10 | (bits >> 13 & 0x3ff) as u16,
    }
}

#[test]
fn arrays_of_every_type_and_order() {
    let to = folder();
    // Whole steps of 20 µV up to 2047 steps: exact in binary16 as multiples of 0.25 mV·0.08 are not, so that samples are taken in steps.
    let steps = ecg().mapv(|x| (x / 20.0).round());
    let three = Array3::from_shape_fn((2, 12, 5000), |(n, lead, t)| if n == 0 { 0.0 } else { steps[[lead, t]] });
    let c = |of: &dyn Fn(f32) -> Vec<u8>| three.iter().flat_map(|x| of(*x)).collect::<Vec<u8>>();
    let f = |of: &dyn Fn(f32) -> Vec<u8>| three.t().iter().flat_map(|x| of(*x)).collect::<Vec<u8>>();
    let check = |bytes: Vec<u8>, name: &str| {
        let source = Source::open(put(&to, "x.npy", bytes), Given::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((source.len(), source.id(1).as_str()), (2, "x:1"));
        let recording = source.read(1).unwrap();
        let exact =
            recording.leads.iter().enumerate().all(|(lead, have)| have.samples.iter().zip(steps.row(lead)).all(|(a, b)| *a as f32 == *b));
        assert!(exact && recording.leads.len() == 12, "{name}");
    };
    let shape = "(2, 12, 5000)";
    check(npy("<f2", false, shape, c(&|x| half(x).to_le_bytes().to_vec())), "float16");
    check(npy(">f2", false, shape, c(&|x| half(x).to_be_bytes().to_vec())), "float16, big-endian");
    check(npy("<f4", true, shape, f(&|x| x.to_le_bytes().to_vec())), "Fortran");
    check(npy("<f2", true, shape, f(&|x| half(x).to_le_bytes().to_vec())), "float16, Fortran");
    check(npy("<i4", false, shape, c(&|x| (x as i32).to_le_bytes().to_vec())), "int32");
    check(npy("|i1", false, shape, c(&|x| vec![(x as i8) as u8])), "int8");
    // A row an instant, mV, 100 Hz, leads by name.
    let given = Given { unit: Some(Unit::Millivolt), rate: Some(100.0), ..Given::default() };
    let slow = Array2::from_shape_fn((12, 1000), |(lead, t)| ecg()[[lead, 5 * t]] / 1000.0);
    let data: Vec<u8> = slow.t().iter().flat_map(|x| x.to_le_bytes()).collect();
    let path = put(&to, "t.npy", npy("<f4", false, "(1, 1000, 12)", data));
    let recording = Source::open(&path, given.clone()).unwrap().read(0).unwrap();
    assert_eq!(recording.rate, 100.0);
    let (got, notes) = recording.rhythm(&path).unwrap();
    assert!(
        notes.iter().any(|note| note.contains("axes exchanged")) && notes.iter().any(|note| note.contains("100 Hz: intervals")),
        "{notes:?}"
    );
    assert!((0..1000).all(|t| (got.samples()[[2, 5 * t]] - ecg()[[6, 5 * t]]).abs() < 0.01), "the samples that there are stay");
    let names = |names: &[&str]| Given { leads: names.iter().map(|name| (*name).to_owned()).collect(), ..Given::default() };
    let two = put(
        &to,
        "two.npy",
        npy("<f4", false, "(2, 4)", [1f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0].iter().flat_map(|x| x.to_le_bytes()).collect()),
    );
    assert!(refusal(&two).contains("--leads"));
    let recording = Source::open(&two, names(&["II", "-V9"])).unwrap().read(0).unwrap();
    assert_eq!((recording.leads[1].name.as_str(), recording.leads[1].samples[0]), ("V9", -5.0));
}

// ---- calibration, writing, and the program

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
