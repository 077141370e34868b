//! `cardiograd study`.

use super::{Globals, Progress, print};
use crate::dataset::{InputKind, Target};
use crate::report::StudyResults;
use crate::study::{self, Preset, StudySettings};
use crate::{Error, Result};
use std::path::PathBuf;

/// Arguments of `cardiograd study`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// quick: minutes on two cores; paper: the study's sizes and settings.
    #[arg(long, value_enum, default_value_t = PresetName::Quick)]
    preset: PresetName,
    /// Where the ECGs come from.
    #[arg(long, value_enum, default_value_t = SourceName::Simulator)]
    source: SourceName,
    /// The wheel deepfake_ecg-1.1.2-py3-none-any.whl, or its g_stat.pt.
    #[arg(long, value_name = "WHEEL_OR_PT")]
    generator: Option<PathBuf>,
    /// A dataset to use instead of generating one.
    #[arg(long, value_name = "DATASET", conflicts_with_all = ["generator", "source", "ecgs"])]
    data: Option<PathBuf>,
    /// Targets separated by commas [default: pr,qrs,qt,r_v5,j_v5,t_v5].
    #[arg(long, value_name = "LIST")]
    targets: Option<String>,
    /// What the networks look at: median (12 × 600) or rhythm (12 × 5000).
    #[arg(long, default_value = "median")]
    input: InputKind,
    /// The seed that every draw follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// ECGs to generate [default: from the preset].
    #[arg(long, value_name = "N")]
    ecgs: Option<usize>,
    /// Passes over the training ECGs [default: from the preset].
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Test ECGs whose heatmaps are kept [default: from the preset].
    #[arg(long, value_name = "N")]
    heatmap_ecgs: Option<usize>,
    /// Test ECGs that are perturbed [default: from the preset].
    #[arg(long, value_name = "N")]
    perturb_ecgs: Option<usize>,
    /// Points perturbed in each ECG.
    #[arg(long, value_name = "N", default_value_t = 200)]
    iterations: usize,
    /// The study's folder. A killed study is continued by running it again.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum PresetName {
    Quick,
    Paper,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum SourceName {
    Simulator,
    Pulse2pulse,
}

impl Args {
    fn settings(&self) -> Result<StudySettings> {
        let preset = StudySettings::new(if self.preset == PresetName::Quick { Preset::Quick } else { Preset::Paper });
        match (self.source, &self.generator) {
            (SourceName::Pulse2pulse, None) => {
                return Err(Error::Usage(
                    "--source pulse2pulse needs --generator WHEEL: pip download --no-deps deepfake-ecg==1.1.2".into(),
                ));
            }
            (SourceName::Simulator, Some(_)) => return Err(Error::Usage("--generator belongs to --source pulse2pulse".into())),
            _ => {}
        }
        let mut training = preset.training;
        training.seed = self.seed;
        training.epochs = self.epochs.unwrap_or(training.epochs);
        Ok(StudySettings {
            generator: self.generator.clone(),
            data: self.data.clone(),
            ecgs: self.ecgs.unwrap_or(preset.ecgs),
            targets: self.targets.as_deref().map_or(Ok(preset.targets), targets)?,
            input: self.input,
            seed: self.seed,
            training,
            heatmap_ecgs: self.heatmap_ecgs.unwrap_or(preset.heatmap_ecgs),
            perturb_ecgs: self.perturb_ecgs.unwrap_or(preset.perturb_ecgs),
            iterations: self.iterations,
            preset: preset.preset,
        })
    }
}

/// The targets of a list, in the order of the tables.
fn targets(list: &str) -> Result<Vec<Target>> {
    let asked = list.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Target>>>()?;
    Ok(Target::ALL.into_iter().filter(|target| asked.contains(target)).collect())
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let settings = args.settings()?;
    let progress = Progress::new(globals.quiet);
    let results = study::run(&settings, &args.output, &|step| progress.step(step))?;
    progress.finish();
    if globals.quiet { Ok(()) } else { tell(args, &results, globals) }
}

fn tell(args: &Args, results: &StudyResults, globals: &Globals) -> Result<()> {
    let table4 =
        std::fs::read_to_string(args.output.join("table4.csv")).map_err(|source| Error::io(args.output.join("table4.csv"), source))?;
    let report = args.output.join("report.html");
    if globals.json {
        let metrics: Vec<_> =
            results.targets.iter().map(|target| serde_json::json!({"target": target.target, "metrics": target.metrics})).collect();
        return print(serde_json::json!({"report": report, "metrics": metrics, "table4": table4}));
    }
    print(format!("{:<20}{:>8}{:>10}{:>14}    {:>8}", "test split", "MAE", "RMSE", "MAE of mean", "gain"))?;
    for target in &results.targets {
        let Some(test) = target.split("test") else { continue };
        let (name, unit) = (target.target.title(), target.target.unit());
        let gain = test.mae_of_mean / test.mae;
        print(format!("{name:<20}{:>8.2}{:>10.2}{:>14.2} {unit:<3}{gain:>7.1}×", test.mae, test.rmse, test.mae_of_mean))?;
    }
    print("\nTable 4: area under the percentage error to iteration 15")?;
    let targets: String = results.targets.iter().map(|target| format!("{:>9}", target.target.name())).collect();
    print(format!("{:<24}{targets}", ""))?;
    for line in table4.lines().skip(1) {
        let mut cells = line.split(',');
        let first = cells.next().unwrap_or_default();
        let rounded = cells.map(|cell| cell.parse::<f64>().map_or(format!("{cell:>9}"), |value| format!("{value:>9.2}")));
        print(format!("{first:<24}{}", rounded.collect::<String>()))?;
    }
    print(format!("\nOpen {}; models, heatmaps, curves, figures and tables are beside it.", report.display()))
}
