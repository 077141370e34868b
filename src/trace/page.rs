//! The account as text: one document, written as markdown and as a page that stands alone and prints.

use super::formula::{number, sizes};
use super::{Account, Trace, graph};
use crate::report::svg::escape;
use crate::report::tables::{Cell, Table};
use std::fmt::Write;

/// What a page says about where the trace comes from.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Name and value, in the order shown: model, input, settings, program version.
    pub facts: Vec<(String, String)>,
    /// The heatmap as an SVG element, if it can be drawn.
    pub picture: Option<String>,
    /// The unit of the prediction, empty where the model does not say it.
    pub unit: String,
}

const CSS: &str = include_str!("page.css");

/// The sentences at the top: prediction, sums, where conservation was lost.
fn sentences(trace: &Trace, unit: &str) -> Vec<String> {
    let of = |value: f64| format!("{} {unit}", number(value)).trim_end().to_owned();
    let mut all = vec![format!(
        "The network gives {} for this ECG and {} for the baseline, a difference of {}.",
        of(trace.prediction),
        of(trace.at_baseline),
        of(trace.prediction - trace.at_baseline)
    )];
    all.push(trace.reduction.clone());
    for walk in &trace.walks {
        let lost = walk.at_output - walk.at_input;
        let share = if walk.at_output == 0.0 { String::new() } else { format!(" ({} %)", number(100.0 * (lost / walk.at_output).abs())) };
        let outcome = if lost.abs() <= 1e-9 * walk.at_output.abs() {
            "nothing was lost on the way but rounding".to_owned()
        } else {
            format!("{}{share} was {} on the way", of(lost.abs()), if made(lost, walk) { "made" } else { "lost" })
        };
        all.push(format!(
            "{}: {} is {} at the output and {} at the input; {outcome}.{}",
            walk.title,
            walk.measure,
            of(walk.at_output),
            of(walk.at_input),
            if walk.runs > 1 {
                format!(" Multipliers are means over {} runs, values are those of this ECG.", walk.runs)
            } else {
                String::new()
            }
        ));
        if let Some(distance) = walk.distance_to_map {
            all.push(format!("The account leads to the map of the command explain, within {} of its largest value.", number(distance)));
        }
    }
    all
}

/// Every node of a walk, one a row.
fn account(walk: &Account) -> Table {
    let header = ["Node", "Op", "Shape", "Rule", "‖in‖", "‖out‖", "Σ in", "Σ out", "Lost"];
    let mut table = Table::new(format!("{}, from the output back; Σ is {}", walk.title, walk.measure), header);
    for entry in walk.entries.iter().rev() {
        let mut row = vec![Cell::text(&entry.name), Cell::text(&entry.op), Cell::text(sizes(&entry.shape))];
        match &entry.flow {
            Some(flow) => {
                let out = flow.handed.iter().sum::<f64>();
                let figures = [flow.arrived_norm, flow.handed_norm, flow.arrived, out, flow.lost];
                row.push(Cell::text(&flow.rule));
                row.extend(figures.map(|v| Cell::valued(number(v), v)));
            }
            None => row.extend((0..6).map(|_| Cell::text("–"))),
        }
        table.rows.push(row);
    }
    table
}

/// Whether a difference of sums, what arrived less what was handed on, adds to what is shared out: it has the other sign than the output's sum.
pub(crate) fn made(lost: f64, walk: &Account) -> bool {
    lost * walk.at_output < 0.0
}

