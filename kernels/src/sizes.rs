//! Sizes that safe functions are given, as products and sums that cannot wrap: what the unsafe code below a function relies on is asserted once a call.

/// The most elements of anything: so far below the end of memory that a few registers, rows of slack and the bytes of an f64 cannot wrap either.
pub(crate) const MOST: usize = isize::MAX as usize >> 8;

/// The product, if that of the factors that are not 0 is at most [`MOST`]: then no part of it wraps either, in whatever order.
pub(crate) fn checked<const N: usize>(factors: [usize; N]) -> Option<usize> {
    let full = factors.iter().filter(|factor| **factor > 0).try_fold(1usize, |product, factor| product.checked_mul(*factor));
    full.filter(|product| *product <= MOST).map(|product| if factors.contains(&0) { 0 } else { product })
}

/// [`checked`].
///
/// # Panics
/// If the product is larger than memory.
#[track_caller]
pub(crate) fn product<const N: usize>(factors: [usize; N]) -> usize {
    match checked(factors) {
        Some(product) => product,
        None => panic!("a size of {factors:?} elements is larger than memory"),
    }
}

/// The sum, if it is at most [`MOST`].
pub(crate) fn sum<const N: usize>(terms: [usize; N]) -> Option<usize> {
    terms.iter().try_fold(0usize, |sum, term| sum.checked_add(*term)).filter(|sum| *sum <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wraps_behind_a_zero() {
        assert_eq!(checked([3, 4, 5]), Some(60));
        assert_eq!(checked([0, 1 << 20]), Some(0));
        assert_eq!(checked([1 << 40, 0, 1 << 40]), None);
        assert_eq!((checked([MOST, 1]), checked([MOST, 2])), (Some(MOST), None));
        assert_eq!((sum([MOST, 0]), sum([MOST, 1]), sum([usize::MAX, 1])), (Some(MOST), None, None));
    }
}
