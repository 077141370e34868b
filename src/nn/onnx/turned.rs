//! Signals of which the graph sees the batch behind other axes, as recurrent layers want them (time, batch, features). Here the batch stays first, and it
//! is known where the graph sees it.

use super::attributes::Attributes;
use super::constant::{axes, axis, permutation, reshaped, sizes, squeezed, unsqueezed};
use super::graph::{Import, Taken, Value, Variable, known};
use super::proto::NodeProto;
use crate::tape::Op;

/// A signal and the place at which the graph sees its batch.
type Turned = (Variable, usize);

/// The shape that the graph sees.
fn outside((x, at): &Turned) -> Vec<usize> {
    let mut shape = x.seen[1..].to_vec();
    shape.insert(*at, x.seen[0]);
    shape
}

/// The axis of ours that the graph calls `axis`.
pub(super) fn inside(axis: usize, at: usize) -> usize {
    match axis {
        _ if axis == at => 0,
        _ if axis < at => axis + 1,
        _ => axis,
    }
}

/// A value of which the graph sees the batch at a place.
pub(super) fn value(x: Variable, at: usize) -> Value {
    if at == 0 { Value::Variable(x) } else { Value::Turned(x, at) }
}

impl<'a> Import<'a> {
    /// A node that reads a signal whose batch the graph sees elsewhere than first.
    pub(super) fn turned(&mut self, node: &'a NodeProto, a: &Attributes<'_>, inputs: &[Option<Value>]) -> Taken<Value> {
        let name = node.output.first().map_or("", String::as_str);
        let turned: Vec<Turned> = inputs
            .iter()
            .flatten()
            .filter_map(|value| if let Value::Turned(x, at) = value { Some((x.clone(), *at)) } else { None })
            .collect();
        let known = |at: usize| known(inputs, at);
        let Some((x, at)) = turned.first().cloned() else { return Ok(Value::Lost) };
        let alone = matches!(inputs.first(), Some(Some(Value::Turned(..)))) && turned.len() == 1;
        match node.op_type.as_str() {
            "Transpose" => {
                let order = permutation(a.integers("perm")?, x.seen.len())?;
                self.transposed(name, &x, at, &order)
            }
            "Shape" => Ok(Value::Known(sizes(&outside(&(x, at)), a.integer("start", 0)?, a.integer("end", i64::MAX)?)?.into())),
            "Squeeze" | "Unsqueeze" => {
                let list = axes(a, known(1)?)?;
                let old = outside(&(x.clone(), at));
                let new = match (node.op_type.as_str(), &list) {
                    ("Unsqueeze", Some(list)) => unsqueezed(&old, list)?,
                    ("Unsqueeze", None) => return Err("it names no axes".into()),
                    (_, list) => squeezed(&old, list.as_deref())?,
                };
                self.regrouped(name, (x, at), &new)
            }
            "Reshape" => {
                let wanted = known(1)?.ok_or("it has no shape")?.as_integers()?.to_vec();
                let new = reshaped(&outside(&(x.clone(), at)), &wanted, a.integer("allowzero", 0)? != 0)?;
                self.regrouped(name, (x, at), &new)
            }
            "Concat" => {
                let along = axis(a.integer("axis", 1)?, x.seen.len())?;
                if turned.len() != inputs.len() || turned.iter().any(|(_, other)| *other != at) || along == at {
                    return Err("signals whose batches do not lie at one place are joined".into());
                }
                let parts: Vec<Variable> = turned.into_iter().map(|(part, _)| part).collect();
                Ok(value(self.joined(name, inside(along, at), &parts)?, at))
            }
            "Gather" if alone => {
                let place = known(1)?.ok_or("it has no places")?;
                let ([], [index]) = (&place.shape[..], place.as_integers()?) else { return Err("one place along an axis is taken".into()) };
                let along = axis(a.integer("axis", 0)?, x.seen.len())?;
                let own = self.exact(name, &x);
                let end = if *index == -1 { i64::MAX } else { index + 1 };
                let one = self.cropped(name, &own, inside(along, at), (*index, end, 1))?;
                let seen = squeezed(&one.seen, Some(&[inside(along, at) as i64]))?;
                Ok(value(Variable { seen, ..one }, at - usize::from(along < at)))
            }
            "Split" if alone => self.split(node, a, &x, at, known(1)?),
            "Slice" if alone => self.sliced(name, &x, at, inputs),
            "ReduceMean" if alone => {
                a.ignore(&["noop_with_empty_axes"]);
                let over = axes(a, known(1)?)?.ok_or("a mean over all axes, the batch's too")?;
                let [along] = over[..] else { return Err("a mean over several axes of a signal whose batch is not first".into()) };
                let along = axis(along, x.seen.len())?;
                if along == at {
                    return Err("a mean over the batch".into());
                }
                let keep = a.integer("keepdims", 1)? != 0;
                let own = self.exact(name, &x);
                let mut mean = self.apply(name, Op::Mean { axis: inside(along, at) }, &[&own], &[])?;
                if keep {
                    mean.seen.insert(inside(along, at), 1);
                }
                Ok(value(mean, if keep { at } else { at - usize::from(along < at) }))
            }
            // What acts on each value where it is.
            "Identity" | "Dropout" | "Cast" | "Relu" | "LeakyRelu" | "Tanh" | "Sigmoid" | "Elu" | "Selu" | "Softplus" | "HardSwish"
            | "Clip"
                if alone =>
            {
                let mut own = inputs.to_vec();
                own[0] = Some(Value::Variable(x));
                match self.lower(node, a, &own)? {
                    Value::Variable(found) => Ok(value(found, at)),
                    _ => Err("it reads a signal whose batch is not first".into()),
                }
            }
            _ => Err("it reads a signal whose batch is not first, for which it is not taken yet: transpose it before".into()),
        }
    }

