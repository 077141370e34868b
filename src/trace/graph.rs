//! The program as a graph: DOT for Graphviz, and an SVG of our own, from input to output, with residual connections on the right.

use super::formula::{number, sizes};
use super::{Account, Entry};
use crate::report::svg::{Svg, Type};
use crate::tape::{NodeId, Op, OpClass, OpKind, Program};
use std::collections::HashMap;
use std::fmt::Write;

const BOX: (f64, f64) = (270.0, 40.0);
const PITCH: f64 = 60.0;
const COLUMN: f64 = 300.0;
const LANE: f64 = 16.0;
const MARGIN: f64 = 24.0;
/// Room at the left for rule and relevance.
const NOTES: f64 = 230.0;

/// The program in the DOT language; parameters are left out.
pub fn dot(program: &Program) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::from("digraph program {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for node in program.nodes().iter().filter(|node| node.op.kind() != OpKind::Parameter) {
        let label = quote(&format!("{}\n{}", node.name, node.op)).replace('\n', "\\n");
        let _ = writeln!(text, "  {} [label={label}];", quote(&node.name));
        for input in &node.inputs[..node.op.signals(node.inputs.len())] {
            let _ = writeln!(text, "  {} -> {};", quote(&program.node(*input).name), quote(&node.name));
        }
    }
    text + "}\n"
}

/// Where the nodes stand.
struct Layout {
    /// Row and column of each node that is drawn.
    place: Vec<Option<(usize, usize)>>,
    rows: usize,
    columns: usize,
}

/// Rows by the longest way from an input; in each row, the node with the longest way to the end stands in the first column.
fn layout(program: &Program) -> Layout {
    let count = program.nodes().len();
    let signals = |id: NodeId| {
        let node = program.node(id);
        node.inputs[..node.op.signals(node.inputs.len())].to_vec()
    };
    let drawn = |id: &NodeId| program.node(*id).op.kind() != OpKind::Parameter;
    let (mut depth, mut height) = (vec![0usize; count], vec![0usize; count]);
    for id in program.ids().filter(drawn) {
        depth[id.0] = signals(id).iter().filter(|input| drawn(input)).map(|input| depth[input.0] + 1).max().unwrap_or(0);
    }
    for id in program.ids().rev().filter(drawn) {
        for input in signals(id) {
            height[input.0] = height[input.0].max(height[id.0] + 1);
        }
    }
    let rows = program.ids().filter(drawn).map(|id| depth[id.0] + 1).max().unwrap_or(0);
    let mut by_row: Vec<Vec<NodeId>> = vec![Vec::new(); rows];
    program.ids().filter(drawn).for_each(|id| by_row[depth[id.0]].push(id));
    let (mut place, mut columns) = (vec![None; count], 1);
    for (row, ids) in by_row.iter_mut().enumerate() {
        ids.sort_by_key(|id| (std::cmp::Reverse(height[id.0]), *id));
        columns = columns.max(ids.len());
        for (column, id) in ids.iter().enumerate() {
            place[id.0] = Some((row, column));
        }
    }
    Layout { place, rows, columns }
}

/// Lanes at the right for connections that jump over rows, so that no two share a stretch.
fn lanes(program: &Program, layout: &Layout) -> HashMap<(NodeId, NodeId), usize> {
    let mut free_from: Vec<usize> = Vec::new();
    let mut lanes = HashMap::new();
    let mut jumps: Vec<(usize, usize, NodeId, NodeId)> = edges(program)
        .filter_map(|(from, to)| {
            let ((a, first), (b, second)) = (layout.place[from.0]?, layout.place[to.0]?);
            (first == 0 && second == 0 && b > a + 1).then_some((a, b, from, to))
        })
        .collect();
    jumps.sort_unstable_by_key(|(a, b, ..)| (*a, *b));
    for (a, b, from, to) in jumps {
        let lane = free_from.iter().position(|free| *free <= a).unwrap_or_else(|| {
            free_from.push(0);
            free_from.len() - 1
        });
        free_from[lane] = b;
        lanes.insert((from, to), lane);
    }
    lanes
}

/// Every connection between nodes that are no parameters.
fn edges(program: &Program) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
    program.ids().filter(|id| program.node(*id).op.kind() != OpKind::Parameter).flat_map(|id| {
        let node = program.node(id);
        let signals = &node.inputs[..node.op.signals(node.inputs.len())];
        signals.iter().filter(|input| program.node(**input).op.kind() != OpKind::Parameter).map(move |input| (*input, id))
    })
}

