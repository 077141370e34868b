//! The document: what was run, what is found of each sentence, and every table behind it.

use super::areas::Areas;
use super::tables::{counted, kind, told_apart};
use super::{CURVES, Judgement, PLACES, RANKS, Reproduction, Verdict};
use crate::evaluation::ranks::spearman;
use crate::report::results::StudyResults;
use crate::report::tables::Table;
use std::fmt::Write;

/// Cells of Table 4 that are to be within 25 % and of the published class, of 60, and the correlation of a target that is to be reached.
const GOALS: (usize, usize, f64) = (50, 54, 0.8);

pub(super) fn document(of: &Reproduction<'_>, tables: &[(&'static str, Table)], command: &str, pictures: &str) -> String {
    let captions: Vec<(&str, String)> = of.pictures().into_iter().map(|(name, caption, _)| (name, caption)).collect();
    let mut out = Out { text: String::new(), tables, captions: &captions, folder: pictures };
    let study = of.study;
    let judgements = of.judgements();
    out.line("# The study, run again");
    out.line(&format!(
        "Storås, Mæland, Isaksen et al., “Evaluating gradient-based explanation methods for neural network ECG analysis using heatmaps” (JAMIA), held against a run of \
         cardiograd. {}",
        size(study)
    ));
    if study.data.source == "simulator" {
        out.line(
            "**This run is of simulated ECGs: it shows what the program does. What it finds of the study's sentences is of these ECGs and networks, not of the study's.**",
        );
    }
    out.line(&format!(
        "Every table, figure and verdict below is computed from that run's folder; none is typed. They lie as CSV and SVG in [`{pictures}/`]({pictures}/). Made by:"
    ));
    out.line(&format!("```sh\n{}\n{command}\n```", study.provenance.command));
    out.line(&format!(
        "{}, seed {}; intervals are of 95 %, over {} bootstrap resamples of ECGs unless a table says otherwise (those of prediction errors over {}).",
        study.provenance.version,
        study.provenance.seed,
        of.resamples,
        crate::evaluation::worth::RESAMPLES
    ));
    summary(&mut out, of, judgements);
    sentences(&mut out, judgements);
    out.line("## What differs from the study");
    out.table("differs");
    out.line("## Prediction errors");
    out.table("errors");
    out.line("## Table 4 beside the published");
    out.picture(CURVES);
    out.table("table4_counts");
    out.table("table4_cells");
    out.line("## Places between Random and the winner");
    out.line(
        "An area has no meaning of its own: it holds the error before any perturbation, and grows with the spread of the measurement. What can be held against the study is \
         where a method stands between the random control and the winner, which is also what the study's classes are made from.",
    );
    out.picture(PLACES);
    out.table("places");
    out.line("## Correlation with the published table");
    out.table("likeness");
    out.table("likeness_by_scoring");
    out.line("## Ranks over ends 10 to 25");
    out.picture(RANKS);
    out.table("ranks_over_ends");
    out.line("## Experts against perturbation");
    out.line(
        "The votes are the published ones, given to the study's heatmaps of 51 Pulse2pulse ECGs; the areas are of this run's ECGs and networks. The two sides share the methods only.",
    );
    out.table("experts");
    out.line("## Averaged heatmaps");
    out.line(
        "Perturbation takes single points of full heatmaps, so that averaged heatmaps cannot be perturbed; the experts judged them by eye. What can be computed is where they are \
         largest.",
    );
    out.table("averaged");
    out.line("## Where Grad-CAM lets guided backpropagation through");
    out.line(
        "Guided Grad-CAM is guided backpropagation times Grad-CAM's map of the last convolution, which is 0 wherever that map would lower the prediction. A network is free to \
         keep what it found anywhere within the reach of its convolutions, also where nothing of the measurement is; then the heatmap is 0 at the very points that guided \
         backpropagation ranks first.",
    );
    out.table("through");
    if !of.others.is_empty() {
        out.line("## What each difference does");
        for name in ["ablation_settings", "ablation_errors", "ablation_likeness", "ablation_places"] {
            out.table(name);
        }
    }
    out.text
}

/// The size of a run in a sentence.
fn size(study: &StudyResults) -> String {
    let epochs = study.targets.iter().map(|target| target.epochs.len()).max().unwrap_or(0);
    let epochs = match epochs {
        0 => "of which the training is not known".into(),
        1 => "trained for 1 epoch".into(),
        epochs => format!("trained for {epochs} epochs"),
    };
    let perturbed = study.targets.iter().filter_map(|target| target.perturbation.as_ref()).map(|p| p.ecgs.len()).max().unwrap_or(0);
    format!(
        "The run is of **{} ECGs (source: {}), {} for {}, {epochs}, and {perturbed} ECGs perturbed**; the study's was of 150000 ECGs, 100 epochs and 5000 ECGs perturbed.",
        study.data.ecgs,
        study.data.source,
        match study.targets.len() {
            1 => "1 network".to_owned(),
            count => format!("{count} networks"),
        },
        kind(study),
    )
}

