//! An evaluation as a table, as JSON and as lines of text.

use super::Evaluated;
use crate::dataset::{Part, Target, TargetKind};
use crate::evaluation::worth::Figure;
use crate::report::tables::{Cell, Table};
use serde_json::{Value, json};

/// The name of a figure for people, and whether it has the target's unit.
fn title(name: &str) -> (&str, bool) {
    match name {
        "mae" => ("MAE", true),
        "rmse" => ("RMSE", true),
        "r2" => ("R²", false),
        "bias" => ("bias", true),
        "lower_limit" => ("lower limit of agreement", true),
        "upper_limit" => ("upper limit of agreement", true),
        "auroc" => ("AUROC", false),
        "auprc" => ("AUPRC", false),
        "brier" => ("Brier", false),
        "f1" => ("F1", false),
        other => (other, false),
    }
}

/// Every figure with its interval, one a row.
pub(super) fn table(rows: &[Evaluated], part: Part) -> Table {
    let mut table =
        Table::new("Figures", ["model", "target", "part", "subgroup", "figure", "unit", "value", "low", "high", "n", "threshold"]);
    for row in rows {
        let whole = std::iter::once((String::new(), row.metrics.n, &row.figures));
        let parts = row.by.iter().map(|by| (format!("{}={}", by.column, by.text), by.n, &by.figures));
        for (subgroup, n, figures) in whole.chain(parts) {
            for figure in figures {
                let unit = if title(figure.name).1 { row.target.error_unit() } else { "" };
                let value = |of: fn(&crate::evaluation::bootstrap::Estimate) -> f64| {
                    Cell::maybe(figure.estimate.as_ref().map(of).filter(|value| value.is_finite()), 6)
                };
                table.rows.push(vec![
                    Cell::text(&row.model),
                    Cell::text(row.target.name()),
                    Cell::text(part.name()),
                    Cell::text(subgroup.clone()),
                    Cell::text(figure.name),
                    Cell::text(unit),
                    value(|e| e.value),
                    value(|e| e.low),
                    value(|e| e.high),
                    Cell::number(n as f64, 0),
                    Cell::maybe(row.threshold.map(|chosen| chosen.0), 6),
                ]);
            }
        }
    }
    table
}

fn figures(all: &[Figure]) -> Value {
    let finite = |value: f64| value.is_finite().then_some(value);
    let one = |figure: &Figure| {
        let value =
            figure.estimate.map(|e| json!({ "value": finite(e.value), "low": finite(e.low), "high": finite(e.high), "ecgs": e.ecgs }));
        (figure.name.to_owned(), value.unwrap_or(Value::Null))
    };
    Value::Object(all.iter().map(one).collect())
}

/// For programs.
pub(super) fn json(rows: &[Evaluated]) -> Value {
    let one = |row: &Evaluated| {
        let by: Vec<Value> = row
            .by
            .iter()
            .map(|by| json!({ "column": by.column, "value": by.text, "ecgs": by.n, "figures": figures(&by.figures) }))
            .collect();
        let mut told = json!({
            "model": row.model, "target": row.target.name(), "unit": row.target.unit(), "metrics": row.metrics, "against_exact": row.exact,
            "trained_on_this_dataset": row.same_data, "figures": figures(&row.figures),
        });
        if let Some((at, chosen)) = row.threshold {
            told["threshold"] = json!({ "value": at, "chosen_by": if chosen { "youden on validation" } else { "request" } });
            told["calibration"] = json!(row.calibration);
        }
        if !by.is_empty() {
            told["by"] = json!(by);
        }
        told
    };
    rows.iter().map(one).collect()
}

/// A figure with its interval for people.
fn worded(figure: &Figure, target: Target) -> String {
    let (title, has_unit) = title(figure.name);
    let Some(e) = figure.estimate else { return format!("{title} –") };
    let unit = if has_unit && !target.error_unit().is_empty() { format!(" {}", target.error_unit()) } else { String::new() };
    let interval = if e.low.is_finite() { format!(" ({:.3} to {:.3})", e.low, e.high) } else { String::new() };
    format!("{title} {:.3}{interval}{unit}", e.value)
}

/// For people: the figures of the part, then those of each subgroup, with 95 % intervals.
pub(super) fn words(row: &Evaluated, part: Part) -> Vec<String> {
    let listed = |figures: &[Figure]| figures.iter().map(|figure| worded(figure, row.target)).collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("{}, {part} part, with 95 % intervals: {}", row.target, listed(&row.figures))];
    if let (Some((at, chosen)), TargetKind::Binary) = (row.threshold, row.target.kind()) {
        let how = if chosen { "by Youden's index on the validation part" } else { "as asked, or 0.5" };
        lines.push(format!("  a yes from a probability of {at:.3} up ({how})"));
        let bins: Vec<String> =
            row.calibration.iter().map(|bin| format!("{:.2} → {:.2} ({})", bin.predicted, bin.observed, bin.n)).collect();
        lines.push(format!("  predicted → observed share (ECGs): {}", bins.join(", ")));
    }
    lines.extend(row.by.iter().map(|by| format!("  {} {}, {} ECGs: {}", by.column, by.text, by.n, listed(&by.figures))));
    lines
}
