//! Shape arithmetic: nodes whose inputs are all known are computed while a file is read, as an exporter's optimiser would have.

use super::attributes::Attributes;
use super::proto::NodeProto;
use super::tensor::{Array, Values, array};
use cardiograd_kernels::elementary;
use std::path::Path;

/// The most values of a tensor that is computed: a node that stretches one number takes few bytes.
const MOST: usize = 1 << 24;

/// What a node with known inputs gives; `None` for an op that is not computed here. Absent optional inputs are `None`.
pub(super) fn compute(node: &NodeProto, inputs: &[Option<&Array>], folder: &Path) -> Option<Result<Array, String>> {
    let a = Attributes::of(node);
    let input = |at: usize| inputs.get(at).copied().flatten().ok_or_else(|| format!("its input {at} is missing"));
    let all = || (0..inputs.len()).map(input).collect::<Result<Vec<&Array>, String>>();
    Some(match node.op_type.as_str() {
        "Constant" => constant(node, folder),
        "Identity" | "Dropout" => input(0).cloned(),
        "Cast" => input(0).and_then(|x| cast(x, a.integer("to", 1)?)),
        "Gather" => input(0).and_then(|x| gather(x, input(1)?, a.integer("axis", 0)?)),
        "Concat" => all().and_then(|all| concat(&all, a.integer("axis", 0)?)),
        "Unsqueeze" => {
            input(0).and_then(|x| x.reshaped(unsqueezed(&x.shape, &axes(&a, inputs.get(1).copied().flatten())?.unwrap_or_default())?))
        }
        "Squeeze" => input(0).and_then(|x| x.reshaped(squeezed(&x.shape, axes(&a, inputs.get(1).copied().flatten())?.as_deref())?)),
        "Reshape" => input(0).and_then(|x| x.reshaped(reshaped(&x.shape, input(1)?.as_integers()?, a.integer("allowzero", 0)? != 0)?)),
        "Slice" => input(0).and_then(|x| slice(x, inputs)),
        "Transpose" => input(0).and_then(|x| transpose(x, a.integers("perm")?)),
        "ConstantOfShape" => input(0).and_then(|x| filled(node, x, folder)),
        "Range" => input(0).and_then(|from| range(from, input(1)?, input(2)?)),
        "ReduceProd" => input(0).and_then(|x| Array::integers(vec![], vec![x.as_integers()?.iter().product()])),
        "Shape" => input(0).and_then(|x| sizes(&x.shape, a.integer("start", 0)?, a.integer("end", i64::MAX)?)),
        "Neg" | "Floor" | "Ceil" | "Sqrt" => input(0).and_then(|x| one(&node.op_type, x)),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Min" | "Max" | "Equal" | "Greater" | "Less" => {
            input(0).and_then(|x| two(&node.op_type, x, input(1)?))
        }
        "Where" => input(0).and_then(|condition| chosen(condition, input(1)?, input(2)?)),
        "Expand" => input(0).and_then(|x| expanded(x, input(1)?)),
        _ => return None,
    })
}

fn constant(node: &NodeProto, folder: &Path) -> Result<Array, String> {
    let Some(value) = node.attribute.first() else { return Err("it has no value".into()) };
    match value.name.as_str() {
        "value" => array(value.t.as_ref().ok_or("it has no value")?, folder),
        "value_float" => Array::floats(vec![], vec![f64::from(value.f)]),
        "value_floats" => Array::floats(vec![value.floats.len()], value.floats.iter().map(|v| f64::from(*v)).collect()),
        "value_int" => Array::integers(vec![], vec![value.i]),
        "value_ints" => Array::integers(vec![value.ints.len()], value.ints.clone()),
        other => Err(format!("a constant given as '{other}' is not read")),
    }
}

/// The place of an axis that may be counted from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let place = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    place.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < rank).ok_or_else(|| format!("axis {axis} of {rank} axes"))
}

/// Axes as an attribute (before opset 13) or as an input.
pub(super) fn axes(a: &Attributes<'_>, input: Option<&Array>) -> Result<Option<Vec<i64>>, String> {
    let given = a.integers("axes")?.map(<[i64]>::to_vec);
    match input {
        Some(input) => Ok(Some(input.as_integers()?.to_vec())),
        None => Ok(given),
    }
}

