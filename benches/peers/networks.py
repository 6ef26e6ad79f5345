"""The networks of tomosieve in PyTorch, put together from the blocks that its golden tests are made with.

Attributes are called like the fields in Rust, so that a model file of tomosieve fits; `load` puts it in place.
"""

import importlib.util
import pathlib
import sys

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


def _module(name):
    path = pathlib.Path(__file__).resolve().parents[2] / "tests/peers/nn" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plain, residual = _module("make_golden"), _module("make_golden_residual")
plain.GROUPS = residual.GROUPS = 4
SLICES, CLASSES = 7, 4


def encoder(widths):
    return nn.ModuleList(plain.DoubleConv(c, w) for c, w in zip([SLICES, *widths], widths))


def levels(widths):
    """(coarse, fine) from the bottleneck up."""
    return list(zip(widths[::-1], widths[-2::-1]))


def encode(blocks, x):
    scales = []
    for level, block in enumerate(blocks):
        x = block(F.max_pool2d(x, 2) if level else x)
        scales.append(x)
    return scales


class UNet(nn.Module):
    def __init__(self, widths, skips):
        super().__init__()
        self.encoder, self.skips = encoder(widths), skips
        self.up = nn.ModuleList(plain.Upsample(c, f) for c, f in levels(widths))
        self.decoder = nn.ModuleList(plain.DoubleConv((1 + skips) * f, f) for _, f in levels(widths))
        self.head = nn.Conv2d(widths[0], CLASSES, 1)

    def forward(self, x):
        *passed, x = encode(self.encoder, x)
        for up, block in zip(self.up, self.decoder):
            x, skip = up(x), passed.pop()
            x = block(torch.cat([skip, x], 1) if self.skips else x)
        return self.head(x)


class AttentionUNet(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.encoder = encoder(widths)
        self.gates = nn.ModuleList(plain.AttentionGate(f, c) for c, f in levels(widths))
        self.up = nn.ModuleList(plain.Upsample(c, f) for c, f in levels(widths))
        self.decoder = nn.ModuleList(plain.DoubleConv(2 * f, f) for _, f in levels(widths))
        self.head = nn.Conv2d(widths[0], CLASSES, 1)

    def forward(self, x):
        *passed, x = encode(self.encoder, x)
        for gate, up, block in zip(self.gates, self.up, self.decoder):
            x = block(torch.cat([gate(passed.pop(), x), up(x)], 1))
        return self.head(x)


class UNetPlusPlus(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.encoder = encoder(widths)
        rows = list(zip(widths, widths[1:]))
        self.columns = nn.ModuleList(
            nn.ModuleList(plain.NestedNode(j, fine, coarse) for fine, coarse in rows[: len(widths) - j])
            for j in range(1, len(widths))
        )
        self.heads = nn.ModuleList([nn.Conv2d(widths[0], CLASSES, 1)])

    def forward(self, x):
        rows = [[x] for x in encode(self.encoder, x)]
        for j, column in enumerate(self.columns):
            for i, node in enumerate(column):
                rows[i].append(node(*rows[i], rows[i + 1][j]))
        return self.heads[0](rows[0][-1])


class ResUNet(nn.Module):
    def __init__(self, widths):
        super().__init__()
        pairs = list(zip(widths, widths[1:]))
        self.encoder = nn.ModuleList(
            [residual.Residual(SLICES, widths[0], 1, raw=True), *(residual.Residual(a, b, 2) for a, b in pairs)]
        )
        self.decoder = nn.ModuleList(residual.Residual(c + f, f, 1) for c, f in levels(widths))
        self.head = residual.Conv(widths[0], CLASSES, 1)

    def forward(self, x):
        passed = []
        for unit in self.encoder:
            x = unit(x)
            passed.append(x)
        passed.pop()
        for unit in self.decoder:
            x = unit(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), passed.pop()], 1))
        return self.head(x)


class DeepLabV3Plus(nn.Module):
    def __init__(self, widths):
        super().__init__()
        first, core, last, c = widths[0], widths[-2], widths[-1], widths[2]
        low, half = -(-3 * c // 16), -(-first // 2)
        self.mouth = residual.Activated(residual.Conv(SLICES, half, 3, 2), half)
        self.entry = plain.ConvNormAct(half, first)
        self.down = nn.Sequential(*(residual.Xception(a, b, 2) for a, b in zip(widths, widths[1:-1])))
        self.middle = nn.Sequential(*(residual.Xception(core, core, 1) for _ in range(16)))
        self.exit = residual.Xception(core, last, 1)
        self.last = nn.Sequential(*(residual.Separable(last, last, 2) for _ in range(3)))
        self.aspp = residual.AsppOfDeepLab(last, c)
        self.low = residual.Activated(residual.Conv(widths[1], low, 1), low)
        self.decoder = plain.DoubleConv(c + low, c)
        self.head = residual.Conv(c, CLASSES, 1)

    def forward(self, x):
        size = x.shape[2:]
        x = low = self.down[0](self.entry(self.mouth(x)))
        x = self.aspp(self.last(self.exit(self.middle(self.down[1:](x)))))
        resized = lambda x, size: F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        x = self.decoder(torch.cat([resized(x, low.shape[2:]), self.low(low)], 1))
        return resized(self.head(x), size)


def make(name, size):
    """The network called `name` in tomosieve, with its own widths, for images of `size`²."""
    return {
        "unet": lambda: UNet([16, 32, 64, 128, 272], True),
        "unet-noskip": lambda: UNet([16, 32, 64, 128, 288], False),
        "unet++": lambda: UNetPlusPlus([16, 32, 64, 128, 208]),
        "attention-unet": lambda: AttentionUNet([16, 32, 64, 128, 240]),
        "resunet": lambda: ResUNet([16, 32, 64, 128, 256]),
        "deeplabv3+": lambda: DeepLabV3Plus([16, 32, 64, 144, 304]),
        "segformer": lambda: plain.SegFormer(SLICES, [24, 48, 120, 192], CLASSES, (size, size)),
    }[name]()


def load(network, path):
    """Puts the weights of one of tomosieve's model files into `network`; every tensor must find its place."""
    # The first part of a name is the network's own.
    file = {name.split(".", 1)[1]: value for name, value in load_file(path).items()}
    for ours, parameter, turned in plain.parameters(network):
        value = file.pop(ours)
        parameter.data = (value.T if turned else value).contiguous().clone()
    if file:
        sys.exit(f"{path}: tensors without a place: {sorted(file)}")
    return network