struct Out<'a> {
    text: String,
    tables: &'a [(&'static str, Table)],
    /// Pictures with their captions, and the folder that they lie in.
    captions: &'a [(&'static str, String)],
    folder: &'a str,
}

impl Out<'_> {
    /// A paragraph.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}{text}", if self.text.is_empty() { "" } else { "\n" });
    }

    /// A picture above its caption, if there is one.
    fn picture(&mut self, name: &str) {
        if let Some((_, caption)) = self.captions.iter().find(|picture| picture.0 == name) {
            let caption = caption.trim_end_matches('.').to_owned();
            self.line(&format!("![{caption}.]({}/{name}.svg)", self.folder));
            self.line(&format!("*{}.*", caption.replace('*', "\\*")));
        }
    }

    /// A table, if there is one.
    fn table(&mut self, name: &str) {
        let text = self.tables.iter().find(|table| table.0 == name).map(|(_, table)| table.markdown());
        self.line(text.as_deref().map_or("This run has nothing to show here.", str::trim_end));
    }
}

/// The outcome in a few lines, with the goals that were set for it.
fn summary(out: &mut Out<'_>, of: &Reproduction<'_>, judgements: &[Judgement]) {
    let count = |verdict: Verdict| judgements.iter().filter(|judged| judged.verdict == verdict).count();
    out.line("## In short");
    let mut text = format!(
        "- Of {} sentences of the study {} hold, {} do not hold, {} cannot be told.\n",
        judgements.len(),
        count(Verdict::Holds),
        count(Verdict::DoesNotHold),
        count(Verdict::CannotBeTold)
    );
    let sums = of.areas.iter().map(counted).fold([0; 3], |sums, own| std::array::from_fn(|k| sums[k] + own[k]));
    let (near, class, correlation) = GOALS;
    if sums[2] > 0 {
        let reached = |found: usize, goal: usize| match (sums[2], found >= goal) {
            (60, true) => format!(" (the goal of {goal} is reached)"),
            (60, false) => format!(" (the goal is {goal})"),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "- Of {} cells of Table 4 {} are within 25 % of the published{}; {} are of the published class{}.",
            sums[2],
            sums[0],
            reached(sums[0], near),
            sums[1],
            reached(sums[1], class)
        );
    }
    for areas in &of.areas {
        let _ = writeln!(text, "- {}", agreement(areas, correlation));
    }
    out.line(text.trim_end());
}

/// How the methods' order of one target agrees with the published.
fn agreement(areas: &Areas, goal: f64) -> String {
    let (found, (pairs, apart, same)) = (areas.likeness(false, spearman), told_apart(areas));
    let noise = match apart {
        0 => "the published areas differ by less than the intervals here, so that their order is noise".to_owned(),
        _ => format!(
            "of {pairs} pairs of methods the published areas tell {apart} apart beyond the intervals here, of which {same} stand in the same order"
        ),
    };
    let reached = match found.value {
        value if value >= goal => format!("the goal of {goal} is reached"),
        _ => format!("the goal is {goal}"),
    };
    format!(
        "{}: Spearman's correlation with the published areas {} without Random ({reached}); {noise}.",
        areas.target.title(),
        found.said(2)
    )
}

/// Each sentence with its verdict.
fn sentences(out: &mut Out<'_>, judgements: &[Judgement]) {
    out.line("## The study's sentences");
    out.line(
        "In our words. A verdict follows from the criterion by the figure behind it: *holds* or *does not hold* where the whole 95 % interval says so, *cannot be told* where it does \
         not, or where the run lacks what it takes. “With |y|” is the verdict on areas of |y − ŷ| / |y|: the published \
         formula divides by y with its sign, so that measured values near 0 or of both signs, as at the J point, can make an area anything. “Published” is the verdict of the same criterion on Table 4 as published, which has no intervals; “–” where that table does not \
         say. A sentence on several targets or methods holds if it holds for all.",
    );
    let mut text =
        String::from("| The study says | Verdict | Figure | Criterion | With \\|y\\| | Published |\n|---|---|---|---|---|---|\n");
    for judged in judgements {
        let Judgement { from, says, criterion, verdict, figure, absolute, published, behind: (anchor, name) } = judged;
        let safe = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
        let [absolute, published] = [absolute, published].map(|verdict| verdict.map_or("–", Verdict::words));
        let _ = writeln!(
            text,
            "| {} *({from})* | **{}** | {} [{name}](#{anchor}) | {} | {absolute} | {published} |",
            safe(says),
            verdict.words(),
            safe(figure),
            safe(criterion)
        );
    }
    out.line(text.trim_end());
}
