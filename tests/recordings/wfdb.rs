//! WFDB: every format, what headers of the field hold, segments, folders.

use super::*;

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
        // The stream announces two channels, its blocks have one.
        let mut one = flac(bits, &leads[..1]);
        one[8 + 12] |= 1 << 1;
        put(&to, "r.dat", one);
        put(&to, "r.hea", header(format, step, &leads[..2], &INDEPENDENT[..2]));
        assert!(refusal(&path).contains("a block of 1 channels where there are 2"));
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
    let skewed = std::fs::read_to_string(&path).unwrap().replace("16x4:3", "16x4:18446744073709551615");
    assert!(refusal(&put(&to, "r.hea", skewed)).contains("a skew of 18446744073709551615 frames"));
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
        ("r/3 12 500 5000\n~ 18446744073709551615\n~ 5\na/s1 2000\n", "more than are read"),
    ] {
        assert!(refusal(&put(&to, "r.hea", text)).contains(hint), "{text}");
    }
    // Records in folders within are found; what is in none is said.
    std::fs::remove_file(to.path().join("r.hea")).unwrap();
    std::fs::remove_file(to.path().join("g.hea")).unwrap();
    let source = Source::open(to.path(), Given::default()).unwrap();
    assert_eq!((0..source.len()).map(|at| source.id(at)).collect::<Vec<_>>(), ["s1", "s2"]);
}
