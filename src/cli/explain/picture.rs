//! `cardiograd explain … -o PICTURE.png|svg|pdf`: one ECG with its maps as a picture.

use super::super::outputs::output;
use super::super::pictures::{Drawing, Layout, Mapped, bytes};
use super::super::provenance::forget;
use super::super::{Globals, print};
use super::one::Shown;
use super::{Args, Precision};
use crate::dataset::{InputKind, Target};
use crate::nn::load_model;
use crate::report::colour::Style;
use crate::report::svg::plain;
use crate::{Error, Result};

/// Pixels of a PNG per unit of the picture.
const ZOOM: f32 = 2.0;

/// Explains one ECG and draws it.
pub(super) fn run(args: &Args, ending: &str, globals: &Globals) -> Result<()> {
    let model = load_model(&args.model, args.arch.as_deref())?;
    let shown = match args.precision {
        Precision::F32 => Shown::of::<f32>(&model.network, args, &model, globals)?,
        Precision::F64 => Shown::of::<f64>(&model.network.cast(), args, &model, globals)?,
    };
    let name = shown.name(args);
    let target = output(&model, shown.settings.output);
    let unit = target.map_or(model.unit(), Target::unit);
    let said = format!("{} {unit}", plain(shown.predicted, 1));
    let what = target.map_or("predicted", Target::title);
    let mapped = |(method, values): &(crate::attribution::Method, ndarray::Array2<f64>)| {
        let row = method.row();
        Mapped {
            method: method.name().into(),
            heading: format!("{}, {name}: {what} {}", row.title, said.trim_end()),
            values: values.mapv(|v| v as f32),
            meaning: Some(row.meaning(shown.settings.multiply_by_inputs, shown.settings.absolute)),
        }
    };
    let maps: Vec<Mapped> = shown.maps.iter().map(mapped).collect();
    if shown.ready.ecg.ncols() < 2 {
        return Err(Error::format(args.place.path(), "its ECGs have one sample: there is nothing to draw"));
    }
    let drawing = Drawing {
        ecg: &shown.ready.ecg,
        axes: shown.axes.as_ref(),
        maps: &maps,
        title: format!("{name}: {what} {}", said.trim_end()),
        unit,
        // Fiducials are those of the median beat.
        fiducials: shown.ready.measured.as_ref().filter(|_| shown.ready.ecg.ncols() == InputKind::Median.samples()),
        layout: Layout::Leads,
    };
    let picture = drawing.draw(Style::default())?;
    let bytes = bytes(picture, ending, ZOOM).map_err(|error| error.of_file(args.place.path()))?;
    forget(&args.output)?;
    crate::atomic::write(&args.output, &bytes)?;
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(serde_json::json!({ "written": args.output, "prediction": shown.predicted })),
        _ => print(format!("{what} {}; picture: {}", said.trim_end(), args.output.display())),
    }
}
