//! Zeros around a signal: as attributes of a convolution or pool, as a node of its own, and what they leave of a kernel over an axis of one sample.

use super::attributes::Attributes;
use super::constant::axis;
use super::graph::{Taken, Value, Variable};
use super::lower::time_axis;
use super::tensor::Array;
use crate::tape::limits::MOST_STEP;

/// Zeros before and behind each axis, by `pads` or `auto_pad`.
pub(super) fn paddings(
    a: &Attributes<'_>,
    kernel: &[usize],
    strides: &[i64],
    dilations: &[i64],
    sizes: &[usize],
) -> Taken<Vec<(usize, usize)>> {
    let pads = a.integers("pads")?;
    let number = |v: i64| usize::try_from(v).map_err(|_| format!("a padding of {v}"));
    match (a.text("auto_pad", "NOTSET")?, pads) {
        ("NOTSET" | "", Some(pads)) if pads.len() == 2 * kernel.len() => {
            (0..kernel.len()).map(|at| Ok((number(pads[at])?, number(pads[at + kernel.len()])?))).collect()
        }
        ("NOTSET" | "" | "VALID", None) => Ok(vec![(0, 0); kernel.len()]),
        (same @ ("SAME_UPPER" | "SAME_LOWER"), None) => (0..kernel.len())
            .map(|at| {
                let (stride, dilation) = (number(strides[at])?.max(1), number(dilations[at])?);
                // What does not fit a number fits no signal: the op refuses it.
                let reach = dilation.saturating_mul(kernel[at].saturating_sub(1)).saturating_add(1);
                let last = sizes[at].div_ceil(stride).saturating_sub(1) * stride;
                let all = last.saturating_add(reach).saturating_sub(sizes[at]);
                let small = all / 2;
                Ok(if same == "SAME_UPPER" { (small, all - small) } else { (all - small, small) })
            })
            .collect(),
        (other, _) => Err(format!("a padding by '{other}' and {pads:?}")),
    }
}

/// Of a kernel over several axes the taps over the time axis `t`, at the given place of each other axis.
pub(super) fn middle(values: &[f64], rows: usize, kernel: &[usize], t: usize, at: &[(usize, usize)]) -> Vec<f64> {
    let size: usize = kernel.iter().product();
    let mut picked = Vec::with_capacity(rows * kernel[t]);
    for row in 0..rows {
        for tap in 0..kernel[t] {
            let flat = kernel.iter().enumerate().fold(0, |flat, (axis, taps)| {
                let place = if axis == t { tap } else { at.iter().find(|(other, _)| *other == axis).map_or(0, |(_, place)| *place) };
                flat * taps + place
            });
            picked.push(values[row * size + flat]);
        }
    }
    picked
}

/// Zeros around time, left to the convolution that reads the signal.
pub(super) fn pad(a: &Attributes<'_>, x: Variable, pads: Option<&Array>, value: Option<&Array>, along: Option<&Array>) -> Taken<Value> {
    let time = time_axis(&x)?;
    if a.text("mode", "constant")? != "constant"
        || value.is_some_and(|value| value.as_floats().iter().any(|v| *v != 0.0))
        || a.float("value", 0.0)? != 0.0
    {
        return Err("padding with other values than zeros".into());
    }
    let list = match (pads, a.integers("pads")?) {
        (Some(pads), _) => pads.as_integers()?,
        (None, Some(pads)) => pads,
        (None, None) => return Err("it has no pads".into()),
    };
    let rank = x.seen.len();
    let axes: Vec<usize> = match along {
        Some(along) => along.as_integers()?.iter().map(|at| axis(*at, rank)).collect::<Taken<_>>()?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * axes.len() {
        return Err(format!("pads {list:?} for {} axes", axes.len()));
    }
    let mut padded = x;
    for (k, at) in axes.iter().enumerate() {
        let (before, behind) = (list[k], list[k + axes.len()]);
        match (usize::try_from(before), usize::try_from(behind)) {
            (Ok(before), Ok(behind)) if *at == time => {
                padded.pad = (padded.pad.0.saturating_add(before), padded.pad.1.saturating_add(behind));
                if padded.pad.0.max(padded.pad.1) > MOST_STEP {
                    return Err(format!("pads {list:?}: at most {MOST_STEP} zeros are taken"));
                }
            }
            (Ok(0), Ok(0)) => (),
            _ => return Err(format!("pads {list:?}: zeros before and behind time are taken")),
        }
    }
    Ok(Value::Variable(padded))
}