pub(super) fn unsqueezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = shape.len() + axes.len();
    let mut ones = vec![false; rank];
    for at in axes {
        ones[axis(*at, rank)?] = true;
    }
    let mut sizes = shape.iter();
    ones.into_iter().map(|one| if one { Ok(1) } else { sizes.next().copied().ok_or_else(|| "an axis is named twice".to_owned()) }).collect()
}

pub(super) fn squeezed(shape: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let Some(axes) = axes else { return Ok(shape.iter().copied().filter(|size| *size != 1).collect()) };
    let away: Vec<usize> = axes.iter().map(|at| axis(*at, shape.len())).collect::<Result<_, _>>()?;
    if let Some(at) = away.iter().find(|at| shape[**at] != 1) {
        return Err(format!("axis {at} of {shape:?} is not of size 1"));
    }
    Ok(shape.iter().enumerate().filter(|(at, _)| !away.contains(at)).map(|(_, size)| *size).collect())
}

/// The shape that a reshape asks for: 0 keeps a size, −1 takes what is left.
pub(super) fn reshaped(shape: &[usize], wanted: &[i64], zero_is_zero: bool) -> Result<Vec<usize>, String> {
    let elements = |sizes: &[usize]| sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).ok_or("a shape too large");
    let mut sizes = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, size) in wanted.iter().enumerate() {
        sizes.push(match size {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 if !zero_is_zero => *shape.get(at).ok_or("it keeps an axis that is not there")?,
            size => usize::try_from(*size).map_err(|_| format!("a shape of {wanted:?}"))?,
        });
    }
    let (all, known) = (elements(shape)?, elements(&sizes)?);
    if let Some(at) = open {
        sizes[at] = all.checked_div(known).unwrap_or(0);
    }
    if elements(&sizes)? == all { Ok(sizes) } else { Err(format!("{shape:?} does not go into {wanted:?}")) }
}

pub(super) fn sizes(shape: &[usize], start: i64, end: i64) -> Result<Array, String> {
    let rank = shape.len() as i64;
    let at = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (at(start), at(end));
    let some: Vec<i64> = shape[start.min(end)..end].iter().map(|size| *size as i64).collect();
    Array::integers(vec![some.len()], some)
}

fn cast(x: &Array, to: i64) -> Result<Array, String> {
    use super::proto::element::{BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64};
    let to = i32::try_from(to).unwrap_or(0);
    let values = match (&x.values, to) {
        (_, FLOAT | DOUBLE | FLOAT16) => Values::Floats(x.as_floats().into_owned()),
        (Values::Integers(values), INT32 | INT64) => Values::Integers(values.clone()),
        (Values::Floats(values), INT32 | INT64) => Values::Integers(values.iter().map(|v| *v as i64).collect()),
        (_, BOOL) => Values::Integers(x.as_floats().iter().map(|v| i64::from(*v != 0.0)).collect()),
        _ => return Err(format!("a cast to type {to} is not computed")),
    };
    Array::new(x.shape.clone(), values)
}

/// Row-major steps of a shape.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        steps[at - 1] = steps[at] * shape[at];
    }
    steps
}

/// The place in the source of each element of the result, from its places along the axes.
fn places(shape: &[usize], of: impl Fn(&[usize]) -> usize) -> Result<Vec<usize>, String> {
    let count = crate::shape::elements(shape, 8).filter(|count| *count <= MOST).ok_or_else(|| format!("a tensor of shape {shape:?}"))?;
    let steps = strides(shape);
    let mut index = vec![0; shape.len()];
    Ok((0..count)
        .map(|flat| {
            for (at, step) in steps.iter().enumerate() {
                index[at] = flat / step % shape[at].max(1);
            }
            of(&index)
        })
        .collect())
}

fn gather(x: &Array, indices: &Array, along: i64) -> Result<Array, String> {
    let along = axis(along, x.shape.len())?;
    let size = x.shape[along] as i64;
    let wanted: Vec<usize> = indices
        .as_integers()?
        .iter()
        .map(|at| usize::try_from(if *at < 0 { at.saturating_add(size) } else { *at }).ok().filter(|at| *at < x.shape[along]))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("a place outside of axis {along} of {:?}", x.shape))?;
    let shape = [&x.shape[..along], &indices.shape, &x.shape[along + 1..]].concat();
    let (steps, own) = (strides(&x.shape), strides(&indices.shape));
    let depth = indices.shape.len();
    let place = |index: &[usize]| {
        let at: usize = own.iter().zip(&index[along..along + depth]).map(|(step, at)| step * at).sum();
        let before: usize = steps[..along].iter().zip(index).map(|(step, at)| step * at).sum();
        let behind: usize = steps[along + 1..].iter().zip(&index[along + depth..]).map(|(step, at)| step * at).sum();
        before + steps[along] * wanted[at] + behind
    };
    x.pick(shape.clone(), &places(&shape, place)?)
}

