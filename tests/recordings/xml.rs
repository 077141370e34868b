//! ECGs in XML: MUSE in every dress, and those of other makers.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;

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

pub fn muse_wave(leads: &str) -> String {
    format!("<Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{leads}</Waveform>")
}

pub fn muse(waves: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><RestingECG><PatientDemographics><PatientID>ID4711Q</PatientID><PatientAge>57</PatientAge><AgeUnits>YEARS</AgeUnits>\
         <Gender>FEMALE</Gender><PatientLastName>Secret</PatientLastName></PatientDemographics><RestingECGMeasurements>\
         <VentricularRate>61</VentricularRate><PRInterval>150</PRInterval><RAxis>-30</RAxis></RestingECGMeasurements>{waves}</RestingECG>"
    )
}

pub fn muse_leads() -> String {
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
    // Each lead may be long; all together come to no more than a file that is not packed.
    let long = vec![0; 3_000_000];
    let lead = muse_lead("II", &long, &pack(&long));
    assert!(refusal(&put(&to, "l.xml", muse(&muse_wave(&lead.repeat(12))))).contains("packed samples come to more than"));
}

/// Documents of many small parts: what is looked for in each is not looked for again in all.
#[test]
fn documents_of_many_parts() {
    let to = folder();
    let nested = format!("{}{}", "<annotation><value value=\"1\"/>".repeat(45_000), "</annotation>".repeat(45_000));
    let path = put(&to, "a.xml", aecg().replace("</AnnotatedECG>", &format!("{nested}</AnnotatedECG>")));
    assert!(off(&rhythm(&path).0) <= 2.5);
    let codes: String = (0..90_000).map(|at| format!("<statementcode>S{at}</statementcode>")).collect();
    let plain = philips("", &packed("16", &stored(5.0).concat(), 1));
    let recording = read(&put(&to, "p.xml", plain.replace("<interpretations>", &format!("<interpretations>{codes}"))));
    assert_eq!((recording.statements.len(), recording.statements[999].as_str()), (1000, "S999"));
    let channel = |at| format!("<CHANNEL NAME=\"I\" SAMPLE_FREQ=\"{}\" UNITS_PER_MV=\"200\" DATA=\"\"/>", 100 + at);
    let rates = format!("<ECG>{}</ECG>", (0..100_000).map(channel).collect::<String>());
    assert!(refusal(&put(&to, "m.xml", rates)).contains("more than 16 different rates"));
    // Codes that stand for ever longer strings of zeros: 12 kB are 7 MB.
    let codes = std::iter::once(0).chain(256..1023).chain(std::iter::repeat_n(1022, 8_800));
    let bits: Vec<u8> = codes.flat_map(|code: u16| (0..10).rev().map(move |bit| (code >> bit & 1) as u8)).collect();
    let packed: Vec<u8> = bits.chunks(8).map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << (7 - at))).collect();
    let lead = [&(packed.len() as u32).to_le_bytes()[..], &[0; 4], &packed[..]].concat();
    let text = philips("compressmethod=\"XLI\"", &lead.repeat(12)).replace("durationperchannel=\"10000\"", "");
    assert!(refusal(&put(&to, "x.xml", text)).contains("packed samples come to more than"));
}

