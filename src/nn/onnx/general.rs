//! Ops of ONNX on signals of any number of axes: what is put around, taken out of, reordered, combined, normalised or bent.

use super::attributes::Attributes;
use super::constant::{axes, axis, squeezed};
use super::graph::{Import, Taken, Value, Variable, known};
use super::proto::NodeProto;
use super::tensor::Array;
use super::turned::{inside, value};
use crate::tape::Op;

/// How near a factor must be to one that a decomposed function has.
const NEAR: f64 = 1e-6;

impl<'a> Import<'a> {
    /// A signal that its node has as the graph sees it.
    pub(super) fn exact(&mut self, name: &str, x: &Variable) -> Variable {
        let mut x = self.padded(name, x);
        if x.ours != x.seen[1..] {
            // One axis stays open, so that a network that takes any length still does.
            let time = x.ours.last().copied().unwrap_or(0);
            let open = x.seen[1..].iter().rposition(|size| *size == time && x.ours.len() == 2);
            let shape = x.seen[1..].iter().enumerate().map(|(at, size)| (Some(at) != open).then_some(*size)).collect();
            x.node = self.draft(&format!("{name}/shape"), Op::Reshape { shape }, vec![x.node]);
            x.ours = x.seen[1..].to_vec();
        }
        x
    }

    /// A signal with the zeros around it that a convolution would have put there.
    pub(super) fn padded(&mut self, name: &str, x: &Variable) -> Variable {
        let (before, after) = x.pad;
        if (before, after) == (0, 0) {
            return x.clone();
        }
        let node = self.draft(&format!("{name}/pad"), Op::Pad { axis: 2, before, after, value: 0.0 }, vec![x.node]);
        let len = x.ours[1] + before + after;
        let time = x.seen.iter().rposition(|size| *size == x.ours[1]).unwrap_or(x.seen.len() - 1);
        let mut seen = x.seen.clone();
        seen[time] = len;
        Variable { node, ours: vec![x.ours[0], len], seen, pad: (0, 0) }
    }

    /// A signal of (C, L), where the graph sees one and the node has something else, as (C) for (C, 1).
    pub(super) fn of_time(&mut self, name: &str, x: Variable) -> Variable {
        if x.ours.len() != 2 && x.seen.len() == 3 { self.exact(name, &x) } else { x }
    }

    /// Whether a node is the softplus of another.
    pub(super) fn is_softplus(&self, node: usize, of: usize) -> bool {
        matches!(self.drafts[node].op, Op::Softplus { .. }) && self.drafts[node].inputs == [of]
    }

