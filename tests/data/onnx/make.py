"""Makes the ONNX files beside this script, and what PyTorch predicts: python make.py (needs torch, onnx, onnxscript, numpy).

Small networks of the layers that people use, exported by both of PyTorch's exporters, from opset 11 to 20, in three precisions."""

import json
import pathlib
import warnings

import numpy as np
import onnx
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
warnings.filterwarnings("ignore")


class Residual(nn.Module):
    """A strided residual network with batch norms, max-pooling and a mean over time."""

    def __init__(self, pool):
        super().__init__()
        self.stem = nn.Conv1d(3, 6, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm1d(6)
        self.conv1 = nn.Conv1d(6, 6, 5, padding=2, bias=False)
        self.norm1 = nn.BatchNorm1d(6)
        self.conv2 = nn.Conv1d(6, 6, 3, dilation=2, padding=2)
        self.down = nn.MaxPool1d(2)
        self.pool = pool
        self.fc = nn.Linear(6, 1)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        y = self.conv2(torch.relu(self.norm1(self.conv1(x))))
        x = self.down(torch.relu(x + y))
        x = nn.functional.adaptive_avg_pool1d(x, 1).flatten(1) if self.pool else x.mean(-1)
        return self.fc(x)


class Disguised(nn.Module):
    """Two-dimensional convolutions over one axis."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, (1, 9), padding=(0, 4))
        self.norm = nn.BatchNorm2d(5)
        self.conv2 = nn.Conv2d(5, 4, (3, 5), padding=(1, 2), stride=(1, 2))
        self.fc = nn.Linear(4 * 20, 1)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv1(x.unsqueeze(2))))
        x = torch.tanh(self.conv2(x))
        return self.fc(x.squeeze(2).view(x.shape[0], -1))


class Branches(nn.Module):
    """'same' padding of an even kernel, a join, upsampling, a gate, two linear layers."""

    def __init__(self):
        super().__init__()
        self.even = nn.Conv1d(3, 4, 8, padding="same")
        self.short = nn.Conv1d(3, 4, 1)
        self.pool = nn.AvgPool1d(2)
        self.up = nn.Upsample(scale_factor=2)
        self.gate = nn.Conv1d(8, 8, 1)
        self.fc1 = nn.Linear(8 * 40, 5)
        self.fc2 = nn.Linear(5, 1, bias=False)

    def forward(self, x):
        y = torch.cat([self.even(x), self.up(self.pool(self.short(x)))], 1)
        y = nn.functional.leaky_relu(y, 0.2) * torch.sigmoid(self.gate(y))
        return self.fc2(torch.relu(self.fc1(torch.flatten(y, 1))))


class Gated(nn.Module):
    """Depthwise and grouped convolutions, group norm, SiLU, a gate over channels, padded pools with ceil_mode."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(3, 8, 5, padding=2)
        self.deep = nn.Conv1d(8, 8, 3, padding=1, groups=8)
        self.pair = nn.Conv1d(8, 8, 3, padding=1, groups=2, stride=2)
        self.norm = nn.GroupNorm(2, 8)
        self.down, self.up = nn.Conv1d(8, 4, 1), nn.Conv1d(4, 8, 1)
        self.most = nn.MaxPool1d(3, 2, padding=1, ceil_mode=True)
        self.mean = nn.AvgPool1d(3, 2, padding=1, count_include_pad=False)
        self.fc = nn.Linear(8, 1)

    def forward(self, x):
        x = nn.functional.silu(self.norm(self.deep(self.stem(x))))
        x = x * torch.sigmoid(self.up(nn.functional.elu(self.down(x.mean(-1, keepdim=True)))))
        x = self.most(self.pair(x)) - 0.5
        return self.fc(nn.functional.adaptive_max_pool1d(self.mean(x), 1).flatten(1))


class Attention(nn.Module):
    """Patches, layer norm, two heads of attention, GELU, a class by the mean over tokens."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv1d(3, 8, 5, stride=5)
        self.place = nn.Parameter(torch.zeros(1, 8, 8))
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.wide, self.back = nn.Linear(8, 16), nn.Linear(16, 8)
        self.fc = nn.Linear(8, 1)

    def forward(self, x):
        x = self.patch(x).transpose(1, 2) + self.place
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        heads = lambda t: t.reshape(-1, 8, 2, 4).transpose(1, 2)
        a = torch.softmax(heads(q) @ heads(k).transpose(-1, -2) / 2.0, -1) @ heads(v)
        x = x + self.out(a.transpose(1, 2).reshape(-1, 8, 8))
        x = x + self.back(nn.functional.gelu(self.wide(self.norm2(x))))
        return self.fc(x.mean(1))


class Temporal(nn.Module):
    """Causal dilated convolutions whose ends are cut off, PReLU, a transposed convolution, the last sample."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 6, 3, padding=2)
        self.conv2 = nn.Conv1d(6, 6, 3, padding=4, dilation=2)
        self.bend = nn.PReLU(6)
        self.wide = nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1)
        self.fc = nn.Linear(4, 1)

    def forward(self, x):
        y = self.bend(self.conv1(x)[:, :, :-2])
        y = nn.functional.relu6(self.conv2(y)[:, :, :-4]) + y
        y = nn.functional.softplus(self.wide(nn.functional.pad(y[:, :, ::2], (1, 2))))
        return self.fc(y[:, :, -1])


