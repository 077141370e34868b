//! SVG to PDF, for papers: one page of the picture's own size, lines as lines, text as outlines of the program's own font, so that it looks the same
//! everywhere and no font need be embedded. It knows what this program's pictures are made of: paths with plain colours.
//!
//! Why not a crate: the one that converts SVG (svg2pdf 0.13) is built on an older usvg than the one that draws our PNGs, and would bring that
//! whole tree, and an image library, a second time.

use super::png::tree;
use crate::{Error, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::{FillRule, Group, LineCap, LineJoin, Node, Paint, PaintOrder, Path, Stroke};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

/// Points per pixel of an SVG: 72 to 96 an inch.
const POINTS: f64 = 0.75;

/// The PDF of an SVG.
///
/// # Errors
/// [`Error::Data`] for a picture that cannot be drawn, or that holds what is not a path of a plain colour.
pub fn pdf(svg: &str) -> Result<Vec<u8>> {
    let tree = tree(svg)?;
    let (width, height) = (f64::from(tree.size().width()) * POINTS, f64::from(tree.size().height()) * POINTS);
    let mut page = Page { content: format!("{POINTS} 0 0 -{POINTS} 0 {} cm\n", number(height)), opacities: BTreeSet::new() };
    page.group(tree.root())?;
    page.finish((width, height))
}

/// A page being written.
struct Page {
    content: String,
    /// Opacities in use, in hundredths.
    opacities: BTreeSet<u8>,
}

impl Page {
    fn group(&mut self, group: &Group) -> Result<()> {
        if group.opacity().get() < 1.0 || group.clip_path().is_some() || group.mask().is_some() || !group.filters().is_empty() {
            return Err(unknown("a group with an opacity, a clip, a mask or a filter of its own"));
        }
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group)?,
                Node::Path(path) => self.path(path)?,
                Node::Text(text) => self.group(text.flattened())?,
                Node::Image(_) => return Err(unknown("an image")),
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Path) -> Result<()> {
        if !path.is_visible() {
            return Ok(());
        }
        self.content += "q\n";
        let Transform { sx, kx, ky, sy, tx, ty } = path.abs_transform();
        if !path.abs_transform().is_identity() {
            let all = [sx, ky, kx, sy, tx, ty].map(|v| number(f64::from(v)));
            let _ = writeln!(self.content, "{} cm", all.join(" "));
        }
        if path.paint_order() == PaintOrder::StrokeAndFill {
            self.stroke(path)?;
            self.fill(path)?;
        } else {
            self.fill(path)?;
            self.stroke(path)?;
        }
        self.content += "Q\n";
        Ok(())
    }

    fn fill(&mut self, path: &Path) -> Result<()> {
        let Some(fill) = path.fill() else { return Ok(()) };
        self.opacity(fill.opacity().get());
        let _ = writeln!(self.content, "{} rg", colour(fill.paint())?);
        self.outline(path);
        self.content += if fill.rule() == FillRule::EvenOdd { "f*\n" } else { "f\n" };
        Ok(())
    }

    fn stroke(&mut self, path: &Path) -> Result<()> {
        let Some(stroke) = path.stroke() else { return Ok(()) };
        self.opacity(stroke.opacity().get());
        let _ = writeln!(
            self.content,
            "{} RG {} w {} J {} j {} M",
            colour(stroke.paint())?,
            number(f64::from(stroke.width().get())),
            cap(stroke),
            join(stroke),
            number(f64::from(stroke.miterlimit().get()))
        );
        if let Some(dashes) = stroke.dasharray() {
            let dashes: Vec<String> = dashes.iter().map(|v| number(f64::from(*v))).collect();
            let _ = writeln!(self.content, "[{}] {} d", dashes.join(" "), number(f64::from(stroke.dashoffset())));
        }
        self.outline(path);
        self.content += "S\n";
        Ok(())
    }

    fn opacity(&mut self, opacity: f32) {
        let hundredths = (opacity * 100.0).round() as u8;
        self.opacities.insert(hundredths);
        let _ = writeln!(self.content, "/O{hundredths} gs");
    }

    fn outline(&mut self, path: &Path) {
        // PDF knows cubic curves only: a quadratic one has its control point two thirds of the way from either end.
        let mut at = (0.0, 0.0);
        for segment in path.data().segments() {
            let place = |p: resvg::tiny_skia::Point| (f64::from(p.x), f64::from(p.y));
            match segment {
                PathSegment::MoveTo(p) => {
                    at = place(p);
                    self.points(&[at], 'm');
                }
                PathSegment::LineTo(p) => {
                    at = place(p);
                    self.points(&[at], 'l');
                }
                PathSegment::QuadTo(c, p) => {
                    let (c, p) = (place(c), place(p));
                    let towards = |a: (f64, f64)| (a.0 + 2.0 / 3.0 * (c.0 - a.0), a.1 + 2.0 / 3.0 * (c.1 - a.1));
                    self.points(&[towards(at), towards(p), p], 'c');
                    at = p;
                }
                PathSegment::CubicTo(a, b, p) => {
                    at = place(p);
                    self.points(&[place(a), place(b), at], 'c');
                }
                PathSegment::Close => self.content += "h\n",
            }
        }
    }

    fn points(&mut self, points: &[(f64, f64)], operator: char) {
        for (x, y) in points {
            let _ = write!(self.content, "{} {} ", number(*x), number(*y));
        }
        self.content.push(operator);
        self.content.push('\n');
    }

    /// The file: catalogue, pages, the page, its content, and where each of them begins.
    fn finish(self, (width, height): (f64, f64)) -> Result<Vec<u8>> {
        let failed = |error: std::io::Error| Error::Data(format!("a picture that cannot be written as PDF: {error}"));
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(self.content.as_bytes()).map_err(failed)?;
        let packed = packed.finish().map_err(failed)?;
        let opacities = self
            .opacities
            .iter()
            .map(|o| format!("/O{o} << /ca {0} /CA {0} >>", number(f64::from(*o) / 100.0)))
            .collect::<Vec<_>>()
            .join(" ");
        let (width, height) = (number(width), number(height));
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R /Resources << /ExtGState << {opacities} >> >> >>"
            ),
            format!("<< /Length {} /Filter /FlateDecode >>", packed.len()),
        ];
        let (mut file, mut places) = (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec(), Vec::new());
        for (k, object) in objects.iter().enumerate() {
            places.push(file.len());
            file.extend(format!("{} 0 obj\n{object}\n", k + 1).bytes());
            if k + 1 == objects.len() {
                file.extend(b"stream\n");
                file.extend(&packed);
                file.extend(b"\nendstream\n");
            }
            file.extend(b"endobj\n");
        }
        let table = file.len();
        let mut end = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
        places.iter().for_each(|place| end += &format!("{place:010} 00000 n \n"));
        end += &format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
        file.extend(end.bytes());
        Ok(file)
    }
}