    /// An op on signals that their nodes have as the graph sees them, and on weights.
    pub(super) fn apply(&mut self, name: &str, op: Op, signals: &[&Variable], weights: &[(usize, Vec<usize>)]) -> Taken<Variable> {
        let shapes: Vec<Vec<usize>> = signals
            .iter()
            .map(|signal| std::iter::once(self.batch).chain(signal.ours.iter().copied()).collect())
            .chain(weights.iter().map(|(_, shape)| shape.clone()))
            .collect();
        let shape = op.output_shape(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let read = signals.iter().map(|signal| signal.node).chain(weights.iter().map(|weight| weight.0)).collect();
        let node = self.draft(name, op, read);
        Ok(Variable { node, ours: shape[1..].to_vec(), seen: shape, pad: (0, 0) })
    }

    /// An op that changes values where they are: the axes stay as the graph sees them.
    fn bent(&mut self, name: &str, x: &Variable, op: Op) -> Value {
        let x = self.padded(name, x);
        Value::Variable(Variable { node: self.draft(name, op, vec![x.node]), ..x })
    }

    /// A node that reads a signal and has not been taken yet.
    pub(super) fn general(&mut self, node: &'a NodeProto, a: &Attributes<'_>, inputs: &[Option<Value>]) -> Taken<Value> {
        let name = node.output.first().map_or("", String::as_str);
        let x = match inputs.first() {
            Some(Some(Value::Variable(x))) => x.clone(),
            _ => return Err("its first input is no signal".into()),
        };
        let known = |at: usize| known(inputs, at);
        let number = |array: Option<&Array>, default: f64| {
            array.map_or(Ok(default), |array| array.as_floats().first().copied().ok_or("an empty bound".to_owned()))
        };
        let low = f64::from(f32::MIN);
        Ok(match node.op_type.as_str() {
            "Elu" => self.bent(name, &x, Op::Elu { alpha: a.float("alpha", 1.0)? }),
            "Selu" => {
                a.ignore(&["alpha", "gamma"]);
                self.bent(name, &x, Op::Selu)
            }
            "Softplus" => self.bent(name, &x, Op::Softplus { beta: 1.0 }),
            "HardSwish" => self.bent(name, &x, Op::HardSwish),
            "Gelu" => self.bent(name, &x, Op::Gelu { approximate: a.text("approximate", "none")? == "tanh" }),
            "Clip" => {
                let low = number(known(1)?, a.float("min", f32::MIN)?)?.max(low);
                let high = number(known(2)?, a.float("max", f32::MAX)?)?.min(-f64::from(f32::MIN));
                self.bent(name, &x, Op::Clip { low, high })
            }
            "Erf" => {
                let (of, factor) = self.scaled(x.node).ok_or("an error function that is no part of a GELU")?;
                if (factor - std::f64::consts::FRAC_1_SQRT_2).abs() > NEAR {
                    return Err("an error function that is no part of a GELU".into());
                }
                Value::Erf(Variable { node: of, ..x })
            }
            "PRelu" => {
                let slope = known(1)?.ok_or("it has no slope")?;
                let w = self.weight(node, 1, "weight", vec![slope.len()], &slope.as_floats(), true);
                let own = self.padded(name, &x);
                let found = self.apply(name, Op::Prelu, &[&own], &[(w, vec![slope.len()])])?;
                Value::Variable(Variable { seen: own.seen, ..found })
            }
            "LayerNormalization" => {
                let own = self.exact(name, &x);
                let first = axis(a.integer("axis", -1)?, own.seen.len())?;
                if first == 0 {
                    return Err("it normalises the batch".into());
                }
                a.ignore(&["stash_type"]);
                let (axes, eps) = (own.seen.len() - first, a.float("epsilon", 1e-5)?);
                let mut weights = Vec::new();
                for (at, part) in [(1, "weight"), (2, "bias")] {
                    if let Some(array) = known(at)? {
                        weights.push((self.weight(node, at, part, array.shape.clone(), &array.as_floats(), true), array.shape.clone()));
                    }
                }
                if weights.len() == 1 {
                    let shape = weights[0].1.clone();
                    let zeros = vec![0.0; shape.iter().product()];
                    weights.push((self.parameter(&format!("{name}.bias"), shape.clone(), &zeros, true), shape));
                }
                Value::Variable(self.apply(name, Op::LayerNorm { axes, eps }, &[&own], &weights)?)
            }
            "InstanceNormalization" => {
                let own = self.exact(name, &x);
                let eps = a.float("epsilon", 1e-5)?;
                let mut weights = Vec::new();
                for (at, part) in [(1, "weight"), (2, "bias")] {
                    let array = known(at)?.ok_or("it has no weight or bias")?;
                    weights.push((self.weight(node, at, part, array.shape.clone(), &array.as_floats(), true), array.shape.clone()));
                }
                Value::Variable(self.apply(name, Op::InstanceNorm { eps }, &[&own], &weights)?)
            }
            "Softmax" => {
                let own = self.exact(name, &x);
                let along = axis(a.integer("axis", -1)?, own.seen.len())?;
                Value::Variable(self.apply(name, Op::Softmax { axis: along }, &[&own], &[])?)
            }
            "Pad" => {
                let list = known(1)?.ok_or("it has no pads")?.as_integers()?.to_vec();
                let value = number(known(2)?, 0.0)?;
                let all: Vec<i64> = (0..x.seen.len() as i64).collect();
                let along = known(3)?.map_or(Ok(all), |along| along.as_integers().map(<[i64]>::to_vec))?;
                if a.text("mode", "constant")? != "constant" || list.len() != 2 * along.len() {
                    return Err("padding other than by a constant".into());
                }
                let mut own = self.exact(name, &x);
                for (k, at) in along.iter().enumerate() {
                    let size = |v: i64| usize::try_from(v).map_err(|_| "padding that takes away".to_owned());
                    let (axis, before, after) = (axis(*at, x.seen.len())?, size(list[k])?, size(list[k + along.len()])?);
                    if (before, after) != (0, 0) {
                        own = self.apply(name, Op::Pad { axis, before, after, value }, &[&own], &[])?;
                    }
                }
                Value::Variable(own)
            }
            "Slice" => return self.sliced(name, &x, 0, inputs),
            "Split" => return self.split(node, a, &x, 0, known(1)?),
            "Gather" => {
                let place = known(1)?.ok_or("it has no places")?;
                let ([], [at]) = (&place.shape[..], place.as_integers()?) else { return Err("one place along an axis is taken".into()) };
                let own = self.exact(name, &x);
                let along = axis(a.integer("axis", 0)?, own.seen.len())?;
                let end = if *at == -1 { i64::MAX } else { at.saturating_add(1) };
                let one = self.cropped(name, &own, along, (*at, end, 1))?;
                let seen = squeezed(&one.seen, Some(&[along as i64]))?;
                Value::Variable(Variable { seen, ..one })
            }
            "ReduceMean" => {
                a.ignore(&["noop_with_empty_axes"]);
                let over = axes(a, known(1)?)?.ok_or("a mean over all axes, the batch's too")?;
                let keep = a.integer("keepdims", 1)? != 0;
                let mut own = self.exact(name, &x);
                let mut over: Vec<usize> = over.iter().map(|at| axis(*at, x.seen.len())).collect::<Taken<_>>()?;
                over.sort_unstable();
                if over.first() == Some(&0) {
                    return Err("a mean over the batch".into());
                }
                for at in over.iter().rev() {
                    own = self.apply(name, Op::Mean { axis: *at }, &[&own], &[])?;
                }
                let seen = x.seen.iter().enumerate().filter(|(at, _)| keep || !over.contains(at));
                let seen = seen.map(|(at, size)| if over.contains(&at) { 1 } else { *size }).collect();
                Value::Variable(Variable { seen, ..own })
            }
            "Neg" => {
                let minus = Array::floats(vec![1], vec![-1.0])?;
                Value::Variable(self.with_weight(name, node, 1, Op::Multiply, &x, &minus)?)
            }
            "Pow" => match known(1)?.map(|by| by.as_floats().to_vec()).as_deref() {
                Some([by]) if *by == 2.0 => {
                    let own = self.padded(name, &x);
                    Value::Variable(Variable { node: self.draft(name, Op::Multiply, vec![own.node, own.node]), ..own })
                }
                _ => return Err("powers other than squares, for which there is no op here yet".into()),
            },
            "MatMul" => self.matmul(name, node, &x, inputs)?,
            _ => return Err("there is no such op here yet".into()),
        })
    }

    /// A part of an axis.
    pub(super) fn cropped(&mut self, name: &str, x: &Variable, along: usize, (start, end, step): (i64, i64, i64)) -> Taken<Variable> {
        let size = x.seen[along] as i64;
        let place = |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(0, size);
        let (from, to) = (place(start), place(end));
        let step =
            usize::try_from(step).ok().filter(|step| *step > 0).ok_or("a slice that goes backwards, for which there is no op here yet")?;
        if from >= to || along == 0 {
            return Err(format!("a slice from {start} to {end} of axis {along}, which has {size} places"));
        }
        if (from, to, step) == (0, size, 1) {
            return Ok(x.clone());
        }
        self.apply(name, Op::Crop { axis: along, before: from as usize, after: (size - to) as usize, step }, &[x], &[])
    }

    /// Parts of axes by starts, ends, axes and steps, of a signal whose batch the graph sees at `at`.
    pub(super) fn sliced(&mut self, name: &str, x: &Variable, at: usize, inputs: &[Option<Value>]) -> Taken<Value> {
        let list = |at: usize| match inputs.get(at) {
            Some(Some(Value::Known(array))) => array.as_integers().map(|list| Some(list.to_vec())),
            None | Some(None) => Ok(None),
            _ => Err(format!("its input {at} depends on the input of the network, known numbers are taken there")),
        };
        let (starts, ends) = (list(1)?.ok_or("it has no starts")?, list(2)?.ok_or("it has no ends")?);
        let along = list(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = list(4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
            return Err("its starts, ends, axes and steps are of different lengths".into());
        }
        let mut own = self.exact(name, x);
        for (k, axis_of) in along.iter().enumerate() {
            let along = inside(axis(*axis_of, own.seen.len())?, at);
            own = self.cropped(name, &own, along, (starts[k], ends[k], steps[k]))?;
        }
        Ok(value(own, at))
    }

    /// Parts of an axis, one after another, a value each, of a signal whose batch the graph sees at `at`.
    pub(super) fn split(
        &mut self,
        node: &'a NodeProto,
        a: &Attributes<'_>,
        x: &Variable,
        at: usize,
        sizes: Option<&Array>,
    ) -> Taken<Value> {
        let own = self.exact(node.output.first().map_or("", String::as_str), x);
        let along = inside(axis(a.integer("axis", 0)?, own.seen.len())?, at);
        a.ignore(&["num_outputs"]);
        let sizes = match (sizes, a.integers("split")?) {
            (Some(sizes), _) => sizes.as_integers()?.to_vec(),
            (None, Some(sizes)) => sizes.to_vec(),
            (None, None) => {
                let size = own.seen[along].div_ceil(node.output.len().max(1));
                (0..node.output.len()).map(|k| size.min(own.seen[along].saturating_sub(k * size)) as i64).collect()
            }
        };
        if sizes.len() != node.output.len() {
            return Err(format!("{} sizes for {} parts", sizes.len(), node.output.len()));
        }
        let (mut from, mut parts) = (0i64, Vec::new());
        for (name, size) in node.output.iter().zip(sizes) {
            let to = from.checked_add(size).ok_or("a part too large")?;
            parts.push(value(self.cropped(name, &own, along, (from, to, 1))?, at));
            from = to;
        }
        Ok(Value::Parts(parts))
    }

    /// A matrix product: of two signals, or of the last axis with a weight, which is a convolution of one tap over the axis before.
    fn matmul(&mut self, name: &str, node: &'a NodeProto, x: &Variable, inputs: &[Option<Value>]) -> Taken<Value> {
        match inputs.get(1) {
            Some(Some(Value::Variable(other))) => {
                let (a, b) = (self.exact(name, x), self.exact(name, other));
                Ok(Value::Variable(self.apply(name, Op::Matmul, &[&a, &b], &[])?))
            }
            Some(Some(Value::Known(weight))) if weight.shape.len() == 2 && x.seen.len() == 3 => {
                let own = self.exact(name, x);
                let (features, outputs) = (weight.shape[0], weight.shape[1]);
                let turned = self.apply(&format!("{name}/turned"), Op::Transpose { axes: vec![2, 1] }, &[&own], &[])?;
                let weight = super::constant::transpose(weight, None)?;
                let shape = vec![outputs, features, 1];
                let w = self.weight(node, 1, "weight", shape.clone(), &weight.as_floats(), true);
                let op = Op::Conv1d { stride: 1, dilation: 1, padding: (0, 0) };
                let product = self.apply(&format!("{name}/product"), op, &[&turned], &[(w, shape)])?;
                Ok(Value::Variable(self.apply(name, Op::Transpose { axes: vec![2, 1] }, &[&product], &[])?))
            }
            _ => Err("a product with a weight of two axes, or of two signals, is taken".into()),
        }
    }

    /// A signal and a weight, combined element by element.
    pub(super) fn with_weight(&mut self, name: &str, node: &NodeProto, at: usize, op: Op, x: &Variable, weight: &Array) -> Taken<Variable> {
        let own = self.exact(name, x);
        // A weight's axes are aligned from the last: what would meet the batch must be of size 1, and is left out.
        let mut shape = weight.shape.clone();
        while shape.len() >= own.seen.len() {
            if shape[0] != 1 {
                return Err(format!("weights of shape {:?} over {:?}: the batch's axis is not stretched", weight.shape, &own.seen[1..]));
            }
            shape.remove(0);
        }
        if shape.is_empty() {
            shape.push(1);
        }
        let w = self.weight(node, at, "factor", shape.clone(), &weight.as_floats(), true);
        self.apply(name, op, &[&own], &[(w, shape)])
    }

    /// Two signals, combined element by element.
    pub(super) fn of_two(&mut self, name: &str, op: Op, a: &Variable, b: &Variable) -> Taken<Variable> {
        if a.ours == b.ours && a.seen == b.seen && (a.pad, b.pad) == ((0, 0), (0, 0)) {
            return Ok(Variable { node: self.draft(name, op, vec![a.node, b.node]), ..a.clone() });
        }
        if a.seen.len() != b.seen.len() {
            return Err(format!("signals of {:?} and {:?}, whose batches do not meet", &a.seen[1..], &b.seen[1..]));
        }
        let (a, b) = (self.exact(name, a), self.exact(name, b));
        self.apply(name, op, &[&a, &b], &[])
    }

    /// What a node is a multiple of, and how many times.
    fn scaled(&self, node: usize) -> Option<(usize, f64)> {
        let of = &self.drafts[node];
        let [x, by] = of.inputs[..] else { return None };
        let value = self.number(by)?;
        match of.op {
            Op::Multiply => Some((x, value)),
            Op::Divide => Some((x, 1.0 / value)),
            _ => None,
        }
    }

    /// x · ½ · (1 + erf(x / √2)), in the orders in which exporters write it: what two factors give, if they are parts of a GELU.
    pub(super) fn gelu(&mut self, name: &str, a: &Value, b: &Value) -> Option<Value> {
        match (a, b) {
            (Value::Variable(x), Value::OnePlusErf(of)) | (Value::OnePlusErf(of), Value::Variable(x)) => {
                if x.node == of.node {
                    return Some(Value::TwiceGelu(x.clone()));
                }
                let (half, factor) = self.scaled(x.node)?;
                (half == of.node && factor == 0.5)
                    .then(|| self.bent(name, &Variable { node: half, ..x.clone() }, Op::Gelu { approximate: false }))
            }
            (Value::OnePlusErf(x), Value::Known(half)) | (Value::Known(half), Value::OnePlusErf(x)) => {
                (half.as_floats()[..] == [0.5]).then(|| Value::Cdf(x.clone()))
            }
            (Value::Variable(x), Value::Cdf(of)) | (Value::Cdf(of), Value::Variable(x)) => {
                (x.node == of.node).then(|| self.bent(name, x, Op::Gelu { approximate: false }))
            }
            (Value::TwiceGelu(x), Value::Known(half)) | (Value::Known(half), Value::TwiceGelu(x)) => {
                (half.as_floats()[..] == [0.5]).then(|| self.bent(name, x, Op::Gelu { approximate: false }))
            }
            _ => None,
        }
    }
}
