"""Writes gradcam.safetensors: the Grad-CAM maps that PyTorch's gradients give for a small U-Net.

    python make_golden_gradcam.py [--seed N] [--out crates/nn/tests/golden/gradcam.safetensors]

`unet/in/0` is a batch, `unet/param/PARAMETER` the parameters under tomosieve's names, `unet/map/LAYER` the maps
`[n, k, h, w]` at an activation, not normalised, where the target of a class is the sum of its logits over the pixels
predicted as it. Height and width are no multiples of the network's stride: the batch is padded by repeating its edge
and the maps are cropped. Computed in double precision, stored in single.

Every map is also held against the package grad-cam (Gildenblat et al.), which is told of the same layer and target.
"""

import argparse
import pathlib

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from make_golden import HERE, DoubleConv, Upsample, draw, parameters

SLICES, WIDTHS, CLASSES, SHAPE = 2, [4, 8], 3, (9, 11)


class UNet(nn.Module):
    """A U-Net for sizes that its poolings divide."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList(DoubleConv(c, w) for c, w in zip([SLICES, *WIDTHS[:-1]], WIDTHS))
        down = list(zip(WIDTHS[1:], WIDTHS))[::-1]
        self.up = nn.ModuleList(Upsample(coarse, fine) for coarse, fine in down)
        self.decoder = nn.ModuleList(DoubleConv(2 * fine, fine) for _, fine in down)
        self.head = nn.Conv2d(WIDTHS[0], CLASSES, 1)

    def forward(self, x):
        passed = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if level else x)
            passed.append(x)
        passed.pop()
        for up, block in zip(self.up, self.decoder):
            x = block(torch.cat([passed.pop(), up(x)], 1))
        return self.head(x)


def padded(x):
    """The batch with its edge repeated up to the next multiple of the stride."""
    stride = 2 ** (len(WIDTHS) - 1)
    below, right = (-x.shape[2] % stride, -x.shape[3] % stride)
    return F.pad(x, (0, right, 0, below), mode="replicate")


def cam(network, layer, x, c):
    """The map of a class, from torch.autograd alone."""
    seen = []
    hook = layer.register_forward_hook(lambda _, __, out: seen.append(out))
    logits = network(padded(x))[:, :, : x.shape[2], : x.shape[3]]
    hook.remove()
    (activation,) = seen
    mask = logits.argmax(1) == c
    (gradient,) = torch.autograd.grad((logits[:, c] * mask).sum(), activation)
    weights = gradient.mean((2, 3), keepdim=True)
    map_ = torch.relu((weights * activation).sum(1, keepdim=True))
    map_ = F.interpolate(map_, size=padded(x).shape[2:], mode="bilinear", align_corners=False)
    return map_[:, :, : x.shape[2], : x.shape[3]].detach(), mask


def agree(network, layer, x, c, ours, mask):
    """Fails unless the package grad-cam finds the same, item by item, with both normalised as it does."""
    for item in range(len(x)):
        grey = padded(x[item : item + 1])
        wide = F.pad(mask[item].double(), (0, grey.shape[3] - x.shape[3], 0, grey.shape[2] - x.shape[2]))
        target = SemanticSegmentationTarget(c, wide.numpy())
        target.mask = wide  # in double precision
        with GradCAM(model=network, target_layers=[layer]) as theirs:
            found = theirs(input_tensor=grey.float().double(), targets=[target])[0]
        found = found[: x.shape[2], : x.shape[3]]
        expected = ours[item, 0].numpy()
        if expected.max() > 0:
            scale = lambda m: (m - m.min()) / (m.max() - m.min())
            worst = np.abs(scale(found) - scale(expected)).max()
            assert worst < 2e-3, f"class {c}, item {item}: off grad-cam by {worst}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    golden = HERE.parents[2] / "crates/nn/tests/golden/gradcam.safetensors"
    arguments.add_argument("--out", type=pathlib.Path, default=golden)
    arguments = arguments.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_default_dtype(torch.float64)
    tensors = {}
    network = UNet()
    draw(network)
    tensors |= {f"unet/param/{ours}": value.detach() for ours, value, _ in parameters(network)}
    x = torch.rand(2, SLICES, *SHAPE).float().double()
    tensors["unet/in/0"] = x
    for layer, module in {"encoder.1": network.encoder[1], "decoder.0": network.decoder[0]}.items():
        maps = []
        for c in range(CLASSES):
            found, mask = cam(network, module, x, c)
            agree(network, module, x, c, found, mask)
            maps.append(found)
        tensors[f"unet/map/{layer}"] = torch.cat(maps, 1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, arguments.out)
    print(f"{arguments.out}: {len(tensors)} tensors, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
