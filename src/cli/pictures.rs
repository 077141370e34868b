//! Pictures of an ECG and its heatmaps, as `render` and `explain` write them.

use crate::attribution::Meaning;
use crate::ecg::Measurements;
use crate::ecg::axes::Axes;
use crate::ecg::leads::LEADS;
use crate::report::colour::Style;
use crate::report::heatmap::{self, Heatmap};
use crate::report::methods::title;
use crate::report::svg::Svg;
use crate::report::{paper, pdf, png};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// How leads stand.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    Leads,
    Averaged,
    Paper,
}

/// A map of the picture; of a method without a name there is none, and its values are zeros.
pub(super) struct Mapped {
    pub method: String,
    /// Printed above it.
    pub heading: String,
    /// (C, L).
    pub values: Array2<f32>,
    pub meaning: Option<Meaning>,
}

/// What is drawn.
pub(super) struct Drawing<'a> {
    /// (C, L), µV.
    pub ecg: &'a Array2<f32>,
    pub axes: Option<&'a Axes>,
    pub maps: &'a [Mapped],
    /// Above a grid of maps.
    pub title: String,
    /// The unit of the attributions, or of the prediction.
    pub unit: &'a str,
    /// Of a median beat.
    pub fiducials: Option<&'a Measurements>,
    pub layout: Layout,
}

impl Drawing<'_> {
    /// The picture: one map alone, two beside each other, of more a grid of averaged ones.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the layout cannot show.
    pub fn draw(&self, style: Style) -> Result<Svg> {
        let picture = |k: usize| Heatmap {
            ecg: self.ecg.view(),
            map: self.maps[k].values.view(),
            title: &self.maps[k].heading,
            unit: self.unit,
            meaning: self.maps[k].meaning,
            fiducials: self.fiducials,
            axes: self.axes,
        };
        if self.layout == Layout::Paper && (self.ecg.nrows() != LEADS.len() || self.axes.is_some_and(|axes| axes.leads != LEADS)) {
            return Err(Error::Usage("ECG paper shows the twelve leads in their order: draw others with --layout leads".into()));
        }
        Ok(match (self.maps.len(), self.layout) {
            (1, Layout::Leads) => heatmap::full(&picture(0), style),
            (1, Layout::Averaged) => heatmap::averaged(&picture(0), style),
            (1, Layout::Paper) => paper::sheet(&picture(0), !self.maps[0].method.is_empty(), style),
            (2, Layout::Leads) => heatmap::pair(&picture(0), &picture(1), style),
            (_, Layout::Paper) => return Err(Error::Usage("ECG paper shows one heatmap: choose one with --method".into())),
            _ => {
                let rows: Vec<&str> = self.maps.iter().map(|map| title(&map.method)).collect();
                let cells: Vec<Vec<Option<Heatmap<'_>>>> = (0..self.maps.len()).map(|k| vec![Some(picture(k))]).collect();
                heatmap::grid(&self.title, &rows, &[&self.title], &cells, style)
            }
        })
    }
}

/// The ending of a picture's name, if it is one.
pub(super) fn ending(path: &Path) -> Option<&'static str> {
    let found = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["svg", "pdf", "png"].into_iter().find(|ending| *ending == found)
}

/// The picture as the bytes of a file of that ending.
///
/// # Errors
/// As [`Svg::check`], [`png::png`] and [`pdf::pdf`].
pub(super) fn bytes(picture: Svg, ending: &str, zoom: f32) -> Result<Vec<u8>> {
    picture.check()?;
    let text = picture.finish();
    match ending {
        "png" => png::png(&text, zoom),
        "pdf" => pdf::pdf(&text),
        _ => Ok(text.into_bytes()),
    }
}
