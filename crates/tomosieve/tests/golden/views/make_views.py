#!/usr/bin/env python3
"""Makes views.json: what Albumentations 2.0.8 (and its OpenCV) answers on the same parameters.

    pip install -r tests/peers/views/requirements.txt
    python crates/tomosieve/tests/golden/views/make_views.py

All arrays are hexadecimal: the image 12-bit numbers (grey value = number / 4095), three digits each; results of
8-bit views one byte a pixel; other results little-endian 32-bit floats.
"""
import argparse
import json
from pathlib import Path

import albumentations as A
import cv2
import numpy as np

PEAK = 4095
COMMITTED_SIZE = (48, 64)
IDENTITY_ORDER = [0, 1, 2, 3]  # brightness, contrast, saturation, hue
CONTRAST_FIRST = [1, 0, 2, 3]


def sample(rng, height, width):
    """Grains, a ramp and noise, some of it clipped: 12-bit numbers."""
    y, x = np.mgrid[:height, :width]
    grains = np.sin(x / rng.uniform(2, 9)) * np.cos(y / rng.uniform(2, 9)) > rng.uniform(-0.3, 0.3)
    value = 0.3 + 0.35 * grains + rng.uniform(-0.3, 0.5) * x / width + rng.normal(0, 0.12, (height, width))
    return np.rint(np.clip(value, 0, 1) * PEAK).astype(np.int64)


def image_of(numbers, size=None):
    """Grey values of the upper left corner of that size."""
    height, width = size or numbers.shape
    return (numbers[:height, :width].astype(np.float32) / np.float32(PEAK)).copy()


def floats(image):
    return np.asarray(image, dtype="<f4").tobytes().hex()


def grey(image):
    return np.rint(np.asarray(image) * 255).astype(np.uint8).tobytes().hex()


def pointwise(numbers, rng, random_cases):
    """Gamma, brightness and contrast, jitter."""
    size = (9, 16) if not random_cases else numbers.shape
    image = image_of(numbers, size)
    exponents = [0.565, 0.8, 1.2, 1.7]
    affine = [(1.0, 0.2), (0.8, -0.2), (1.2, 0.05), (1.7, -0.7)]
    factors = [(0.8, 1.2, IDENTITY_ORDER), (0.8, 1.2, CONTRAST_FIRST), (1.7, 0.3, IDENTITY_ORDER), (1.7, 0.3, CONTRAST_FIRST), (1.1, 0.0, IDENTITY_ORDER)]
    for _ in range(random_cases):
        exponents.append(rng.uniform(0.2, 5))
        affine.append((rng.uniform(0, 2), rng.uniform(-1, 1)))
        factors.append((rng.uniform(0, 2), rng.uniform(0, 2), rng.permutation(4).tolist()))
    gamma, brightness_contrast, jitter = A.RandomGamma(), A.RandomBrightnessContrast(), A.ColorJitter()
    return {
        "size": size,
        "gamma": [{"exponent": e, "out": floats(gamma.apply(image, gamma=e))} for e in exponents],
        "brightness_contrast": [
            {"alpha": a, "beta": b, "out": floats(brightness_contrast.apply(image, alpha=a, beta=b))} for a, b in affine
        ],
        "color_jitter": [
            {
                "brightness": b,
                "contrast": k,
                "brightness_first": order.index(0) < order.index(1),
                "out": floats(jitter.apply(image, brightness=b, contrast=k, saturation=1.1, hue=0.2, order=order)),
            }
            for b, k, order in factors
        ],
    }


def clahe(numbers, rng, random_cases):
    """CLAHE by Albumentations, checked here against OpenCV itself; grids are [x, y] as in both."""
    cases = [
        ((48, 64), [2, 2], 2.5),  # our tiles of 24 pixels
        ((48, 64), [8, 8], 4.0),  # Albumentations' default grid
        ((47, 61), [8, 8], 1.0),  # neither axis divides
        ((48, 61), [4, 2], 3.0),  # one axis divides
        ((40, 50), [1, 3], 40.0),
        ((7, 5), [8, 8], 2.0),  # fewer pixels than tiles
        ((1, 1), [2, 3], 2.0),
    ]
    for _ in range(random_cases):
        size = tuple(int(rng.integers(1, limit + 1)) for limit in numbers.shape)
        cases.append((size, rng.integers(1, 13, 2).tolist(), rng.uniform(1, rng.choice([4, 60]))))
    entries = []
    for size, grid, clip in cases:
        image = image_of(numbers, size)
        out = grey(A.CLAHE(tile_grid_size=tuple(grid)).apply(image, clip_limit=clip))
        direct = cv2.createCLAHE(clipLimit=clip, tileGridSize=tuple(grid)).apply(np.rint(image * 255).astype(np.uint8))
        assert out == direct.tobytes().hex()
        entries.append({"size": size, "grid": grid, "clip": clip, "out": out})
    return entries


def symmetries(numbers):
    """The symmetries of a small square, under our names."""
    names = {
        "identity": "e", "rotate_90": "r90", "rotate_180": "r180", "rotate_270": "r270",
        "flip_vertical": "v", "flip_horizontal": "h", "transpose": "t", "anti_transpose": "hvt",
    }  # fmt: skip
    image = image_of(numbers, (5, 5))
    return [{"name": ours, "out": floats(A.D4().apply(image, group_element=theirs))} for ours, theirs in names.items()]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=Path(__file__).with_name("views.json"))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--size", type=int, nargs=2, default=COMMITTED_SIZE, help="of the image, at least 48 64")
    arguments.add_argument("--random", type=int, default=0, help="so many random cases of each view besides")
    given = arguments.parse_args()
    rng = np.random.default_rng(given.seed)
    numbers = sample(rng, *given.size)
    golden = {
        "peers": {"albumentations": A.__version__, "opencv": cv2.__version__, "numpy": np.__version__},
        "size": numbers.shape,
        "image": "".join(f"{number:03x}" for number in numbers.ravel()),
        "pointwise": pointwise(numbers, rng, given.random),
        "clahe": clahe(numbers, rng, given.random),
        "symmetries": symmetries(numbers),
    }
    given.out.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
