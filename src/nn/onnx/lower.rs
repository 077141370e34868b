//! What each op of ONNX that reads a signal becomes here, or why it cannot.

use super::attributes::Attributes;
use super::constant::{axes, axis, permutation, reshaped, sizes, squeezed, transpose, unsqueezed};
use super::graph::{Import, Taken, Value, Variable, known};
use super::padding::pad;
use super::proto::NodeProto;
use super::tensor::Array;
use crate::tape::Op;

impl<'a> Import<'a> {
    /// A node that reads a signal.
    pub(super) fn lower(&mut self, node: &'a NodeProto, a: &Attributes<'_>, inputs: &[Option<Value>]) -> Taken<Value> {
        let name = node.output.first().map_or("", String::as_str);
        if ["LSTM", "GRU"].contains(&node.op_type.as_str()) {
            return self.recurrent(node, a, inputs);
        }
        if inputs.iter().flatten().any(|value| matches!(value, Value::Turned(..))) {
            return self.turned(node, a, inputs);
        }
        // Zeros around a signal are the convolution's that reads it; whoever else does has them put there.
        let takes_padding = matches!(node.op_type.as_str(), "Conv" | "Pad" | "Identity" | "Dropout" | "Cast");
        let inputs: Vec<Option<Value>> = inputs
            .iter()
            .map(|value| match value {
                Some(Value::Variable(x)) if !takes_padding => Some(Value::Variable(self.padded(name, x))),
                other => other.clone(),
            })
            .collect();
        let signal = |at: usize| match inputs.get(at) {
            Some(Some(Value::Variable(signal))) => Ok(signal.clone()),
            _ => Err(format!("its input {at} is no signal")),
        };
        let known = |at: usize| known(&inputs, at);
        let x = || signal(0);
        let plain = |import: &mut Self, op: Op| {
            let x = signal(0)?;
            Ok(Value::Variable(Variable { node: import.draft(name, op, vec![x.node]), ..x }))
        };
        match node.op_type.as_str() {
            "Identity" | "Dropout" => {
                a.ignore(&["ratio", "seed", "is_test"]);
                x().map(Value::Variable)
            }
            "Cast" => match i32::try_from(a.integer("to", 1)?).unwrap_or(0) {
                super::proto::element::FLOAT | super::proto::element::DOUBLE | super::proto::element::FLOAT16 => x().map(Value::Variable),
                other => Err(format!("a signal cast to type {other}")),
            },
            "Shape" => Ok(Value::Known(sizes(&x()?.seen, a.integer("start", 0)?, a.integer("end", i64::MAX)?)?.into())),
            "Conv" => {
                let x = self.of_time(name, x()?);
                self.conv(name, a, &x, known(1)?.ok_or("it has no weight")?, known(2)?, node)
            }
            "BatchNormalization" => self.batch_norm(name, a, &x()?, [known(1)?, known(2)?, known(3)?, known(4)?], node),
            "Relu" => plain(self, Op::Relu),
            "LeakyRelu" => plain(self, Op::LeakyRelu { slope: a.float("alpha", 0.01)? }),
            "Tanh" => plain(self, Op::Tanh),
            "Sigmoid" => plain(self, Op::Sigmoid),
            "MaxPool" | "AveragePool" => self.pool(name, a, &x()?, node.op_type == "MaxPool"),
            "GlobalAveragePool" => self.over_time(name, &x()?, Op::GlobalAvgPool),
            "GlobalMaxPool" => self.over_time(name, &x()?, Op::GlobalMaxPool),
            "ReduceMean" => {
                let x = x()?;
                a.ignore(&["noop_with_empty_axes"]);
                let over = axes(a, known(1)?)?.unwrap_or_default();
                let over: Vec<usize> = over.iter().map(|at| axis(*at, x.seen.len())).collect::<Taken<_>>()?;
                let time = time_axis(&x)
                    .ok()
                    .filter(|time| over.contains(time) && over.iter().all(|at| at == time || *at > 1 && x.seen[*at] == 1));
                let keep = a.integer("keepdims", 1)? != 0;
                if time.is_none() {
                    return self.general(node, a, &inputs);
                }
                let Value::Variable(mean) = self.over_time(name, &x, Op::GlobalAvgPool)? else { return Ok(Value::Lost) };
                Ok(Value::Variable(reduced(mean, &over, keep)))
            }
            "ReduceMax" => {
                let x = self.of_time(name, x()?);
                a.ignore(&["noop_with_empty_axes"]);
                let over = axes(a, known(1)?)?.unwrap_or_default();
                let over: Vec<usize> = over.iter().map(|at| axis(*at, x.seen.len())).collect::<Taken<_>>()?;
                let time = time_axis(&x)?;
                if !over.contains(&time) || over.iter().any(|at| *at != time && (*at < 2 || x.seen[*at] != 1)) {
                    return Err(format!("a maximum over the axes {over:?} of {:?}, over time alone one is taken", &x.seen[1..]));
                }
                let keep = a.integer("keepdims", 1)? != 0;
                let Value::Variable(most) = self.over_time(name, &x, Op::GlobalMaxPool)? else { return Ok(Value::Lost) };
                Ok(Value::Variable(reduced(most, &over, keep)))
            }
            "Greater" => match (signal(0), known(1)?.map(|bound| bound.as_floats().to_vec()).as_deref()) {
                (Ok(x), Some([bound])) => Ok(Value::Above(x, *bound)),
                _ => Err("a comparison that is no part of a softplus".into()),
            },
            "Where" => match &inputs[..] {
                [Some(Value::Above(of, bound)), Some(Value::Variable(x)), Some(Value::Variable(soft))]
                    if *bound >= 20.0 && x.node == of.node && self.is_softplus(soft.node, of.node) =>
                {
                    // Above 20 the two differ by less than 3e-9.
                    Ok(Value::Variable(soft.clone()))
                }
                _ => Err("a choice that is no part of a softplus".into()),
            },
            "Gemm" => self.gemm(name, a, &x()?, known(1)?.ok_or("it has no weight")?, known(2)?, node),
            "MatMul" => match (signal(0), known(1)) {
                (Ok(x), Ok(Some(weight))) if weight.shape.len() == 2 && x.ours == [weight.shape[0]] => {
                    self.linear(name, &x, &transpose(weight, None)?, None, node)
                }
                _ => self.general(node, a, &inputs),
            },
            "Add" | "Sub" | "Mul" | "Div" => self.pair(name, node, &inputs),
            "ConvTranspose" => self.conv_transpose(name, a, &x()?, known(1)?.ok_or("it has no weight")?, known(2)?, node),
            "Concat" => self.concat(name, a.integer("axis", 1)?, &inputs),
            "Flatten" => {
                let x = x()?;
                if axis(a.integer("axis", 1)?, x.seen.len() + 1)? != 1 {
                    return Err("it flattens other axes than those of one example".into());
                }
                self.flatten(name, x)
            }
            "Reshape" => {
                let x = x()?;
                let wanted = known(1)?.ok_or("it has no shape")?.as_integers()?.to_vec();
                let seen = reshaped(&x.seen, &wanted, a.integer("allowzero", 0)? != 0)?;
                self.reshape(name, x, seen)
            }
            "Unsqueeze" => {
                let x = x()?;
                let seen = unsqueezed(&x.seen, &axes(a, known(1)?)?.ok_or("it names no axes")?)?;
                same_values(x, seen)
            }
            "Squeeze" => {
                let x = x()?;
                let seen = squeezed(&x.seen, axes(a, known(1)?)?.as_deref())?;
                same_values(x, seen)
            }
            "Transpose" => {
                let x = x()?;
                let order = permutation(a.integers("perm")?, x.seen.len())?;
                let moved: Vec<usize> = order.iter().copied().filter(|at| x.seen[*at] != 1).collect();
                if order.first() != Some(&0) || !moved.is_sorted() {
                    return self.transposed(name, &x, 0, &order);
                }
                let seen = order.iter().map(|at| x.seen[*at]).collect();
                same_values(x, seen)
            }
            "Pad" => match pad(a, x()?, known(1)?, known(2)?, known(3)?) {
                Ok(padded) => Ok(padded),
                Err(_) => self.general(node, a, &inputs),
            },
            "Einsum" => Ok(Value::Variable(self.einsum(name, a.text("equation", "")?, &x()?, &signal(1)?)?)),
            "Upsample" | "Resize" => self.resize(name, a, &x()?, &inputs),
            _ => self.general(node, a, &inputs),
        }
    }

