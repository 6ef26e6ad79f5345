"""A peer on request: the other side of crates/tomosieve/examples/speed.rs, one JSON object a line.

    peer.py THREADS

`compare.py` starts it and measures from outside.
"""

import json
import os
import sys

THREADS = int(sys.argv[1])
os.environ |= {name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")}

import numpy as np  # noqa: E402

SLICES, CLASSES = 7, 4


def torch_module():
    import torch

    torch.set_num_threads(THREADS)
    return torch


class Training:
    """PyTorch's training step, on the batches that tomosieve drew."""

    def __init__(self, variant, network, crop, batch, weights, batches):
        torch = torch_module()
        import networks

        self.torch, self.at = torch, 0
        self.network = networks.load(networks.make(network, crop), weights).train()
        layout = torch.channels_last if "channels_last" in variant else torch.contiguous_format
        self.network.to(memory_format=layout)
        self.forward = torch.compile(self.network) if "compile" in variant else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        images, labels = batch * SLICES * crop * crop, batch * crop * crop
        file = np.fromfile(batches, np.uint8).reshape(-1, 4 * images + labels)
        self.batches = [
            (
                torch.from_numpy(row[: 4 * images].view(np.float32).reshape(batch, SLICES, crop, crop).copy()).to(
                    memory_format=layout
                ),
                torch.from_numpy(row[4 * images :].reshape(batch, crop, crop).astype(np.int64)),
            )
            for row in file
        ]

    def steps(self, count):
        losses = []
        for _ in range(count):
            x, y = self.batches[self.at % len(self.batches)]
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.torch.nn.functional.cross_entropy(self.forward(x), y, label_smoothing=0.1)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            self.at += 1
        return losses


# Windows that a peer is shown at a time: more gain it nothing.
AT_ONCE = 16


def predictor(variant, network, size, tile, weights, image, folder):
    """A function from nothing to the class probabilities of the image, `[1, k, size, size]`, window by window."""
    torch = torch_module()
    import networks

    network = networks.load(networks.make(network, tile), weights).eval()
    network = torch.nn.Sequential(network, torch.nn.Softmax(1))
    side = size // tile
    windows = np.fromfile(image, np.float32).reshape(SLICES, side, tile, side, tile).transpose(1, 3, 0, 2, 4)
    batch = min(AT_ONCE, side * side)
    windows = np.ascontiguousarray(windows).reshape(-1, batch, SLICES, tile, tile)
    look = looking(variant, network, [torch.from_numpy(x) for x in windows], f"{folder}/{variant}-{size}-{tile}.onnx")

    def run():
        found = np.concatenate([look(i) for i in range(len(windows))])
        return found.reshape(side, side, CLASSES, tile, tile).transpose(2, 0, 3, 1, 4)

    return run


def looking(variant, network, batches, path):
    """A function from the number of a batch to what the network makes of it."""
    torch = torch_module()
    if variant.startswith("pytorch"):
        layout = torch.channels_last if "channels_last" in variant else torch.contiguous_format
        network, batches = network.to(memory_format=layout), [x.to(memory_format=layout) for x in batches]
        forward = torch.compile(network) if "compile" in variant else network

        def look(i):
            with torch.inference_mode():
                return forward(batches[i]).numpy()

        return look
    torch.onnx.export(network, (batches[0],), path, input_names=["x"], output_names=["p"], dynamo=False)
    if variant == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda i: session.run(["p"], {"x": batches[i].numpy()})[0]
    import openvino

    properties = {
        "INFERENCE_NUM_THREADS": THREADS,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(path, "CPU", properties)
    request = compiled.create_infer_request()
    # Its answer lies in a buffer that the next one overwrites.
    return lambda i: request.infer({0: batches[i].numpy()})[0].copy()


def cluster(values, method, classes):
    """What the peers of stage 1 make of the voxels."""
    if method == "histogram":
        return {"voxels": int(np.bincount(values, minlength=1 << 16).sum())}
    if method == "memory-copy":
        np.copyto(SCRATCH, values)
        return {}

    def thresholds():
        from skimage.filters import threshold_multiotsu

        # Of floats, lest it searches all 65536 bins of 16-bit integers, which would take days.
        return threshold_multiotsu(values.astype(np.float32), classes, nbins=256)

    if method == "thresholds":
        return {"thresholds": [float(t) for t in thresholds()]}
    if method == "multi-otsu":
        found = thresholds()
        return {"thresholds": [float(t) for t in found], "labels": int(np.digitize(values, found).max())}
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    points = values.reshape(-1, 1).astype(np.float32)
    if method == "kmeans":
        fitted = KMeans(classes, random_state=0, n_init=1).fit(points)
        return {"inertia": float(fitted.inertia_), "iterations": fitted.n_iter_}
    fitted = GaussianMixture(classes, random_state=0).fit(points)
    fitted.predict(points)
    return {"log_likelihood": float(fitted.lower_bound_) * len(points), "iterations": fitted.n_iter_}


def views(names, count, size):
    """Albumentations' strong views of so many patches."""
    import albumentations as A
    import cv2

    cv2.setNumThreads(THREADS)
    known = {
        "gamma": A.RandomGamma(p=1),
        "brightness-contrast": A.RandomBrightnessContrast(p=1),
        "color-jitter": A.ColorJitter(p=1),
        "clahe": A.CLAHE(tile_grid_size=(max(size // 24, 1),) * 2, p=1),
    }
    # The last two take no seven channels, so they get the slices one by one.
    single = {"color-jitter", "clahe"} & set(names)
    one = A.Compose([known[name] for name in names])
    image = (np.arange(size * size * (1 if single else SLICES)) % 251).astype(np.uint8).reshape(size, size, -1)
    for _ in range(count * (SLICES if single else 1)):
        one(image=image)
    return {}


def work(network, size, batch, train):
    """Floating-point operations of a pass as convolutions are defined, and bytes that its layers read and write."""
    torch = torch_module()
    import networks
    from torch.utils.flop_counter import FlopCounterMode

    network, moved = networks.make(network, size).train(train), []
    count = lambda _, inputs, output: moved.extend(4 * t.numel() for t in (*inputs, output))
    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    x = torch.zeros(batch, SLICES, size, size)
    with FlopCounterMode(display=False) as counter:
        found = network(x) if train else torch.no_grad()(network)(x)
        if train:
            found.sum().backward()
    return {"flops": counter.get_total_flops(), "bytes": sum(moved) * (3 if train else 1)}


# Side of the matrices, and floats of the array, by which the machine is measured.
SIDE, FLOATS = 2048, 1 << 26


def peak(what, count):
    """Multiplies matrices, or copies an array, so many times."""
    torch = torch_module()
    if what not in STATE:
        shape = (SIDE, SIDE) if what == "multiply" else (FLOATS,)
        STATE[what] = [torch.ones(shape) for _ in range(3)]
    a, b, c = STATE[what]
    for _ in range(count):
        torch.mm(a, b, out=c) if what == "multiply" else c.copy_(a)
    return {"flops": 2 * SIDE**3} if what == "multiply" else {"bytes": 8 * FLOATS}


STATE = {}
SCRATCH = None


def answer(request):
    global SCRATCH
    what = request.pop("do")
    if what == "train":
        STATE["training"] = Training(**request)
    elif what == "steps":
        return {"losses": STATE["training"].steps(request["count"])}
    elif what == "model":
        STATE["predict"] = predictor(**request)
    elif what == "segment":
        for _ in range(request["count"]):
            STATE["predict"]()
    elif what == "probabilities":
        STATE["predict"]().astype(np.float32).tofile(request["path"])
    elif what == "volume":
        STATE["values"] = np.fromfile(request["path"], np.uint16)[: request["voxels"]]
        SCRATCH = np.empty_like(STATE["values"])
        SCRATCH[:] = 0
    elif what == "cluster":
        return cluster(STATE["values"], **request)
    elif what == "views":
        return views(**request)
    elif what == "work":
        return work(**request)
    elif what in ("multiply", "copy"):
        return peak(what, request["count"])
    return {}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
