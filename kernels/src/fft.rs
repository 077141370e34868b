//! Real FFT of even length N = 2M along time, a register of channels at a time.
//!
//! A *frame* is N rows of one register each: row n holds sample n of `WIDTH` channels. Read in pairs of rows it is the complex signal
//! z\[m\] = x\[2m\] + i·x\[2m+1\], whose M-point FFT is untangled into the bins 0..=M of the real signal. Butterflies are vertical: no shuffles.
//! The M-point FFT is Stockham's self-sorting form (two buffers in turn), radices 8, 7, 5, 4, 3, 2. Nothing is normalised: [`Fft::forward`] gives
//! 2·X and [`Fft::inverse`] 2M·x (N·x); callers fold the factors into their weights.

use crate::elementary;
use crate::simd::Lanes;
use crate::sync::{Mutex, PoisonError};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::f64::consts::TAU;

/// Tables for one length.
#[derive(Clone, Debug)]
pub struct Fft {
    half: usize,
    radices: Vec<usize>,
    /// For each pass, for p in 1..m, for j in 1..r: cos and sin of 2π·p·j/n.
    twiddles: Vec<Vec<[f32; 2]>>,
    /// For f in 0..=M/2: cos and sin of 2π·f/N.
    untangle: Vec<[f32; 2]>,
}

fn turn(part: usize, whole: usize) -> [f32; 2] {
    let angle = TAU * (part % whole) as f64 / whole as f64;
    [elementary::cos(angle) as f32, elementary::sin(angle) as f32]
}

/// The radices of M, or `None` if it is 0 or has a prime factor above 7.
pub fn radices(mut half: usize) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    if half == 0 {
        return None;
    }
    for radix in [7, 5] {
        while half > 1 && half.is_multiple_of(radix) {
            found.push(radix);
            half /= radix;
        }
    }
    while half.is_multiple_of(8) && half != 16 {
        found.push(8);
        half /= 8;
    }
    for radix in [4, 3, 2] {
        while half > 1 && half.is_multiple_of(radix) {
            found.push(radix);
            half /= radix;
        }
    }
    (half == 1).then_some(found)
}

/// Arithmetic of one transform of a register, in vector operations: the cost model's measure.
pub fn cost(half: usize) -> Option<f64> {
    let per_point = |radix: &usize| match radix {
        2 => 3.0,
        3 => 5.0,
        4 => 6.0,
        5 => 8.0,
        7 => 11.0,
        _ => 9.0,
    };
    // Each pass moves every point once as well; the untangling counts as one more pass.
    Some(half as f64 * (radices(half)?.iter().map(|r| per_point(r) + 3.0).sum::<f64>() + 9.0))
}

impl Fft {
    /// Tables for N = 2 · `half`.
    ///
    /// # Panics
    /// If `half` has a prime factor above 7.
    pub fn new(half: usize) -> Self {
        let radices = radices(half).expect("a length that the planner proposes");
        let mut rest = half;
        let mut twiddles = Vec::new();
        for radix in &radices {
            let m = rest / radix;
            twiddles.push((1..m).flat_map(|p| (1..*radix).map(move |j| turn(p * j, rest))).collect());
            rest = m;
        }
        Fft { half, radices, twiddles, untangle: (0..=half / 2).map(|f| turn(f, 2 * half)).collect() }
    }

    /// The tables of this length, made once.
    pub fn cached(half: usize) -> Arc<Fft> {
        static TABLES: Mutex<BTreeMap<usize, Arc<Fft>>> = Mutex::new(BTreeMap::new());
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        tables.entry(half).or_insert_with(|| Arc::new(Fft::new(half))).clone()
    }

    /// Frame rows, N.
    pub fn len(&self) -> usize {
        2 * self.half
    }

    /// Bins of the real transform, M + 1.
    pub fn bins(&self) -> usize {
        self.half + 1
    }

