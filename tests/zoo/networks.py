"""Ten networks for ECGs, written from their published architectures, with random weights: nothing of theirs is fetched or copied.

Each entry of NETWORKS gives a module and the shapes of its inputs, without the batch."""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F


def conv(c_in, c_out, kernel, stride=1, bias=False, groups=1):
    """A convolution that keeps the length (divided by the stride), for odd kernels."""
    return nn.Conv1d(c_in, c_out, kernel, stride, padding=(kernel - 1) // 2, bias=bias, groups=groups)


# --- The age ResNet of Lima et al. 2021 (antonior92/ecg-age-prediction): residual blocks of two convolutions of 17 taps, pre-activated past the first,
# --- a max-pool on the way around, four blocks that divide 4096 samples by 256.


class AgeBlock(nn.Module):
    def __init__(self, c_in, c_out, shrink, kernel=17):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv(c_in, c_out, kernel), nn.BatchNorm1d(c_out), nn.ReLU()
        self.conv2 = nn.Conv1d(c_out, c_out, kernel, shrink, padding=(kernel - shrink + 1) // 2, bias=False)
        self.around = nn.Sequential(nn.MaxPool1d(shrink, shrink), nn.Conv1d(c_in, c_out, 1, bias=False))
        self.bn2, self.relu2 = nn.BatchNorm1d(c_out), nn.ReLU()

    def forward(self, pair):
        x, y = pair
        y = self.around(y)
        x = self.conv2(self.relu1(self.bn1(self.conv1(x)))) + y
        return self.relu2(self.bn2(x)), x


class AgeResNet(nn.Module):
    def __init__(self, length=1024, filters=(64, 128, 196, 256, 320), shrink=4):
        super().__init__()
        self.stem, self.bn, self.relu = conv(12, filters[0], 17), nn.BatchNorm1d(filters[0]), nn.ReLU()
        self.blocks = nn.ModuleList(AgeBlock(a, b, shrink) for a, b in zip(filters, filters[1:]))
        self.fc = nn.Linear(filters[-1] * (length // shrink ** (len(filters) - 1)), 1)

    def forward(self, x):
        x = self.relu(self.bn(self.stem(x)))
        pair = x, x
        for block in self.blocks:
            pair = block(pair)
        return self.fc(pair[0].flatten(1))


# --- The networks of the PTB-XL benchmark (Strodthoff et al. 2020): a head of mean and maximum over time, two linear layers with batch norms.


class ConcatPool(nn.Module):
    def forward(self, x):
        return torch.cat([F.adaptive_avg_pool1d(x, 1), F.adaptive_max_pool1d(x, 1)], 1).flatten(1)


def head(channels, outputs=5, hidden=128, concat=True):
    features = 2 * channels if concat else channels
    pool = ConcatPool() if concat else nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())
    return nn.Sequential(
        pool, nn.BatchNorm1d(features), nn.Dropout(0.25), nn.Linear(features, hidden), nn.ReLU(), nn.BatchNorm1d(hidden), nn.Dropout(0.5), nn.Linear(hidden, outputs)
    )


def unit(c_in, c_out, kernel, stride=1, act=True):
    layers = [conv(c_in, c_out, kernel, stride), nn.BatchNorm1d(c_out)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


class XBlock(nn.Module):
    """A bottleneck of xresnet (He et al. 2019): the way around is pooled by means, then 1 tap."""

    def __init__(self, c_in, c_out, stride, kernel=5, expansion=4):
        super().__init__()
        inner, outer = c_out, c_out * expansion
        self.convs = nn.Sequential(unit(c_in, inner, 1), unit(inner, inner, kernel, stride), unit(inner, outer, 1, act=False))
        around = ([] if stride == 1 else [nn.AvgPool1d(2, ceil_mode=True)]) + ([] if c_in == outer else [unit(c_in, outer, 1, act=False)])
        self.around, self.relu = nn.Sequential(*around), nn.ReLU()

    def forward(self, x):
        return self.relu(self.convs(x) + self.around(x))


class XResNet(nn.Module):
    def __init__(self, layers=(3, 4, 23, 3), kernel=5, width=64):
        super().__init__()
        stem = [unit(12, 32, kernel, 2), unit(32, 32, kernel), unit(32, 64, kernel), nn.MaxPool1d(3, 2, 1)]
        blocks, c_in = [], 64
        # The benchmark keeps one width in all four stages.
        for at, count in enumerate(layers):
            for block in range(count):
                blocks.append(XBlock(c_in, width, 2 if at > 0 and block == 0 else 1, kernel))
                c_in = 4 * width
        self.body, self.head = nn.Sequential(*stem, *blocks), head(c_in)

    def forward(self, x):
        return self.head(self.body(x))


class InceptionBlock(nn.Module):
    """InceptionTime (Ismail Fawaz et al. 2020): a bottleneck, three long kernels and a pooled way side by side."""

    def __init__(self, c_in, filters=32, kernels=(39, 19, 9), bottleneck=32):
        super().__init__()
        self.bottleneck = conv(c_in, bottleneck, 1)
        self.convs = nn.ModuleList(conv(bottleneck, filters, kernel) for kernel in kernels)
        self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, 1), conv(c_in, filters, 1))
        self.bn = nn.Sequential(nn.BatchNorm1d(4 * filters), nn.ReLU())

    def forward(self, x):
        y = self.bottleneck(x)
        return self.bn(torch.cat([c(y) for c in self.convs] + [self.pooled(x)], 1))


class Inception1d(nn.Module):
    def __init__(self, depth=6, channels=128):
        super().__init__()
        self.blocks = nn.ModuleList(InceptionBlock(12 if at == 0 else channels) for at in range(depth))
        pairs = range(depth // 3)
        self.around = nn.ModuleList(nn.Sequential(conv(12 if at == 0 else channels, channels, 1), nn.BatchNorm1d(channels)) for at in pairs)
        self.relus = nn.ModuleList(nn.ReLU() for _ in pairs)
        self.head = head(channels)

    def forward(self, x):
        kept = x
        for at, block in enumerate(self.blocks):
            x = block(x)
            if at % 3 == 2:
                x = kept = self.relus[at // 3](x + self.around[at // 3](kept))
        return self.head(x)


class WangBlock(nn.Module):
    def __init__(self, c_in, c_out, stride, kernels=(5, 3)):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv(c_in, c_out, kernels[0], stride), nn.BatchNorm1d(c_out), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = conv(c_out, c_out, kernels[1]), nn.BatchNorm1d(c_out), nn.ReLU()
        self.around = nn.Identity() if stride == 1 and c_in == c_out else nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm1d(c_out))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.around(x))


class ResNetWang(nn.Module):
    """Wang et al. 2017, as in the benchmark: a stem of 7 taps, three blocks of 128 channels, the last two strided."""

    def __init__(self, width=128):
        super().__init__()
        self.stem = unit(12, width, 7)
        self.blocks = nn.Sequential(*(WangBlock(width, width, stride) for stride in (1, 2, 2)))
        self.head = head(width)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


class FcnWang(nn.Module):
    """Wang et al. 2017: three convolutions of 8, 5 and 3 taps, the mean over time."""

    def __init__(self, channels=(128, 256, 128)):
        super().__init__()
        sizes = zip((12, *channels), channels, (8, 5, 3))
        self.body = nn.Sequential(*(layer for a, b, k in sizes for layer in (nn.Conv1d(a, b, k, padding="same", bias=False), nn.BatchNorm1d(b), nn.ReLU())))
        self.head = head(channels[-1], concat=False)

    def forward(self, x):
        return self.head(self.body(x))


# --- Net1D (Hong et al. 2020), the backbone of ECGFounder (Li et al. 2024): bottleneck blocks with grouped convolutions, Swish, padding by hand, and a
# --- squeeze-and-excitation gate.


class SamePad(nn.Module):
    def __init__(self, module, kernel, stride):
        super().__init__()
        self.module, self.kernel, self.stride = module, kernel, stride

    def forward(self, x):
        out = (x.shape[-1] + self.stride - 1) // self.stride
        pad = max(0, (out - 1) * self.stride + self.kernel - x.shape[-1])
        return self.module(F.pad(x, (pad // 2, pad - pad // 2)))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class NetBlock(nn.Module):
    def __init__(self, c_in, c_out, ratio, kernel, stride, groups, shrink, first):
        super().__init__()
        middle = int(c_out * ratio)
        self.stride, self.shrink, self.first = stride if shrink else 1, shrink, first
        self.before = nn.Sequential(*([] if first else [nn.BatchNorm1d(c_in), Swish()]), nn.Conv1d(c_in, middle, 1))
        self.middle = nn.Sequential(nn.BatchNorm1d(middle), Swish(), SamePad(nn.Conv1d(middle, middle, kernel, self.stride, groups=groups), kernel, self.stride))
        self.after = nn.Sequential(nn.BatchNorm1d(middle), Swish(), nn.Conv1d(middle, c_out, 1))
        self.squeeze, self.excite, self.swish = nn.Linear(c_out, c_out // 2), nn.Linear(c_out // 2, c_out), Swish()
        self.pool = SamePad(nn.MaxPool1d(self.stride), self.stride, self.stride)
        self.wider = c_out - c_in

    def forward(self, x):
        y = self.after(self.middle(self.before(x)))
        gate = torch.sigmoid(self.excite(self.swish(self.squeeze(y.mean(-1)))))
        y = torch.einsum("abc,ab->abc", y, gate)
        around = self.pool(x) if self.shrink else x
        if self.wider:
            around = F.pad(around.transpose(-1, -2), (self.wider // 2, self.wider - self.wider // 2)).transpose(-1, -2)
        return y + around


class Net1D(nn.Module):
    def __init__(self, base=16, filters=(16, 32, 32, 48), blocks=(2, 2, 2, 2), kernel=16, stride=2, width=8):
        super().__init__()
        self.stem = nn.Sequential(SamePad(nn.Conv1d(12, base, kernel, stride), kernel, stride), nn.BatchNorm1d(base), Swish())
        stages, c_in, first = [], base, True
        for c_out, count in zip(filters, blocks):
            for block in range(count):
                stages.append(NetBlock(c_in, c_out, 1.0, kernel, stride, c_out // width, block == 0, first))
                c_in, first = c_out, False
        self.stages, self.fc = nn.Sequential(*stages), nn.Linear(c_in, 5)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean(-1))


# --- A CRNN as torch_ecg (Wen & Kang 2022) builds them: VGG blocks, two layers of LSTM in both directions, a maximum over time.


class Crnn(nn.Module):
    def __init__(self, channels=(16, 32, 48), hidden=24):
        super().__init__()
        layers, c_in = [], 12
        for c_out in channels:
            for _ in range(2):
                layers += [nn.Conv1d(c_in, c_out, 15, padding=7), nn.BatchNorm1d(c_out), nn.ReLU()]
                c_in = c_out
            layers.append(nn.MaxPool1d(3))
        self.cnn = nn.Sequential(*layers)
        self.rnn = nn.LSTM(c_in, hidden, num_layers=2, bidirectional=True)
        self.clf = nn.Sequential(nn.Linear(2 * hidden, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x):
        y, _ = self.rnn(self.cnn(x).permute(2, 0, 1))
        y = F.adaptive_max_pool1d(y.permute(1, 2, 0), 1).squeeze(-1)
        return self.clf(y)


# --- A temporal convolutional network (Bai et al. 2018): causal dilated convolutions with weight norm, two a block, ends cut off.


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


class TcnBlock(nn.Module):
    def __init__(self, c_in, c_out, kernel, dilation):
        super().__init__()
        pad = (kernel - 1) * dilation
        norm = nn.utils.parametrizations.weight_norm
        layers = []
        for a in (c_in, c_out):
            layers += [norm(nn.Conv1d(a, c_out, kernel, padding=pad, dilation=dilation)), Chomp(pad), nn.ReLU(), nn.Dropout(0.2)]
        self.net = nn.Sequential(*layers)
        self.around = nn.Identity() if c_in == c_out else nn.Conv1d(c_in, c_out, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.net(x) + self.around(x))


class Tcn(nn.Module):
    def __init__(self, channels=(25, 25, 25, 25, 25, 25), kernel=7):
        super().__init__()
        sizes = zip((12, *channels), channels)
        self.body = nn.Sequential(*(TcnBlock(a, b, kernel, 2**at) for at, (a, b) in enumerate(sizes)))
        self.fc = nn.Linear(channels[-1], 3)

    def forward(self, x):
        return self.fc(self.body(x)[:, :, -1])


# --- A small vision transformer over time (Dosovitskiy et al. 2021): patches of all leads, a class token, learned places, pre-norm blocks.


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = self.softmax(q @ k.transpose(-1, -2) / math.sqrt(width // self.heads))
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self, length=300, patch=20, width=32, heads=4, depth=3):
        super().__init__()
        self.patch = nn.Conv1d(12, width, patch, stride=patch)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, length // patch + 1, width))
        self.blocks, self.norm, self.fc = nn.Sequential(*(VitBlock(width, heads) for _ in range(depth))), nn.LayerNorm(width), nn.Linear(width, 3)

    def forward(self, x):
        x = self.patch(x).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.fc(self.norm(self.blocks(x))[:, 0])


# --- Two inputs: an ECG and four numbers (age, sex, height, weight), joined before the last layers.


class TwoInputs(nn.Module):
    def __init__(self, numbers=4):
        super().__init__()
        self.ecg = nn.Sequential(
            nn.Conv1d(12, 16, 7, stride=2, padding=3), nn.BatchNorm1d(16), nn.ReLU(), WangBlock(16, 24, 2), WangBlock(24, 32, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten()
        )
        self.numbers = nn.Sequential(nn.Linear(numbers, 8), nn.ReLU())
        self.joined = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, ecg, numbers):
        return self.joined(torch.cat([self.ecg(ecg), self.numbers(numbers)], 1))


@dataclasses.dataclass
class Network:
    """What is tried."""

    title: str
    make: callable
    inputs: dict


ECG = {"ecg": (12, 300)}
NETWORKS = {
    "age_resnet": Network("age ResNet (antonior92)", AgeResNet, {"ecg": (12, 1024)}),
    "xresnet1d101": Network("xresnet1d101 (PTB-XL)", XResNet, {"ecg": (12, 250)}),
    "inception1d": Network("inception1d (PTB-XL)", Inception1d, {"ecg": (12, 250)}),
    "resnet1d_wang": Network("resnet1d_wang (PTB-XL)", ResNetWang, {"ecg": (12, 250)}),
    "fcn_wang": Network("fcn_wang (PTB-XL)", FcnWang, {"ecg": (12, 250)}),
    "net1d": Network("Net1D (ECGFounder)", Net1D, {"ecg": (12, 500)}),
    "crnn": Network("CRNN with LSTM (torch_ecg)", Crnn, ECG),
    "tcn": Network("TCN", Tcn, ECG),
    "vit": Network("small ViT", Vit, ECG),
    "two_inputs": Network("two inputs: ECG and numbers", TwoInputs, {"ecg": (12, 300), "numbers": (4,)}),
}


def spread(module, seed):
    """Random weights under which signals neither die nor grow, and batch norms that are none of the identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in list(module.named_parameters()) + list(module.named_buffers()):
        if not value.dtype.is_floating_point:
            continue
        draw = torch.randn(value.shape, generator=generator)
        if "var" in name:
            value.data = 0.5 + torch.rand(value.shape, generator=generator)
        elif "norm" in name and "weight" in name and value.dim() == 1 or "bn" in name and name.endswith("weight"):
            value.data = 1.0 + 0.1 * draw
        elif value.dim() > 1:
            fan = value[0].numel()
            value.data = draw / math.sqrt(fan)
        else:
            value.data = 0.1 * draw + (1.0 if name.endswith("weight") else 0.0)
    return module.eval()


def build(key, seed=0, dtype=torch.float64):
    network = NETWORKS[key]
    return spread(network.make(), seed).to(dtype)
