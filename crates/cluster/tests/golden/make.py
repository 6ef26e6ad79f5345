"""Writes golden.json: what scikit-learn and scikit-image make of five small data sets.

    python make.py [--seed N] [--out golden.json]

Versions: see tests/peers/cluster/requirements.txt. Data sets are stored as sparse histograms, so the file stays small
and the Rust side sees exactly the values Python saw.
"""

import argparse
import itertools
import json
import pathlib

import numpy as np
from skimage import data
from skimage.exposure import histogram
from skimage.filters import threshold_multiotsu
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture


def normals(rng, parts):
    """Samples of several normal distributions, given as (count, mean, standard deviation)."""
    return np.concatenate([rng.normal(mean, std, count) for count, mean, std in parts])


def data_sets(rng):
    """Name -> (histogram description, values)."""
    u8 = normals(rng, [(6000, 30, 9), (4000, 90, 12), (3000, 140, 14), (2000, 215, 11)])
    u16 = normals(rng, [(5000, 21000, 180), (3000, 21700, 240), (2000, 22600, 200)])
    rare = normals(rng, [(7000, 5200, 60), (4000, 5700, 90), (60, 6900, 25)])
    camera = data.camera()[::4, ::4].ravel()
    unit = np.concatenate([rng.beta(2, 9, 5000), rng.beta(30, 22, 3000), rng.beta(40, 6, 1500)])
    bins = 2048
    grid = (np.minimum((unit * bins).astype(int), bins - 1) + 0.5) / bins
    integer = lambda x, lo, hi: np.clip(np.rint(x), lo, hi).astype(int)
    return {
        "phantom-u8": ({"lo": 0, "hi": 255}, integer(u8, 0, 255)),
        "beamline-u16": ({"lo": 0, "hi": 65535}, integer(u16, 0, 65535)),
        "rare-i16": ({"lo": -32768, "hi": 32767}, integer(rare, -32768, 32767)),
        "camera-u8": ({"lo": 0, "hi": 255}, camera.astype(int)),
        "unit-f32": ({"lo": 0.0, "hi": 1.0, "bins": bins}, grid),
    }


def between(counts, centres, cuts):
    """Between-class variance in double precision (scikit-image sums in single), cuts being last bins of classes."""
    edges = [0, *(cut + 1 for cut in cuts), len(counts)]
    parts = [(counts[a:b].sum(), (counts[a:b] * centres[a:b]).sum()) for a, b in itertools.pairwise(edges)]
    return sum(moment**2 / mass for mass, moment in parts if mass > 0)


def otsu(name, values, classes):
    """scikit-image's thresholds; the true maximiser beside them; and its class sizes under numpy.digitize.

    Rounding in single precision leaves scikit-image a bin off the maximum now and then.
    """
    image = values.astype(np.uint8) if name.endswith("u8") else values.astype(np.float64)
    theirs = threshold_multiotsu(image[None], classes=classes, nbins=256)
    counts, centres = histogram(image, nbins=256)
    about = [np.abs(centres - t).argmin() for t in theirs]
    steps = itertools.product(range(-3, 4), repeat=classes - 1)
    cuts = [tuple(int(c + d) for c, d in zip(about, step)) for step in steps]
    cuts = [c for c in cuts if c[0] >= 0 and c[-1] < len(counts) and all(a < b for a, b in itertools.pairwise(c))]
    moved = centres - np.average(centres, weights=counts)
    best = max(cuts, key=lambda c: between(counts, moved, c))
    gain = between(counts, moved, best) / between(counts, moved, tuple(about)) - 1
    exact = theirs if gain < 1e-12 else centres[list(best)]
    sizes = np.bincount(np.digitize(image, bins=exact), minlength=classes)
    return {
        "skimage": [float(t) for t in theirs],
        "thresholds": [float(t) for t in exact],
        "bin": float(centres[1] - centres[0]),
        "sizes": sizes.tolist(),
    }


def mixture(points, classes, seed):
    """Total log-likelihood and BIC of the best of five starts."""
    model = GaussianMixture(classes, tol=1e-7, max_iter=3000, n_init=5, random_state=seed).fit(points)
    return {"log_likelihood": float(model.score(points) * len(points)), "bic": float(model.bic(points))}


def describe(name, bins, values, seed):
    points = values.astype(np.float64)[:, None]
    levels, counts = np.unique(values, return_counts=True)
    fit = lambda k: KMeans(k, n_init=10, tol=0, max_iter=1000, random_state=seed).fit(points)
    kmeans = {k: float(fit(k).inertia_) for k in (2, 3, 4, 6, 10)}
    return {
        "name": name,
        "histogram": bins,
        "values": levels.tolist(),
        "counts": counts.tolist(),
        "quantiles": {str(q): float(np.quantile(points, q)) for q in (0.005, 0.1, 0.5, 0.995)},
        "kmeans": kmeans,
        "multi_otsu": {k: otsu(name, values, k) for k in (2, 3, 4, 5)},
        "gmm": {k: mixture(points, k, seed) for k in (2, 3, 4)},
    }


def make(seed):
    rng = np.random.default_rng(seed)
    return [describe(name, bins, values, seed) for name, (bins, values) in data_sets(rng).items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20260300)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("golden.json"))
    args = parser.parse_args()
    sets = [json.dumps(entry, separators=(",", ":")) for entry in make(args.seed)]
    args.out.write_text("[\n" + ",\n".join(sets) + "\n]\n")


if __name__ == "__main__":
    main()