pub(super) fn concat(all: &[&Array], along: i64) -> Result<Array, String> {
    let Some(first) = all.first() else { return Err("nothing to join".into()) };
    let along = axis(along, first.shape.len())?;
    let fits = |other: &&&Array| {
        other.shape.len() == first.shape.len() && (0..first.shape.len()).all(|at| at == along || other.shape[at] == first.shape[at])
    };
    if all.iter().filter(fits).count() != all.len() {
        return Err("tensors that do not fit are joined".into());
    }
    let mut shape = first.shape.clone();
    shape[along] = all.iter().map(|part| part.shape[along]).try_fold(0usize, usize::checked_add).ok_or("a shape too large")?;
    let rows: usize = first.shape[..along].iter().product();
    let floats = all.iter().any(|part| matches!(part.values, Values::Floats(_)));
    let (mut whole, mut real) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for part in all {
            let len = part.len() / rows;
            if floats {
                real.extend_from_slice(&part.as_floats()[row * len..(row + 1) * len]);
            } else {
                whole.extend_from_slice(&part.as_integers()?[row * len..(row + 1) * len]);
            }
        }
    }
    if floats { Array::floats(shape, real) } else { Array::integers(shape, whole) }
}

fn slice(x: &Array, inputs: &[Option<&Array>]) -> Result<Array, String> {
    let list = |at: usize| inputs.get(at).copied().flatten().map(|list| list.as_integers().map(<[i64]>::to_vec)).transpose();
    let (starts, ends) =
        (list(1)?.ok_or("a slice as of opset 10 is computed, with its starts as an input")?, list(2)?.ok_or("it has no ends")?);
    let along = list(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let by = list(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), along.len(), by.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps are of different lengths".into());
    }
    // For each axis where it begins, how it goes on, and how many it takes.
    let mut parts: Vec<(i64, i64, usize)> = x.shape.iter().map(|size| (0, 1, *size)).collect();
    for (k, at) in along.iter().enumerate() {
        let at = axis(*at, x.shape.len())?;
        let (size, step) = (x.shape[at] as i64, by[k]);
        let count = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (from, to) = match step {
            1.. => (count(starts[k]).clamp(0, size), count(ends[k]).clamp(0, size)),
            0 => return Err("a slice that stands still".into()),
            _ => (count(starts[k]).clamp(-1, size - 1), count(ends[k]).clamp(-1, size - 1)),
        };
        let way = if step > 0 { to - from } else { from - to };
        parts[at] = (from, step, (way.max(0) as u64).div_ceil(step.unsigned_abs()) as usize);
    }
    let shape: Vec<usize> = parts.iter().map(|part| part.2).collect();
    let steps = strides(&x.shape);
    let place = |index: &[usize]| {
        let places = index.iter().zip(&parts).zip(&steps);
        places.map(|((at, (from, by, _)), step)| (from + *at as i64 * by).max(0) as usize * step).sum()
    };
    x.pick(shape.clone(), &places(&shape, place)?)
}