    fn batch_norm(&mut self, name: &str, a: &Attributes<'_>, x: &Variable, parts: [Option<&Array>; 4], node: &NodeProto) -> Taken<Value> {
        let (eps, momentum) = (a.float("epsilon", 1e-5)?, 1.0 - a.float("momentum", 0.9)?);
        a.ignore(&["spatial"]);
        if a.integer("training_mode", 0)? != 0 {
            return Err("it is in training mode: export after model.eval()".into());
        }
        let features = x.ours.len() == 1 && x.seen[1] == x.ours[0];
        if x.ours.len() != 2 && !features {
            return Err(format!("it normalises {:?}, (C, L) or (C) is taken", x.ours));
        }
        let mut read = vec![x.node];
        for (at, (part, name)) in parts.into_iter().zip(["weight", "bias", "running_mean", "running_var"]).enumerate() {
            let part = part.ok_or_else(|| format!("it has no {name}"))?;
            if part.shape != [x.ours[0]] {
                return Err(format!("its {name} has shape {:?}, {} channels are normalised", part.shape, x.ours[0]));
            }
            read.push(self.weight(node, at + 1, name, part.shape.clone(), &part.as_floats(), at < 2));
        }
        let node = self.draft(name, Op::BatchNorm { eps, momentum }, read);
        Ok(Value::Variable(Variable { node, ..x.clone() }))
    }

