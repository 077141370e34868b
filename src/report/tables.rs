//! Tables as CSV, Markdown and HTML: one content, three forms.

use super::svg::{escape, plain};
use std::fmt::Write;

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it shows; stands above it.
    pub caption: String,
    /// Column names; the first is that of the row names.
    pub header: Vec<String>,
    /// Rows; the first cell names the row.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// As people read it.
    pub text: String,
    /// The number behind it, written to CSV in full.
    pub value: Option<f64>,
    /// Whether it is the best of its column.
    pub best: bool,
}

impl Cell {
    /// A cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Cell { text: text.into(), value: None, best: false }
    }

    /// A number with `digits` decimals.
    pub fn number(value: f64, digits: usize) -> Self {
        let text = if value.is_finite() { plain(value, digits) } else { "–".into() };
        Cell { text, value: value.is_finite().then_some(value), best: false }
    }

    /// A number that may be absent.
    pub fn maybe(value: Option<f64>, digits: usize) -> Self {
        value.map_or_else(|| Cell::text("–"), |value| Cell::number(value, digits))
    }
}

impl Table {
    /// A table without rows.
    pub fn new(caption: impl Into<String>, header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table { caption: caption.into(), header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Marks the largest number of each column (of the rows before `rows`) as best.
    pub fn mark_largest(&mut self, rows: usize) {
        for column in 1..self.header.len() {
            let cells = || self.rows.iter().take(rows).filter_map(|row| row.get(column)?.value);
            let Some(most) = cells().max_by(f64::total_cmp) else { continue };
            for row in self.rows.iter_mut().take(rows) {
                if let Some(cell) = row.get_mut(column) {
                    cell.best = cell.value == Some(most);
                }
            }
        }
    }

    /// Comma-separated values: numbers in full, absent ones empty.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
        };
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        out += &line(self.header.iter().map(|name| quoted(name)).collect());
        for row in &self.rows {
            let cell = |cell: &Cell| match cell.value {
                Some(value) => value.to_string(),
                None if cell.text == "–" => String::new(),
                None => quoted(&cell.text),
            };
            out += &line(row.iter().map(cell).collect());
        }
        out
    }

    /// Columns of plain text for a terminal, without the caption.
    pub fn plain(&self) -> String {
        let rows = || {
            std::iter::once(self.header.iter().map(String::as_str).collect::<Vec<_>>())
                .chain(self.rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()))
        };
        let width = |column: usize| rows().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut out = String::new();
        for row in rows() {
            let cells = row.iter().zip(&widths).enumerate();
            let text: Vec<String> =
                cells.map(|(at, (cell, width))| if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }).collect();
            let _ = writeln!(out, "{}", text.join("  ").trim_end());
        }
        out
    }

    /// A Markdown table under its caption.
    pub fn markdown(&self) -> String {
        let mut out = format!("{}\n\n", self.caption);
        // A row is one line.
        let safe = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
        let _ = writeln!(out, "| {} |", self.header.iter().map(|name| safe(name)).collect::<Vec<_>>().join(" | "));
        let _ = writeln!(out, "|---|{}", "---:|".repeat(self.header.len().saturating_sub(1)));
        for row in &self.rows {
            let cell = |cell: &Cell| if cell.best { format!("**{}**", safe(&cell.text)) } else { safe(&cell.text) };
            let _ = writeln!(out, "| {} |", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        out
    }

    /// An HTML table with its caption.
    pub fn html(&self) -> String {
        let mut out = format!("<table><caption>{}</caption><thead><tr>", escape(&self.caption));
        self.header.iter().for_each(|name| out += &format!("<th scope=\"col\">{}</th>", escape(name)));
        out += "</tr></thead><tbody>";
        for row in &self.rows {
            out += "<tr>";
            for (i, cell) in row.iter().enumerate() {
                let text = escape(&cell.text);
                out += &match (i, cell.best) {
                    (0, _) => format!("<th scope=\"row\">{text}</th>"),
                    (_, true) => format!("<td><b>{text}</b></td>"),
                    (_, false) => format!("<td>{text}</td>"),
                };
            }
            out += "</tr>";
        }
        out + "</tbody></table>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_several_lines_stays_in_its_cell() {
        let mut table = Table::new("Areas", ["method", "a"]);
        table.rows.push(vec![Cell::text("x\r\n| 1 |"), Cell::number(1.0, 0)]);
        assert_eq!(table.markdown().lines().count(), 5);
        assert_eq!(table.csv(), "method,a\n\"x\r\n| 1 |\",1\n");
    }

    #[test]
    fn one_content_three_forms() {
        let mut table = Table::new("Areas", ["method", "a, b"]);
        table.rows.push(vec![Cell::text("x|<y>"), Cell::number(-0.123456, 2)]);
        table.rows.push(vec![Cell::text("z"), Cell::maybe(None, 2)]);
        table.mark_largest(2);
        assert_eq!(table.csv(), "method,\"a, b\"\nx|<y>,-0.123456\nz,\n");
        assert_eq!(
            table.markdown(),
            "Areas\n\n| method | a, b |\n|---|---:|\n| x\\||<y> | **−0.12** |\n| z | – |\n".replace("\\||", "\\|")
        );
        assert!(table.html().contains("<th scope=\"row\">x|&lt;y&gt;</th><td><b>−0.12</b></td>"));
    }
}