/// The order of axes, if it is one.
pub(super) fn permutation(perm: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, String> {
    let Some(perm) = perm else { return Ok((0..rank).rev().collect()) };
    let order: Vec<usize> = perm.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
    let mut seen = order.clone();
    seen.sort_unstable();
    if seen == (0..rank).collect::<Vec<_>>() { Ok(order) } else { Err(format!("{perm:?} is no order of {rank} axes")) }
}

pub(super) fn transpose(x: &Array, perm: Option<&[i64]>) -> Result<Array, String> {
    let order = permutation(perm, x.shape.len())?;
    let shape: Vec<usize> = order.iter().map(|at| x.shape[*at]).collect();
    let steps = strides(&x.shape);
    let place = |index: &[usize]| index.iter().zip(&order).map(|(at, of)| at * steps[*of]).sum();
    x.pick(shape.clone(), &places(&shape, place)?)
}

fn filled(node: &NodeProto, sizes: &Array, folder: &Path) -> Result<Array, String> {
    let value = node.attribute.iter().find(|attribute| attribute.name == "value").and_then(|attribute| attribute.t.as_ref());
    let value = value.map_or_else(|| Array::floats(vec![1], vec![0.0]), |tensor| array(tensor, folder))?;
    let shape: Vec<usize> =
        sizes.as_integers()?.iter().map(|v| usize::try_from(*v).map_err(|_| "a negative size".to_owned())).collect::<Result<_, _>>()?;
    let count = places(&shape, |_| 0)?;
    value.pick(shape, &count)
}

fn range(from: &Array, to: &Array, by: &Array) -> Result<Array, String> {
    let one = |x: &Array| x.as_integers()?.first().copied().ok_or_else(|| "an empty bound".to_owned());
    let (from, to, by) = (one(from)?, one(to)?, one(by)?);
    let step = usize::try_from(by).ok().filter(|by| *by > 0).ok_or("a range that does not go up is not computed")?;
    let count = (i128::from(to) - i128::from(from)).max(0) as u128 / step as u128;
    if count > MOST as u128 {
        return Err("a range too long".into());
    }
    let values: Vec<i64> = (from..to).step_by(step).collect();
    Array::integers(vec![values.len()], values)
}

fn one(op: &str, x: &Array) -> Result<Array, String> {
    let of = |v: f64| match op {
        "Neg" => -v,
        "Floor" => v.floor(),
        "Ceil" => v.ceil(),
        _ => v.sqrt(),
    };
    match &x.values {
        Values::Integers(values) if op == "Neg" => Array::integers(x.shape.clone(), values.iter().map(|v| v.wrapping_neg()).collect()),
        _ => Array::floats(x.shape.clone(), x.as_floats().iter().map(|v| of(*v)).collect()),
    }
}

/// The common shape of two that are stretched over each other, and the places of its elements in either.
type Stretched = (Vec<usize>, Vec<usize>, Vec<usize>);

/// Stretches two shapes over each other.
fn stretched(a: &[usize], b: &[usize]) -> Result<Stretched, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], at: usize| if at + shape.len() < rank { 1 } else { shape[at + shape.len() - rank] };
    let pair = |at: usize| match (size(a, at), size(b, at)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(format!("{a:?} and {b:?} do not fit each other")),
    };
    let shape: Vec<usize> = (0..rank).map(pair).collect::<Result<_, _>>()?;
    let of = |own: &[usize]| {
        let (steps, skip) = (strides(own), rank - own.len());
        let own = own.to_vec();
        places(&shape, move |index| {
            index[skip..].iter().zip(&own).zip(&steps).map(|((at, size), step)| if *size == 1 { 0 } else { at * step }).sum()
        })
    };
    let (left, right) = (of(a)?, of(b)?);
    Ok((shape, left, right))
}

fn two(op: &str, a: &Array, b: &Array) -> Result<Array, String> {
    let (shape, left, right) = stretched(&a.shape, &b.shape)?;
    if let (Values::Integers(x), Values::Integers(y)) = (&a.values, &b.values) {
        let of = |(l, r): (&usize, &usize)| -> Option<i64> {
            let (x, y) = (x[*l], y[*r]);
            match op {
                "Add" => x.checked_add(y),
                "Sub" => x.checked_sub(y),
                "Mul" => x.checked_mul(y),
                "Div" => x.checked_div(y),
                "Mod" => x.checked_rem_euclid(y),
                "Pow" => x.checked_pow(u32::try_from(y).ok()?),
                "Min" => Some(x.min(y)),
                "Max" => Some(x.max(y)),
                "Equal" => Some(i64::from(x == y)),
                "Greater" => Some(i64::from(x > y)),
                _ => Some(i64::from(x < y)),
            }
        };
        let values: Option<Vec<i64>> = left.iter().zip(&right).map(of).collect();
        return Array::integers(shape, values.ok_or("its result is no whole number of 64 bits")?);
    }
    let (x, y) = (a.as_floats(), b.as_floats());
    let of = |(l, r): (&usize, &usize)| {
        let (x, y) = (x[*l], y[*r]);
        match op {
            "Add" => x + y,
            "Sub" => x - y,
            "Mul" => x * y,
            "Div" => x / y,
            "Mod" => x % y,
            "Pow" => elementary::pow(x, y),
            "Min" => {
                if y < x {
                    y
                } else {
                    x
                }
            }
            "Max" => {
                if y > x {
                    y
                } else {
                    x
                }
            }
            "Equal" => f64::from(u8::from(x == y)),
            "Greater" => f64::from(u8::from(x > y)),
            _ => f64::from(u8::from(x < y)),
        }
    };
    Array::floats(shape, left.iter().zip(&right).map(of).collect())
}

