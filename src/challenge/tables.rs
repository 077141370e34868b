//! The tables of a challenge.

use super::findings::{Criterion, Findings, plainly};
use super::replace::Replacement;
use super::run::Challenged;
use super::similarity::SIMILARITIES;
use super::summary::{Better, Column, Estimate, Resamples};
use crate::report::tables::{Cell, Table};

/// A figure and its interval, with the decimals that the larger of their sizes leaves room for.
pub(super) fn cell(estimate: Option<Estimate>) -> Cell {
    let most = estimate.map_or(0.0, |e| e.value.abs().max(e.low.abs()).max(e.high.abs()));
    Cell::estimate(estimate, if most >= 100.0 { 0 } else { 2 })
}

/// One target's table: criteria in rows, methods in columns, with intervals. The best of each row whose criterion can rank alone is marked, the control
/// left out.
pub fn main_table(challenged: &Challenged, columns: &[Column]) -> Table {
    let methods = challenged.methods.iter().map(|method| method.title().to_owned());
    let header = std::iter::once("Criterion".to_owned()).chain(methods);
    let caption = format!(
        "{} ({}): every criterion and method; mean over ECGs, and below it the 95 % bootstrap interval over ECGs. ↑ larger is better, ↓ smaller is better. Bold: \
         the best of a criterion that can rank by itself; the others are passed best by a map that says nothing (of one constant, or of the ECG alone), and \
         count only together.",
        challenged.target.title(),
        challenged.name
    );
    let mut table = Table::new(caption, header);
    for column in columns {
        let arrow = match column.better {
            Better::Higher => " ↑",
            Better::Lower => " ↓",
            Better::Neither => "",
        };
        let best = best(challenged, column);
        let one = |(at, estimate): (usize, &Option<Estimate>)| Cell { best: best == Some(at), ..cell(*estimate) };
        let cells = column.cells.iter().enumerate().map(one);
        table.rows.push(std::iter::once(Cell::text(format!("{}{arrow}", column.title))).chain(cells).collect());
    }
    table
}

/// The best method of a column that can rank alone; the random control does not compete.
pub(super) fn best(challenged: &Challenged, column: &Column) -> Option<usize> {
    if !column.ranks_alone {
        return None;
    }
    let competes = |at: &usize| challenged.methods[*at] != crate::attribution::Method::Random;
    let known = (0..column.cells.len()).filter(competes).filter_map(|at| Some((at, column.cells[at]?.value)));
    match column.better {
        Better::Higher => known.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|best| best.0),
        Better::Lower => known.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))).map(|best| best.0),
        Better::Neither => None,
    }
}

/// Every figure of every network as one long table for programs.
pub(super) fn long_table(all: &[(&Challenged, Vec<Column>)]) -> Table {
    let mut table = Table::new("Every criterion and method", ["target", "criterion", "better", "method", "value", "low", "high", "ecgs"]);
    for (challenged, columns) in all {
        for column in columns {
            for (method, estimate) in challenged.methods.iter().zip(&column.cells) {
                let better = match column.better {
                    Better::Higher => "higher",
                    Better::Lower => "lower",
                    Better::Neither => "neither",
                };
                let mut row = vec![Cell::text(&challenged.name), Cell::text(&column.name), Cell::text(better), Cell::text(method.name())];
                row.extend([estimate.map(|e| e.value), estimate.map(|e| e.low), estimate.map(|e| e.high)].map(|v| Cell::maybe(v, 4)));
                row.push(Cell::number(estimate.map_or(0.0, |e| e.ecgs as f64), 0));
                table.rows.push(row);
            }
        }
    }
    table
}