    /// Transforms the frame at `frame` (destroyed, as is `other` of the same size); bin f of 2·X goes to `out + f·bin_stride` as
    /// \[WIDTH re | WIDTH im\]. Where the next transform's bins lie `ahead` further they are asked for meanwhile: each is in a cache line, mostly in a
    /// page, of its own, so the processor does not see them coming.
    ///
    /// # Safety
    /// V's instruction set is available; both frames hold N registers; every bin is writable; `bin_stride` ≥ 2·WIDTH.
    #[inline(always)]
    pub unsafe fn forward<V: Lanes>(&self, frame: *mut f32, other: *mut f32, out: *mut f32, bin_stride: usize, ahead: usize) {
        // SAFETY: the caller's contract; all indices below stay in 0..M within a frame and 0..=M among the bins.
        unsafe {
            let z = self.passes::<V, false>(frame, other);
            let (w, m) = (V::WIDTH, self.half);
            let bin = |f: usize| out.add(f * bin_stride);
            let (re, im) = (V::load(z), V::load(z.add(w)));
            let (first, last) = (re.add(im), re.sub(im));
            first.add(first).store(bin(0));
            V::splat(0.0).store(bin(0).add(w));
            last.add(last).store(bin(m));
            V::splat(0.0).store(bin(m).add(w));
            for f in 1..=m / 2 {
                let g = m - f;
                if ahead > 0 {
                    V::prefetch_to_write(bin(f).wrapping_add(ahead));
                    V::prefetch_to_write(bin(g).wrapping_add(ahead));
                }
                let (a, b) = (Complex::<V>::load(z.add(f * 2 * w), w), Complex::<V>::load(z.add(g * 2 * w), w));
                let [c, s] = self.untangle[f];
                let (c, s) = (V::splat(c), V::splat(s));
                let (even_re, even_im) = (a.re.add(b.re), a.im.sub(b.im));
                let (diff_re, diff_im) = (a.re.sub(b.re), a.im.add(b.im));
                // (c − i s)·(−i)·diff
                let odd_re = c.mul(diff_im).fnma(s, diff_re);
                let odd_im = c.mul(diff_re).fma(s, diff_im);
                even_re.add(odd_re).store(bin(f));
                even_im.sub(odd_im).store(bin(f).add(w));
                even_re.sub(odd_re).store(bin(g));
                let mirrored = V::splat(0.0).sub(even_im.add(odd_im));
                mirrored.store(bin(g).add(w));
            }
            if m.is_multiple_of(2) {
                // The middle bin is its own mirror image: the loop wrote X with the wrong half of the pair last; write conj Z again.
                let f = m / 2;
                let a = Complex::<V>::load(z.add(f * 2 * w), w);
                a.re.add(a.re).store(bin(f));
                V::splat(0.0).sub(a.im.add(a.im)).store(bin(f).add(w));
            }
        }
    }

    /// The inverse of [`Fft::forward`] up to the factor: bins Y → a frame of N·y, left in `frame` or `other`; returns which. `ahead` as there.
    ///
    /// # Safety
    /// V's instruction set is available; both frames hold N registers; every bin is readable.
    #[inline(always)]
    pub unsafe fn inverse<V: Lanes>(
        &self,
        bins: *const f32,
        bin_stride: usize,
        ahead: usize,
        frame: *mut f32,
        other: *mut f32,
    ) -> *mut f32 {
        // SAFETY: the caller's contract; indices as in `forward`.
        unsafe {
            let (w, m) = (V::WIDTH, self.half);
            let bin = |f: usize| Complex::<V>::load(bins.add(f * bin_stride), w);
            let (first, last) = (bin(0).re, bin(m).re);
            first.add(last).store(frame);
            first.sub(last).store(frame.add(w));
            for f in 1..=m / 2 {
                let g = m - f;
                let (a, b) = (bin(f), bin(g));
                if ahead > 0 {
                    V::prefetch(bins.wrapping_add(f * bin_stride + ahead));
                    V::prefetch(bins.wrapping_add(g * bin_stride + ahead));
                }
                let [c, s] = self.untangle[f];
                let (c, s) = (V::splat(c), V::splat(s));
                let (even_re, even_im) = (a.re.add(b.re), a.im.sub(b.im));
                let (diff_re, diff_im) = (a.re.sub(b.re), a.im.add(b.im));
                let p_re = c.mul(diff_re).fnma(s, diff_im);
                let p_im = c.mul(diff_im).fma(s, diff_re);
                Complex { re: even_re.add(p_im), im: p_re.sub(even_im) }.store(frame.add(g * 2 * w), w);
                Complex { re: even_re.sub(p_im), im: even_im.add(p_re) }.store(frame.add(f * 2 * w), w);
            }
            self.passes::<V, true>(frame, other)
        }
    }

