//! SVG to PNG. The font travels in the program (DejaVu Sans Condensed, see `font/LICENSE.txt`), so that a picture has the same bytes on
//! every machine, whatever fonts it has; the subset covers what pictures say.

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
    let mut options = usvg::Options { font_family: "DejaVu Sans Condensed".into(), ..usvg::Options::default() };
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans Condensed");
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| Error::Data(format!("a picture that cannot be drawn: {error}")))?;
    let (width, height) = (tree.size().width() * zoom, tree.size().height() * zoom);
    if !(width >= 1.0 && height >= 1.0 && width * height <= MOST) {
        return Err(Error::Usage(format!(
            "a picture of {width:.0} × {height:.0} pixels: choose a zoom that gives between 1 and 120 million"
        )));
    }
    let mut pixels = tiny_skia::Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| Error::Data(format!("no memory for a picture of {width:.0} × {height:.0} pixels")))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| Error::Data(format!("a picture that cannot be written as PNG: {error}")))
}