fn chosen(condition: &Array, a: &Array, b: &Array) -> Result<Array, String> {
    let (condition, a, b) = (condition.as_integers()?, a.as_integers()?, b.as_integers()?);
    let of = |list: &[i64], at: usize| if list.len() == 1 { list.first().copied() } else { list.get(at).copied() };
    let count = condition.len().max(a.len()).max(b.len());
    let values: Option<Vec<i64>> = (0..count).map(|at| of(if of(condition, at)? != 0 { a } else { b }, at)).collect();
    Array::integers(vec![count], values.ok_or("its inputs are of different lengths")?)
}

fn expanded(x: &Array, sizes: &Array) -> Result<Array, String> {
    let wanted: Vec<usize> =
        sizes.as_integers()?.iter().map(|v| usize::try_from(*v).map_err(|_| "a negative size".to_owned())).collect::<Result<_, _>>()?;
    let (shape, left, _) = stretched(&x.shape, &wanted)?;
    x.pick(shape, &left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(shape: &[usize], values: &[i64]) -> Array {
        Array::integers(shape.to_vec(), values.to_vec()).unwrap()
    }

    #[test]
    fn shape_arithmetic() {
        assert_eq!(reshaped(&[7, 4, 6], &[0, -1], false).unwrap(), [7, 24]);
        assert!(reshaped(&[7, 4], &[3, -1], false).is_err() && reshaped(&[2], &[-1, -1], false).is_err());
        assert_eq!(unsqueezed(&[3, 4], &[0, -1]).unwrap(), [1, 3, 4, 1]);
        assert_eq!(squeezed(&[1, 3, 1], None).unwrap(), [3]);
        assert!(squeezed(&[2, 3], Some(&[0])).is_err() && axis(3, 3).is_err() && axis(i64::MIN, 3).is_err());
        let x = whole(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        assert_eq!(transpose(&x, None).unwrap(), whole(&[3, 2], &[0, 3, 1, 4, 2, 5]));
        assert_eq!(gather(&x, &whole(&[], &[-1]), 1).unwrap(), whole(&[2], &[2, 5]));
        assert_eq!(gather(&x, &whole(&[2], &[1, 0]), 0).unwrap(), whole(&[2, 3], &[3, 4, 5, 0, 1, 2]));
        assert_eq!(concat(&[&x, &whole(&[2, 1], &[8, 9])], 1).unwrap(), whole(&[2, 4], &[0, 1, 2, 8, 3, 4, 5, 9]));
        let cut = slice(
            &x,
            &[None, Some(&whole(&[1], &[1])), Some(&whole(&[1], &[i64::MAX])), Some(&whole(&[1], &[1])), Some(&whole(&[1], &[1]))],
        );
        assert_eq!(cut.unwrap(), whole(&[2, 2], &[1, 2, 4, 5]));
        let back = slice(
            &x,
            &[None, Some(&whole(&[1], &[-1])), Some(&whole(&[1], &[i64::MIN])), Some(&whole(&[1], &[1])), Some(&whole(&[1], &[-2]))],
        );
        assert_eq!(back.unwrap(), whole(&[2, 2], &[2, 0, 5, 3]));
        assert_eq!(two("Mul", &x, &whole(&[2, 1], &[10, 100])).unwrap(), whole(&[2, 3], &[0, 10, 20, 300, 400, 500]));
        assert!(two("Div", &x, &whole(&[], &[0])).is_err() && two("Add", &x, &whole(&[2], &[1, 1])).is_err());
        assert_eq!(sizes(&[7, 4, 6], -2, i64::MAX).unwrap(), whole(&[2], &[4, 6]));
        assert!(range(&whole(&[], &[0]), &whole(&[], &[i64::MAX]), &whole(&[], &[1])).is_err());
    }
}