    /// The M-point FFT, conjugated if `INVERSE`; returns the buffer that holds the result.
    #[inline(always)]
    unsafe fn passes<V: Lanes, const INVERSE: bool>(&self, frame: *mut f32, other: *mut f32) -> *mut f32 {
        let (mut from, mut to) = (frame, other);
        let (mut rest, mut stride) = (self.half, 1);
        for (radix, twiddles) in self.radices.iter().zip(&self.twiddles) {
            // SAFETY: the caller's contract; `pass` reads and writes rows 0..M, and `twiddles` has (m − 1)(r − 1) entries.
            unsafe {
                match radix {
                    2 => pass::<V, 2, INVERSE>(rest, stride, from, to, twiddles),
                    3 => pass::<V, 3, INVERSE>(rest, stride, from, to, twiddles),
                    4 => pass::<V, 4, INVERSE>(rest, stride, from, to, twiddles),
                    5 => pass::<V, 5, INVERSE>(rest, stride, from, to, twiddles),
                    7 => pass::<V, 7, INVERSE>(rest, stride, from, to, twiddles),
                    _ => pass::<V, 8, INVERSE>(rest, stride, from, to, twiddles),
                }
            }
            rest /= radix;
            stride *= radix;
            (from, to) = (to, from);
        }
        from
    }
}

#[derive(Clone, Copy)]
struct Complex<V> {
    re: V,
    im: V,
}

#[allow(clippy::undocumented_unsafe_blocks)] // Arithmetic only: each needs V's instruction set and valid pointers, which every caller vouches for.
impl<V: Lanes> Complex<V> {
    #[inline(always)]
    unsafe fn load(from: *const f32, w: usize) -> Self {
        unsafe { Complex { re: V::load(from), im: V::load(from.add(w)) } }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, w: usize) {
        unsafe {
            self.re.store(to);
            self.im.store(to.add(w));
        }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        unsafe { Complex { re: self.re.add(b.re), im: self.im.add(b.im) } }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        unsafe { Complex { re: self.re.sub(b.re), im: self.im.sub(b.im) } }
    }
    /// self + i·b
    #[inline(always)]
    unsafe fn add_i(self, b: Self) -> Self {
        unsafe { Complex { re: self.re.sub(b.im), im: self.im.add(b.re) } }
    }
    /// self − i·b
    #[inline(always)]
    unsafe fn sub_i(self, b: Self) -> Self {
        unsafe { Complex { re: self.re.add(b.im), im: self.im.sub(b.re) } }
    }
    #[inline(always)]
    unsafe fn scale(self, by: V) -> Self {
        unsafe { Complex { re: self.re.mul(by), im: self.im.mul(by) } }
    }
    /// self + by·b
    #[inline(always)]
    unsafe fn plus(self, by: V, b: Self) -> Self {
        unsafe { Complex { re: self.re.fma(by, b.re), im: self.im.fma(by, b.im) } }
    }
    /// self · (cos − i sin)
    #[inline(always)]
    unsafe fn turn(self, by: [f32; 2]) -> Self {
        unsafe {
            let (c, s) = (V::splat(by[0]), V::splat(by[1]));
            Complex { re: self.re.mul(c).fma(self.im, s), im: self.im.mul(c).fnma(self.re, s) }
        }
    }
}

