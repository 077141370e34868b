//! Leads by number, as SCP-ECG counts them (EN 1064) and DICOM and ISO 11073-10102 after it.

/// The name of a lead's number in a spelling that every reader knows; `None` for those that are no ECG leads of ours.
pub(super) fn lead(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "I",
        2 => "II",
        3 => "V1",
        4 => "V2",
        5 => "V3",
        6 => "V4",
        7 => "V5",
        8 => "V6",
        9 => "V7",
        10 => "V2R",
        11 => "V3R",
        12 => "V4R",
        13 => "V5R",
        14 => "V6R",
        15 => "V7R",
        16 => "X",
        17 => "Y",
        18 => "Z",
        61 => "III",
        62 => "aVR",
        63 => "aVL",
        64 => "aVF",
        65 => "-aVR",
        66 => "V8",
        67 => "V9",
        _ => return None,
    })
}
