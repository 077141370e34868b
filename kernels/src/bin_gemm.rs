//! The complex matrix product of one frequency bin, register-blocked: C\[m, g\] (+)= Σ_k A\[m, k\] · B\[k, g\] (or · conj B).
//!
//! B and C hold registers, [WIDTH re | WIDTH im] per group g of channels; A is read one complex number at a time, its imaginary part `WIDTH` after
//! its real part, and broadcast. While one bin is multiplied, the weights of the next are fetched from beyond L2: a line for each term, or all lines
//! where there are few rows. One complex multiplication is four real ones: Gauss's three lose accuracy and gained nothing end to end.
//! Every element is one chain of fused additions in the order of k, so a row's bytes do not depend on the rows beside it.

use crate::simd::Lanes;

/// Rows of C held in registers at once.
const ROWS: usize = 6;

/// Where the operands lie. Offsets are in f32.
#[derive(Clone, Copy)]
pub struct Product {
    /// Rows of A and C.
    pub rows: usize,
    /// Terms of the sum.
    pub terms: usize,
    /// Groups of B and C.
    pub groups: usize,
    /// From row to row of A; with `rows_in_lanes`, rows run over the lanes of a group and this goes from group to group.
    pub a_row: usize,
    /// From term to term of A; with `rows_in_lanes` false, terms run over lanes and this goes from group to group.
    pub a_term: usize,
    /// Whether A's rows, rather than its terms, run over lanes.
    pub rows_in_lanes: bool,
    /// From term to term of B.
    pub b_term: usize,
    /// From group to group of B.
    pub b_group: usize,
    /// From row to row of C.
    pub c_row: usize,
    /// Add to C instead of overwriting it.
    pub add: bool,
}

/// Elements of a cache line.
const LINE: usize = 16;

/// Rows that have too few sums to keep the multipliers busy, each product waiting for the one before it: of so few, two groups go side by side.
const FEW: usize = 2;

/// C (+)= A · B, or A · conj B if `CONJUGATE`. `next` is where A and B of the next product lie: they are only fetched.
///
/// # Safety
/// V's instruction set is available, and every element that the product's offsets reach lies in its buffer.
#[inline(always)]
pub unsafe fn multiply<V: Lanes, const CONJUGATE: bool>(
    p: &Product,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    (next_a, next): (*const f32, *const f32),
) {
    let w = V::WIDTH;
    let mut group = 0;
    while group < p.groups {
        let wanted = if p.rows <= FEW { 2 } else { V::COLUMNS };
        let columns = if p.groups - group >= wanted { wanted } else { 1 };
        // SAFETY: the caller's contract, at this group's columns.
        unsafe {
            let (b, c, next) = (b.add(group * p.b_group), c.add(group * 2 * w), (next_a, next.wrapping_add(group * p.b_group)));
            if columns == 2 { rows::<V, 2, CONJUGATE>(p, a, b, c, next) } else { rows::<V, 1, CONJUGATE>(p, a, b, c, next) }
        }
        group += columns;
    }
}

/// Splits the rows in blocks as even as can be of at most [`ROWS`].
#[inline(always)]
unsafe fn rows<V: Lanes, const G: usize, const CONJUGATE: bool>(
    p: &Product,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    (next_a, next): (*const f32, *const f32),
) {
    let w = V::WIDTH;
    let run = if p.rows_in_lanes { w } else { p.rows };
    // The lines of a group of B are shared out over this many blocks, one a term.
    let per_group = (2 * w / LINE).max(1);
    let (mut first, mut index) = (0, 0);
    while first < p.rows {
        let last = (first + run).min(p.rows);
        let base = if p.rows_in_lanes { first / w * p.a_row } else { 0 };
        let step = if p.rows_in_lanes { 1 } else { p.a_row };
        let blocks = (last - first).div_ceil(ROWS);
        let (mut row, mut left) = (first, blocks);
        while row < last {
            // None is so small that its sums wait for one another.
            let count = (last - row).div_ceil(left);
            left -= 1;
            let ahead = next.wrapping_add(index / per_group * p.b_group + index % per_group * p.terms * LINE);
            // SAFETY: rows row..row + count are within A and C.
            unsafe {
                let (a, c) = (a.add(base + (row - first) * step), c.add(row * p.c_row));
                // With one block it fetches all that the next product reads, A too, which another core may have written.
                if blocks == 1 && !CONJUGATE {
                    sized::<V, G, CONJUGATE, true>(p, count, step, a, b, c, (next_a, ahead))
                } else {
                    sized::<V, G, CONJUGATE, false>(p, count, step, a, b, c, (next_a, ahead))
                }
            }
            row += count;
            index += 1;
        }
        first = last;
    }
}