fn unknown(what: &str) -> Error {
    Error::Data(format!("a picture that cannot be written as PDF: it holds {what}"))
}

fn colour(paint: &Paint) -> Result<String> {
    match paint {
        Paint::Color(colour) => Ok([colour.red, colour.green, colour.blue].map(|c| number(f64::from(c) / 255.0)).join(" ")),
        _ => Err(unknown("a gradient or a pattern")),
    }
}

fn cap(stroke: &Stroke) -> u8 {
    match stroke.linecap() {
        LineCap::Butt => 0,
        LineCap::Round => 1,
        LineCap::Square => 2,
    }
}

fn join(stroke: &Stroke) -> u8 {
    match stroke.linejoin() {
        LineJoin::Round => 1,
        LineJoin::Bevel => 2,
        _ => 0,
    }
}

/// A number with at most four decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Svg, Type};
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    /// The content of the page, and the whole file as text where it is.
    fn parts(file: &[u8]) -> (String, String) {
        let text = String::from_utf8_lossy(file).into_owned();
        let begin = file.windows(7).position(|w| w == b"stream\n").expect("a stream") + 7;
        let mut content = String::new();
        ZlibDecoder::new(&file[begin..]).read_to_string(&mut content).expect("packed content");
        (content, text)
    }

    #[test]
    fn shapes_keep_their_places_colours_and_opacities() {
        let mut svg = Svg::new(96.0, 48.0, "", "#ffffff");
        svg.rect(10.0, 20.0, 30.0, 5.0, "fill=\"#ff0000\" fill-opacity=\".5\"");
        svg.line((0.0, 0.0), (96.0, 48.0), "stroke=\"#0000ff\" stroke-width=\"2\" stroke-dasharray=\"4 2\"");
        svg.text(10.0, 40.0, Type::new(10.0, "#000000"), "Größe µV");
        let file = pdf(&svg.finish()).expect("a PDF");
        let (content, text) = parts(&file);
        assert!(text.contains("/MediaBox [0 0 72 36]") && text.contains("/O50 << /ca 0.5 /CA 0.5 >>"), "{text}");
        assert!(content.contains("1 0 0 rg\n10 20 m\n40 20 l\n40 25 l\n10 25 l\nh\nf"), "{content}");
        assert!(content.contains("0 0 1 RG 2 w") && content.contains("[4 2] 0 d\n0 0 m\n96 48 l\nS"), "{content}");
        // Letters are outlines.
        assert!(content.matches(" c\n").count() > 20, "{content}");
    }

    #[test]
    fn the_table_of_places_is_right() {
        let file = pdf(&Svg::new(10.0, 10.0, "", "#fff").finish()).expect("a PDF");
        let (_, text) = parts(&file);
        let table: usize = text.split("startxref\n").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).expect("a place");
        assert!(file[table..].starts_with(b"xref\n0 5\n"));
        let rows = String::from_utf8_lossy(&file[table..]).into_owned();
        for (k, row) in rows.lines().skip(3).take(4).enumerate() {
            let place: usize = row[..10].parse().expect("a place");
            assert!(file[place..].starts_with(format!("{} 0 obj", k + 1).as_bytes()), "{row}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let wrong = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\"><g opacity=\".5\"><rect width=\"5\" height=\"5\"/><rect width=\"3\" height=\"5\"/></g></svg>";
        assert!(pdf(wrong).expect_err("refused").to_string().contains("opacity"));
    }
}
