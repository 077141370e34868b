//! A small SVG writer: shapes in, text out, numbers kept short.

use crate::{Error, Result};
use std::fmt::Write;

/// The font of every picture: embedded for PNG, named for SVG readers, with common fallbacks.
pub const FONTS: &str = "DejaVu Sans Condensed, DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// An SVG document being written.
#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
    unit: &'static str,
    title: String,
    /// Whether something had no finite place and was left out.
    faulty: bool,
}

/// How text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Begins there.
    Start,
    /// Is centred there.
    Middle,
    /// Ends there.
    End,
}

/// How a line of text looks.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    /// Height in user units.
    pub size: f64,
    /// Colour.
    pub fill: &'a str,
    /// Where the point is.
    pub anchor: Anchor,
    /// Bold or not.
    pub bold: bool,
}

impl<'a> Type<'a> {
    /// Plain text that begins at its point.
    pub fn new(size: f64, fill: &'a str) -> Self {
        Type { size, fill, anchor: Anchor::Start, bold: false }
    }

    /// The same, centred.
    pub fn middle(self) -> Self {
        Type { anchor: Anchor::Middle, ..self }
    }

    /// The same, ending at its point.
    pub fn end(self) -> Self {
        Type { anchor: Anchor::End, ..self }
    }

    /// The same, bold.
    pub fn bold(self) -> Self {
        Type { bold: true, ..self }
    }
}

impl Svg {
    /// A document of `width` × `height` pixels on `background`. `title` is read by screen readers and says what is to be seen.
    pub fn new(width: f64, height: f64, title: impl Into<String>, background: &str) -> Self {
        let mut svg = Svg { body: String::new(), width, height, unit: "", title: title.into(), faulty: false };
        svg.rect(0.0, 0.0, width, height, &format!("fill=\"{background}\""));
        svg
    }

    /// Shapes that are to stand inside another document, without ground.
    pub fn shapes() -> Self {
        Svg { body: String::new(), width: 0.0, height: 0.0, unit: "", title: String::new(), faulty: false }
    }

    /// The shapes alone.
    pub fn into_shapes(self) -> String {
        self.body
    }

    /// Shapes that stand elsewhere in the page under an id, as [`Svg::into_shapes`] gave them.
    pub fn reuse(&mut self, id: &str) {
        let _ = write!(self.body, "<use href=\"#{id}\"/>");
    }

    /// A PNG stretched over a rectangle, its pixels kept apart.
    pub fn pixels(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), png: &[u8], attributes: &str) {
        use base64::Engine;
        if !self.placed(&[x, y, width, height]) {
            return;
        }
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        let (x, y, width, height) = (num(x), num(y), num(width), num(height));
        let _ = write!(
            self.body,
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" {attributes} \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        );
    }

    /// The same document with a user unit of one millimetre on paper.
    pub fn millimetres(self) -> Self {
        Svg { unit: "mm", ..self }
    }

    /// Width and height in user units.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// Whether every part of the picture has a finite place; what has none is not drawn.
    ///
    /// # Errors
    /// [`Error::Data`] where something was left out.
    pub fn check(&self) -> Result<()> {
        match self.faulty {
            true => Err(Error::Data("the numbers to be drawn are too large: a part of the picture would have no finite place".into())),
            false => Ok(()),
        }
    }

    /// Notes what cannot be drawn, and says whether it can.
    fn placed(&mut self, numbers: &[f64]) -> bool {
        let finite = numbers.iter().all(|number| number.is_finite());
        self.faulty |= !finite;
        finite
    }

    /// A rectangle; `attributes` as in the file.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, attributes: &str) {
        if !self.placed(&[x, y, width, height]) {
            return;
        }
        let (x, y, width, height) = (num(x), num(y), num(width), num(height));
        let _ = write!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {attributes}/>");
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), attributes: &str) {
        let d = format!("M{} {}L{} {}", num(from.0), num(from.1), num(to.0), num(to.1));
        self.path(&d, attributes);
    }

    /// A path from its data.
    pub fn path(&mut self, d: &str, attributes: &str) {
        // Path data hold no letters but commands; numbers that are not finite are spelt so.
        if d.contains("NaN") || d.contains("inf") {
            self.faulty = true;
            return;
        }
        let _ = write!(self.body, "<path d=\"{d}\" {attributes}/>");
    }

    /// A circle.
    pub fn circle(&mut self, at: (f64, f64), radius: f64, attributes: &str) {
        if !self.placed(&[at.0, at.1, radius]) {
            return;
        }
        let _ = write!(self.body, "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {attributes}/>", num(at.0), num(at.1), num(radius));
    }

    /// A line of text with its base line at `y`.
    pub fn text(&mut self, x: f64, y: f64, kind: Type<'_>, text: &str) {
        self.text_with(x, y, kind, "", text);
    }

    /// A line of text that reads upwards.
    pub fn text_up(&mut self, x: f64, y: f64, kind: Type<'_>, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", num(x), num(y));
        self.text_with(x, y, kind, &turn, text);
    }

    /// A line of text with a seam in the colour of the ground, to be read over lines.
    pub fn text_over(&mut self, x: f64, y: f64, kind: Type<'_>, ground: &str, text: &str) {
        let seam =
            format!(" stroke=\"{ground}\" stroke-width=\"{}\" stroke-linejoin=\"round\" paint-order=\"stroke\"", num(kind.size * 0.25));
        self.text_with(x, y, kind, &seam, text);
    }

    fn text_with(&mut self, x: f64, y: f64, kind: Type<'_>, extra: &str, text: &str) {
        if !self.placed(&[x, y, kind.size]) {
            return;
        }
        let anchor = match kind.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if kind.bold { " font-weight=\"bold\"" } else { "" };
        let (x, y, size, fill) = (num(x), num(y), num(kind.size), kind.fill);
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\"{anchor}{weight}{extra}>{}</text>",
            escape(text)
        );
    }

    /// Opens a group; every group must be closed.
    pub fn open(&mut self, attributes: &str) {
        let _ = write!(self.body, "<g {attributes}>");
    }

    /// Closes the last group.
    pub fn close(&mut self) {
        self.body.push_str("</g>");
    }

    /// Text of the file, to stand alone.
    pub fn finish(self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.inline())
    }

    /// The `<svg>` element, to stand inside an HTML page.
    pub fn inline(self) -> String {
        let (w, h, unit, title) = (num(self.width), num(self.height), self.unit, escape(&self.title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}{unit}\" height=\"{h}{unit}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"{FONTS}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>{}</svg>",
            self.body
        )
    }
}

