"""`tomosieve segment --preset quick` as a PyTorch program: the same steps and sizes.

    program.py VOLUME OUTPUT THREADS TRAIN CORRECT

VOLUME is a folder of TIFF slices. TRAIN and CORRECT are the numbers of steps of stages 2 and 3 that tomosieve took, as its
stages end by themselves. Clustering is scikit-learn's, strong views are Albumentations', the network is the one
of networks.py. What the program leaves out is what tomosieve does beside: rims, guard, checkpoints, pictures, OME-Zarr.
The last line it prints are the seconds of each stage, as JSON.
"""

import copy
import json
import os
import pathlib
import sys
import time

VOLUME, OUTPUT = map(pathlib.Path, sys.argv[1:3])
THREADS, TRAIN_STEPS, CORRECT_STEPS = map(int, sys.argv[3:6])
os.environ |= {name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")}

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import networks  # noqa: E402
import numpy as np  # noqa: E402
import tifffile  # noqa: E402
import torch  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from torch.nn import functional as F  # noqa: E402

SLICES, CLASSES, WIDTHS = networks.SLICES, networks.CLASSES, [16, 32, 64]
BATCH, CROP = 4, 64
TRAIN_RATE, CORRECT_RATE, MOMENTUM, THRESHOLD = 1e-3, 1e-4, 0.98, 0.8
SMOOTHING, STRENGTH, TILE = 0.1, 2.0, 24
HALF = SLICES // 2

torch.set_num_threads(THREADS)
cv2.setNumThreads(THREADS)


def strong_views():
    reach = 0.2 * STRENGTH
    limits = tuple(int(100 * (1 + reach) ** sign) for sign in (-1, 1))
    return A.Compose(
        [
            A.RandomGamma(limits, p=0.5),
            A.RandomBrightnessContrast(reach, reach, p=0.5),
            A.CLAHE(tile_grid_size=(CROP // TILE, CROP // TILE), p=0.5),
        ]
    )


class Crops:
    """Random crops of 7 slices, their pseudo labels, and views of them."""

    def __init__(self, volume, labels, seed):
        self.volume, self.labels = np.pad(volume, ((HALF, HALF), (0, 0), (0, 0)), "reflect"), labels
        self.rng, self.strong = np.random.default_rng(seed), strong_views()

    def weak(self, hide):
        depth, height, width = self.labels.shape
        z, y, x = (self.rng.integers(0, n) for n in (depth, height - CROP + 1, width - CROP + 1))
        image = self.volume[z : z + SLICES, y : y + CROP, x : x + CROP].copy()
        if hide:
            image[HALF] = image[HALF + self.rng.choice((-1, 1))]
        label = self.labels[z, y : y + CROP, x : x + CROP]
        turns, flip = self.rng.integers(0, 4), self.rng.integers(0, 2)
        turned = [np.rot90(array, turns, (-2, -1)) for array in (image, label)]
        return [array[..., ::-1] if flip else array for array in turned]

    def batch(self, hide=False):
        images, labels = zip(*(self.weak(hide) for _ in range(BATCH)))
        return np.ascontiguousarray(np.stack(images)), np.ascontiguousarray(np.stack(labels)).astype(np.int64)

    def made_strong(self, images):
        def view(image):  # Albumentations' CLAHE takes slices one by one, all under the same draw
            bytes_ = [np.round(255 * slice_).astype(np.uint8)[..., None] for slice_ in image]
            names = {f"image{i}": "image" for i in range(1, SLICES)}
            self.strong.add_targets(names)
            drawn = self.strong(image=bytes_[0], **{f"image{i}": bytes_[i] for i in range(1, SLICES)})
            return np.stack([drawn["image" if i == 0 else f"image{i}"][..., 0] for i in range(SLICES)])

        return np.stack([view(image) for image in images]).astype(np.float32) / 255


def rate(start, step, steps, full=0):
    """Falls as a cosine after so many steps."""
    fallen = max(step - full, 0) / (steps - full)
    return start * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * fallen)))


def learn(network, optimizer, images, labels, learning_rate):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(network(torch.from_numpy(images)), labels, ignore_index=255, label_smoothing=SMOOTHING)
    loss.backward()
    optimizer.step()


def train(crops):
    torch.manual_seed(0)
    network = networks.UNet(WIDTHS, skips=False)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for step in range(TRAIN_STEPS):
        images, labels = crops.batch(hide=True)
        learn(network, optimizer, images, torch.from_numpy(labels), rate(TRAIN_RATE, step, TRAIN_STEPS, 2 * TRAIN_STEPS // 3))
    return network


def correct(network, crops):
    teacher = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for step in range(CORRECT_STEPS):
        images, _ = crops.batch()
        with torch.inference_mode():
            sure, labels = teacher(torch.from_numpy(images)).softmax(1).max(1)
        labels = torch.where(sure >= THRESHOLD, labels, 255).clone()
        learn(network, optimizer, crops.made_strong(images), labels, rate(CORRECT_RATE, step, CORRECT_STEPS))
        with torch.no_grad():
            for average, value in zip(teacher.parameters(), network.parameters()):
                average.lerp_(value, 1 - MOMENTUM)
    return teacher


def predict(network, volume):
    depth, height, width = volume.shape
    padded = np.pad(volume, ((HALF, HALF), (0, 0), (0, 0)), "reflect")
    starts = lambda size: [*range(0, size - CROP, CROP // 2), size - CROP]
    ramp = np.sin(np.pi * (np.arange(CROP) + 0.5) / CROP)
    weight = torch.from_numpy(np.outer(ramp, ramp).astype(np.float32))
    for z in range(depth):
        total, weights = torch.zeros(CLASSES, height, width), torch.zeros(height, width)
        places = [(y, x) for y in starts(height) for x in starts(width)]
        for at in range(0, len(places), 16):
            part = places[at : at + 16]
            windows = np.stack([padded[z : z + SLICES, y : y + CROP, x : x + CROP] for y, x in part])
            with torch.inference_mode():
                found = network(torch.from_numpy(windows)).softmax(1)
            for (y, x), window in zip(part, found):
                total[:, y : y + CROP, x : x + CROP] += window * weight
                weights[y : y + CROP, x : x + CROP] += weight
        sure, labels = (total / weights).max(0)
        for name, values in (("segmentation", labels), ("confidence", 255 * sure)):
            path = OUTPUT / f"{name}_{z:05}.tif"
            tifffile.imwrite(path, values.numpy().astype(np.uint8), compression="lzw")


def main():
    OUTPUT.mkdir(parents=True, exist_ok=True)
    seconds, last = {}, time.perf_counter()

    def done(stage):
        nonlocal last
        now = time.perf_counter()
        seconds[stage], last = now - last, now

    raw = np.stack([tifffile.imread(path) for path in sorted(VOLUME.glob("*.tif"))])
    low, high = np.percentile(raw, (0.1, 99.9))
    volume = ((raw - low) / (high - low)).clip(0, 1).astype(np.float32)
    fitted = KMeans(CLASSES, n_init=1, random_state=0).fit(volume.reshape(-1, 1))
    order = np.argsort(np.argsort(fitted.cluster_centers_[:, 0]))
    labels = order[fitted.labels_].reshape(volume.shape).astype(np.uint8)
    tifffile.imwrite(OUTPUT / "pseudo_labels.tif", labels, compression="lzw")
    done("cluster")
    crops = Crops(volume, labels, 0)
    student = train(crops)
    done("train")
    teacher = correct(student, crops)
    done("correct")
    predict(teacher.eval(), volume)
    done("predict")
    print(json.dumps(seconds))


main()
