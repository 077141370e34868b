//! Method × criterion as a picture: how each figure stands beside the random control's.

use super::run::Challenged;
use super::summary::{Better, Column, Estimate};
use super::tables::cell;
use crate::attribution::Method;
use crate::report::colour::Style;
use crate::report::methods::short;
use crate::report::svg::{Svg, Type};

/// What the picture shows, for its caption.
pub const READING: &str = "Every criterion (rows) and method (columns): blue with ▲ where the figure's whole interval is better than the random control's, orange with ▼ where it is \
                           worse, grey where the two intervals meet or a criterion has no better side. A map that is better than unrelated maps need not be right.";

/// Sizes: of a cell, of the criteria's names, of the methods'.
const CELL: (f64, f64) = (74.0, 22.0);
const LEFT: f64 = 420.0;
const TOP: f64 = 46.0;

/// How a figure stands beside the control's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Better,
    Worse,
    Open,
}

/// A figure beside the control's: told apart where the intervals do not meet.
fn standing(better: Better, figure: Estimate, control: Estimate) -> Standing {
    let (above, below) = (figure.low > control.high, figure.high < control.low);
    match better {
        Better::Higher if above => Standing::Better,
        Better::Higher if below => Standing::Worse,
        Better::Lower if below => Standing::Better,
        Better::Lower if above => Standing::Worse,
        _ => Standing::Open,
    }
}

/// The picture of one network.
pub fn criteria(challenged: &Challenged, columns: &[Column], style: Style) -> Svg {
    let inks = style.inks();
    let control = challenged.methods.iter().position(|method| *method == Method::Random);
    let size = (LEFT + CELL.0 * challenged.methods.len() as f64 + 10.0, TOP + CELL.1 * columns.len() as f64 + 10.0);
    let name = format!(
        "{}: how each method's figures stand beside the random control's: {}",
        challenged.target.title(),
        counted(challenged, columns)
    );
    let mut svg = Svg::new(size.0, size.1, name, inks.ground);
    svg.text(10.0, 18.0, Type::new(12.0, inks.ink).bold(), challenged.target.title());
    for (at, method) in challenged.methods.iter().enumerate() {
        svg.text(LEFT + CELL.0 * (at as f64 + 0.5), TOP - 8.0, Type::new(10.0, inks.ink).middle(), short(method.name()));
    }
    for (row, column) in columns.iter().enumerate() {
        let y = TOP + CELL.1 * row as f64;
        svg.text(LEFT - 8.0, y + 15.0, Type::new(10.0, inks.ink).end(), &column.title);
        for (at, figure) in column.cells.iter().enumerate() {
            let Some(figure) = figure else { continue };
            let beside = control.filter(|control| *control != at).and_then(|control| column.cells[control]);
            let found = beside.map_or(Standing::Open, |control| standing(column.better, *figure, control));
            let (fill, mark) = match found {
                Standing::Better => ("#9ecae1", "▲ "),
                Standing::Worse => ("#fdbe85", "▼ "),
                Standing::Open => ("#e4e6ea", ""),
            };
            let x = LEFT + CELL.0 * at as f64;
            svg.rect(x, y, CELL.0 - 1.0, CELL.1 - 1.0, &format!("fill=\"{fill}\""));
            let text = format!("{mark}{}", cell(Some(*figure)).text);
            svg.text(x + CELL.0 / 2.0, y + 15.0, Type::new(10.5, "#111111").middle(), &text);
        }
    }
    svg
}

/// What the picture comes to, in words.
fn counted(challenged: &Challenged, columns: &[Column]) -> String {
    let Some(control) = challenged.methods.iter().position(|method| *method == Method::Random) else { return "there is no control".into() };
    let of = |at: usize, wanted: Standing| {
        let pairs = columns.iter().filter_map(|column| Some(standing(column.better, column.cells[at]?, column.cells[control]?)));
        pairs.filter(|found| *found == wanted).count()
    };
    let others = challenged.methods.iter().enumerate().filter(|(at, _)| *at != control);
    let words: Vec<String> = others
        .map(|(at, method)| format!("{} better in {}, worse in {}", method.title(), of(at, Standing::Better), of(at, Standing::Worse)))
        .collect();
    format!("{}, of {} criteria", words.join("; "), columns.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_the_control_by_their_intervals() {
        let at = |low: f64, high: f64| Estimate { value: 0.5 * (low + high), low, high, ecgs: 9 };
        let control = at(0.4, 0.5);
        let of = |better: Better| [at(0.6, 0.7), at(0.45, 0.7), at(0.1, 0.2)].map(|figure| standing(better, figure, control));
        assert_eq!(of(Better::Higher), [Standing::Better, Standing::Open, Standing::Worse]);
        assert_eq!(of(Better::Lower), [Standing::Worse, Standing::Open, Standing::Better]);
        assert_eq!(of(Better::Neither), [Standing::Open; 3]);
    }
}
