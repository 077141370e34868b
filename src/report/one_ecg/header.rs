//! The head of the page, as on an ECG cart: rate, intervals, axis, amplitudes.

use super::OneEcg;
use crate::dataset::Target;
use crate::ecg::Measurements;
use crate::report::svg::{escape, plain};
use cardiograd_kernels::elementary;
use ndarray::ArrayView2;
use std::fmt::Write;

/// The leads that span the frontal plane.
const I: usize = 0;
const AVF: usize = 5;
/// µV·samples of net area in either lead below which a QRS has no direction in the frontal plane: 1 mV for 2 ms.
const NO_DIRECTION: f64 = 1000.0;

/// The QT interval corrected for rate by Fridericia's formula, ms.
pub fn qtcf(measured: &Measurements) -> Option<f64> {
    let rr = 60.0 / measured.rate_bpm?;
    Some(measured.qt_ms? / elementary::cbrt(rr))
}

/// The direction of the mean QRS vector in the frontal plane, degrees from −180 to 180, from the net areas of I and aVF between QRS onset and
/// offset of a median beat (12, 600) whose leads are zero at QRS onset. `None` where QRS is not delineated or the vector is too small.
pub fn frontal_axis(beat: ArrayView2<'_, f32>, measured: &Measurements) -> Option<f64> {
    let (from, to) = (measured.qrs_onset? as usize, measured.qrs_offset? as usize);
    if from >= to || to > beat.ncols() || beat.nrows() <= AVF {
        return None;
    }
    let area = |lead: usize| (from..to).map(|t| f64::from(beat[[lead, t]])).sum::<f64>();
    // aVF, an augmented lead, is √3/2 as strong as I for a vector of one length.
    let (x, y) = (area(I), area(AVF) * 2.0 / 3f64.sqrt());
    (elementary::hypot(x, y) > NO_DIRECTION).then(|| elementary::atan2(y, x).to_degrees())
}

/// The measurements as a table, with the exact values below them where they are known.
pub(super) fn table(one: &OneEcg<'_>) -> String {
    let mut html = String::from("<section id=\"cart\"><h2>Measurements</h2>");
    if one.measured.is_none() && one.carried.is_none() {
        return html
            + "<p>Nothing was measured on this ECG: a median beat alone does not tell its fiducials. Give what <code>cardiograd measure</code> found \
                       with <code>--measurements</code>.</p></section>";
    }
    let measured = one.measured.as_ref();
    if let Some(reason) = measured.and_then(|measured| measured.rejected.as_ref()) {
        let _ = write!(html, "<p class=\"warning\" role=\"note\">This ECG could not be measured: {}.</p>", escape(reason));
        if one.carried.is_none() {
            return html + "</section>";
        }
    }
    let measured = measured.filter(|measured| measured.rejected.is_none());
    let axis = one.beat.and_then(|beat| frontal_axis(beat, measured?));
    html += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Measurements\"><table class=\"cart\"><thead><tr><td></td>";
    for name in ["Rate", "PR", "QRS", "QT", "QTcF", "QRS axis", "R in V5", "J in V5", "T in V5"] {
        let _ = write!(html, "<th scope=\"col\">{name}</th>");
    }
    html += "</tr></thead><tbody>";
    let carried = one.carried.as_ref();
    let theirs = carried.and_then(|carried| carried.further.as_ref()?.axes[1]);
    let rows = [("Measured", measured, axis), ("In the file", carried, theirs), ("Exact", one.exact.as_ref(), None)];
    for (name, values, axis) in rows {
        let Some(values) = values else { continue };
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th>");
        let of = |target: Target| (target.value(values), target.unit());
        let first = [of(Target::Rate), of(Target::Pr), of(Target::Qrs), of(Target::Qt), (qtcf(values), "ms"), (axis, "°")];
        for (value, unit) in first.into_iter().chain([of(Target::RV5), of(Target::JV5), of(Target::TV5)]) {
            let text = value.map_or_else(|| "–".to_owned(), |value| format!("{} {unit}", plain(value, 0)).replace(" °", "°"));
            let _ = write!(html, "<td>{text}</td>");
        }
        html += "</tr>";
    }
    html + "</tbody></table></div></section>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn beat(i: f32, avf: f32) -> Array2<f32> {
        Array2::from_shape_fn((12, 600), |(lead, t)| match lead {
            I if (230..250).contains(&t) => i,
            AVF if (230..250).contains(&t) => avf,
            _ => 0.0,
        })
    }

    #[test]
    fn the_axis_points_where_the_leads_do() {
        let measured = Measurements { qrs_onset: Some(222.0), qrs_offset: Some(262.0), ..Measurements::default() };
        let axis = |i: f32, avf: f32| frontal_axis(beat(i, avf).view(), &measured).map(f64::round);
        assert_eq!([axis(500.0, 0.0), axis(0.0, 500.0), axis(-500.0, 0.0)], [Some(0.0), Some(90.0), Some(180.0)]);
        // A vector at 45° gives cos 45° in I and √3/2 · cos 45° in aVF.
        assert_eq!(axis(500.0, 433.0), Some(45.0));
        assert_eq!(axis(0.0, -500.0), Some(-90.0));
        assert_eq!(axis(0.0, 0.0), None);
        assert_eq!(frontal_axis(beat(1.0, 1.0).view(), &Measurements::default()), None);
    }

    #[test]
    fn fridericia_by_hand() {
        let at = |rate: f64| qtcf(&Measurements { qt_ms: Some(400.0), rate_bpm: Some(rate), ..Measurements::default() }).expect("a value");
        assert_eq!(at(60.0), 400.0);
        // RR 0.512 s, whose cube root is 0.8.
        assert!((at(60.0 / 0.512) - 500.0).abs() < 1e-9);
    }
}
