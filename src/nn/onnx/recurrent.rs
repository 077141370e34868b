//! LSTM and GRU of ONNX: a layer in one direction or both becomes an op a direction, its gates in PyTorch's order.

use super::attributes::Attributes;
use super::graph::{Import, Taken, Value, Variable, known};
use super::proto::NodeProto;
use super::tensor::Array;
use super::turned::value;
use crate::tape::Op;

/// A kind of layer.
struct Kind {
    /// Where PyTorch's gates stand among ONNX's: ONNX has i, o, f, g and z, r, n.
    order: &'static [usize],
    /// The bends of gates and state; others are refused.
    bends: &'static [&'static str],
}

const LSTM: Kind = Kind { order: &[0, 2, 3, 1], bends: &["Sigmoid", "Tanh", "Tanh"] };
const GRU: Kind = Kind { order: &[1, 0, 2], bends: &["Sigmoid", "Tanh"] };

/// Rows of `hidden` values each (or `hidden` rows of so many) per gate, in PyTorch's order.
fn in_order(values: &[f64], gate: usize, kind: &Kind) -> Vec<f64> {
    kind.order.iter().flat_map(|of| values[of * gate..(of + 1) * gate].iter().copied()).collect()
}

impl<'a> Import<'a> {
    /// The layer's states, and the last of each direction.
    pub(super) fn recurrent(&mut self, node: &'a NodeProto, a: &Attributes<'_>, inputs: &[Option<Value>]) -> Taken<Value> {
        let name = node.output.iter().find(|name| !name.is_empty()).map_or("", String::as_str);
        let kind = if node.op_type == "LSTM" { LSTM } else { GRU };
        let known = |at: usize| known(inputs, at);
        let first = a.integer("layout", 0)? != 0;
        let x = match inputs.first() {
            Some(Some(Value::Turned(x, 1))) if !first => x.clone(),
            Some(Some(Value::Variable(x))) if first => x.clone(),
            _ => return Err("its input does not have the batch where its layout says".into()),
        };
        let directions: &[bool] = match a.text("direction", "forward")? {
            "forward" => &[false],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            other => return Err(format!("direction '{other}'")),
        };
        let bends = a.texts("activations")?.unwrap_or_else(|| kind.bends.repeat(directions.len()));
        if a.integer("input_forget", 0)? != 0 || bends != kind.bends.repeat(directions.len()) {
            return Err(format!("coupled gates or the bends {bends:?}, for which there is no op here yet"));
        }
        let own = self.exact(name, &x);
        let &[len, features] = &own.ours[..] else { return Err(format!("it reads {:?}, (time, batch, features) is taken", own.ours)) };
        if known(4)?.is_some_and(|lengths| lengths.as_floats().iter().any(|length| *length != len as f64)) {
            return Err("sequences of lengths of their own".into());
        }
        if known(7)?.is_some_and(|peepholes| peepholes.as_floats().iter().any(|v| *v != 0.0)) {
            return Err("peepholes, for which there is no op here yet".into());
        }
        let (w, r, b) = (known(1)?.ok_or("it has no weight")?, known(2)?.ok_or("it has no weight of its state")?, known(3)?);
        let hidden = r.shape.last().copied().unwrap_or(0);
        let (gates, count) = (kind.order.len(), directions.len());
        let wide = hidden.checked_mul(gates).ok_or("a state too large")?;
        let fits = w.shape == [count, wide, features] && r.shape == [count, wide, hidden] && b.is_none_or(|b| b.shape == [count, 2 * wide]);
        if !fits || hidden == 0 || usize::try_from(a.integer("hidden_size", hidden as i64)?) != Ok(hidden) {
            return Err(format!("weights of shapes {:?} and {:?} over {features} features in {count} directions", w.shape, r.shape));
        }
        let begins = self.beginnings(inputs, (node.op_type == "LSTM", first), (count, hidden))?;
        let linear_before_reset = node.op_type == "GRU" && a.integer("linear_before_reset", 0)? != 0;
        let signal = self.reordered(&format!("{name}/signal"), &own, vec![2, 1])?;
        let (mut states, mut last) = (Vec::new(), Vec::new());
        for (at, reverse) in directions.iter().copied().enumerate() {
            let begins: Vec<&[f64]> = begins.iter().map(|state| &state[at * hidden..(at + 1) * hidden]).collect();
            let weights = self.direction(name, &kind, (w, r, b), &begins, at, if reverse { "_reverse" } else { "" })?;
            let op = if node.op_type == "LSTM" { Op::Lstm { reverse } } else { Op::Gru { reverse, linear_before_reset } };
            let own = if count == 1 { name.to_owned() } else { format!("{name}/{}", if reverse { "reverse" } else { "forward" }) };
            let state = self.apply(&own, op, &[&signal], &weights)?;
            let end = if reverse { (0, 1, 1) } else { (-1, i64::MAX, 1) };
            last.push(self.cropped(&format!("{name}/last"), &state, 2, end)?);
            states.push(state);
        }
        let one = |import: &mut Self, name: &str, mut parts: Vec<Variable>| {
            if parts.len() == 1 { Ok(parts.remove(0)) } else { import.joined(name, 1, &parts) }
        };
        let all = one(self, name, states)?;
        let all = self.reordered(&format!("{name}/steps"), &all, vec![2, 1])?;
        let all = Variable { seen: vec![all.seen[0], len, count, hidden], ..all };
        let last = one(self, &format!("{name}/last"), last)?;
        let last = Variable { seen: vec![last.seen[0], count, hidden], ..last };
        let (all, last) = if first { (Value::Variable(all), Value::Variable(last)) } else { (value(all, 2), value(last, 1)) };
        Ok(Value::Parts(vec![all, last, Value::Lost]))
    }