    fn gemm(
        &mut self,
        name: &str,
        a: &Attributes<'_>,
        x: &Variable,
        weight: &Array,
        bias: Option<&Array>,
        node: &NodeProto,
    ) -> Taken<Value> {
        let (alpha, beta) = (a.float("alpha", 1.0)?, a.float("beta", 1.0)?);
        if a.integer("transA", 0)? != 0 {
            return Err("its signal is transposed".into());
        }
        let own = if a.integer("transB", 0)? != 0 { weight.clone() } else { transpose(weight, None)? };
        let scaled = |array: &Array, by: f64| match by {
            1.0 => Ok(array.clone()),
            by => Array::floats(array.shape.clone(), array.as_floats().iter().map(|v| v * by).collect()),
        };
        let bias = bias.map(|bias| scaled(bias, beta)).transpose()?;
        self.linear(name, x, &scaled(&own, alpha)?, bias.as_ref(), node)
    }

    fn linear(&mut self, name: &str, x: &Variable, weight: &Array, bias: Option<&Array>, node: &NodeProto) -> Taken<Value> {
        let x = &if x.seen.len() == 2 { self.exact(name, x) } else { x.clone() };
        let ([outputs, features], [_, seen @ ..]) = (&weight.shape[..], &x.seen[..]) else {
            return Err("a weight of two axes is taken".into());
        };
        if x.ours != [*features] || seen.last() != Some(features) {
            return Err(format!("a weight of {features} features over {:?}", seen));
        }
        let w = self.weight(node, 1, "weight", weight.shape.clone(), &weight.as_floats(), true);
        let mut read = vec![x.node, w];
        if let Some(bias) = bias {
            let values = bias.as_floats();
            let all = if values.len() == 1 { vec![values[0]; *outputs] } else { values.into_owned() };
            if all.len() != *outputs {
                return Err(format!("a bias of shape {:?} for {outputs} outputs", bias.shape));
            }
            read.push(self.weight(node, 2, "bias", vec![*outputs], &all, true));
        }
        let node = self.draft(name, Op::Linear, read);
        let mut seen = x.seen.clone();
        if let Some(last) = seen.last_mut() {
            *last = *outputs;
        }
        Ok(Value::Variable(Variable { node, ours: vec![*outputs], seen, pad: (0, 0) }))
    }

