//! EDF, EDF+ and BDF.

use super::{Leads, NAMES};

fn field(text: impl ToString, length: usize) -> Vec<u8> {
    let mut bytes = text.to_string().into_bytes();
    bytes.resize(length, b' ');
    bytes
}

/// A file in data records of one second, with a signal of another rate, and for EDF+ one of notes; `pause` seconds lie before the last record.
pub fn write(leads: &Leads, bdf: bool, unit: &str, notes: &[(f64, &str)], pause: f64) -> Vec<u8> {
    // Ends of the scale that fit the eight characters of their field.
    let (width, top) = if bdf { (3, 8_000_000i64) } else { (2, 32_767) };
    let factor = if unit == "uV" { 1.0 } else { 1000.0 };
    let plus = !notes.is_empty() || pause > 0.0;
    let mut signals: Vec<(String, &str, usize)> = NAMES.iter().map(|name| (format!("ECG {name}"), unit, 500)).collect();
    signals.push(("Resp nasal".into(), "%", 25));
    if plus {
        signals.push((if bdf { "BDF Annotations" } else { "EDF Annotations" }.into(), "", 60));
    }
    let records = leads[0].len() / 500;
    let mut bytes = if bdf { b"\xffBIOSEMI".to_vec() } else { field("0", 8) };
    bytes.extend(field("ID77 F 02-AUG-1951 Secret_Name", 80));
    bytes.extend(field("Startdate X X X X", 80));
    bytes.extend(field("01.01.2000.00.00", 16));
    bytes.extend(field(256 * (signals.len() + 1), 8));
    let kind = format!("{}+{}", if bdf { "BDF" } else { "EDF" }, if pause > 0.0 { "D" } else { "C" });
    bytes.extend(field(if plus { kind } else { String::new() }, 44));
    bytes.extend(field(records, 8));
    bytes.extend(field(1, 8));
    bytes.extend(field(signals.len(), 4));
    let mut each = |length: usize, text: &dyn Fn(&(String, &str, usize)) -> String| {
        signals.iter().for_each(|signal| bytes.extend(field(text(signal), length)));
    };
    each(16, &|signal| signal.0.clone());
    each(80, &|signal| if signal.2 == 60 { String::new() } else { "electrode".into() });
    each(8, &|signal| signal.1.into());
    // A step is 1 µV: the ends of the scale are those of the numbers.
    let end = |value: i64| if unit == "uV" { value.to_string() } else { (value as f64 / factor).to_string() };
    each(8, &|signal| if signal.1 == unit { end(-top) } else { "-100".into() });
    each(8, &|signal| if signal.1 == unit { end(top) } else { "100".into() });
    // Those of notes are the whole range.
    let whole = if bdf { 8_388_607 } else { 32_767 };
    each(8, &|signal| if signal.2 == 60 { (-whole - 1).to_string() } else { (-top).to_string() });
    each(8, &|signal| if signal.2 == 60 { whole.to_string() } else { top.to_string() });
    each(80, &|_| String::new());
    each(8, &|signal| signal.2.to_string());
    each(32, &|_| String::new());
    let number = |value: i64| value.to_le_bytes()[..width].to_vec();
    for record in 0..records {
        for lead in leads {
            bytes.extend(lead[record * 500..][..500].iter().flat_map(|x| number(*x as i64)));
        }
        bytes.extend((0..25).flat_map(number));
        if plus {
            let begins = record as f64 + if record + 1 == records { pause } else { 0.0 };
            let mut text = format!("+{begins}\u{14}\u{14}\0");
            for (at, note) in notes.iter().filter(|(at, _)| at.floor() == record as f64) {
                text += &format!("+{at}\u{15}0.5\u{14}{note}\u{14}\0");
            }
            let mut text = text.into_bytes();
            text.resize(60 * width, 0);
            bytes.extend(text);
        }
    }
    bytes
}
