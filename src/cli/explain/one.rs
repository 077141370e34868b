//! One ECG explained, as a page or a picture shows it: the ECG, what is known of it, and its maps.

use super::super::Globals;
use super::super::console::complain;
use super::super::inputs::Ecgs;
use super::super::outputs::{Column, of_column, one_column};
use super::super::recordings::{Ready, look_up};
use super::super::references::{References, references};
use super::super::{Progress, models::warn_if_worse_than_mean};
use super::Args;
use crate::attribution::catalogue::able;
use crate::attribution::{Method, Settings};
use crate::ecg::axes::Axes;
use crate::inputs::explain as explain_against;
use crate::nn::Model;
use crate::tape::{Network, Real, Tensor, slice};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::PathBuf;

/// Options of pages and pictures alone.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in super::super) struct PageOptions {
    /// For a page or picture: which of the ECGs, from 0.
    #[arg(long, value_name = "N")]
    ecg: Option<usize>,
    /// For a page: what `measure` found on the ECGs of an array, one row each. A dataset's own tables are found beside its array, and a 10-s ECG or a
    /// recording is measured anew.
    #[arg(long, value_name = "MEASUREMENTS.csv")]
    measurements: Option<PathBuf>,
}

impl PageOptions {
    /// The table, as an input of the command.
    pub fn measurements(&mut self) -> Option<&mut PathBuf> {
        self.measurements.as_mut()
    }

    /// Refuses what only a page or picture heeds.
    pub fn check_unused(&self) -> Result<()> {
        match (self.ecg, &self.measurements) {
            (None, None) => Ok(()),
            _ => Err(Error::Usage("--ecg and --measurements belong to a page: -o NAME.html".into())),
        }
    }
}

/// An ECG and its maps.
pub(super) struct Shown {
    /// Its number in the file, folder or dataset.
    pub number: usize,
    /// Its name, where it has one.
    pub id: Option<String>,
    /// The ECG and what is known of it.
    pub ready: Ready,
    /// What its axes stand for, where more is known than the numbers.
    pub axes: Option<Axes>,
    /// The settings of the methods.
    pub settings: Settings,
    /// Whether maps are means over several baselines.
    pub several: bool,
    /// The maps, (C, L) each.
    pub maps: Vec<(Method, Array2<f64>)>,
    /// What the network predicts.
    pub predicted: f64,
}

impl Shown {
    /// Explains the one ECG that is asked for.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are several ECGs or outputs and none is chosen; as reading and explaining.
    pub fn of<T: Real>(network: &Network<T>, args: &Args, model: &Model, globals: &Globals) -> Result<Self> {
        if args.segments.is_some() {
            return Err(Error::Usage("--segments fills an array: give -o OUT.npz; a page takes --measurements".into()));
        }
        let ecgs = Ecgs::open(args.place.path(), model, &args.inputs)?;
        let [channels, samples] = ecgs.example();
        let row = chosen(args, &ecgs)?;
        if args.column == Some(Column::All) {
            return Err(Error::Usage("a page shows one output of the network: choose it with --column K".into()));
        }
        let column = one_column(model, &ecgs.example(), args.column.as_ref())?;
        let mut settings = args.settings(model, samples)?;
        let sample = match references("--baseline", &args.baseline, args.baselines, args.baseline_use, model, args.seed, samples)? {
            References::One(baseline) => {
                settings.baseline = baseline;
                None
            }
            References::Sample(sample) => Some(sample),
        };
        let settings = of_column(&settings, column);
        let (methods, left_out) = able(&Method::parse_list(&args.method)?, args.method != "all", [network.program()], &settings)?;
        super::tell_left_out(&left_out, globals);
        let x = ecgs.batch(row..row + 1)?;
        let number = ecgs.numbers(row..row + 1)[0];
        let tensor = Tensor::from(x.mapv(T::of).into_dyn());
        let progress = Progress::new(globals.quiet);
        let found =
            explain_against(network, &settings, sample.as_deref(), &tensor, &[number as u64], &methods, &|step| progress.step(step))?;
        progress.finish();
        let ready = ecgs.ready(row)?;
        ecgs.tell(globals);
        warn_if_worse_than_mean(model, globals);
        let id = ecgs.axes().and_then(|axes| axes.ids.get(row).cloned());
        let mut shown = Shown {
            number,
            id,
            ready,
            axes: ecgs.axes().cloned(),
            settings,
            several: sample.is_some(),
            maps: Vec::new(),
            predicted: found.prediction[0].f64(),
        };
        for (method, map) in &found.maps {
            let values = Array2::from_shape_vec((channels, samples), slice(map).iter().map(|v| v.f64()).collect());
            shown.maps.push((*method, values.map_err(|error| Error::Data(format!("a heatmap of {method}: {error}")))?));
        }
        match ecgs.are_recordings() {
            true if args.page.measurements.is_some() && !globals.quiet => {
                complain("note: a recording is measured anew: --measurements is not read\n");
            }
            true => (),
            false => {
                let table = args.page.measurements.as_deref();
                shown.id = look_up(args.place.path(), table, (number, ecgs.total()), &mut shown.ready)?.or(shown.id);
            }
        }
        Ok(shown)
    }

    /// What it is called: its id, or its number in the file.
    pub fn name(&self, args: &Args) -> String {
        let path = args.place.path();
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        match &self.id {
            Some(id) if path.file_stem().is_some_and(|stem| stem.to_string_lossy() == *id) => file.into_owned(),
            Some(id) => format!("ECG {id} of {file}"),
            None => format!("ECG {} of {file}", self.number),
        }
    }
}

/// The row of the ECG that is asked for.
fn chosen(args: &Args, ecgs: &Ecgs) -> Result<usize> {
    let (count, path) = (ecgs.len(), args.place.path().display());
    match args.page.ecg {
        None if count == 1 => Ok(0),
        None => Err(Error::Usage(format!("{path} holds {count} ECGs, a page shows one: choose it with --ecg N, from 0"))),
        Some(ecg) if ecg >= ecgs.total() => Err(Error::Usage(format!("--ecg {ecg}: {path} holds {}, numbered from 0", ecgs.total()))),
        Some(ecg) => ecgs.numbers(0..count).iter().position(|number| *number == ecg).ok_or_else(|| {
            Error::Usage(format!("--ecg {ecg}: it is not among those that are taken: leave --rows out, or the recording cannot be used"))
        }),
    }
}