/// The details of one network, with the names of their files: similarities by layer and control network, scores in the target's unit,
/// likeness of the methods, localisation.
pub(super) fn details(challenged: &Challenged, seed: u64) -> Vec<(&'static str, Table)> {
    let mut resamples = Resamples::new(seed);
    let mut all = Vec::new();
    let of = |criterion| challenged.of(criterion);
    for (criterion, name, what) in [
        (Criterion::Cascading, "cascading", "layers randomised one after another from the output"),
        (Criterion::Independent, "independent", "one layer randomised"),
        (Criterion::PermutedLabels, "permuted_labels", "trained on permuted labels"),
        (Criterion::Seeds, "seeds", "trained from another seed"),
    ] {
        all.extend(of(criterion).map(|found| (name, similarity_table(challenged, found, what, &mut resamples))));
    }
    all.extend(of(Criterion::Replacement).map(|found| ("replacement", replacement_table(challenged, found, &mut resamples))));
    all.extend(of(Criterion::Likeness).map(|found| ("likeness", likeness_table(challenged, found))));
    all.extend(of(Criterion::Localisation).map(|found| ("localisation", localisation_table(challenged, found, &mut resamples))));
    all.extend(of(Criterion::Infidelity).map(|found| ("infidelity", infidelity_table(challenged, found, &mut resamples))));
    all
}

/// A table of rows by name, columns by method.
fn by_method(challenged: &Challenged, caption: String, first: &str) -> Table {
    let methods = challenged.methods.iter().map(|method| method.title().to_owned());
    Table::new(caption, std::iter::once(first.to_owned()).chain(methods))
}

fn row(challenged: &Challenged, found: &Findings, name: String, measure: &str, resamples: &mut Resamples) -> Vec<Cell> {
    row_at(challenged, found, name, (None, measure), resamples)
}

fn row_at(
    challenged: &Challenged,
    found: &Findings,
    name: String,
    (layer, measure): (Option<&str>, &str),
    resamples: &mut Resamples,
) -> Vec<Cell> {
    let one = |method: &crate::attribution::Method, resamples: &mut Resamples| {
        cell(found.values_at(layer, measure, method.name()).and_then(|values| resamples.mean(values)))
    };
    std::iter::once(Cell::text(name)).chain(challenged.methods.iter().map(|method| one(method, resamples))).collect()
}

fn similarity_table(challenged: &Challenged, found: &Findings, what: &str, resamples: &mut Resamples) -> Table {
    let caption = format!("{}: likeness of heatmaps to the network's own, {what}", challenged.target.title());
    let mut table = by_method(challenged, caption, "Likeness");
    for similarity in SIMILARITIES {
        for measure in &found.measures {
            // A layer may be called as another row is: it is said to be one.
            let part = match (&measure.layer, measure.name.strip_suffix(similarity)) {
                (Some(layer), Some("")) => format!("layer {}", plainly(layer)),
                (None, Some(network)) => network.trim_end_matches('.').to_owned(),
                _ => continue,
            };
            let name = format!("{}, {part}", similarity.replace('_', " "));
            table.rows.push(row_at(challenged, found, name, (measure.layer.as_deref(), &measure.name), resamples));
        }
    }
    table
}

fn replacement_table(challenged: &Challenged, found: &Findings, resamples: &mut Resamples) -> Table {
    let unit = challenged.target.unit();
    let caption = format!("{}: mean |f(x′) − f(x)| over the steps, {unit}", challenged.target.title());
    let mut table = by_method(challenged, caption, "Replacement");
    table.header.extend(["Random orders".to_owned(), "Oracle".to_owned()]);
    for kind in Replacement::ALL {
        for (what, title) in [("morf", "most relevant first"), ("lerf", "least relevant first")] {
            let name = format!("{}, {title}", kind.title());
            let mut cells = row(challenged, found, name, &format!("{}.{what}", kind.name()), resamples);
            for of in ["random_orders", "oracle"] {
                let bound = found.values(&format!("{}.bounds", kind.name()), of).and_then(|values| resamples.mean(values));
                cells.push(cell(bound));
            }
            table.rows.push(cells);
        }
    }
    table
}

