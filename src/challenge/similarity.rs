//! How alike two heatmaps are: Spearman's rank correlation and structural similarity in one dimension.
//!
//! Both are taken of the signed attributions and of their absolute values, as Adebayo et al. (2018, "Sanity checks for saliency maps",
//! section 3) do for images. None depends on a map's scale, which differs between methods and between networks.

use crate::evaluation::ranks::{larger, spearman};
use cardiograd_kernels::elementary;
use ndarray::ArrayView2;

/// Samples of the Gaussian window and its standard deviation (Wang et al. 2004).
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// The stabilising constants of Wang et al. (2004), as shares of the range.
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// The likeness of two heatmaps of one ECG, 1 for the same map. `None` where a map is constant (or too short, for structural similarity).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Spearman's correlation of |attribution| over all points.
    pub spearman_absolute: Option<f64>,
    /// Spearman's correlation of the signed attributions.
    pub spearman_signed: Option<f64>,
    /// Structural similarity of |attribution| / max |attribution|, mean over leads and time.
    pub ssim_absolute: Option<f64>,
    /// Structural similarity of attribution / max |attribution|.
    pub ssim_signed: Option<f64>,
}

/// The names of the four figures, in the order of [`Similarity::values`].
pub const SIMILARITIES: [&str; 4] = ["spearman_absolute", "spearman_signed", "ssim_absolute", "ssim_signed"];

impl Similarity {
    /// Compares two maps (C, L) of the same shape.
    pub fn of(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Self {
        let signed = |map: &ArrayView2<'_, f32>| map.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let absolute = |map: &[f64]| map.iter().map(|v| v.abs()).collect::<Vec<f64>>();
        let (a, b, len) = (signed(&a), signed(&b), a.ncols());
        let (abs_a, abs_b) = (absolute(&a), absolute(&b));
        Similarity {
            spearman_absolute: spearman(&abs_a, &abs_b),
            spearman_signed: spearman(&a, &b),
            ssim_absolute: ssim_of_leads(&abs_a, &abs_b, len, 1.0),
            ssim_signed: ssim_of_leads(&a, &b, len, 2.0),
        }
    }

    /// The four figures in the order of [`SIMILARITIES`].
    pub fn values(self) -> [Option<f64>; 4] {
        [self.spearman_absolute, self.spearman_signed, self.ssim_absolute, self.ssim_signed]
    }
}

/// Mean structural similarity over the leads of two maps, row-major with `len` samples a lead, each divided by its largest |value|.
fn ssim_of_leads(a: &[f64], b: &[f64], len: usize, range: f64) -> Option<f64> {
    let scaled = |map: &[f64]| {
        let most = map.iter().map(|v| v.abs()).fold(0.0, larger);
        (most != 0.0).then(|| map.iter().map(|v| v / most).collect::<Vec<f64>>())
    };
    let (a, b) = (scaled(a)?, scaled(b)?);
    let leads: Vec<f64> = a.chunks(len).zip(b.chunks(len)).map(|(a, b)| ssim(a, b, range)).collect::<Option<_>>()?;
    Some(leads.iter().sum::<f64>() / leads.len() as f64)
}

/// Structural similarity of two series whose values span `range` (Wang et al. 2004, equation 13, with a window in time only):
/// (2 μₐμ_b + c₁)(2 σₐ_b + c₂) / ((μₐ² + μ_b² + c₁)(σₐ² + σ_b² + c₂)), mean over all places where the Gaussian window of 11 samples
/// (σ 1.5) fits. `None` for series shorter than the window.
pub fn ssim(a: &[f64], b: &[f64], range: f64) -> Option<f64> {
    let places = a.len().min(b.len()).checked_sub(WINDOW - 1)?;
    if places == 0 {
        return None;
    }
    let weights = gaussian();
    let (c1, c2) = ((K1 * range).powi(2), (K2 * range).powi(2));
    let at = |start: usize| {
        let (mut ma, mut mb, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (k, w) in weights.iter().enumerate() {
            let (x, y) = (a[start + k], b[start + k]);
            ma += w * x;
            mb += w * y;
            aa += w * x * x;
            bb += w * y * y;
            ab += w * x * y;
        }
        let (va, vb, cov) = (aa - ma * ma, bb - mb * mb, ab - ma * mb);
        (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    };
    Some((0..places).map(at).sum::<f64>() / places as f64)
}

fn gaussian() -> [f64; WINDOW] {
    let centre = (WINDOW / 2) as f64;
    let raw: [f64; WINDOW] = std::array::from_fn(|k| elementary::exp(-0.5 * ((k as f64 - centre) / SIGMA).powi(2)));
    let sum: f64 = raw.iter().sum();
    raw.map(|w| w / sum)
}