    /// What the states (and, with a memory, that) begin with, direction by direction; none where all begin with zeros.
    fn beginnings(
        &self,
        inputs: &[Option<Value>],
        (memory, batch_first): (bool, bool),
        (count, hidden): (usize, usize),
    ) -> Taken<Vec<Vec<f64>>> {
        let mut all = Vec::new();
        for (at, what) in [(5, "state"), (6, "memory")].into_iter().take(if memory { 2 } else { 1 }) {
            let given = match inputs.get(at) {
                None | Some(None) => None,
                Some(Some(Value::Known(array))) => Some(&**array),
                _ => {
                    return Err(format!(
                        "its {what} begins with what is computed from the network's input, for which there is no op here yet"
                    ));
                }
            };
            let Some(given) = given else {
                all.push(vec![0.0; count * hidden]);
                continue;
            };
            let (directions, examples) = match given.shape[..] {
                [a, b, wide] if wide == hidden => {
                    if batch_first {
                        (b, a)
                    } else {
                        (a, b)
                    }
                }
                _ => (0, 0),
            };
            if directions != count || examples == 0 {
                return Err(format!("its {what} begins with shape {:?}, for {count} directions of {hidden} values", given.shape));
            }
            let values = given.as_floats();
            let row = |direction: usize, example: usize| {
                let row = if batch_first { example * count + direction } else { direction * examples + example };
                &values[row * hidden..(row + 1) * hidden]
            };
            if (0..count).any(|direction| (1..examples).any(|example| row(direction, example) != row(direction, 0))) {
                return Err(format!("its {what} begins otherwise for each example of a batch"));
            }
            all.push((0..count).flat_map(|direction| row(direction, 0).to_vec()).collect());
        }
        Ok(if all.iter().flatten().all(|v| *v == 0.0) { Vec::new() } else { all })
    }

    /// The parameters of one direction, with their shapes.
    fn direction(
        &mut self,
        name: &str,
        kind: &Kind,
        (w, r, b): (&Array, &Array, Option<&Array>),
        begins: &[&[f64]],
        at: usize,
        suffix: &str,
    ) -> Taken<Vec<(usize, Vec<usize>)>> {
        let (wide, features, hidden) = (w.shape[1], w.shape[2], r.shape[2]);
        let part = |array: &Array, size: usize| array.as_floats()[at * size..(at + 1) * size].to_vec();
        let mut all = vec![
            ("weight_ih", vec![wide, features], in_order(&part(w, wide * features), hidden * features, kind)),
            ("weight_hh", vec![wide, hidden], in_order(&part(r, wide * hidden), hidden * hidden, kind)),
        ];
        if let Some(b) = b {
            let both = part(b, 2 * wide);
            all.push(("bias_ih", vec![wide], in_order(&both[..wide], hidden, kind)));
            all.push(("bias_hh", vec![wide], in_order(&both[wide..], hidden, kind)));
        }
        if !begins.is_empty() && b.is_none() {
            all.extend(["bias_ih", "bias_hh"].map(|part| (part, vec![wide], vec![0.0; wide])));
        }
        all.extend(["h_0", "c_0"].into_iter().zip(begins).map(|(part, state)| (part, vec![hidden], state.to_vec())));
        Ok(all
            .into_iter()
            .map(|(part, shape, values)| (self.parameter(&format!("{name}.{part}{suffix}"), shape.clone(), &values, true), shape))
            .collect())
    }
}