/// The nodes that lost (or made) most, with the reason.
fn losses(walk: &Account) -> Option<Table> {
    let scale = walk.at_output.abs().max(f64::MIN_POSITIVE);
    let mut worst: Vec<_> = walk.entries.iter().filter_map(|entry| Some((entry, entry.flow.as_ref()?))).collect();
    worst.retain(|(_, flow)| flow.lost.abs() > 1e-3 * scale);
    worst.sort_by(|a, b| b.1.lost.abs().total_cmp(&a.1.lost.abs()));
    let caption = "Where conservation was lost: the nodes that lost or made more than a thousandth of the output's sum (at most ten; negative shares were made)";
    let mut table = Table::new(caption, ["Node", "Rule", "Lost", "Share of the output's sum, %", "Why"]);
    for (entry, flow) in worst.into_iter().take(10) {
        let share = 100.0 * flow.lost / scale.copysign(walk.at_output);
        table.rows.push(vec![
            Cell::text(&entry.name),
            Cell::text(&flow.rule),
            Cell::valued(number(flow.lost), flow.lost),
            Cell::valued(number(share), share),
            Cell::text(flow.cause),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// ReLU units on different sides in input and baseline.
fn units(walk: &Account) -> Option<Table> {
    let caption =
        "ReLU units that disagree between input and baseline: there a gradient at the input tells nothing of the way from the baseline";
    let mut table = Table::new(caption, ["Node", "Units", "On only for the input", "On only for the baseline", "Disagree, %"]);
    for (entry, units) in walk.entries.iter().filter_map(|entry| Some((entry, entry.units?))) {
        let differ = units.only_input + units.only_baseline;
        let mut row = vec![Cell::text(&entry.name)];
        row.extend([units.all, units.only_input, units.only_baseline].map(|n| Cell::number(n as f64, 0)));
        row.push(Cell::number(100.0 * differ as f64 / units.all.max(1) as f64, 1));
        table.rows.push(row);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// The formulas, from input to output.
fn formulas(walk: &Account) -> Table {
    let mut table = Table::new("What each node computes, from the input on", ["Node", "Reads", "Formula", "Parameters", "‖value‖"]);
    for entry in &walk.entries {
        table.rows.push(vec![
            Cell::text(&entry.name),
            Cell::text(entry.inputs.join(", ")),
            Cell::text(&entry.formula),
            Cell::text(entry.parameters.join("; ")),
            Cell::valued(number(entry.value_norm), entry.value_norm),
        ]);
    }
    table
}

/// The tables of a walk, in the order in which they are read.
fn tables(walk: &Account) -> Vec<Table> {
    let mut all: Vec<Table> = losses(walk).into_iter().collect();
    all.push(account(walk));
    all.extend(units(walk));
    all.push(formulas(walk));
    all
}

const READING: &str = "Reading the account: what arrives at a node is the multiplier (or relevance) of its value; the rule turns it into what \
    each of its inputs receives. ‖in‖ and ‖out‖ are the lengths of the two, Σ in and Σ out their sums; a method conserves where the two sums \
    are equal. A lost sum is no error of the program: most methods promise no conservation, and the table says where they give it up.";

/// The account as markdown.
pub fn markdown(trace: &Trace, about: &About) -> String {
    let mut text = format!("# Trace of a heatmap: {}\n\n", trace.method.title());
    for (name, value) in &about.facts {
        let _ = writeln!(text, "- {name}: {value}");
    }
    let _ = writeln!(text, "\n{}\n", sentences(trace, &about.unit).join("\n\n"));
    if !trace.walks.is_empty() {
        let _ = writeln!(text, "{READING}\n");
    }
    for walk in &trace.walks {
        let _ = writeln!(text, "## {}\n", walk.title);
        for table in tables(walk) {
            let _ = writeln!(text, "{}\n", table.markdown());
        }
    }
    text + "Research software: not a medical device, not for diagnosis.\n"
}

/// The account as a page: no network, no script, prints to A4.
pub fn html(trace: &Trace, about: &About) -> String {
    let title = format!("Trace of a heatmap: {}", trace.method.title());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{0}</title><style>{CSS}</style></head><body><main><h1>{0}</h1><dl>",
        escape(&title)
    );
    for (name, value) in &about.facts {
        let _ = write!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    page += "</dl>";
    for sentence in sentences(trace, &about.unit) {
        let _ = write!(page, "<p class=\"lead\">{}</p>", escape(&sentence));
    }
    if let Some(picture) = &about.picture {
        let _ = write!(page, "<figure>{picture}</figure>");
    }
    if !trace.walks.is_empty() {
        let _ = write!(page, "<p>{}</p>", escape(READING));
    }
    for walk in &trace.walks {
        let _ = write!(page, "<h2>{}</h2>", escape(&walk.title));
        for table in tables(walk) {
            let _ = write!(
                page,
                "<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</div>",
                escape(&table.caption),
                table.html()
            );
        }
    }
    page += "<h2>The program as a graph</h2>";
    for (at, program) in trace.programs.iter().enumerate() {
        let walk = trace.walks.get(at);
        if let Some(walk) = walk.filter(|_| trace.walks.len() > 1) {
            let _ = write!(page, "<h3>{}</h3>", escape(&walk.title));
        }
        let _ = write!(page, "<figure class=\"graph\">{}</figure>", graph::svg(program, walk).inline());
    }
    page + "<footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer></main></body></html>\n"
}