fn likeness_table(challenged: &Challenged, found: &Findings) -> Table {
    let caption = format!("{}: rank correlation of |attribution| between methods, mean over ECGs", challenged.target.title());
    let mut table = by_method(challenged, caption, "Method");
    for method in &challenged.methods {
        let cell = |other: &crate::attribution::Method| {
            let known: Vec<f64> = found.values(other.name(), method.name()).unwrap_or_default().iter().flatten().copied().collect();
            Cell::maybe((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64), 2)
        };
        table.rows.push(std::iter::once(Cell::text(method.title())).chain(challenged.methods.iter().map(cell)).collect());
    }
    table
}

fn localisation_table(challenged: &Challenged, found: &Findings, resamples: &mut Resamples) -> Table {
    let caption = format!("{}: share of |attribution| in the segment where it is measured", challenged.target.title());
    let mut table = by_method(challenged, caption, "Figure");
    table.header.push("The segment".into());
    for (measure, title) in [("share", "share of |attribution|"), ("ratio", "the same / share of points")] {
        let mut cells = row(challenged, found, title.into(), measure, resamples);
        let points = found.values("points", "segment").and_then(|values| resamples.mean(values));
        cells.push(if measure == "share" { cell(points) } else { Cell::text("–") });
        table.rows.push(cells);
    }
    table
}

fn infidelity_table(challenged: &Challenged, found: &Findings, resamples: &mut Resamples) -> Table {
    let unit = challenged.target.unit();
    let caption = format!("{}: infidelity (raw and with the best factor in {unit}²)", challenged.target.title());
    let mut table = by_method(challenged, caption, "Perturbation");
    for measure in &found.measures {
        let name = measure.name.replace('.', ", ");
        table.rows.push(row(challenged, found, name, &measure.name, resamples));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::findings::{Measure, Row};
    use super::super::summary::columns;
    use super::*;
    use crate::attribution::Method;

    /// Findings of two layers and of their mean, each with a figure of its own.
    fn challenged(layers: [&str; 2]) -> Challenged {
        let measure = |layer: Option<&str>, name: &str, value: f64| Measure {
            name: name.into(),
            layer: layer.map(str::to_owned),
            rows: vec![Row { of: "saliency".into(), values: vec![Some(value); 3] }],
        };
        let found = |criterion| Findings {
            criterion,
            digest: String::new(),
            ecgs: vec![0, 1, 2],
            measures: vec![
                measure(Some(layers[0]), "spearman_absolute", 0.25),
                measure(Some(layers[1]), "spearman_absolute", 0.75),
                measure(None, "mean.spearman_absolute", 0.5),
            ],
            remarks: Vec::new(),
        };
        Challenged {
            name: "pr".into(),
            target: crate::dataset::Target::Pr,
            methods: vec![Method::Saliency],
            findings: vec![found(Criterion::Cascading), found(Criterion::Independent)],
        }
    }

    #[test]
    fn a_layer_of_any_name_meets_no_other_figure() {
        for layers in [["mean", "fc"], ["fc", "mean"], ["mean.spearman_absolute", "a, \"b\".c\n|"], ["x.spearman_absolute", ""]] {
            let challenged = challenged(layers);
            let columns = columns(&challenged, 1);
            let of = |name: &str| columns.iter().find(|column| column.name == name).and_then(|column| column.cells[0]).map(|e| e.value);
            assert_eq!((of("cascading.all"), of("independent.mean.spearman_absolute")), (Some(0.75), Some(0.5)), "{layers:?}");
            for (_, table) in details(&challenged, 1) {
                let rows: Vec<(&str, &str)> = table.rows.iter().map(|row| (row[0].text.as_str(), row[1].text.as_str())).collect();
                let names: Vec<String> = layers.iter().map(|layer| format!("spearman absolute, layer {}", plainly(layer))).collect();
                assert_eq!(rows, [(&*names[0], "0.25"), (&*names[1], "0.75"), ("spearman absolute, mean", "0.50")]);
                assert_eq!((table.csv().lines().count(), table.markdown().lines().count()), (4, 7));
            }
            let text = serde_json::to_string(&challenged.findings[0]).expect("JSON");
            assert_eq!(serde_json::from_str::<Findings>(&text).expect("findings"), challenged.findings[0]);
        }
    }
}
