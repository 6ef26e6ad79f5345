"""Writes networks.safetensors: what PyTorch makes of the networks' building blocks.

    python make_golden.py [--seed N] [--out crates/nn/tests/golden/networks.safetensors]

Every case is a block with random parameters: `CASE/in/I` its inputs, `CASE/out` its output, `CASE/wish` a random
cotangent, `CASE/in_grad/I` and `CASE/grad/PARAMETER` the gradients of `sum(out * wish)`, `CASE/param/PARAMETER` the
parameters under tomosieve's names and in its shapes. Computed in double precision, stored in single.
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

GROUPS = 4
HERE = pathlib.Path(__file__).resolve().parent


class ConvNormAct(nn.Module):
    """3×3 convolution, group norm, PReLU."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, c_out)
        self.act = nn.PReLU(c_out)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class DoubleConv(nn.Module):
    """Two of them."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.first, self.second = ConvNormAct(c_in, c_out), ConvNormAct(c_out, c_out)

    def forward(self, x):
        return self.second(self.first(x))


class Upsample(nn.Module):
    """Transposed 2×2 convolution."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, 2, stride=2)

    def forward(self, x):
        return self.conv(x)


class NestedNode(nn.Module):
    """UNet++: a node sees its row and the node below."""

    def __init__(self, column, fine, coarse):
        super().__init__()
        self.up, self.block = Upsample(coarse, fine), DoubleConv((column + 1) * fine, fine)

    def forward(self, *row_and_below):
        *row, below = row_and_below
        return self.block(torch.cat([*row, self.up(below)], 1))


class FullScale(nn.Module):
    """UNet3+: one decoder level from all scales."""

    def __init__(self, level, channels, width):
        super().__init__()
        self.branches = nn.ModuleList(ConvNormAct(c, width) for c in channels)
        self.fuse = ConvNormAct(len(channels) * width, len(channels) * width)
        self.level = level

    def forward(self, *scales):
        size = scales[self.level].shape[2:]

        def resized(k, x):
            if k < self.level:
                return F.max_pool2d(x, 2 ** (self.level - k))
            return F.interpolate(x, size=size, mode="bilinear", align_corners=False)

        return self.fuse(torch.cat([b(resized(k, x)) for k, (b, x) in enumerate(zip(self.branches, scales))], 1))


class AttentionGate(nn.Module):
    """Attention U-Net: additive attention on the coarse grid."""

    def __init__(self, fine, coarse):
        super().__init__()
        self.of_x = nn.Conv2d(fine, fine, 2, stride=2, bias=False)
        self.of_g = nn.Conv2d(coarse, fine, 1)
        self.act = nn.PReLU(fine)
        self.psi = nn.Conv2d(fine, 1, 1)

    def forward(self, x, g):
        weights = torch.sigmoid(self.psi(self.act(self.of_x(x) + self.of_g(g))))
        return x * F.interpolate(weights, scale_factor=2, mode="bilinear", align_corners=False)


def to_tokens(x):
    return x.flatten(2).transpose(1, 2)


def to_grid(x, grid):
    return x.transpose(1, 2).unflatten(2, grid)