    /// Axes in another order, of a signal whose batch the graph sees at `at`.
    pub(super) fn transposed(&mut self, name: &str, x: &Variable, at: usize, order: &[usize]) -> Taken<Value> {
        let to = order.iter().position(|axis| *axis == at).unwrap_or(0);
        let own: Vec<usize> = order.iter().filter(|axis| **axis != at).map(|axis| inside(*axis, at)).collect();
        let long: Vec<usize> = own.iter().copied().filter(|axis| x.seen[*axis] != 1).collect();
        if long.is_sorted() {
            let seen = std::iter::once(x.seen[0]).chain(own.iter().map(|axis| x.seen[*axis])).collect();
            return Ok(value(Variable { seen, ..x.clone() }, to));
        }
        let exact = self.exact(name, x);
        Ok(value(self.reordered(name, &exact, own)?, to))
    }

    /// Axes behind the batch in another order; what undoes the order before is left out.
    pub(super) fn reordered(&mut self, name: &str, x: &Variable, axes: Vec<usize>) -> Taken<Variable> {
        let (mut inner, mut axes) = (x.clone(), axes);
        if let Op::Transpose { axes: before } = &self.drafts[x.node].op {
            let mut ours = vec![0; before.len()];
            before.iter().zip(&x.ours).for_each(|(axis, size)| ours[axis - 1] = *size);
            axes = axes.into_iter().map(|axis| before[axis - 1]).collect();
            let seen = std::iter::once(x.seen[0]).chain(ours.iter().copied()).collect();
            inner = Variable { node: self.drafts[x.node].inputs[0], ours, seen, pad: (0, 0) };
        }
        if axes.is_sorted() {
            return Ok(inner);
        }
        self.apply(name, Op::Transpose { axes }, &[&inner], &[])
    }

    /// Another shape of the graph's, in which the batch is still an axis: what stands before it and what stands behind are regrouped apart.
    fn regrouped(&mut self, name: &str, (x, at): Turned, new: &[usize]) -> Taken<Value> {
        let product = |sizes: &[usize]| sizes.iter().product::<usize>();
        let before = product(&x.seen[1..=at]);
        let to = (0..new.len()).find(|to| new[*to] == x.seen[0] && product(&new[..*to]) == before);
        let to = to.ok_or_else(|| format!("{:?} put into {new:?}: it mixes examples of the batch", outside(&(x.clone(), at))))?;
        let seen: Vec<usize> = std::iter::once(new[to]).chain(new[..to].iter().copied()).chain(new[to + 1..].iter().copied()).collect();
        match self.reshape(name, x, seen)? {
            Value::Variable(found) => Ok(value(found, to)),
            other => Ok(other),
        }
    }

    /// Signals joined along an axis of ours; those of one length along the channels as they are.
    pub(super) fn joined(&mut self, name: &str, along: usize, parts: &[Variable]) -> Taken<Variable> {
        let mut exact: Vec<Variable> = parts.iter().map(|part| self.exact(name, part)).collect();
        let Some(rank) = exact.first().map(|part| part.ours.len()) else { return Err("nothing to join".into()) };
        if along == 0 || exact.iter().any(|part| part.ours.len() != rank) {
            return Err("signals of as many axes are joined, along another than the batch's".into());
        }
        // Channels and the axis change places, and back.
        let mut swap: Vec<usize> = (1..=rank).collect();
        swap.swap(0, along - 1);
        if along != 1 {
            for part in &mut exact {
                *part = self.reordered(name, part, swap.clone())?;
            }
        }
        let whole = self.apply(name, Op::Concat, &exact.iter().collect::<Vec<_>>(), &[])?;
        if along == 1 { Ok(whole) } else { self.reordered(name, &whole, swap) }
    }
}