pub fn aecg() -> String {
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

pub fn mortara() -> String {
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

pub fn schiller() -> String {
    let values = stored(5.0);
    let lead = |(name, values): (&&str, &Vec<i64>)| {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        format!("<channel><name>{name}</name><datastype>COMMASEPARATE</datastype><data>{}</data></channel>", text.join(","))
    };
    let leads: String = LEADS.iter().zip(&values).map(lead).collect();
    format!(
        "<com.xiriuz.sema.xml.schillerEDI.SchillerEDI><patdata><id>ID4711Q</id><lastname>Secret</lastname></patdata><examdescript/><eventdata><event>\
         <annotation_global><name>HR</name><value>61</value><name>PQ</name><value>152</value></annotation_global>\
         <wavedata><type>ECG_AVERAGES</type></wavedata>\
         <wavedata><type>ECG_RHYTHMS</type><resolution><samplerate><value>500</value><exponent>1</exponent></samplerate>\
         <yres><unitperbit>5</unitperbit><units>uV</units></yres></resolution>{leads}</wavedata></event></eventdata></com.xiriuz.sema.xml.schillerEDI.SchillerEDI>"
    )
}

/// Philips' packing with codes of single bytes alone (strings are for the unit test of the unpacker).
pub fn xli(lead: &[i64]) -> Vec<u8> {
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

pub fn philips(packing: &str, data: &[u8]) -> String {
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
pub fn left_over() -> Vec<Vec<i64>> {
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
        let axis = if *name == "schiller.xml" { "" } else { "-30" };
        assert_eq!((fields[0].as_str(), fields[3].as_str(), fields[7].as_str()), ("152", "61", axis), "{name}");
        // Cut anywhere it is refused.
        for share in [3, 17, 60, 97] {
            refusal(&put(&to, name, &text[..text.len() * share / 100]));
        }
    }
    let newer = read(&put(&to, "p.xml", philips("", &packed("16", &whole, 1)).replace(">1.03<", ">1.05<")));
    assert!(newer.notes.iter().any(|note| note.contains("version 1.05")), "{:?}", newer.notes);
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

/// The beats that carts write beside the rhythm are kept as ours are, at whatever rate and place they have them; a broken one loses no rhythm.
#[test]
fn beats_that_makers_carry() {
    let to = folder();
    // A QRS of 80 ms, in steps of 5 and 2.5 µV, at 1000 Hz, its peak 500 ms from the beginning.
    let wave = |step: f64| -> Vec<i64> {
        (0..1200).map(|t| (1000.0 / step * (-((t as f64 - 500.0) / 20.0).powi(2)).exp()).round() as i64).collect()
    };
    let text = |values: &[i64]| values.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let each = |one: &dyn Fn(&str) -> String| LEADS.iter().map(|name| one(name)).collect::<String>();
    let beats = [
        (
            philips("", &packed("16", &stored(5.0).concat(), 1)),
            "</waveforms>",
            format!(
                "<repbeats dataencoding=\"Base64\" samplespersec=\"1000\" resolution=\"5\">{}</repbeats></waveforms>",
                each(&|name| format!("<repbeat leadname=\"{name}\">{}</repbeat>", base64_of(&wave(5.0))))
            ),
        ),
        (
            cardiosoft(),
            "</RestingECGMeasurements>",
            format!(
                "<MedianSamples><SampleRate units=\"Hz\">1000</SampleRate><Resolution units=\"uVperLsb\">5</Resolution>{}</MedianSamples></RestingECGMeasurements>",
                each(&|name| format!("<WaveformData lead=\"{name}\">{}</WaveformData>", text(&wave(5.0))))
            ),
        ),
        (
            mortara(),
            "QRS_AXIS=\"-30\"/>",
            format!(
                "QRS_AXIS=\"-30\">{}</TYPICAL_CYCLE>",
                each(&|name| format!(
                    "<TYPICAL_CYCLE_CHANNEL BITS=\"16\" FORMAT=\"SIGNED\" UNITS_PER_MV=\"400\" DURATION=\"1200\" SAMPLE_FREQ=\"1000\" NAME=\"{name}\" \
                     ENCODING=\"BASE64\" DATA=\"{}\"/>",
                    base64_of(&wave(2.5))
                ))
            ),
        ),
        (
            schiller(),
            "<wavedata><type>ECG_AVERAGES</type></wavedata>",
            format!(
                "<wavedata><type>ECG_AVERAGES</type><resolution><samplerate><value>1000</value><exponent>1</exponent></samplerate><yres>\
                 <unitperbit>5</unitperbit><units>uV</units></yres></resolution>{}</wavedata>",
                each(&|name| format!("<channel><name>{name}</name><data>{}</data></channel>", text(&wave(5.0))))
            ),
        ),
    ];
    for (file, place, with) in &beats {
        assert!(file.contains(place), "{place}");
        let recording = read(&put(&to, "beat.xml", file.replacen(place, with, 1)));
        let beat = recording.median.unwrap_or_else(|| panic!("{place}: {:?}", recording.notes));
        let peak = (0..600).max_by(|a, b| beat[[1, *a]].total_cmp(&beat[[1, *b]])).unwrap();
        assert!(peak.abs_diff(240) <= 10 && (beat[[1, peak]] - 1000.0).abs() < 60.0, "{place}: {} µV at {peak}", beat[[1, peak]]);
        assert!(
            recording.notes.iter().any(|note| note.contains("representative beat resampled from 1000 to 500 Hz")),
            "{:?}",
            recording.notes
        );
        let broken = read(&put(&to, "beat.xml", file.replacen(place, &with.replace("\"V3\"", "\"V33\"").replace(">V3<", ">V33<"), 1)));
        assert!(broken.median.is_none() && broken.leads.len() == 12, "{place}");
        assert!(broken.notes.iter().any(|note| note.contains("lead V3 is not in it")), "{:?}", broken.notes);
    }
}
