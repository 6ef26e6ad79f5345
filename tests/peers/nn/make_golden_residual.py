"""Writes crates/nn/tests/golden/residual.json: what PyTorch makes of the blocks of ResUNet, ResUNet++ and DeepLabv3+.

    python make_golden_residual.py [--out residual.json]

Versions: see requirements.txt. The blocks are put together here from torch.nn alone, after the papers, in double
precision; attributes are called like the fields in Rust, so that parameters have the same names. Inputs and parameters
follow a formula (`pattern`) that the Rust test repeats, so only outputs and gradients are stored. The loss is the sum
of the output times the pattern.
"""

import argparse
import json
import math
import pathlib

import torch
from torch import nn
from torch.nn import functional

GROUPS = 2


def pattern(shape, number):
    """Values in [-1, 1), the same for the same shape and number."""
    i = torch.arange(math.prod(shape), dtype=torch.int64)
    return (((i + 31 * number) * 7919) % 1009).double().reshape(shape) / 504.5 - 1


def norm(c):
    return nn.GroupNorm(math.gcd(GROUPS, c), c)


class Conv(nn.Module):
    def __init__(self, c_in, c_out, size=3, stride=1, rate=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, size, stride, rate * (size // 2), rate, groups)

    def forward(self, x):
        return self.conv(x)


class NormAct(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm, self.act = norm(c), nn.PReLU(c)

    def forward(self, x):
        return self.act(self.norm(x))


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)

    def forward(self, x):
        return self.norm(x)


class PreAct(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm_act, self.conv = NormAct(c_in), Conv(c_in, c_out)

    def forward(self, x):
        return self.conv(self.norm_act(x))


class Residual(nn.Module):
    """Zhang et al. 2018, Fig. 1b; He et al. 2016."""

    def __init__(self, c_in, c_out, stride, raw=False, normed=False):
        super().__init__()
        self.before = nn.Identity() if raw else NormAct(c_in)
        self.first = Conv(c_in, c_out, stride=stride)
        self.second = PreAct(c_out, c_out)
        project = normed or c_in != c_out or stride != 1
        self.shortcut = Conv(c_in, c_out, 1, stride) if project else nn.Identity()
        self.shortcut_norm = Norm(c_out) if normed else nn.Identity()

    def forward(self, x):
        return self.second(self.first(self.before(x))) + self.shortcut_norm(self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Hu et al. 2018, with a ratio of 8."""

    def __init__(self, c):
        super().__init__()
        hidden = max(c // 8, 1)
        self.squeeze = nn.Linear(c, hidden, bias=False)
        self.act = nn.PReLU(hidden)
        self.excite = nn.Linear(hidden, c, bias=False)

    def forward(self, x):
        means = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return x * torch.sigmoid(self.excite(self.act(self.squeeze(means))))[:, :, None, None]


class Unit(nn.Module):
    """A residual unit of ResUNet++."""

    def __init__(self, c_in, c_out, stride, raw=False):
        super().__init__()
        self.residual = Residual(c_in, c_out, stride, raw, normed=True)
        self.excite = SqueezeExcite(c_out)

    def forward(self, x):
        return self.excite(self.residual(x))


class AsppOfResUNet(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.branches = nn.ModuleList(Conv(c_in, c_out, rate=rate) for rate in (6, 12, 18, 1))
        self.norms = nn.ModuleList(Norm(c_out) for _ in range(4))
        self.mix = Conv(c_out, c_out, 1)

    def forward(self, x):
        return self.mix(sum(norm(conv(x)) for conv, norm in zip(self.branches, self.norms)))


class Attention(nn.Module):
    """Of ResUNet++."""

    def __init__(self, c, c_guide=None):
        super().__init__()
        self.guide = PreAct(c_guide, c) if c_guide else None
        self.own, self.joint = PreAct(c, c), PreAct(c, c)

    def forward(self, x, guide=None):
        total = self.own(x)
        if self.guide:
            total = total + functional.max_pool2d(self.guide(guide), 2)
        return self.joint(total) * x


class Separable(nn.Module):
    def __init__(self, c_in, c_out, rate=1, stride=1, linear=False):
        super().__init__()
        self.depthwise = Conv(c_in, c_in, 3, stride, rate, c_in)
        self.between = NormAct(c_in)
        self.point = Conv(c_in, c_out, 1)
        self.after = nn.Identity() if linear else NormAct(c_out)

    def forward(self, x):
        return self.after(self.point(self.between(self.depthwise(x))))


class Xception(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.act = nn.PReLU(c_in)
        units = Separable(c_in, c_out), Separable(c_out, c_out), Separable(c_out, c_out, 1, stride, linear=True)
        self.units = nn.Sequential(*units)
        self.norm = Norm(c_out)
        project = c_in != c_out or stride != 1
        self.shortcut = Conv(c_in, c_out, 1, stride) if project else nn.Identity()
        self.shortcut_norm = Norm(c_out) if project else nn.Identity()

    def forward(self, x):
        return self.norm(self.units(self.act(x))) + self.shortcut_norm(self.shortcut(x))


class Activated(nn.Module):
    def __init__(self, conv, c):
        super().__init__()
        self.conv, self.norm_act = conv, NormAct(c)

    def forward(self, x):
        return self.norm_act(self.conv(x))


class AsppOfDeepLab(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.near = Activated(Conv(c_in, c, 1), c)
        self.far = nn.ModuleList(Separable(c_in, c, rate) for rate in (6, 12, 18))
        self.image = Conv(c_in, c, 1)
        self.image_act = nn.PReLU(c)
        self.mix = Activated(Conv(5 * c, c, 1), c)

    def forward(self, x):
        far = [unit(x) for unit in self.far]
        image = self.image_act(self.image(functional.adaptive_avg_pool2d(x, 1)))
        image = image.expand(-1, -1, *x.shape[2:])
        return self.mix(torch.cat([self.near(x), *far, image], 1))


class Resize(nn.Module):
    def __init__(self, **how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return functional.interpolate(x, **self.how)


def renamed(module, name):
    """The Rust name of a parameter, and whether it is stored transposed there."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(owner, nn.GroupNorm):
        leaf = {"weight": "gamma", "bias": "beta"}[leaf]
    elif isinstance(owner, nn.PReLU):
        leaf = "alpha"
    return f"{path}.{leaf}", isinstance(owner, nn.Linear)


def case(name, module, *shapes):
    module = module.double()
    parameters = {}
    for path, parameter in module.named_parameters():
        rust, turned = renamed(module, path)
        parameters[rust] = (parameter, turned)
    turn = lambda t, turned: t.T if turned else t
    for number, rust in enumerate(sorted(parameters)):
        parameter, turned = parameters[rust]
        centre = {"gamma": 1.0, "alpha": 0.25}.get(rust.rpartition(".")[2], 0.0)
        shape = tuple(turn(parameter, turned).shape)
        parameter.data = turn(centre + 0.3 * pattern(shape, number + 1), turned).contiguous()
    inputs = [pattern(shape, 100 + i).requires_grad_() for i, shape in enumerate(shapes)]
    y = module(*inputs)
    (y * pattern(tuple(y.shape), 200)).sum().backward()
    flat = lambda t: [float(f"{v:.6g}") for v in t.detach().flatten().tolist()]
    gradients = {rust: flat(turn(p.grad, turned)) for rust, (p, turned) in sorted(parameters.items())}
    return {
        "name": name,
        "inputs": shapes,
        "shape": list(y.shape),
        "output": flat(y),
        "input_gradients": [flat(x.grad) for x in inputs],
        "gradients": gradients,
    }


def make():
    return [
        case("residual-strided", Residual(5, 10, 2), [2, 5, 5, 6]),
        case("residual-identity", Residual(4, 4, 1), [1, 4, 5, 6]),
        case("residual-raw", Residual(3, 4, 1, raw=True), [2, 3, 4, 5]),
        case("squeeze-excite", SqueezeExcite(20), [2, 20, 2, 3]),
        case("unit", Unit(4, 6, 2), [2, 4, 4, 6]),
        case("aspp-resunet", AsppOfResUNet(3, 4), [1, 3, 14, 13]),
        case("attention-guided", Attention(4, 3), [2, 4, 3, 4], [2, 3, 6, 8]),
        case("attention-self", Attention(4), [2, 4, 3, 4]),
        case("xception-strided", Xception(6, 9, 2), [1, 6, 6, 7]),
        case("xception-identity", Xception(8, 8, 1), [1, 8, 4, 5]),
        case("aspp-deeplab", AsppOfDeepLab(4, 4), [1, 4, 13, 7]),
        case("bilinear", Resize(size=(12, 7), mode="bilinear"), [1, 1, 3, 5]),
        case("nearest", Resize(scale_factor=2, mode="nearest"), [1, 2, 3, 4]),
    ]


def main():
    root = pathlib.Path(__file__).parents[3]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=root / "crates/nn/tests/golden/residual.json")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cases = [json.dumps(entry, separators=(",", ":")) for entry in make()]
    args.out.write_text("[\n" + ",\n".join(cases) + "\n]\n")


if __name__ == "__main__":
    main()