    /// Two values combined element by element: two signals, or a signal and weights.
    fn pair(&mut self, name: &str, node: &NodeProto, inputs: &[Option<Value>]) -> Taken<Value> {
        let [Some(a), Some(b)] = inputs else { return Err("two inputs are taken".into()) };
        let op = match node.op_type.as_str() {
            "Add" => Op::Add,
            "Sub" => Op::Subtract,
            "Mul" => Op::Multiply,
            _ => Op::Divide,
        };
        match (a, b) {
            (Value::Erf(x), Value::Known(one)) | (Value::Known(one), Value::Erf(x)) if op == Op::Add && one.as_floats()[..] == [1.0] => {
                Ok(Value::OnePlusErf(x.clone()))
            }
            (Value::Variable(a), Value::Variable(b)) => Ok(Value::Variable(self.of_two(name, op, a, b)?)),
            (Value::Variable(x), Value::Known(weight)) if op == Op::Subtract => {
                let minus = Array::floats(weight.shape.clone(), weight.as_floats().iter().map(|v| -v).collect())?;
                self.weighted(name, node, (x, 0), (&minus, 1), true)
            }
            (Value::Variable(x), Value::Known(weight)) if matches!(op, Op::Add | Op::Multiply) => {
                self.weighted(name, node, (x, 0), (weight, 1), op == Op::Add)
            }
            (Value::Known(weight), Value::Variable(x)) if matches!(op, Op::Add | Op::Multiply) => {
                self.weighted(name, node, (x, 1), (weight, 0), op == Op::Add)
            }
            (Value::Variable(x), Value::Known(weight)) => Ok(Value::Variable(self.with_weight(name, node, 1, op, x, weight)?)),
            (Value::Known(weight), Value::Variable(x)) if op == Op::Subtract => {
                let minus = Array::floats(vec![1], vec![-1.0])?;
                let turned = self.with_weight(&format!("{name}/turned"), node, 2, Op::Multiply, x, &minus)?;
                Ok(Value::Variable(self.with_weight(name, node, 0, Op::Add, &turned, weight)?))
            }
            _ if op == Op::Multiply => self.gelu(name, a, b).ok_or_else(|| "an error function that is no part of a GELU".into()),
            _ => Err("a weight divided by a signal, for which there is no op here yet".into()),
        }
    }

    /// A number per channel, or one for all, added to a signal or multiplied with it: a bias of the layer before, or a norm that does nothing else.
    fn weighted(
        &mut self,
        name: &str,
        node: &NodeProto,
        (x, from): (&Variable, usize),
        (weight, at): (&Array, usize),
        sum: bool,
    ) -> Taken<Value> {
        let values = weight.as_floats();
        let channels = x.ours[0];
        // The axis of the channels or features, counted from the end as shapes are stretched.
        let place = if x.ours.len() == 2 {
            x.seen.len() - 1
        } else {
            x.seen.iter().rposition(|size| *size == channels).map_or(1, |at| x.seen.len() - at)
        };
        let along = weight.shape.len().checked_sub(place);
        let fits = match values.len() {
            1 => true,
            count => count == channels && along.is_some_and(|axis| weight.shape[axis] == channels),
        };
        let op = if sum { Op::Add } else { Op::Multiply };
        if !fits || weight.shape.len() > x.seen.len() {
            return Ok(Value::Variable(self.with_weight(name, node, at, op, x, weight)?));
        }
        let all = if values.len() == 1 { vec![values[0]; channels] } else { values.into_owned() };
        let only = node.input.get(from).is_some_and(|name| self.readers.get(name.as_str()) == Some(&1));
        let last = &self.drafts[x.node];
        if sum && only && matches!(last.op, Op::Linear | Op::Conv1d { .. }) && last.inputs.len() == 2 {
            let bias = self.weight(node, at, "bias", vec![channels], &all, true);
            self.drafts[x.node].inputs.push(bias);
            return Ok(Value::Variable(x.clone()));
        }
        if x.ours.len() != 2 || weight.len() == 1 {
            return Ok(Value::Variable(self.with_weight(name, node, at, op, x, weight)?));
        }
        let (scale, shift) = if sum { (vec![1.0; channels], all) } else { (all, vec![0.0; channels]) };
        let parts = [
            ("weight", scale, true),
            ("bias", shift, true),
            ("running_mean", vec![0.0; channels], false),
            ("running_var", vec![1.0; channels], false),
        ];
        let mut read = vec![x.node];
        for (part, values, trainable) in parts {
            read.push(self.parameter(&format!("{name}.{part}"), vec![channels], &values, trainable));
        }
        Ok(Value::Variable(Variable { node: self.draft(name, Op::BatchNorm { eps: 0.0, momentum: 0.1 }, read), ..x.clone() }))
    }

