"""Relevance by Zennit and occlusion by Captum of a small residual 1-D network, for tests/lrp.rs. Needs torch, zennit, captum."""
import json
import pathlib

import torch
from captum.attr import NoiseTunnel, Occlusion
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit.attribution import Gradient
from zennit.composites import Composite
from zennit.layer import Sum
from zennit.rules import Epsilon, Flat, Gamma, Norm, Pass, ZPlus

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 4, 5, padding="same")
        self.bn1 = nn.BatchNorm1d(4)
        self.relu1 = nn.ReLU()
        self.pool = nn.AvgPool1d(2)
        self.conv2 = nn.Conv1d(4, 4, 4, padding="same")
        self.bn2 = nn.BatchNorm1d(4)
        self.relu2 = nn.ReLU()
        self.sum = Sum()
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(4, 1)

    def forward(self, x):
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        y = self.relu2(self.bn2(self.conv2(x)))
        return self.fc(self.mean(self.sum(torch.stack([y, x], -1))).flatten(1))


net = Net().eval()
for bn in (net.bn1, net.bn2):
    bn.weight.data = torch.rand(4) + 0.5
    bn.bias.data = torch.randn(4) * 0.3
    bn.running_mean = torch.randn(4) * 0.2
    bn.running_var = torch.rand(4) + 0.5
x = torch.randn(2, 3, 20)
state = {k: v.flatten().tolist() for k, v in net.state_dict().items() if "num_batches" not in k}
out = {"x": x.flatten().tolist(), "state": state, "prediction": net(x).flatten().tolist()}


# Folded here: Zennit's SequentialMergeBatchNorm leaves the identity batch norm its eps, 5e-6 of every value.
net.conv1, net.bn1 = fuse_conv_bn_eval(net.conv1, net.bn1), nn.Identity()
net.conv2, net.bn2 = fuse_conv_bn_eval(net.conv2, net.bn2), nn.Identity()


def rules(method):
    def layer(ctx, name, module):
        if isinstance(module, (nn.AvgPool1d, nn.AdaptiveAvgPool1d, Sum)):
            return Norm(stabilizer=1e-12)
        if isinstance(module, nn.ReLU):
            return Pass()
        if isinstance(module, (nn.Conv1d, nn.Linear)):
            if method == "lrp_gamma":
                return Gamma(gamma=0.25, stabilizer=1e-12)
            if method == "lrp_zplus":
                return ZPlus(stabilizer=1e-12)
            if method == "lrp_composite" and name == "conv1":
                return Flat(stabilizer=1e-12)
            if method == "lrp_composite" and isinstance(module, nn.Conv1d):
                return ZPlus(stabilizer=1e-12)
            return Epsilon(epsilon=1e-12)

    return Composite(module_map=layer)


for method in ["lrp_epsilon", "lrp_gamma", "lrp_zplus", "lrp_composite"]:
    with Gradient(model=net, composite=rules(method)) as attributor:
        _, relevance = attributor(x.clone().requires_grad_(True), lambda y: y.detach())
    out[method] = relevance.flatten().tolist()
occlusion = Occlusion(lambda x: net(x)[:, 0])
out["occlusion"] = occlusion.attribute(x, sliding_window_shapes=(1, 6), strides=(1, 4)).flatten().tolist()
pathlib.Path(__file__).with_name("relevance.json").write_text(json.dumps(out) + "\n")
