//! SVG to PNG. The font travels in the program (DejaVu Sans Condensed, see `font/LICENSE.txt`), so that a picture has the same bytes on
//! every machine, whatever fonts it has; the subset covers what pictures say.

use super::colour::Rgb;
use crate::{Error, Result};
use resvg::{tiny_skia, usvg};
use std::sync::Arc;

const REGULAR: &[u8] = include_bytes!("font/DejaVuSansCondensed-Regular-subset.ttf");
const BOLD: &[u8] = include_bytes!("font/DejaVuSansCondensed-Bold-subset.ttf");

/// No picture has more pixels than this.
const MOST: f32 = 120e6;

/// The PNG of an SVG, `zoom` pixels per user unit of the picture's own size.
///
/// # Errors
/// [`Error::Usage`] when the size is out of range.
pub fn png(svg: &str, zoom: f32) -> Result<Vec<u8>> {
    let tree = tree(svg)?;
    let (width, height) = (tree.size().width() * zoom, tree.size().height() * zoom);
    if !(width >= 1.0 && height >= 1.0 && width * height <= MOST) {
        return Err(Error::Usage(format!(
            "a picture of {width:.0} × {height:.0} pixels: choose a zoom that gives between 1 and 120 million"
        )));
    }
    let mut pixels = tiny_skia::Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| Error::Data(format!("no memory for a picture of {width:.0} × {height:.0} pixels")))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
    Ok(with_density(encoded(&pixels)?, f64::from(zoom) * 96.0))
}

/// Pixels per unit of a picture at which it has 300 to the inch.
pub const PRINT: f32 = 300.0 / 96.0;

/// An SVG with its text as outlines in the program's own font.
pub(super) fn tree(svg: &str) -> Result<usvg::Tree> {
    let mut options = usvg::Options { font_family: "DejaVu Sans Condensed".into(), ..usvg::Options::default() };
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans Condensed");
    usvg::Tree::from_str(svg, &options).map_err(|error| Error::Data(format!("a picture that cannot be drawn: {error}")))
}

fn encoded(pixels: &tiny_skia::Pixmap) -> Result<Vec<u8>> {
    pixels.encode_png().map_err(|error| Error::Data(format!("a picture that cannot be written as PNG: {error}")))
}

/// Says how many pixels stand on an inch (chunk pHYs, in pixels per metre, right behind the header), so that the picture has its own size in print.
fn with_density(mut png: Vec<u8>, per_inch: f64) -> Vec<u8> {
    const HEADER: usize = 8 + 12 + 13;
    let per_metre = (per_inch / 0.0254).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend([per_metre.to_be_bytes(), per_metre.to_be_bytes()].concat());
    chunk.push(1);
    let sum = crc32fast::hash(&chunk);
    let whole = [&9u32.to_be_bytes()[..], &chunk, &sum.to_be_bytes()].concat();
    png.splice(HEADER..HEADER, whole);
    png
}

/// The PNG of one row of pixels.
///
/// # Errors
/// [`Error::Data`] for no pixel, or more than a picture can hold.
pub(super) fn row(colours: &[Rgb]) -> Result<Vec<u8>> {
    let width = u32::try_from(colours.len()).ok().filter(|width| *width > 0);
    let mut pixels = width.and_then(|width| tiny_skia::Pixmap::new(width, 1)).ok_or_else(|| Error::Data("a row without pixels".into()))?;
    for (pixel, [r, g, b]) in pixels.pixels_mut().iter_mut().zip(colours) {
        *pixel = tiny_skia::ColorU8::from_rgba(*r, *g, *b, 255).premultiply();
    }
    encoded(&pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_its_size_on_paper() {
        let svg = super::super::svg::Svg::new(96.0, 48.0, "", "#fff").finish();
        let png = png(&svg, PRINT).expect("a PNG");
        let at = png.windows(4).position(|name| name == b"pHYs").expect("a density");
        let number = |from: usize| u32::from_be_bytes(png[from..from + 4].try_into().expect("four bytes"));
        assert_eq!((number(16), number(20)), (300, 150));
        assert_eq!((number(at - 4), number(at + 4), number(at + 8), png[at + 12]), (9, 11811, 11811, 1));
        assert_eq!(number(at + 13), crc32fast::hash(&png[at..at + 13]));
        assert!(resvg::tiny_skia::Pixmap::decode_png(&png).is_ok());
    }
}