/// A number with at most two decimals and no more characters than needed.
pub fn num(value: f64) -> String {
    let mut text = format!("{value:.2}");
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if text == "-0" { "0".into() } else { text }
}

/// A number with `digits` decimals for people: a typographic minus, and none before a zero.
pub fn plain(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let zero = !text.contains(|c: char| ('1'..='9').contains(&c));
    if zero { text.replace('-', "") } else { text.replace('-', "−") }
}

/// Text as it may stand inside XML or HTML, in an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => safe.push(c),
        }
    }
    safe
}

/// The path through points at tenths of a unit, in relative steps; a point that lies on the straight way between its neighbours is left out.
pub fn polyline(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    // Beyond this, far outside of any picture, products of differences would not fit.
    let tenth = |at: f64| (at * 10.0).round().clamp(-1e9, 1e9) as i64;
    let mut tenths: Vec<(i64, i64)> = Vec::new();
    for (x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            return "NaN".into();
        }
        tenths.push((tenth(x), tenth(y)));
    }
    let Some(&first) = tenths.first() else { return String::new() };
    let mut d = format!("M{} {}l", num(first.0 as f64 / 10.0), num(first.1 as f64 / 10.0));
    let mut at = first;
    for (i, &point) in tenths.iter().enumerate().skip(1) {
        let straight = tenths.get(i + 1).is_some_and(|next| cross(at, point, *next) == 0 && forward(at, point, *next));
        if straight || point == at {
            continue;
        }
        step(&mut d, point.0 - at.0);
        step(&mut d, point.1 - at.1);
        at = point;
    }
    d
}

fn cross(a: (i64, i64), b: (i64, i64), c: (i64, i64)) -> i64 {
    (b.0 - a.0) * (c.1 - b.1) - (b.1 - a.1) * (c.0 - b.0)
}

fn forward(a: (i64, i64), b: (i64, i64), c: (i64, i64)) -> bool {
    (b.0 - a.0) * (c.0 - b.0) + (b.1 - a.1) * (c.1 - b.1) >= 0
}

/// Appends a relative coordinate, with a separator only where the grammar needs one.
fn step(d: &mut String, tenths: i64) {
    let text = num(tenths as f64 / 10.0);
    if !text.starts_with('-') && !d.ends_with('l') {
        d.push(' ');
    }
    d.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([num(1.0), num(0.5), num(-0.001), num(12.345), num(100.0)], ["1", "0.5", "0", "12.35", "100"].map(String::from));
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!([plain(-0.004, 2), plain(-0.006, 2), plain(1234.5, 0)], ["0.00", "−0.01", "1234"].map(String::from));
    }

    #[test]
    fn a_straight_line_has_two_points() {
        assert_eq!(polyline((0..50).map(|i| (i as f64, 2.0))), "M0 2l49 0");
        assert_eq!(polyline([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]), "M0 0l1 1 1-1");
    }

    #[test]
    fn a_spike_is_kept() {
        assert_eq!(polyline([(0.0, 0.0), (0.0, 5.0), (0.0, 0.0)]), "M0 0l0 5 0-5");
    }

    #[test]
    fn what_has_no_finite_place_is_not_written() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let draw: [&dyn Fn(&mut Svg); 6] = [
                &|svg| svg.rect(0.0, wrong, 1.0, 1.0, ""),
                &|svg| svg.line((0.0, 0.0), (wrong, 1.0), ""),
                &|svg| svg.circle((0.0, 0.0), wrong, ""),
                &|svg| svg.text(wrong, 0.0, Type::new(8.0, "#000"), "x"),
                &|svg| svg.path(&polyline([(0.0, 0.0), (1.0, wrong), (2.0, 0.0)]), ""),
                &|svg| svg.text_up(0.0, wrong, Type::new(8.0, "#000"), "x"),
            ];
            for draw in draw {
                let mut svg = Svg::new(10.0, 10.0, "inf and NaN in a title are words", "#fff");
                assert!(svg.check().is_ok());
                draw(&mut svg);
                assert!(svg.check().is_err());
                let text = svg.finish().replace("inf and NaN in a title are words", "");
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
        assert_eq!(polyline([(0.0, 1e300), (1e300, -1e300)]), "M0 100000000l100000000-200000000");
    }

    #[test]
    fn text_cannot_leave_its_element() {
        let mut svg = Svg::new(10.0, 10.0, "a <b> & \"c\"", "#fff");
        svg.text(0.0, 0.0, Type::new(8.0, "#000"), "</text><script>");
        let text = svg.finish();
        assert!(!text.contains("<script>") && !text.contains("<b>"));
        assert!(roxmltree::Document::parse(&text).is_ok());
    }
}
