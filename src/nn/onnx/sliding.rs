//! What slides over time: convolutions, their transposes and pools.

use super::attributes::Attributes;
use super::graph::{Import, Taken, Value, Variable};
use super::lower::time_axis;
use super::padding::{middle, paddings};
use super::proto::NodeProto;
use super::tensor::Array;
use crate::tape::Op;

impl Import<'_> {
    pub(super) fn conv(
        &mut self,
        name: &str,
        a: &Attributes<'_>,
        x: &Variable,
        weight: &Array,
        bias: Option<&Array>,
        node: &NodeProto,
    ) -> Taken<Value> {
        let time = time_axis(x)?;
        let space = x.seen.len() - 2;
        let [outputs, inputs, kernel @ ..] = &weight.shape[..] else { return Err(format!("a weight of shape {:?}", weight.shape)) };
        if kernel.len() != space || x.ours.len() != 2 {
            return Err(format!("a weight of shape {:?} over {:?}", weight.shape, &x.seen[1..]));
        }
        // The axes beside time have one sample: of their taps the one that meets it counts, the others meet zeros.
        let list = |name: &'static str, default: i64| -> Taken<Vec<i64>> {
            Ok(a.integers(name)?.map_or_else(|| vec![default; space], <[i64]>::to_vec))
        };
        let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
        if let Some(shape) = a.integers("kernel_shape")?
            && shape.iter().map(|k| *k as usize).ne(kernel.iter().copied())
        {
            return Err(format!("its kernel_shape {shape:?} is not that of its weight {:?}", weight.shape));
        }
        let groups = a.integer("group", 1)?;
        let groups = usize::try_from(groups).ok().filter(|groups| *groups > 0).ok_or("a convolution without groups")?;
        if inputs.checked_mul(groups) != Some(x.ours[0]) || strides.len() != space || dilations.len() != space {
            return Err(format!("a weight of shape {:?} over {:?}", weight.shape, &x.seen[1..]));
        }
        let t = time - 2;
        let positive =
            |v: i64| usize::try_from(v).ok().filter(|v| *v > 0).ok_or_else(|| format!("a stride or dilation of {v}, at least 1 is taken"));
        let steps: Vec<usize> = dilations.iter().map(|v| positive(*v)).collect::<Taken<_>>()?;
        let padding = paddings(a, kernel, &strides, &dilations, &x.seen[2..])?;
        let (mut width, mut values) = (vec![], weight.as_floats().into_owned());
        for (at, taps) in kernel.iter().enumerate().filter(|(at, _)| *at != t) {
            let (before, behind) = padding[at];
            let reach = taps.checked_sub(1).and_then(|gaps| gaps.checked_mul(steps[at]));
            if reach != before.checked_add(behind) || before % steps[at] != 0 {
                return Err(format!("a kernel of {kernel:?} taps that gives more than one axis: networks of one time axis are taken"));
            }
            width.push((at, before / steps[at]));
        }
        if !width.is_empty() {
            values = middle(&values, *outputs * *inputs, kernel, t, &width);
        }
        let padding = (padding[t].0.saturating_add(x.pad.0), padding[t].1.saturating_add(x.pad.1));
        let (stride, dilation) = (positive(strides[t])?, steps[t]);
        let op = match groups {
            1 => Op::Conv1d { stride, dilation, padding },
            groups => Op::GroupedConv1d { groups, stride, dilation, padding },
        };
        let weights = self.weights(node, (vec![*outputs, *inputs, kernel[t]], &values), (*outputs, bias))?;
        self.along_time(name, x, op, &weights)
    }

    /// The weight and, where there is one, the bias of a convolution: what an op reads, and its shape.
    fn weights(
        &mut self,
        node: &NodeProto,
        (shape, values): (Vec<usize>, &[f64]),
        (outputs, bias): (usize, Option<&Array>),
    ) -> Taken<Vec<(usize, Vec<usize>)>> {
        let mut all = vec![(self.weight(node, 1, "weight", shape.clone(), values, true), shape)];
        if let Some(bias) = bias {
            if bias.len() != outputs {
                return Err(format!("a bias of shape {:?} for {outputs} outputs", bias.shape));
            }
            all.push((self.weight(node, 2, "bias", vec![outputs], &bias.as_floats(), true), vec![outputs]));
        }
        Ok(all)
    }

    /// An op that gives other channels or another length; the axes of size 1 besides stay.
    pub(super) fn along_time(&mut self, name: &str, x: &Variable, op: Op, weights: &[(usize, Vec<usize>)]) -> Taken<Value> {
        let time = time_axis(x)?;
        let found = self.apply(name, op, &[x], weights)?;
        let mut seen = x.seen.clone();
        (seen[1], seen[time]) = (found.ours[0], found.ours[1]);
        Ok(Value::Variable(Variable { seen, ..found }))
    }

    pub(super) fn pool(&mut self, name: &str, a: &Attributes<'_>, x: &Variable, largest: bool) -> Taken<Value> {
        let time = time_axis(x)?;
        let space = x.seen.len() - 2;
        let list = |name: &'static str| -> Taken<Vec<i64>> { Ok(a.integers(name)?.map_or_else(|| vec![1; space], <[i64]>::to_vec)) };
        let (kernel, strides, dilations) = (list("kernel_shape")?, list("strides")?, list("dilations")?);
        a.ignore(&["storage_order"]);
        let t = time - 2;
        if [kernel.len(), strides.len(), dilations.len()] != [space; 3] || kernel.iter().enumerate().any(|(at, k)| at != t && *k != 1) {
            return Err(format!("a window of {kernel:?} over {:?}: windows over time are taken", &x.seen[1..]));
        }
        let sizes: Vec<usize> =
            kernel.iter().map(|k| usize::try_from(*k).map_err(|_| "a window below 0".to_owned())).collect::<Taken<_>>()?;
        if dilations[t] != 1 {
            return Err("a dilated window, for which there is no op here yet".into());
        }
        let padding = paddings(a, &sizes, &strides, &dilations, &x.seen[2..])?;
        if padding.iter().enumerate().any(|(at, pad)| at != t && *pad != (0, 0)) {
            return Err("a window padded along other axes than time".into());
        }
        let (window, stride, padding) = (sizes[t], usize::try_from(strides[t]).map_err(|_| "a stride below 0")?, padding[t]);
        let ceil_mode = a.integer("ceil_mode", 0)? != 0;
        let count_include_pad = a.integer("count_include_pad", 0)? != 0 && padding != (0, 0);
        let op = match (largest, padding == (0, 0) && !ceil_mode) {
            (true, true) => Op::MaxPool1d { window, stride },
            (true, false) => Op::PaddedMaxPool1d { window, stride, padding, ceil_mode },
            (false, true) => Op::AvgPool1d { window, stride },
            (false, false) => Op::PaddedAvgPool1d { window, stride, padding, ceil_mode, count_include_pad },
        };
        self.along_time(name, x, op, &[])
    }

    /// All of time made one value; the axes that the graph keeps are of size 1.
    pub(super) fn over_time(&mut self, name: &str, x: &Variable, op: Op) -> Taken<Value> {
        let time = time_axis(x)?;
        let mut seen = x.seen.clone();
        seen[time] = 1;
        Ok(Value::Variable(Variable { node: self.draft(name, op, vec![x.node]), ours: vec![x.ours[0]], seen, pad: (0, 0) }))
    }

    pub(super) fn conv_transpose(
        &mut self,
        name: &str,
        a: &Attributes<'_>,
        x: &Variable,
        weight: &Array,
        bias: Option<&Array>,
        node: &NodeProto,
    ) -> Taken<Value> {
        let (&[_, outputs, kernel], [channels, _]) = (&weight.shape[..], &x.ours[..]) else {
            return Err("a weight of three axes is taken".into());
        };
        let one = |list: Option<&[i64]>, default: i64| {
            usize::try_from(list.and_then(|list| list.first().copied()).unwrap_or(default)).map_err(|_| "a number below 0".to_owned())
        };
        let (stride, dilation, extra) =
            (one(a.integers("strides")?, 1)?, one(a.integers("dilations")?, 1)?, one(a.integers("output_padding")?, 0)?);
        let pads = paddings(a, &[kernel], &[1], &[1], &[x.ours[1]])?;
        a.ignore(&["kernel_shape"]);
        if a.integer("group", 1)? != 1 || a.integers("output_shape")?.is_some() || weight.shape[0] != *channels || x.seen.len() != 3 {
            return Err("in groups, to a given length or over several axes, for which there is no op here yet".into());
        }
        let weights = self.weights(node, (weight.shape.clone(), &weight.as_floats()), (outputs, bias))?;
        self.along_time(name, x, Op::ConvTranspose1d { stride, dilation, padding: pads[0], extra }, &weights)
    }
}
