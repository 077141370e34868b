//! Tables of watches and spreadsheets, and arrays of every type and order.

use super::*;
use cardiograd::ecg::read::Unit;
use ndarray::Array3;

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
pub fn npy(descr: &str, fortran: bool, shape: &str, data: Vec<u8>) -> Vec<u8> {
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
