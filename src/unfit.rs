//! The first sample that cannot be used, and where it stands. Data are faulty seldom, so all samples are looked at at once, and one by one only where
//! one of them is.

use ndarray::{ArrayBase, Data, Dimension};

/// Samples that are looked at together: enough for wide registers, few enough that a fault is found soon.
const TOGETHER: usize = 1024;

/// The first element for which `unfit` holds, in logical order.
pub(crate) fn first_unfit<A: Copy, S: Data<Elem = A>, D: Dimension>(
    values: &ArrayBase<S, D>,
    unfit: impl Fn(A) -> bool,
) -> Option<(D::Pattern, A)> {
    if let Some(samples) = values.as_slice_memory_order() {
        let any = |samples: &[A]| samples.iter().fold(false, |found, value| found | unfit(*value));
        if !samples.chunks(TOGETHER).any(any) {
            return None;
        }
    }
    values.indexed_iter().find(|(_, value)| unfit(**value)).map(|(at, value)| (at, *value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, Slice};

    #[test]
    fn the_first_in_logical_order_is_found_wherever_it_stands_and_however_the_array_lies() {
        let nan = |x: f32| !x.is_finite();
        let whole = Array2::<f32>::zeros((3, 1500));
        assert_eq!(first_unfit(&whole, nan), None);
        for at in [(0, 0), (0, 1023), (0, 1024), (1, 17), (2, 1499)] {
            let mut one = whole.clone();
            one[at] = f32::INFINITY;
            assert_eq!(first_unfit(&one, nan), Some((at, f32::INFINITY)));
            assert_eq!(first_unfit(&one.t(), nan), Some(((at.1, at.0), f32::INFINITY)));
            assert_eq!(first_unfit(&one.slice_axis(Axis(1), Slice::new(0, None, 2)), nan).is_some(), at.1 % 2 == 0);
        }
        let mut two = whole;
        (two[[2, 3]], two[[1, 900]]) = (f32::NAN, f32::NEG_INFINITY);
        assert_eq!(first_unfit(&two, nan), Some(((1, 900), f32::NEG_INFINITY)));
        assert_eq!(first_unfit(&two.t(), nan).map(|(at, _)| at), Some((3, 2)));
    }
}