    fn concat(&mut self, name: &str, along: i64, inputs: &[Option<Value>]) -> Taken<Value> {
        let Some(rank) = inputs.iter().flatten().find_map(|value| if let Value::Variable(s) = value { Some(s.seen.len()) } else { None })
        else {
            return Ok(Value::Lost);
        };
        let along = axis(along, rank)?;
        let Some(parts) = self.signals(name, inputs) else { return self.with_constants(name, along, inputs) };
        let Some(first) = parts.first() else { return Ok(Value::Lost) };
        let alike = |part: &Variable| time_axis(part).is_ok() && part.ours[1] == first.ours[1] && part.seen.len() == first.seen.len();
        if along != 1 || !parts.iter().all(alike) {
            return Ok(Value::Variable(self.joined(name, along, &parts)?));
        }
        let channels = parts.iter().map(|part| part.ours[0]).sum();
        let node = self.draft(name, Op::Concat, parts.iter().map(|part| part.node).collect());
        let mut seen = first.seen.clone();
        seen[1] = channels;
        Ok(Value::Variable(Variable { node, ours: vec![channels, first.ours[1]], seen, pad: (0, 0) }))
    }

    /// A signal with known values before and behind it along an axis, the same for every example (a class token): zeros are put there, and the values
    /// added.
    fn with_constants(&mut self, name: &str, along: usize, inputs: &[Option<Value>]) -> Taken<Value> {
        let signal = |value: &Option<Value>| matches!(value, Some(Value::Variable(_)));
        let (Some(at), 1) = (inputs.iter().position(signal), inputs.iter().filter(|value| signal(value)).count()) else {
            return Err("several signals and known values are joined".into());
        };
        let Some(Some(Value::Variable(x))) = inputs.get(at) else { return Ok(Value::Lost) };
        let own = self.exact(name, x);
        let mut parts = Vec::new();
        for value in inputs {
            match value {
                Some(Value::Variable(_)) => parts.push(None),
                Some(Value::Known(array)) => parts.push(Some(one_example(array, &own.seen, along)?)),
                _ => return Err("a value that is neither signal nor known is joined".into()),
            }
        }
        let size = |part: &Option<Array>| part.as_ref().map_or(own.seen[along], |array| array.shape[along]);
        let (before, after): (usize, usize) = (parts[..at].iter().map(size).sum(), parts[at + 1..].iter().map(size).sum());
        let filled: Vec<Array> = parts.into_iter().map(|part| part.map_or_else(|| zeros(&own.seen), Ok)).collect::<Taken<_>>()?;
        let whole = super::constant::concat(&filled.iter().collect::<Vec<_>>(), along as i64)?;
        let padded = self.apply(&format!("{name}/pad"), Op::Pad { axis: along, before, after, value: 0.0 }, &[&own], &[])?;
        let shape = whole.shape[1..].to_vec();
        let w = self.parameter(&format!("{name}.constant"), shape.clone(), &whole.as_floats(), true);
        Ok(Value::Variable(self.apply(name, Op::Add, &[&padded], &[(w, shape)])?))
    }

    fn flatten(&mut self, name: &str, x: Variable) -> Taken<Value> {
        let features: usize = x.ours.iter().product();
        let node = if x.ours.len() == 1 { x.node } else { self.draft(name, Op::Flatten, vec![x.node]) };
        Ok(Value::Variable(Variable { node, ours: vec![features], seen: vec![x.seen[0], features], pad: (0, 0) }))
    }

    pub(super) fn reshape(&mut self, name: &str, x: Variable, seen: Vec<usize>) -> Taken<Value> {
        if seen.first() == x.seen.first() && seen.get(1..) == Some(&x.ours[..]) && x.pad == (0, 0) {
            return same_values(x, seen);
        }
        let kept = |sizes: &[usize]| sizes.iter().skip(1).copied().filter(|size| *size != 1).collect::<Vec<_>>();
        if seen.first() == x.seen.first() && kept(&seen) == kept(&x.seen) {
            return same_values(x, seen);
        }
        match seen[..] {
            [batch, features] if Some(&batch) == x.seen.first() && features == x.ours.iter().product::<usize>() => self.flatten(name, x),
            [batch, ..] if Some(&batch) == x.seen.first() => {
                let own = self.padded(name, &x);
                let shape = seen[1..].iter().map(|size| Some(*size)).collect();
                let found = self.apply(name, Op::Reshape { shape }, &[&own], &[])?;
                Ok(Value::Variable(found))
            }
            _ => Err(format!("{:?} put into {:?}: it mixes examples of the batch", x.seen, seen)),
        }
    }

