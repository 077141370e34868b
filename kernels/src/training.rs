//! What training does between convolutions, on blocked activations (see [`crate::blocked`]): batch norm's statistics, its normalisation with ReLU
//! and addition, its gradient, and Adam. Each function works on a few examples; who shares a batch out over threads merges the sums of the parts
//! in their order, so that results depend on how the batch is cut, never on the threads.

#[cfg(not(feature = "std"))]
use crate::Real;
use crate::batch_norm::not_negative;
use crate::simd::{Job, Lanes, MAX_WIDTH};
use crate::{Isa, sizes};
use alloc::vec::Vec;

/// Count, mean and sum of squared deviations of each channel over some examples and all time, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Values per channel.
    pub count: usize,
    /// Per channel, padded to whole registers.
    pub mean: Vec<f64>,
    /// Σ (x − mean)², likewise.
    pub squares: Vec<f64>,
}

impl Moments {
    /// Of blocked examples `x` of some groups of `len` samples; sums are about each channel's first value.
    ///
    /// # Panics
    /// If `x` is not whole examples, one at least.
    pub fn of(isa: Isa, groups: usize, len: usize, x: &[f32]) -> Self {
        let isa = isa.or_portable();
        let size = whole(isa, groups, len, x.len());
        assert!(!x.is_empty(), "moments of no example");
        let count = x.len() / (groups * isa.width()).max(1);
        let mut moments = Moments { count, mean: Vec::new(), squares: Vec::new() };
        for group in 0..groups {
            let offset = group * len * isa.width();
            let shift = lanes(&x[offset..][..isa.width()]);
            let (sums, squares) = isa.dispatch(Sums { x, other: None, offset, size, len, shift, positive: None });
            for lane in 0..isa.width() {
                let mean = sums[lane] / count as f64;
                moments.mean.push(shift[lane] + mean);
                moments.squares.push(not_negative(squares[lane] - mean * sums[lane]));
            }
        }
        moments
    }

    /// With the values of another part (Chan, Golub and LeVeque 1979).
    ///
    /// # Panics
    /// If the parts are of different channels.
    #[must_use]
    pub fn merge(mut self, other: &Moments) -> Self {
        assert!(self.mean.len() == other.mean.len() && self.squares.len() == other.squares.len(), "parts of different channels");
        let (a, b) = (self.count as f64, other.count as f64);
        let parts = self.mean.iter_mut().zip(&mut self.squares).zip(other.mean.iter().zip(&other.squares));
        for ((mean, squares), (other_mean, other_squares)) in parts {
            let delta = other_mean - *mean;
            *squares += other_squares + delta * delta * a * b / (a + b);
            *mean += delta * b / (a + b);
        }
        self.count += other.count;
        self
    }
}

/// The size of an example of some groups of `len` samples, of which a slice of so many elements holds whole ones.
fn whole(isa: Isa, groups: usize, len: usize, elements: usize) -> usize {
    let size = sizes::product([groups, len, isa.width()]);
    assert!(size > 0 && elements.is_multiple_of(size), "{elements} elements are not examples of {groups} groups of {len} samples");
    size
}

fn lanes(values: &[f32]) -> [f64; MAX_WIDTH] {
    let mut lanes = [0.0; MAX_WIDTH];
    lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = f64::from(*value));
    lanes
}

/// Scale and shift per channel, padded to whole registers, of y = scale · v + shift.
#[derive(Clone, Debug)]
pub struct Affine {
    /// γ / σ.
    pub scale: Vec<f32>,
    /// β − mean · γ / σ.
    pub shift: Vec<f32>,
}

impl Affine {
    /// The groups that it has values for.
    ///
    /// # Panics
    /// If those are not whole registers.
    fn groups(&self, isa: Isa) -> usize {
        let channels = self.scale.len();
        assert!(self.shift.len() == channels && channels.is_multiple_of(isa.width()), "scale and shift are not padded to whole registers");
        channels / isa.width()
    }
}

