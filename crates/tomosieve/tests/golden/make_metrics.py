"""Writes metrics.json: what scikit-learn and scipy make of small label arrays.

    python make_metrics.py [--seed N] [--out metrics.json]

Versions: see tests/peers/metrics/requirements.txt.
"""

import argparse
import json
import pathlib

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score


def labels(rng, classes, clusters, noise, pixels=3000):
    """Truth of unequal classes, and clusters that follow it under a random renaming with some noise."""
    truth = rng.choice(classes, pixels, p=rng.dirichlet(np.full(classes, 2.0)))
    renamed = rng.permutation(max(classes, clusters))[truth] % clusters
    return truth, np.where(rng.random(pixels) < noise, rng.integers(0, clusters, pixels), renamed)


def mapping(matrix):
    """Hungarian matching on the overlap; clusters left over, or matched without overlap, go to their majority."""
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    mapped = matrix.argmax(axis=0)
    for truth, cluster in zip(rows, columns):
        if matrix[truth, cluster] > 0 or matrix[:, cluster].sum() == 0:
            mapped[cluster] = truth
    return mapped, int(matrix[rows, columns].sum())


def calibration(rng, pixels=400, bins=10):
    """Expected calibration error by its definition."""
    confidence = rng.random(pixels).astype(np.float32)
    correct = rng.random(pixels) < confidence**1.5
    index = np.minimum((confidence.astype(np.float64) * bins).astype(int), bins - 1)
    gaps = [
        (index == b).mean() * abs(correct[index == b].mean() - confidence[index == b].astype(np.float64).mean())
        for b in range(bins)
        if (index == b).any()
    ]
    return {
        "bins": bins,
        "confidence": [float(c) for c in confidence],
        "correct": correct.tolist(),
        "ece": float(sum(gaps)),
    }


def case(rng, classes, clusters, noise):
    truth, predicted = labels(rng, classes, clusters, noise)
    size = max(classes, clusters)
    matrix = confusion_matrix(truth, predicted, labels=range(size))[:classes, :clusters]
    mapped, overlap = mapping(matrix)
    guess = mapped[predicted]
    present = [c for c in range(1, classes) if (truth == c).any()]  # 0 is the background
    every = [c for c in range(classes) if (truth == c).any()]
    iou = lambda which: jaccard_score(truth, guess, labels=which, average="macro", zero_division=0)
    dice = lambda which: f1_score(truth, guess, labels=which, average="macro", zero_division=0)
    by_class = jaccard_score(truth, guess, labels=range(classes), average=None, zero_division=0)
    return {
        "matrix": matrix.tolist(),
        "overlap": overlap,
        "mapping": mapped.tolist(),
        "accuracy": float(accuracy_score(truth[truth != 0], guess[truth != 0])),
        "accuracy_all": float(accuracy_score(truth, guess)),
        "iou": by_class.tolist(),
        "miou": float(iou(present)),
        "miou_all": float(iou(every)),
        "dice": float(dice(present)),
        "dice_all": float(dice(every)),
        "support": np.bincount(truth, minlength=classes).tolist(),
    }


def streamed(rng, pixels=300, classes=4, clusters=6):
    """Raw labels with their matrix, pixels of truth 255 left out."""
    truth, predicted = labels(rng, classes, clusters, 0.3, pixels)
    truth[rng.random(pixels) < 0.1] = 255
    known = truth != 255
    matrix = confusion_matrix(truth[known], predicted[known], labels=range(clusters))[:classes]
    return {"truth": truth.tolist(), "predicted": predicted.tolist(), "matrix": matrix.tolist()}


def make(seed):
    rng = np.random.default_rng(seed)
    shapes = [(4, 4), (5, 5), (4, 10), (3, 7), (6, 3), (2, 2), (8, 12), (5, 4)]
    return {
        "streamed": streamed(rng),
        "cases": [case(rng, *shape, noise) for noise in (0.05, 0.4, 0.8) for shape in shapes],
        "calibration": calibration(rng),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20260300)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("metrics.json"))
    args = parser.parse_args()
    args.out.write_text(json.dumps(make(args.seed), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
