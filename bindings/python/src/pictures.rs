//! Pictures of ECGs and heatmaps, as SVG.

use crate::arrays::Numbers;
use crate::failure::{raised, wrong};
use cardiograd::attribution::Method;
use cardiograd::report::colour::{Palette, Style};
use cardiograd::report::heatmap::{self, Heatmap};
use cardiograd::report::methods::{meaning, title};
use cardiograd::report::paper;
use ndarray::Array2;
use pyo3::prelude::*;

fn style(palette: &str, dark: bool) -> PyResult<Style> {
    let palette: Palette = palette.parse().map_err(raised)?;
    Ok(Style { palette, dark })
}

/// (12, L) in f32, all of it finite.
fn twelve(what: &str, x: &Numbers<'_>) -> PyResult<Array2<f32>> {
    let array = x.two(what)?.mapv(|v| v as f32);
    if array.nrows() != 12 || array.ncols() < 2 {
        return Err(wrong(format!("{what}: a picture shows the 12 leads, (12, L), its shape is {:?}", array.dim())));
    }
    match array.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((lead, t), value)) => Err(wrong(format!("{what}: lead {lead}, sample {t} is {value}: a picture needs numbers"))),
        None => Ok(array),
    }
}

/// An ECG on paper (25 mm/s, 10 mm/mV), or lead below lead.
#[pyfunction]
pub fn draw_ecg(x: Numbers<'_>, heading: &str, layout: &str, palette: &str, dark: bool) -> PyResult<String> {
    let (ecg, style) = (twelve("the ECG", &x)?, style(palette, dark)?);
    let none = Array2::zeros(ecg.dim());
    let picture = Heatmap { ecg: ecg.view(), map: none.view(), title: heading, unit: "", meaning: None, fiducials: None, axes: None };
    let svg = match layout {
        "paper" => paper::sheet(&picture, false, style),
        "leads" => heatmap::full(&picture, style),
        _ => return Err(wrong(format!("layout is '{layout}': paper or leads is expected"))),
    };
    svg.check().map_err(raised)?;
    Ok(svg.finish())
}

/// Heatmaps by method: one alone over its leads, two side by side, more as a grid. `multiplied` and `absolute` are the settings they were made with.
#[pyfunction]
#[pyo3(signature = (x, maps, heading, unit, multiplied, absolute, layout, palette, dark))]
#[allow(clippy::too_many_arguments)]
pub fn draw_maps(
    x: Numbers<'_>,
    maps: Vec<(String, Numbers<'_>)>,
    heading: &str,
    unit: &str,
    multiplied: bool,
    absolute: Option<bool>,
    layout: &str,
    palette: &str,
    dark: bool,
) -> PyResult<String> {
    let (ecg, style) = (twelve("the ECG", &x)?, style(palette, dark)?);
    let drawn = maps.iter().map(|(name, map)| Ok((name.as_str(), twelve(name, map)?))).collect::<PyResult<Vec<_>>>()?;
    if let Some((name, map)) = drawn.iter().find(|(_, map)| map.dim() != ecg.dim()) {
        return Err(wrong(format!("{name}: the map's shape is {:?}, the ECG's {:?}", map.dim(), ecg.dim())));
    }
    let headings: Vec<String> =
        drawn.iter().map(|(name, _)| format!("{}{}{heading}", title(name), if heading.is_empty() { "" } else { ", " })).collect();
    let picture = |at: usize| Heatmap {
        ecg: ecg.view(),
        map: drawn[at].1.view(),
        title: &headings[at],
        unit,
        meaning: meaning(drawn[at].0, multiplied, absolute),
        fiducials: None,
        axes: None,
    };
    let svg = match (drawn.len(), layout) {
        (0, _) => return Err(wrong("there is no map to draw")),
        (1, "leads") => heatmap::full(&picture(0), style),
        (1, "averaged") => heatmap::averaged(&picture(0), style),
        (1, "paper") => paper::sheet(&picture(0), true, style),
        (2, "leads") => heatmap::pair(&picture(0), &picture(1), style),
        (_, "leads" | "averaged") => {
            let rows: Vec<&str> = drawn.iter().map(|(name, _)| Method::named(name).map_or(*name, |method| method.title())).collect();
            let cells: Vec<Vec<Option<Heatmap<'_>>>> = (0..drawn.len()).map(|at| vec![Some(picture(at))]).collect();
            heatmap::grid(heading, &rows, &[heading], &cells, style)
        }
        (_, "paper") => return Err(wrong("ECG paper shows one heatmap: name one method")),
        _ => return Err(wrong(format!("layout is '{layout}': leads, averaged or paper is expected"))),
    };
    svg.check().map_err(raised)?;
    Ok(svg.finish())
}