/// Per channel, padded: Σ g and Σ g · (v − mean) of the gradient behind the ReLU, over some examples.
///
/// `affine` gives z = scale · v + shift, and g counts where z > 0 if `relu`.
///
/// # Panics
/// If the slices are not whole examples of the same channels.
pub fn gradient_sums(isa: Isa, len: usize, v: &[f32], g: &[f32], affine: &Affine, mean: &[f64], relu: bool) -> (Vec<f64>, Vec<f64>) {
    let isa = isa.or_portable();
    let (w, groups) = (isa.width(), affine.groups(isa));
    let size = whole(isa, groups, len, v.len());
    assert!(v.len() == g.len() && mean.len() == groups * w, "the slices hold different examples or channels");
    let (mut all, mut all_products) = (Vec::new(), Vec::new());
    for group in 0..groups {
        let channels = group * w..(group + 1) * w;
        let mut shift = [0.0; MAX_WIDTH];
        shift[..w].copy_from_slice(&mean[channels.clone()]);
        let positive = relu.then(|| (&affine.scale[channels.clone()], &affine.shift[channels]));
        let job = Sums { x: v, other: Some(g), offset: group * len * w, size, len, shift, positive };
        let (sums, products) = isa.dispatch(job);
        all.extend_from_slice(&sums[..w]);
        all_products.extend_from_slice(&products[..w]);
    }
    (all, all_products)
}

/// Σ over examples and time of each channel, padded.
///
/// # Panics
/// If `x` is not whole examples.
pub fn channel_sums(isa: Isa, groups: usize, len: usize, x: &[f32]) -> Vec<f64> {
    let isa = isa.or_portable();
    let (w, size) = (isa.width(), whole(isa, groups, len, x.len()));
    let sums = |group: usize| {
        let shift = [0.0; MAX_WIDTH];
        isa.dispatch(Sums { x, other: None, offset: group * len * w, size, len, shift, positive: None }).0
    };
    (0..groups).flat_map(|group| sums(group).into_iter().take(w)).collect()
}

/// Samples whose sums are in f32 before they join those in f64: few enough that nothing is lost that f32 inputs hold.
const RUN: usize = 8;

/// One group: Σ d and Σ d², d = x − shift; with `other`, Σ g and Σ g · d, g = other where scale · x + shift of `positive` is > 0.
struct Sums<'a> {
    x: &'a [f32],
    other: Option<&'a [f32]>,
    offset: usize,
    size: usize,
    len: usize,
    shift: [f64; MAX_WIDTH],
    positive: Option<(&'a [f32], &'a [f32])>,
}

impl Job for Sums<'_> {
    type Out = ([f64; MAX_WIDTH], [f64; MAX_WIDTH]);
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Self::Out {
        let w = V::WIDTH;
        let (mut sums, mut products) = ([0.0f64; MAX_WIDTH], [0.0f64; MAX_WIDTH]);
        let shift = self.shift.map(|v| v as f32);
        // SAFETY: every row of w elements lies within the slices, which hold whole examples.
        unsafe {
            let about = V::load(shift.as_ptr());
            let affine = self.positive.map(|(scale, shift)| (V::load(scale.as_ptr()), V::load(shift.as_ptr())));
            for start in (self.offset..self.x.len()).step_by(self.size) {
                for first in (0..self.len).step_by(RUN) {
                    let (mut sum, mut product) = (V::splat(0.0), V::splat(0.0));
                    for t in first..self.len.min(first + RUN) {
                        let x = V::load(self.x.as_ptr().add(start + t * w));
                        let d = x.sub(about);
                        let mut g = d;
                        if let Some(other) = self.other {
                            g = V::load(other.as_ptr().add(start + t * w));
                            if let Some((scale, shift)) = affine {
                                g = g.where_positive(scale.mul(x).add(shift));
                            }
                        }
                        sum = sum.add(g);
                        product = product.add(g.mul(d));
                    }
                    let (mut narrow, mut narrow_products) = ([0.0f32; MAX_WIDTH], [0.0f32; MAX_WIDTH]);
                    sum.store(narrow.as_mut_ptr());
                    product.store(narrow_products.as_mut_ptr());
                    for l in 0..w {
                        sums[l] += f64::from(narrow[l]);
                        products[l] += f64::from(narrow_products[l]);
                    }
                }
            }
        }
        if self.other.is_some() {
            // The products are about the rounded shift.
            for l in 0..w {
                products[l] += sums[l] * (f64::from(shift[l]) - self.shift[l]);
            }
        }
        (sums, products)
    }
}

/// y ← scale · v + shift, rectified if `relu`, plus `add`.
///
/// # Panics
/// If a slice has another size.
pub fn normalise(isa: Isa, len: usize, affine: &Affine, v: &[f32], relu: bool, add: Option<&[f32]>, y: &mut [f32]) {
    whole(isa.or_portable(), affine.groups(isa.or_portable()), len, v.len());
    assert!(v.len() == y.len() && add.is_none_or(|add| add.len() == y.len()), "the slices hold different examples");
    isa.or_portable().dispatch(Normalise { len, affine, v, relu, add, y });
}

