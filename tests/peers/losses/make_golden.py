"""Writes crates/nn/tests/golden/losses.json: what PyTorch, in double precision, makes of every loss and its gradient.

    python make_golden.py [--seed N] [--out losses.json]

Each case holds the loss of every pixel, and total and gradient of the masked mean of Eq. 9. Two patches: ordinary logits,
and logits of up to ±1e4, where a careless formula overflows.
"""

import argparse
import json
import pathlib

import torch
from torch.nn import functional

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHAPE = [2, 3, 2, 5]  # [n, k, h, w]

# The losses as their papers define them: functions of log-probabilities [n, k, h, w] and one-hot labels of that shape.


def cross_entropy(log_p, y):
    return functional.nll_loss(log_p, y.argmax(1), reduction="none")


def label_smoothing(log_p, y, smoothing):
    return functional.cross_entropy(log_p, y.argmax(1), reduction="none", label_smoothing=smoothing)


def generalized_cross_entropy(log_p, y, q):
    return (1 - torch.exp(q * (y * log_p).sum(1))) / q


def symmetric_cross_entropy(log_p, y, alpha, beta, log_zero):
    log_y = torch.where(y > 0, 0.0, log_zero)
    return alpha * cross_entropy(log_p, y) + beta * -(log_p.exp() * log_y).sum(1)


def bootstrapping(log_p, y, soft_beta):
    target = soft_beta * y + (1 - soft_beta) * log_p.exp()
    return -(target * log_p).sum(1)


def bootstrapping_hard(log_p, y, hard_beta):
    target = hard_beta * y + (1 - hard_beta) * one_hot(log_p.argmax(1))
    return -(target * log_p).sum(1)


def focal(log_p, y, gamma):
    others = torch.where(y > 0, -torch.inf, log_p).logsumexp(1)  # log(1 - p_y)
    return (gamma * others).exp() * cross_entropy(log_p, y)


CASES = [
    (cross_entropy, {}),
    (label_smoothing, {"smoothing": 0.1}),
    (label_smoothing, {"smoothing": 0.3}),
    (generalized_cross_entropy, {"q": 0.7}),
    (generalized_cross_entropy, {"q": 0.05}),
    (generalized_cross_entropy, {"q": 1.0}),
    (symmetric_cross_entropy, {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0}),
    (symmetric_cross_entropy, {"alpha": 6.0, "beta": 0.1, "log_zero": -6.0}),
    (bootstrapping, {"soft_beta": 0.95}),
    (bootstrapping, {"soft_beta": 0.6}),
    (bootstrapping_hard, {"hard_beta": 0.8}),
    (focal, {"gamma": 2.0}),
    (focal, {"gamma": 0.5}),
    (focal, {"gamma": 0.0}),
]


def one_hot(labels):
    return functional.one_hot(labels, SHAPE[1]).movedim(-1, 1).double()


def patches(generator):
    """Name -> logits, as exact in single precision as in double."""
    ordinary = torch.randn(SHAPE, generator=generator) * 2
    levels = torch.tensor([-1e4, -1e4 + 1, -60.0, -1.5, 0.0, 1.5, 60.0, 1e4 - 1, 1e4])
    extreme = levels[torch.randint(len(levels), SHAPE, generator=generator)]
    while (extreme.topk(2, 1).values.diff(dim=1) == 0).any():  # which class leads must be clear for the hard target
        extreme = levels[torch.randint(len(levels), SHAPE, generator=generator)]
    return {"ordinary": ordinary, "extreme": extreme}


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


def case(loss, settings, logits, labels, weights):
    x = logits.double().requires_grad_()
    pixels = loss(x.log_softmax(1), one_hot(labels), **settings)
    total = (pixels * weights.double()).sum() / (weights > 0).sum()
    total.backward()
    return {
        "name": loss.__name__.replace("_", "-"),
        "settings": settings,
        "pixels": rounded(pixels.detach()),
        "total": rounded(total.detach())[0],
        "gradient": rounded(x.grad),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "crates/nn/tests/golden/losses.json")
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(args.seed)
    plane = [SHAPE[0], *SHAPE[2:]]
    lines = []
    for name, logits in patches(generator).items():
        labels = torch.randint(SHAPE[1], plane, generator=generator)
        # Masked pixels weigh 0, the others what their class weighs.
        weights = torch.tensor([0.5, 1.0, 2.0])[labels] * (torch.rand(plane, generator=generator) > 0.3)
        patch = {"patch": name, "shape": SHAPE, "logits": rounded(logits), "labels": labels.flatten().tolist()}
        patch["weights"] = weights.flatten().tolist()
        cases = [case(*entry, logits, labels, weights) for entry in CASES]
        body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        lines.append(json.dumps(patch, separators=(",", ":"))[:-1] + ',"cases":[\n' + body + "]}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