class OverlapPatchEmbed(nn.Module):
    """SegFormer: strided convolution and layer norm; gives tokens."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 2 * stride - 1, stride=stride, padding=stride - 1)
        self.norm = nn.LayerNorm(c_out, eps=1e-6)

    def forward(self, x):
        return self.norm(to_tokens(self.conv(x)))


class EfficientAttention(nn.Module):
    """SegFormer: attention with keys and values on a coarser grid."""

    def __init__(self, channels, heads, reduction, grid):
        super().__init__()
        self.query, self.key, self.value, self.project = (nn.Linear(channels, channels) for _ in range(4))
        if reduction > 1:
            self.reduce = nn.Conv2d(channels, channels, reduction, stride=reduction)
            self.reduced_norm = nn.LayerNorm(channels, eps=1e-6)
        self.heads, self.grid = heads, grid

    def forward(self, x):
        reduced = x
        if hasattr(self, "reduce"):
            reduced = self.reduced_norm(to_tokens(self.reduce(to_grid(x, self.grid))))
        q, k, v = (
            t.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for t in (self.query(x), self.key(reduced), self.value(reduced))
        )
        return self.project(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class MixFfn(nn.Module):
    """SegFormer: feed-forward network with a depthwise convolution."""

    def __init__(self, channels, hidden, grid):
        super().__init__()
        self.expand, self.contract = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.grid = grid

    def forward(self, x):
        x = self.depthwise(to_grid(self.expand(x), self.grid))
        return self.contract(F.gelu(to_tokens(x)))


class Block(nn.Module):
    """SegFormer: a transformer block."""

    def __init__(self, channels, heads, reduction, grid):
        super().__init__()
        self.attention_norm, self.ffn_norm = (nn.LayerNorm(channels, eps=1e-6) for _ in range(2))
        self.attention = EfficientAttention(channels, heads, reduction, grid)
        self.ffn = MixFfn(channels, 4 * channels, grid)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.ffn(self.ffn_norm(x))


class Stage(nn.Module):
    """SegFormer: a level of the encoder."""

    def __init__(self, c_in, channels, stride, heads, reduction, grid):
        super().__init__()
        self.embed = OverlapPatchEmbed(c_in, channels, stride)
        self.blocks = nn.Sequential(*(Block(channels, heads, reduction, grid) for _ in range(2)))
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.grid = grid

    def forward(self, x):
        return to_grid(self.norm(self.blocks(self.embed(x))), self.grid)


class SegFormer(nn.Module):
    """The whole network."""

    def __init__(self, slices, widths, classes, size):
        super().__init__()
        last, wide = len(widths) - 1, widths[-1]
        grids = [(size[0] >> (2 + i), size[1] >> (2 + i)) for i in range(last + 1)]
        inputs = [slices, *widths[:-1]]
        self.stages = nn.Sequential(
            *(
                Stage(inputs[i], widths[i], 2 if i else 4, widths[i] // widths[0], 2 ** (last - i), grids[i])
                for i in range(last + 1)
            )
        )
        self.unify = nn.ModuleList(nn.Linear(w, wide) for w in widths)
        self.fuse = nn.Conv2d(len(widths) * wide, wide, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, wide)
        self.act = nn.PReLU(wide)
        self.head = nn.Conv2d(wide, classes, 1)
        self.grids, self.size = grids, size

    def forward(self, x):
        unified = []
        for stage, unify, grid in zip(self.stages, self.unify, self.grids):
            x = stage(x)
            u = to_grid(unify(to_tokens(x)), grid)
            unified.append(F.interpolate(u, size=self.grids[0], mode="bilinear", align_corners=False))
        fused = self.act(self.norm(self.fuse(torch.cat(unified, 1))))
        return F.interpolate(self.head(fused), size=self.size, mode="bilinear", align_corners=False)


def parameters(module):
    """(tomosieve's name, parameter, is it stored transposed) of every parameter."""
    leaf = {
        nn.LayerNorm: {"weight": "gamma", "bias": "beta"},
        nn.GroupNorm: {"weight": "gamma", "bias": "beta"},
        nn.PReLU: {"weight": "alpha"},
    }
    for path, part in module.named_modules():
        for name, value in part.named_parameters(recurse=False):
            ours = leaf.get(type(part), {}).get(name, name)
            yield ".".join(filter(None, [path, ours])), value, isinstance(part, nn.Linear) and name == "weight"


def cases():
    """Name -> (block, shapes of its inputs)."""
    return {
        "unet++/node": (NestedNode(2, 8, 12), [(1, 8, 8, 6), (1, 8, 8, 6), (1, 12, 4, 3)]),
        "unet3+/aggregation": (FullScale(1, [8, 6, 10], 4), [(1, 8, 8, 12), (1, 6, 4, 6), (1, 10, 2, 3)]),
        "attention-unet/gate": (AttentionGate(6, 10), [(1, 6, 8, 6), (1, 10, 4, 3)]),
        "segformer/embed4": (OverlapPatchEmbed(3, 4, 4), [(1, 3, 12, 8)]),
        "segformer/embed2": (OverlapPatchEmbed(4, 8, 2), [(1, 4, 6, 8)]),
        "segformer/attention": (EfficientAttention(8, 2, 2, (6, 4)), [(2, 24, 8)]),
        "segformer/attention1": (EfficientAttention(9, 3, 1, (3, 5)), [(2, 15, 9)]),
        "segformer/ffn": (MixFfn(6, 12, (5, 7)), [(2, 35, 6)]),
        "segformer/network": (SegFormer(2, [4, 8], 2, (16, 24)), [(1, 2, 16, 24)]),
    }


def draw(block):
    """Gives every parameter random values, rounded to what the file holds."""
    with torch.no_grad():
        for ours, value, _ in parameters(block):
            centre = {"gamma": 1.0, "alpha": 0.25}.get(ours.rsplit(".", 1)[-1], 0.0)
            value.copy_((centre + 0.3 * torch.randn_like(value)).float())


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    golden = HERE.parents[2] / "crates/nn/tests/golden/networks.safetensors"
    arguments.add_argument("--out", type=pathlib.Path, default=golden)
    arguments = arguments.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_default_dtype(torch.float64)
    tensors = {}
    for name, (block, shapes) in cases().items():
        draw(block)
        inputs = [torch.randn(shape).float().double().requires_grad_() for shape in shapes]
        out = block(*inputs)
        wish = torch.randn_like(out).float().double()
        (out * wish).sum().backward()
        tensors |= {f"{name}/out": out, f"{name}/wish": wish}
        for i, x in enumerate(inputs):
            tensors |= {f"{name}/in/{i}": x, f"{name}/in_grad/{i}": x.grad}
        for ours, value, transposed in parameters(block):
            turn = (lambda t: t.T) if transposed else (lambda t: t)
            tensors |= {f"{name}/param/{ours}": turn(value), f"{name}/grad/{ours}": turn(value.grad)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, arguments.out)
    print(f"{arguments.out}: {len(tensors)} tensors, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