class Recurrent(nn.Module):
    """Convolution, then two layers of LSTM or GRU, which a class reads: all states by their mean, the last one, or the last of each direction."""

    def __init__(self, kind, first, both, read):
        super().__init__()
        self.first, self.read = first, read
        self.conv = nn.Conv1d(3, 5, 5, stride=2, padding=2)
        self.rnn = getattr(nn, kind)(5, 4, num_layers=2, batch_first=first, bidirectional=both)
        self.fc = nn.Linear(8 if both else 4, 2)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        states, last = self.rnn(x.transpose(1, 2) if self.first else x.permute(2, 0, 1))
        if self.read == "last of each":
            last = last[0] if isinstance(last, tuple) else last
            return self.fc(torch.cat([last[-2], last[-1]], 1))
        if self.read == "mean":
            return self.fc(states.mean(1 if self.first else 0))
        return self.fc(states[:, -1] if self.first else states[-1])


class Begun(nn.Module):
    """A recurrent layer whose states begin with what was learned, by a batch that is open."""

    def __init__(self, kind, both):
        super().__init__()
        self.kind, self.both = kind, both
        self.rnn = getattr(nn, kind)(3, 4, batch_first=True, bidirectional=both, bias=not both)
        self.h, self.c = (nn.Parameter(torch.zeros(2 if both else 1, 1, 4)) for _ in range(2))
        self.fc = nn.Linear(8 if both else 4, 2)

    def forward(self, x):
        h, c = (state.expand(-1, x.shape[0], -1).contiguous() for state in (self.h, self.c))
        states, _ = self.rnn(x.transpose(1, 2), (h, c) if self.kind == "LSTM" else h)
        return self.fc(states[:, 3])


class Beside(nn.Module):
    """Numbers beside the ECG; batch norms of features; a class token; Einstein sums; heads that come apart from one product."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv1d(3, 8, 5, stride=5)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.qkv = nn.Linear(8, 24)
        self.numbers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.gate, self.fc = nn.Linear(4, 8), nn.Linear(12, 2)

    def forward(self, ecg, numbers):
        x = self.patch(ecg).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        q, k, v = self.qkv(x).reshape(x.shape[0], 9, 3, 2, 4).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(torch.einsum("nhid,nhjd->nhij", q, k) / 2.0, -1)
        x = (weights @ v).transpose(1, 2).reshape(x.shape[0], 9, 8)
        numbers = self.numbers(numbers)
        x = torch.einsum("abc,ac->abc", x, torch.sigmoid(self.gate(numbers)))
        return self.fc(torch.cat([x[:, 0], numbers], 1))


class Joined(nn.Module):
    """Numbers beside the ECG, by layers that have a way back in a graph."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(3, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2))
        self.second = nn.Sequential(nn.Conv1d(6, 4, 3, stride=2, padding=1), nn.ReLU())
        self.numbers = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        self.fc = nn.Linear(8, 2)

    def forward(self, ecg, numbers):
        return self.fc(torch.cat([self.second(self.first(ecg)).mean(-1), self.numbers(numbers)], 1))


def spread(module, seed):
    torch.manual_seed(seed)
    for name, value in list(module.named_parameters()) + list(module.named_buffers()):
        if value.dtype.is_floating_point:
            value.data = torch.rand_like(value) + 0.5 if "var" in name else 0.4 * torch.randn_like(value)
    return module.eval()