struct Normalise<'a> {
    len: usize,
    affine: &'a Affine,
    v: &'a [f32],
    relu: bool,
    add: Option<&'a [f32]>,
    y: &'a mut [f32],
}

impl Job for Normalise<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let w = V::WIDTH;
        let groups = self.affine.scale.len() / w;
        for (index, y) in self.y.chunks_exact_mut(self.len * w).enumerate() {
            let (at, channels) = (index * self.len * w, index % groups * w);
            // SAFETY: all slices hold as many elements as y; the channels are padded to whole registers.
            unsafe {
                let scale = V::load(self.affine.scale[channels..][..w].as_ptr());
                let shift = V::load(self.affine.shift[channels..][..w].as_ptr());
                for t in 0..self.len {
                    let mut z = scale.mul(V::load(self.v.as_ptr().add(at + t * w))).add(shift);
                    if self.relu {
                        z = z.rectified();
                    }
                    if let Some(add) = self.add {
                        z = z.add(V::load(add.as_ptr().add(at + t * w)));
                    }
                    z.store(y.as_mut_ptr().add(t * w));
                }
            }
        }
    }
}

/// gv ← a · g + b · v + d per channel, g being 0 where scale · v + shift ≤ 0 if `relu`; coefficients padded to whole registers.
///
/// # Panics
/// If a slice has another size.
#[allow(clippy::too_many_arguments)]
pub fn gradient(isa: Isa, len: usize, affine: &Affine, relu: bool, coefficients: [&[f32]; 3], g: &[f32], v: &[f32], gv: &mut [f32]) {
    whole(isa.or_portable(), affine.groups(isa.or_portable()), len, v.len());
    assert!(g.len() == gv.len() && v.len() == gv.len(), "the slices hold different examples");
    assert!(coefficients.iter().all(|values| values.len() == affine.scale.len()), "no coefficients for each channel");
    isa.or_portable().dispatch(Gradient { len, affine, relu, coefficients, g, v, gv });
}

struct Gradient<'a> {
    len: usize,
    affine: &'a Affine,
    relu: bool,
    coefficients: [&'a [f32]; 3],
    g: &'a [f32],
    v: &'a [f32],
    gv: &'a mut [f32],
}

impl Job for Gradient<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let w = V::WIDTH;
        let groups = self.affine.scale.len() / w;
        for (index, gv) in self.gv.chunks_exact_mut(self.len * w).enumerate() {
            let (at, channels) = (index * self.len * w, index % groups * w);
            // SAFETY: all slices hold as many elements as gv; the channels are padded to whole registers.
            unsafe {
                let load = |values: &[f32]| V::load(values[channels..][..w].as_ptr());
                let (scale, shift) = (load(&self.affine.scale), load(&self.affine.shift));
                let (a, b, d) = (load(self.coefficients[0]), load(self.coefficients[1]), load(self.coefficients[2]));
                for t in 0..self.len {
                    let v = V::load(self.v.as_ptr().add(at + t * w));
                    let mut g = V::load(self.g.as_ptr().add(at + t * w));
                    if self.relu {
                        g = g.where_positive(scale.mul(v).add(shift));
                    }
                    a.mul(g).add(b.mul(v)).add(d).store(gv.as_mut_ptr().add(t * w));
                }
            }
        }
    }
}

/// One step of Adam on a slice, with PyTorch's order of operations: m ← m + w₁ (g − m), v ← β₂ v + w₂ g², p ← p − size · m / (√v / root + ε).
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// α / (1 − β₁ᵗ).
    pub size: f32,
    /// √(1 − β₂ᵗ).
    pub root: f32,
    /// 1 − β₁.
    pub weight1: f32,
    /// β₂.
    pub beta2: f32,
    /// 1 − β₂.
    pub weight2: f32,
    /// ε.
    pub epsilon: f32,
}

impl AdamStep {
    /// Updates parameters and both averages in place.
    ///
    /// # Panics
    /// If the slices have different lengths.
    pub fn update(&self, parameters: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        let n = parameters.len();
        assert!(first.len() == n && second.len() == n && gradient.len() == n, "the slices have different lengths");
        Isa::best().dispatch(Update { step: *self, parameters, first, second, gradient });
    }
}

struct Update<'a> {
    step: AdamStep,
    parameters: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
}

impl Job for Update<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let AdamStep { size, root, weight1, beta2, weight2, epsilon } = self.step;
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        for ((p, (m, v)), g) in self.parameters.iter_mut().zip(moments).zip(self.gradient) {
            *m += weight1 * (g - *m);
            *v = *v * beta2 + weight2 * g * g;
            *p -= size * *m / (v.sqrt() / root + epsilon);
        }
    }
}
