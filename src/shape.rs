//! Shapes that come from outside: files, programs, callers. Every product that such sizes take part in is checked here, once.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use core::fmt;

/// A shape whose elements can be counted, addressed and laid out: the product of its sizes that are not 0, in bytes, fits the address space.
///
/// A size of 0 makes an array empty, not harmless: strides, rows and buffers are products of the other sizes, so [0, 2⁴⁰, 2⁴⁰] is refused too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    sizes: Vec<usize>,
    elements: usize,
}

/// A shape that is too large; prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    sizes: Vec<usize>,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the shape {:?} is too large for any memory", self.sizes)
    }
}

impl Shape {
    /// The shape of an array whose elements take `element` bytes each.
    ///
    /// # Errors
    /// [`TooLarge`] if the product of the sizes that are not 0, in bytes, is beyond `isize::MAX`.
    pub fn new(sizes: &[usize], element: usize) -> Result<Self, TooLarge> {
        match elements(sizes, element) {
            Some(elements) => Ok(Shape { sizes: sizes.to_vec(), elements }),
            None => Err(TooLarge { sizes: sizes.to_vec() }),
        }
    }

    /// The sizes, the slowest axis first.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.elements
    }
}

/// The number of elements of `element` bytes in an array of these sizes; `None` where the product of the sizes that are not 0, in bytes, is beyond
/// `isize::MAX`.
pub fn elements(sizes: &[usize], element: usize) -> Option<usize> {
    let filled = sizes.iter().filter(|size| **size != 0).try_fold(1usize, |product, size| product.checked_mul(*size))?;
    filled.checked_mul(element.max(1)).filter(|bytes| isize::try_from(*bytes).is_ok())?;
    Some(if sizes.contains(&0) { 0 } else { filled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_excuses_nothing() {
        assert_eq!(elements(&[2, 3, 4], 8), Some(24));
        assert_eq!(elements(&[], 8), Some(1));
        assert_eq!(elements(&[0, 5], 8), Some(0));
        assert_eq!(elements(&[0, 1 << 40, 1 << 40], 1), None);
        assert_eq!(elements(&[1 << 40, 0, 1 << 40], 1), None);
        assert_eq!(elements(&[1 << 61], 4), None);
        assert_eq!(elements(&[usize::MAX, 2], 1), None);
        assert_eq!(Shape::new(&[4, 5], 4).unwrap().elements(), 20);
        assert_eq!(
            Shape::new(&[0, usize::MAX], 2).unwrap_err().to_string(),
            format!("the shape [0, {}] is too large for any memory", usize::MAX)
        );
    }
}
