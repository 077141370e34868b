//! Tables as CSV, Markdown, LaTeX and HTML: one content, four forms.

use super::svg::{escape, plain};
use crate::evaluation::bootstrap::Estimate;
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
    /// As people read it, without the interval.
    pub text: String,
    /// The number behind it, written to CSV in full.
    pub value: Option<f64>,
    /// Its interval as people read it, and its ends, which have columns of their own in CSV.
    pub interval: Option<(String, f64, f64)>,
    /// Whether it is the best of its column.
    pub best: bool,
    /// A file or a place of the page that it leads to in HTML.
    pub link: Option<String>,
}

impl Cell {
    /// A cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Cell { text: text.into(), ..Cell::default() }
    }

    /// A number as people read it.
    pub fn valued(text: impl Into<String>, value: f64) -> Self {
        Cell { text: text.into(), value: Some(value), ..Cell::default() }
    }

    /// A number with `digits` decimals.
    pub fn number(value: f64, digits: usize) -> Self {
        let text = if value.is_finite() { plain(value, digits) } else { "–".into() };
        Cell { text, value: value.is_finite().then_some(value), ..Cell::default() }
    }

    /// A number that may be absent.
    pub fn maybe(value: Option<f64>, digits: usize) -> Self {
        value.map_or_else(|| Cell::text("–"), |value| Cell::number(value, digits))
    }

    /// A figure with its interval, each with `digits` decimals; a figure that is not finite is absent.
    pub fn estimate(estimate: Option<Estimate>, digits: usize) -> Self {
        let Some(found) = estimate.filter(|found| found.value.is_finite()) else { return Cell::text("–") };
        let mut cell = Cell::number(found.value, digits);
        if found.low.is_finite() && found.high.is_finite() {
            cell.interval = Some((format!("{} to {}", plain(found.low, digits), plain(found.high, digits)), found.low, found.high));
        }
        cell
    }

    /// The same, with a word or mark behind the figure.
    pub fn with(mut self, mark: &str) -> Self {
        self.text += mark;
        self
    }

    /// The same, leading somewhere.
    pub fn linked(mut self, to: impl Into<String>) -> Self {
        self.link = Some(to.into());
        self
    }

    /// Figure and interval on one line.
    fn whole(&self) -> String {
        self.interval.as_ref().map_or_else(|| self.text.clone(), |(interval, _, _)| format!("{} ({interval})", self.text))
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

    /// Whether some cell of a column has an interval.
    fn has_interval(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.interval.is_some())
    }

    /// Comma-separated values: numbers in full, absent ones empty; the ends of intervals in columns of their own behind the figure's.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
        };
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let wide: Vec<bool> = (0..self.header.len()).map(|column| self.has_interval(column)).collect();
        let named = |(column, name): (usize, &String)| match wide[column] {
            true => vec![quoted(name), quoted(&format!("{name} low")), quoted(&format!("{name} high"))],
            false => vec![quoted(name)],
        };
        out += &line(self.header.iter().enumerate().flat_map(named).collect());
        for row in &self.rows {
            let cell = |(column, cell): (usize, &Cell)| {
                let value = match cell.value {
                    Some(value) => value.to_string(),
                    None if cell.text == "–" => String::new(),
                    None => quoted(&cell.text),
                };
                let ends =
                    cell.interval.as_ref().map_or([String::new(), String::new()], |(_, low, high)| [low.to_string(), high.to_string()]);
                std::iter::once(value).chain(ends.into_iter().filter(|_| wide.get(column) == Some(&true)).collect::<Vec<String>>())
            };
            out += &line(row.iter().enumerate().flat_map(cell).collect());
        }
        out
    }

    /// Columns of plain text for a terminal, without the caption.
    pub fn plain(&self) -> String {
        let rows =
            || std::iter::once(self.header.clone()).chain(self.rows.iter().map(|row| row.iter().map(Cell::whole).collect::<Vec<String>>()));
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
            let cell = |cell: &Cell| if cell.best { format!("**{}**", safe(&cell.whole())) } else { safe(&cell.whole()) };
            let _ = writeln!(out, "| {} |", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        out
    }

    /// A LaTeX `table` with its caption; it needs no package.
    pub fn latex(&self) -> String {
        let columns = "l".to_owned() + &"r".repeat(self.header.len().saturating_sub(1));
        let mut out = format!("\\begin{{table}}\n\\caption{{{}}}\n\\begin{{tabular}}{{{columns}}}\n\\hline\n", latex(&self.caption));
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        out += &line(self.header.iter().map(|name| latex(name)).collect());
        out += "\\hline\n";
        for row in &self.rows {
            let cell = |cell: &Cell| if cell.best { format!("\\textbf{{{}}}", latex(&cell.whole())) } else { latex(&cell.whole()) };
            out += &line(row.iter().map(cell).collect());
        }
        out + "\\hline\n\\end{tabular}\n\\end{table}\n"
    }

    /// An HTML table with its caption: numbers stand at the right, text at the left, an interval under its figure.
    pub fn html(&self) -> String {
        let mut out = format!("<table><caption>{}</caption><thead><tr>", escape(&self.caption));
        // A column of words, as opposed to one of numbers.
        let worded = |column: usize| {
            let cells = || self.rows.iter().filter_map(move |row| row.get(column)).filter(|cell| cell.text != "–");
            let number = |cell: &Cell| cell.value.is_some() || cell.text.starts_with(|c: char| c.is_ascii_digit() || "−<∞".contains(c));
            column > 0 && cells().next().is_some() && !cells().any(number)
        };
        let side: Vec<&str> = (0..self.header.len()).map(|column| if worded(column) { " class=\"words\"" } else { "" }).collect();
        self.header.iter().zip(&side).for_each(|(name, side)| out += &format!("<th scope=\"col\"{side}>{}</th>", escape(name)));
        out += "</tr></thead><tbody>";
        for row in &self.rows {
            out += "<tr>";
            for (i, cell) in row.iter().enumerate() {
                let mut text = escape(&cell.text);
                if let Some(to) = &cell.link {
                    text = format!("<a href=\"{}\">{text}</a>", escape(to));
                }
                if cell.best {
                    text = format!("<b>{text}</b>");
                }
                if let Some((interval, _, _)) = &cell.interval {
                    text += &format!("<br><small>{}</small>", escape(interval));
                }
                let side = side.get(i).copied().unwrap_or("");
                out += &if i == 0 { format!("<th scope=\"row\">{text}</th>") } else { format!("<td{side}>{text}</td>") };
            }
            out += "</tr>";
        }
        out + "</tbody></table>"
    }
}