    fn resize(&mut self, name: &str, a: &Attributes<'_>, x: &Variable, inputs: &[Option<Value>]) -> Taken<Value> {
        let time = time_axis(x)?;
        a.ignore(&["cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy"]);
        if a.integer("antialias", 0)? != 0 {
            return Err("a stretch with antialias, for which there is no op here".into());
        }
        let (mode, place, near) = (
            a.text("mode", "nearest")?,
            a.text("coordinate_transformation_mode", "half_pixel")?,
            a.text("nearest_mode", "round_prefer_floor")?,
        );
        if mode != "nearest" || !(place == "asymmetric" && near == "floor" || place.starts_with("half_pixel")) {
            return Err(format!("a stretch by '{mode}' ('{place}', '{near}'): repeating each sample is taken"));
        }
        let lists = inputs.iter().skip(1).flatten().filter_map(|value| if let Value::Known(array) = value { Some(array) } else { None });
        let factor = lists
            .filter(|array| array.len() == x.seen.len())
            .find_map(|array| {
                let wanted = array.as_floats();
                let factors: Vec<f64> = match array.as_integers() {
                    Ok(sizes) => sizes.iter().zip(&x.seen).map(|(to, from)| *to as f64 / *from as f64).collect(),
                    Err(_) => wanted.into_owned(),
                };
                let others = factors.iter().enumerate().all(|(at, factor)| at == time || *factor == 1.0);
                (others && factors[time].fract() == 0.0 && factors[time] >= 1.0).then_some(factors[time] as usize)
            })
            .ok_or("whole numbers of repeats over time are taken")?;
        self.along_time(name, x, Op::Upsample { factor }, &[])
    }
}

/// A known value of every example alike, as that of one: (1, …).
fn one_example(array: &Array, like: &[usize], along: usize) -> Taken<Array> {
    let fits =
        array.shape.len() == like.len() && array.shape.iter().zip(like).enumerate().all(|(at, (a, b))| at == 0 || at == along || a == b);
    if !fits || ![1, like[0]].contains(&array.shape[0]) {
        return Err(format!("known values of shape {:?} joined to {:?}", array.shape, &like[1..]));
    }
    let values = array.as_floats();
    let size = values.len() / array.shape[0].max(1);
    if values.chunks(size.max(1)).any(|row| row != &values[..size]) {
        return Err("known values that differ between the examples of a batch".into());
    }
    Array::floats([&[1], &array.shape[1..]].concat(), values[..size].to_vec())
}

/// Zeros in the place of one example.
fn zeros(seen: &[usize]) -> Taken<Array> {
    let shape = [&[1], &seen[1..]].concat();
    Array::floats(shape.clone(), vec![0.0; shape.iter().product()])
}

/// A signal that has one value left along some axes, which the graph keeps or drops.
fn reduced(x: Variable, over: &[usize], keep: bool) -> Variable {
    let seen = x.seen.iter().enumerate().filter(|(at, _)| keep || !over.contains(at)).map(|(_, size)| *size).collect();
    Variable { seen, ..x }
}

/// The same values under other axes of size 1.
fn same_values(x: Variable, seen: Vec<usize>) -> Taken<Value> {
    if seen.first() == x.seen.first() { Ok(Value::Variable(Variable { seen, ..x })) } else { Err("it moves the axis of the batch".into()) }
}

/// The time axis of a signal of (C, L): the one that is no channel and longer than 1, or the last.
pub(super) fn time_axis(x: &Variable) -> Taken<usize> {
    let [_, len] = x.ours[..] else { return Err(format!("it reads {:?}, which has no time axis", &x.seen[1..])) };
    if x.seen.len() < 3 || x.seen[1] != x.ours[0] {
        return Err(format!("it reads {:?}, (C, L) is taken", &x.seen[1..]));
    }
    let long = x.seen[2..].iter().position(|size| *size == len && len != 1);
    Ok(long.map_or(x.seen.len() - 1, |at| at + 2))
}