def refused():
    """Files that cannot be taken: an LSTM of which the memory is read, two outputs, a weight that is said to lie elsewhere."""

    class Memory(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)
            self.fc = nn.Linear(4, 1)

        def forward(self, x):
            return self.fc(self.lstm(x.transpose(1, 2))[1][1][0])

    torch.manual_seed(0)
    torch.onnx.export(Memory().eval(), (torch.randn(1, 3, 40),), str(HERE / "refused_memory.onnx"), opset_version=17, dynamo=False, input_names=["x"])

    class Two(nn.Module):
        def forward(self, x):
            return x.mean(-1), x.std(-1)

    names = {"input_names": ["x"], "output_names": ["mean", "spread"]}
    torch.onnx.export(Two().eval(), (torch.randn(1, 3, 40),), str(HERE / "refused_outputs.onnx"), opset_version=17, dynamo=False, **names)
    model = onnx.load(HERE / "residual_17.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in [("location", "../../../Cargo.toml"), ("offset", "0")]:
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (HERE / "refused_external.onnx").write_bytes(model.SerializeToString())


def open_length():
    """A network that leaves the ECG's length open, and reads its last sample: `open_17.onnx`, and what it predicts at 600 samples."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv1d(3, 4, 5, padding=2), nn.Linear(4, 1)

        def forward(self, x):
            return self.fc(torch.relu(self.conv(x))[:, :, -1])

    module = spread(Last(), 40)
    x = ((torch.arange(2 * 3 * 600) * 37 % 101).reshape(2, 3, 600).float() - 50) / 50
    axes = {"x": {0: "n", 2: "l"}}
    torch.onnx.export(module, (x,), str(HERE / "open_17.onnx"), opset_version=17, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes)
    with torch.no_grad():
        y = module.double()(x.double())
    (HERE / "open.json").write_text(json.dumps(y.numpy().ravel().tolist()) + "\n")


def main():
    expected = {}
    cases = [
        ("residual_11", Residual(True), 11, False, torch.float32),
        ("residual_17", Residual(False), 17, False, torch.float32),
        ("residual_18_dynamo", Residual(True), 18, True, torch.float32),
        ("residual_20_f64", Residual(False), 20, True, torch.float64),
        ("disguised_13", Disguised(), 13, False, torch.float32),
        ("disguised_18_dynamo", Disguised(), 18, True, torch.float32),
        ("branches_15", Branches(), 15, False, torch.float32),
        ("branches_18_dynamo", Branches(), 18, True, torch.float32),
        ("gated_17", Gated(), 17, False, torch.float32),
        ("gated_18_dynamo", Gated(), 18, True, torch.float32),
        ("attention_17", Attention(), 17, False, torch.float32),
        ("attention_18_dynamo", Attention(), 18, True, torch.float32),
        ("temporal_16", Temporal(), 16, False, torch.float32),
        ("temporal_18_dynamo", Temporal(), 18, True, torch.float32),
        ("lstm_17", Recurrent("LSTM", True, True, "last of each"), 17, False, torch.float32),
        ("lstm_18_dynamo", Recurrent("LSTM", False, True, "mean"), 18, True, torch.float32),
        ("gru_14", Recurrent("GRU", False, False, "last"), 14, False, torch.float32),
        ("gru_17_f64", Recurrent("GRU", True, True, "mean"), 17, False, torch.float64),
        ("beside_17", Beside(), 17, False, torch.float32),
        ("beside_17_f64", Beside(), 17, False, torch.float64),
        ("begun_lstm_17", Begun("LSTM", True), 17, False, torch.float32),
        ("begun_gru_18_dynamo", Begun("GRU", False), 18, True, torch.float32),
        ("begun_gru_17_f64", Begun("GRU", True), 17, False, torch.float64),
        ("joined_17", Joined(), 17, False, torch.float32),
    ]
    for seed, (name, module, opset, dynamo, dtype) in enumerate(cases):
        module = spread(module, seed).to(dtype)
        x = torch.randn(2, 3, 40, dtype=dtype)
        more = (torch.randn(2, 2, dtype=dtype),) if isinstance(module, (Beside, Joined)) else ()
        names = ["x"] + ["numbers"] * len(more)
        path = HERE / f"{name}.onnx"
        kwargs = {} if dynamo else {"dynamic_axes": {name: {0: "n"} for name in names}}
        if dynamo:
            kwargs["dynamic_shapes"] = ({0: torch.export.Dim("n", min=1)},)
        torch.onnx.export(module, (x, *more), str(path), opset_version=opset, dynamo=dynamo, input_names=names, output_names=["y"], external_data=False, **kwargs)
        model = onnx.load(path)
        for node in model.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        onnx.save(model, path)
        with torch.no_grad():
            y = module.double()(x.double(), *(other.double() for other in more))
        expected[name] = {} if not more else {"numbers": more[0].double().numpy().ravel().tolist()}
        expected[name] |= {"x": x.double().numpy().ravel().tolist(), "y": y.numpy().ravel().tolist()}
    half = onnx.load(HERE / "residual_11.onnx")
    for tensor in half.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(half, HERE / "residual_half.onnx")
    refused()
    open_length()
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