/// One Stockham pass of radix R over blocks of length `rest` at stride `stride`. The conjugate transform swaps the real and imaginary parts.
///
/// # Safety
/// As [`Fft::passes`]: rest·stride = M rows of two registers in both buffers, (rest/R − 1)(R − 1) twiddles.
#[inline(always)]
unsafe fn pass<V: Lanes, const R: usize, const INVERSE: bool>(
    rest: usize,
    stride: usize,
    from: *const f32,
    to: *mut f32,
    twiddles: &[[f32; 2]],
) {
    let (w, m) = (V::WIDTH, rest / R);
    let row = 2 * w;
    debug_assert_eq!(twiddles.len(), (m - 1) * (R - 1));
    // SAFETY: rows (q + stride·(p + m·k)) and (q + stride·(R·p + j)) are below stride·rest = M; the rest is the caller's contract.
    unsafe {
        for q in 0..stride {
            let x = fetch::<V, R, INVERSE>(from.add(q * row), stride * m * row);
            let y = butterfly::<V, R>(x);
            for (j, y) in y.into_iter().enumerate() {
                put::<V, INVERSE>(y, to.add((q + stride * j) * row));
            }
        }
        for p in 1..m {
            let turns = twiddles.as_ptr().add((p - 1) * (R - 1));
            for q in 0..stride {
                let x = fetch::<V, R, INVERSE>(from.add((q + stride * p) * row), stride * m * row);
                let y = butterfly::<V, R>(x);
                let base = to.add((q + stride * R * p) * row);
                put::<V, INVERSE>(y[0], base);
                for j in 1..R {
                    put::<V, INVERSE>(y[j].turn(*turns.add(j - 1)), base.add(stride * j * row));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn fetch<V: Lanes, const R: usize, const INVERSE: bool>(from: *const f32, step: usize) -> [Complex<V>; R] {
    let w = V::WIDTH;
    // SAFETY: the caller gives R rows at this step.
    unsafe {
        let mut x = [Complex { re: V::splat(0.0), im: V::splat(0.0) }; R];
        for (k, x) in x.iter_mut().enumerate() {
            let at = from.add(k * step);
            *x = if INVERSE { Complex { re: V::load(at.add(w)), im: V::load(at) } } else { Complex::load(at, w) };
        }
        x
    }
}

#[inline(always)]
unsafe fn put<V: Lanes, const INVERSE: bool>(y: Complex<V>, at: *mut f32) {
    let w = V::WIDTH;
    // SAFETY: the caller gives a writable row.
    unsafe { if INVERSE { Complex { re: y.im, im: y.re }.store(at, w) } else { y.store(at, w) } }
}

/// The R-point DFT, Σ x\[k\]·e^{−2πi·jk/R}.
///
/// # Safety
/// V's instruction set is available.
#[inline(always)]
unsafe fn butterfly<V: Lanes, const R: usize>(x: [Complex<V>; R]) -> [Complex<V>; R] {
    let mut y = x;
    // SAFETY: arithmetic only.
    unsafe {
        match R {
            2 => (y[0], y[1]) = (x[0].add(x[1]), x[0].sub(x[1])),
            4 => y.copy_from_slice(&four([x[0], x[1], x[2], x[3]])),
            8 => {
                let (e, o) = (four([x[0], x[2], x[4], x[6]]), four([x[1], x[3], x[5], x[7]]));
                let h = V::splat(core::f32::consts::FRAC_1_SQRT_2);
                // o[j]·e^{−2πi·j/8}; the factor −i of j = 2 is taken in the sums.
                let o1 = Complex { re: o[1].re.add(o[1].im), im: o[1].im.sub(o[1].re) };
                let o3 = Complex { re: o[3].im.sub(o[3].re), im: o[3].re.add(o[3].im) };
                (y[0], y[4]) = (e[0].add(o[0]), e[0].sub(o[0]));
                (y[2], y[6]) = (e[2].sub_i(o[2]), e[2].add_i(o[2]));
                let (minus, o1, o3) = (V::splat(0.0).sub(h), o1.scale(h), o3);
                (y[1], y[5]) = (e[1].add(o1), e[1].sub(o1));
                // o[3]·e^{−6πi/8} = h·(im − re, −(re + im))
                let o3 = Complex { re: o3.re.mul(h), im: o3.im.mul(minus) };
                (y[3], y[7]) = (e[3].add(o3), e[3].sub(o3));
            }
            _ => odd::<V, R>(&x, &mut y),
        }
    }
    y
}

#[inline(always)]
unsafe fn four<V: Lanes>(x: [Complex<V>; 4]) -> [Complex<V>; 4] {
    // SAFETY: arithmetic only.
    unsafe {
        let (a, b) = (x[0].add(x[2]), x[0].sub(x[2]));
        let (c, d) = (x[1].add(x[3]), x[1].sub(x[3]));
        [a.add(c), b.sub_i(d), a.sub(c), b.add_i(d)]
    }
}

/// cos and sin of 2π·n/R for odd R ∈ {3, 5, 7}.
const fn odd_turn(radix: usize, n: usize) -> [f32; 2] {
    const THREE: [[f32; 2]; 2] = [[1.0, 0.0], [-0.5, 0.866_025_4]];
    const FIVE: [[f32; 2]; 3] = [[1.0, 0.0], [0.309_017, 0.951_056_5], [-0.809_017, 0.587_785_25]];
    const SEVEN: [[f32; 2]; 4] = [[1.0, 0.0], [0.623_489_8, 0.781_831_5], [-0.222_520_93, 0.974_927_9], [-0.900_968_9, 0.433_883_73]];
    let n = n % radix;
    let fold = if n > radix / 2 { radix - n } else { n };
    let [c, s] = match radix {
        3 => THREE[fold],
        5 => FIVE[fold],
        _ => SEVEN[fold],
    };
    [c, if n > radix / 2 { -s } else { s }]
}

/// Odd radix through the sums and differences of mirrored inputs.
#[inline(always)]
unsafe fn odd<V: Lanes, const R: usize>(x: &[Complex<V>; R], y: &mut [Complex<V>; R]) {
    // SAFETY: arithmetic only.
    unsafe {
        let (mut sums, mut differences) = (*x, *x);
        let mut total = x[0];
        for k in 1..=R / 2 {
            sums[k] = x[k].add(x[R - k]);
            differences[k] = x[k].sub(x[R - k]);
            total = total.add(sums[k]);
        }
        y[0] = total;
        for j in 1..=R / 2 {
            let mut cosines = x[0];
            let mut sines = differences[1].scale(V::splat(odd_turn(R, j)[1]));
            for k in 1..=R / 2 {
                let [c, s] = odd_turn(R, j * k);
                cosines = cosines.plus(V::splat(c), sums[k]);
                if k > 1 {
                    sines = sines.plus(V::splat(s), differences[k]);
                }
            }
            y[j] = cosines.sub_i(sines);
            y[R - j] = cosines.add_i(sines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Buffer;
    use crate::simd::{Isa, Job};

    struct RoundTrip(usize);

    impl Job for RoundTrip {
        type Out = (f64, f64);
        /// The largest errors of the spectrum, against the definition, and of the way back.
        #[inline(always)]
        unsafe fn run<V: Lanes>(self) -> (f64, f64) {
            let (fft, w) = (Fft::new(self.0), V::WIDTH);
            let n = fft.len();
            let x: Vec<f32> = (0..n * w).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect();
            let (mut a, mut b, mut bins) = (Buffer::zeros(n * w), Buffer::zeros(n * w), Buffer::zeros(fft.bins() * 2 * w));
            let (mut spectrum_error, mut error) = (0.0f64, 0.0f64);
            // SAFETY: the buffers hold n rows, and bins·2 registers.
            unsafe {
                std::ptr::copy_nonoverlapping(x.as_ptr(), a.as_mut_ptr(), x.len());
                fft.forward::<V>(a.as_mut_ptr(), b.as_mut_ptr(), bins.as_mut_ptr(), 2 * w, 2 * w);
                for f in 0..fft.bins() {
                    for lane in [0, w - 1] {
                        let term = |t: usize| (f64::from(x[t * w + lane]), TAU * ((f * t) % n) as f64 / n as f64);
                        let re: f64 = (0..n).map(term).map(|(v, a)| 2.0 * v * a.cos()).sum();
                        let im: f64 = (0..n).map(term).map(|(v, a)| -2.0 * v * a.sin()).sum();
                        let at = bins.as_ptr().add(f * 2 * w + lane);
                        spectrum_error = spectrum_error.max((f64::from(*at) - re).abs()).max((f64::from(*at.add(w)) - im).abs());
                    }
                }
                let back = fft.inverse::<V>(bins.as_ptr(), 2 * w, 2 * w, a.as_mut_ptr(), b.as_mut_ptr());
                for (i, x) in x.iter().enumerate() {
                    error = error.max(f64::from((*back.add(i) / (2 * n) as f32 - x).abs()));
                }
            }
            (spectrum_error, error)
        }
    }

    #[test]
    fn no_length_is_no_length() {
        assert_eq!((radices(0), radices(11)), (None, None));
    }

    #[test]
    fn transforms_match_the_definition() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            for half in (1..130).chain([168, 250, 256, 512, 1024]).filter(|half| radices(*half).is_some()) {
                let (spectrum, back) = isa.dispatch(RoundTrip(half));
                assert!(spectrum < 2e-6 * (half as f64 + 8.0), "{isa}, M = {half}: spectrum off by {spectrum:.1e}");
                assert!(back < 2e-6, "{isa}, M = {half}: off by {back:.1e} after the way back");
            }
        }
    }
}