/// Text in LaTeX: what has a meaning there is escaped, what its fonts lack is set in mathematics.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '\n' | '\r' => out.push(' '),
            '–' => out += "--",
            '|' => out += "$|$",
            '<' => out += "$<$",
            '>' => out += "$>$",
            '−' => out += "$-$",
            '×' => out += "$\\times$",
            '±' => out += "$\\pm$",
            'µ' => out += "$\\mu$",
            'χ' => out += "$\\chi$",
            'κ' => out += "$\\kappa$",
            'α' => out += "$\\alpha$",
            'Σ' => out += "$\\Sigma$",
            'ŷ' => out += "$\\hat{y}$",
            '²' => out += "$^2$",
            '′' => out += "$'$",
            '≤' => out += "$\\leq$",
            '≥' => out += "$\\geq$",
            '→' => out += "$\\to$",
            '↑' => out += "$\\uparrow$",
            '↓' => out += "$\\downarrow$",
            '∞' => out += "$\\infty$",
            '∛' => out += "cube root of ",
            '“' => out += "``",
            '”' => out += "''",
            '·' => out += "$\\cdot$",
            c => out.push(c),
        }
    }
    out
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
    fn intervals_have_columns_of_their_own_for_programs_and_a_line_of_their_own_for_people() {
        let mut table = Table::new("Areas", ["method", "a", "what"]);
        let estimate = Estimate { value: 1.23456, low: -1.0, high: 2.5, ecgs: 9 };
        table.rows.push(vec![Cell::text("x"), Cell::estimate(Some(estimate), 2).with(" (1)"), Cell::text("good")]);
        table.rows.push(vec![Cell::text("y").linked("y.svg"), Cell::estimate(None, 2), Cell::text("50 % _off_")]);
        assert_eq!(table.csv(), "method,a,a low,a high,what\nx,1.23456,-1,2.5,good\ny,,,,50 % _off_\n");
        assert!(table.markdown().contains("| x | 1.23 (1) (−1.00 to 2.50) | good |"), "{}", table.markdown());
        assert!(table.html().contains("<td>1.23 (1)<br><small>−1.00 to 2.50</small></td>"), "{}", table.html());
        assert!(table.html().contains("<a href=\"y.svg\">y</a>") && !table.html().contains("class=\"words\""));
        table.rows[1][2] = Cell::text("bad");
        assert!(
            table.html().contains("<th scope=\"col\" class=\"words\">what</th>") && table.html().contains("<td class=\"words\">bad</td>")
        );
        let nothing = Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN, ecgs: 0 };
        assert_eq!(Cell::estimate(Some(nothing), 2).text, "–");
        table.rows[1][2] = Cell::text("50 % _off_");
        assert!(table.latex().contains("y & -- & 50 \\% \\_off\\_ \\\\\n"), "{}", table.latex());
    }

    #[test]
    fn one_content_four_forms() {
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
        assert!(table.latex().contains("x$|$$<$y$>$ & \\textbf{$-$0.12} \\\\\n"), "{}", table.latex());
    }
}