/// The program as a picture, from the input at the top to the output. With a walk, each node's rule and relevance stand at its left.
pub fn svg(program: &Program, walk: Option<&Account>) -> Svg {
    let layout = layout(program);
    let lanes = lanes(program, &layout);
    let notes = if walk.is_some() { NOTES } else { 0.0 };
    let most = lanes.values().max().map_or(0, |lane| lane + 1) as f64;
    let width = 2.0 * MARGIN + notes + layout.columns as f64 * COLUMN + most * LANE;
    let height = 2.0 * MARGIN + layout.rows as f64 * PITCH - (PITCH - BOX.1);
    let mut svg = Svg::new(width, height, "The program as a graph, from its input at the top to its output", "#ffffff");
    let corner = |(row, column): (usize, usize)| (MARGIN + notes + column as f64 * COLUMN, MARGIN + row as f64 * PITCH);
    let right = MARGIN + notes + layout.columns as f64 * COLUMN;
    for (from, to) in edges(program) {
        let (Some(a), Some(b)) = (layout.place[from.0], layout.place[to.0]) else { continue };
        let lane = lanes.get(&(from, to)).map(|lane| right + *lane as f64 * LANE);
        connect(&mut svg, a, b, corner(a), corner(b), lane);
    }
    let scale = walk.map_or(0.0, |walk| walk.at_output.abs());
    let entries: HashMap<&str, &Entry> =
        walk.map(|walk| walk.entries.iter().map(|entry| (entry.name.as_str(), entry)).collect()).unwrap_or_default();
    for id in program.ids() {
        let Some(place) = layout.place[id.0] else { continue };
        let node = program.node(id);
        let entry = entries.get(node.name.as_str()).copied();
        draw(&mut svg, corner(place), &node.name, &node.op.to_string(), entry, colour(&node.op));
        if let (Some(entry), 0) = (entry, place.1) {
            note(&mut svg, corner(place), entry, scale);
        }
    }
    svg
}

fn connect(svg: &mut Svg, a: (usize, usize), b: (usize, usize), from: (f64, f64), to: (f64, f64), lane: Option<f64>) {
    let (top, bottom) = ((to.0 + BOX.0 / 2.0, to.1), (from.0 + BOX.0 / 2.0, from.1 + BOX.1));
    let side = |corner: (f64, f64), share: f64| (corner.0 + BOX.0, corner.1 + BOX.1 * share);
    let (d, tip, down) = match lane {
        Some(x) => {
            let (start, end) = (side(from, 0.75), side(to, 0.25));
            let d = format!(
                "M{} {}H{}Q{x} {} {x} {}V{}Q{x} {} {} {}H{}",
                start.0,
                start.1,
                x - 8.0,
                start.1,
                start.1 + 8.0,
                end.1 - 8.0,
                end.1,
                x - 8.0,
                end.1,
                end.0 + 5.0
            );
            (d, end, false)
        }
        None if a.1 == b.1 => (format!("M{} {}V{}", bottom.0, bottom.1, top.1 - 5.0), top, true),
        None if b.1 > a.1 => {
            let start = side(from, 0.5);
            (format!("M{} {}H{}Q{2} {1} {2} {3}V{4}", start.0, start.1, top.0, start.1 + 8.0, top.1 - 5.0), top, true)
        }
        None => {
            let end = side(to, 0.6);
            let x = bottom.0;
            (format!("M{x} {}V{}Q{x} {} {} {}H{}", bottom.1, end.1 - 8.0, end.1, x - 8.0, end.1, end.0 + 5.0), end, false)
        }
    };
    svg.path(&d, "fill=\"none\" stroke=\"#57606a\" stroke-width=\"1.4\"");
    let (x, y) = tip;
    let head = if down {
        format!("M{x} {y}L{} {}L{} {}Z", x - 4.0, y - 7.0, x + 4.0, y - 7.0)
    } else {
        format!("M{x} {y}L{} {}L{} {}Z", x + 7.0, y - 4.0, x + 7.0, y + 4.0)
    };
    svg.path(&head, "fill=\"#57606a\"");
}

fn draw(svg: &mut Svg, (x, y): (f64, f64), name: &str, op: &str, entry: Option<&Entry>, fill: &str) {
    svg.rect(x, y, BOX.0, BOX.1, &format!("rx=\"6\" fill=\"{fill}\" stroke=\"#57606a\""));
    svg.text(x + 10.0, y + 17.0, Type::new(12.0, "#1b1f24").bold(), &cut(name, 26));
    svg.text(x + 10.0, y + 32.0, Type::new(10.5, "#32383f"), &cut(op, 46));
    if let Some(entry) = entry {
        svg.text(x + BOX.0 - 10.0, y + 17.0, Type::new(10.5, "#32383f").end(), &sizes(&entry.shape));
    }
}

/// At the left of a node: its rule, what arrived, and what it lost if that is more than a hundredth of the output's relevance.
fn note(svg: &mut Svg, (x, y): (f64, f64), entry: &Entry, scale: f64) {
    let Some(flow) = &entry.flow else { return };
    svg.text(x - 12.0, y + 17.0, Type::new(10.5, "#32383f").end(), &format!("{} · Σ in {}", flow.rule, number(flow.arrived)));
    if flow.lost.abs() > 0.01 * scale {
        let word = if flow.lost > 0.0 { "lost" } else { "made" };
        svg.text(x - 12.0, y + 32.0, Type::new(10.5, "#a40e26").end().bold(), &format!("{word} {}", number(flow.lost.abs())));
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

fn colour(op: &Op) -> &'static str {
    match op.class() {
        OpClass::Source => "#ffffff",
        OpClass::Convolution | OpClass::Dense => "#dbeafe",
        OpClass::Normalisation => "#ede9fe",
        OpClass::Activation => "#fee2e2",
        OpClass::Selection | OpClass::Mean => "#dcfce7",
        _ => "#fef3c7",
    }
}