/// [`block`] of `count` rows.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn sized<V: Lanes, const G: usize, const CONJUGATE: bool, const ALL: bool>(
    p: &Product,
    count: usize,
    step: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    next: (*const f32, *const f32),
) {
    // SAFETY: the caller's contract.
    unsafe {
        match count {
            1 => block::<V, 1, G, CONJUGATE, ALL>(p, step, a, b, c, next),
            2 => block::<V, 2, G, CONJUGATE, ALL>(p, step, a, b, c, next),
            3 => block::<V, 3, G, CONJUGATE, ALL>(p, step, a, b, c, next),
            4 => block::<V, 4, G, CONJUGATE, ALL>(p, step, a, b, c, next),
            5 => block::<V, 5, G, CONJUGATE, ALL>(p, step, a, b, c, next),
            _ => block::<V, 6, G, CONJUGATE, ALL>(p, step, a, b, c, next),
        }
    }
}

/// M rows × G groups in 2·M·G accumulators.
#[inline(always)]
unsafe fn block<V: Lanes, const M: usize, const G: usize, const CONJUGATE: bool, const ALL: bool>(
    p: &Product,
    a_row: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    (next_a, ahead): (*const f32, *const f32),
) {
    let w = V::WIDTH;
    let (mut next_a, mut ahead) = (next_a, ahead);
    // SAFETY: the caller's contract: M rows of A and C, `terms` rows of B, G groups. What is only fetched may lie anywhere.
    unsafe {
        let mut re = [[V::splat(0.0); G]; M];
        let mut im = re;
        if p.add {
            for m in 0..M {
                for g in 0..G {
                    re[m][g] = V::load(c.add(m * p.c_row + g * 2 * w));
                    im[m][g] = V::load(c.add(m * p.c_row + g * 2 * w + w));
                }
            }
        }
        // What is stored at the end is asked for now: it has the whole sum to arrive.
        for m in 0..M {
            for at in (0..2 * G * w).step_by(LINE) {
                V::prefetch_to_write(c.add(m * p.c_row + at));
            }
        }
        let (run, a_step, a_jump) = if p.rows_in_lanes { (p.terms, p.a_term, 0) } else { (w, 1, p.a_term) };
        let (mut left, mut b, mut a_group) = (p.terms, b, a);
        while left > 0 {
            let mut a = a_group;
            for _ in 0..run.min(left) {
                let mut br = [V::splat(0.0); G];
                let mut bi = br;
                for g in 0..G {
                    br[g] = V::load(b.add(g * p.b_group));
                    bi[g] = V::load(b.add(g * p.b_group + w));
                }
                if ALL {
                    // Lines from several places in turn, which arrive half as fast again as those of one place (measured).
                    for g in 0..G {
                        for part in 0..(2 * w / LINE).max(1) {
                            V::prefetch(ahead.wrapping_add(g * p.b_group + part * p.terms * LINE));
                        }
                    }
                    V::prefetch(next_a);
                    next_a = next_a.wrapping_add(LINE);
                } else {
                    V::prefetch(ahead);
                }
                ahead = ahead.wrapping_add(LINE);
                for m in 0..M {
                    let (ar, ai) = (V::splat(*a.add(m * a_row)), V::splat(*a.add(m * a_row + w)));
                    for g in 0..G {
                        re[m][g] = re[m][g].fma(ar, br[g]);
                        im[m][g] = if CONJUGATE { im[m][g].fnma(ar, bi[g]) } else { im[m][g].fma(ar, bi[g]) };
                        re[m][g] = if CONJUGATE { re[m][g].fma(ai, bi[g]) } else { re[m][g].fnma(ai, bi[g]) };
                        im[m][g] = im[m][g].fma(ai, br[g]);
                    }
                }
                a = a.add(a_step);
                b = b.add(p.b_term);
            }
            left -= run.min(left);
            a_group = a_group.wrapping_add(a_jump);
        }
        for m in 0..M {
            for g in 0..G {
                re[m][g].store(c.add(m * p.c_row + g * 2 * w));
                im[m][g].store(c.add(m * p.c_row + g * 2 * w + w));
            }
        }
    }
}
