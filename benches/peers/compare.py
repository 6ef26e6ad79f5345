"""tomosieve and its peers, alternately, on the same inputs and weights with the same threads.

    python -m venv target/speed && target/speed/bin/pip install -r benches/peers/requirements.txt
    target/speed/bin/python benches/peers/compare.py [--sections train infer ...] [--threads 1 2] [--out FILE]

Every engine is a process of its own that is told what to do and measured from outside: wall time, and the CPU time of
all its threads. A round asks each engine once; ratios are taken within a round, so that what slows the machine slows
both sides. Tables are Markdown; a ratio is `peer / tomosieve`, its median, and in brackets its smallest and largest.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = ["pytorch", "pytorch channels_last", "pytorch compile"]
PREDICTORS = [*TORCH, "onnxruntime", "openvino"]
OTHERS = ["unet", "resunet", "unet++", "attention-unet", "deeplabv3+", "segformer"]
DEFAULT = "unet-noskip"
OURS = "tomosieve"


class Engine:
    """A process that answers requests."""

    def __init__(self, command, threads):
        names = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | {name: str(threads) for name in names}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, env=environment)
        # The CPU-time clock of another process (clock_getcpuclockid(3)).
        self.clock = (~self.process.pid << 3) | 2

    def ask(self, do, **what):
        self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended over {do} {what}")
        return json.loads(line)

    def measure(self, do, **what):
        """Wall and CPU seconds of a request, and its answer."""
        wall, cpu = time.perf_counter(), time.clock_gettime(self.clock)
        answer = self.ask(do, **what)
        return time.perf_counter() - wall, time.clock_gettime(self.clock) - cpu, answer

    def status(self, field):
        """A line of /proc/PID/status, in MiB."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Comparison:
    def __init__(self, arguments, folder):
        self.folder, self.rounds, self.threads = folder, arguments.rounds, arguments.threads
        self.engines, self.quick, self.sizes = arguments.engines, arguments.quick, arguments.sizes
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.rows, self.others = arguments.rows, arguments.networks
        self.ours = [str(target / "release/examples/speed")]
        self.lines, self.out = [], arguments.out

    def engine(self, name, threads):
        return Engine(self.ours if name == OURS else [sys.executable, str(HERE / "peer.py"), str(threads)], threads)

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)
        if self.out:
            self.out.write_text("\n".join(self.lines) + "\n")

    def head(self, title, note=""):
        self.say(f"\n### {title}\n")
        if note:
            self.say(note + "\n")
        self.say("| what | threads | engine | CPU ms | wall ms | ratio, CPU | ratio, wall |")
        self.say("|---|---|---|---|---|---|---|")

    def table(self, what, threads, measured):
        """`measured`: engine -> [(wall, cpu)] by round, in seconds."""
        own = measured[OURS]
        for name, rounds in measured.items():
            wall, cpu = (1000 * statistics.median(r[i] for r in rounds) for i in (0, 1))
            cells = []
            for i in (1, 0):
                ratios = [peer[i] / mine[i] for peer, mine in zip(rounds, own)]
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
                cells.append("" if name == OURS else spread)
            self.say(f"| {what} | {threads} | {name} | {cpu:.1f} | {wall:.1f} | {cells[0]} | {cells[1]} |")
        return measured

    def alternate(self, engines, do, count, warm=1, rounds=None):
        """Rounds of `count` repetitions each by every engine; seconds a repetition."""
        measured = {name: [] for name in engines}
        for number in range(-warm, rounds or self.rounds):
            for name, engine in engines.items():
                wall, cpu, _ = engine.measure(do, count=count)
                if number >= 0:
                    measured[name].append((wall / count, cpu / count))
        return measured

    def started(self, names, threads, do, of):
        """Those of the engines that can do it, set up; `of` gives an engine's request."""
        engines = {}
        for name in names:
            engine = self.engine(name, threads)
            try:
                engine.ask(do, **of(name))
                engines[name] = engine
            except RuntimeError as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
        return engines

    def trainers(self, network, crop, batch, threads, keep=4, names=TORCH):
        files = {k: str(self.folder / f"{network}-{crop}-{batch}.{k}") for k in ("weights", "batches")}
        ask = {"network": network, "crop": crop, "batch": batch, **files}
        ours = lambda name: ask | ({"keep": keep} if name == OURS else {"variant": name})
        engines = self.started([OURS, *names], threads, "train", ours)
        losses = {name: engine.ask("steps", count=2)["losses"] for name, engine in engines.items()}
        for name, (first, second) in losses.items():
            if abs(first - losses[OURS][0]) > 1e-4 * first or abs(second - losses[OURS][1]) > 1e-3 * second:
                sys.exit(f"{network} {crop} {batch}: the losses of the first steps differ: {losses}")
        return engines

    def steps(self, network, crop, batch, threads, names=TORCH):
        engines = self.trainers(network, crop, batch, threads, names=names)
        count = max(1, round(8 * 4 * 128**2 / (batch * crop * crop)))
        measured = self.table(
            f"{network}, {batch} × 7 × {crop}²", threads, self.alternate(engines, "steps", count)
        )
        for engine in engines.values():
            engine.end()
        return measured

    def trained(self):
        """Those of the engines asked for that can be trained."""
        return [name for name in self.engines or () if name in TORCH]

    def train(self):
        self.head("A training step of the default network")
        sizes = [(128, 4), (128, 16), (256, 4), (256, 16)][: 2 if self.quick else 4]
        found = {}
        for crop, batch in sizes:
            for threads in self.threads:
                # Compiling takes minutes for each size; one shows what it brings.
                names = self.trained() or (TORCH if (crop, batch) == (128, 4) else TORCH[:2])
                found[crop, batch, threads] = self.steps(DEFAULT, crop, batch, threads, names)
        self.scaling("Training: two threads against one", found)

    def networks(self):
        self.head("A training step of the other networks")
        for network in self.others:
            for threads in self.threads:
                self.steps(network, 128, 4, threads, self.trained() or TORCH[:2])

    def scaling(self, title, found):
        if {1, 2} - {key[-1] for key in found}:
            return
        self.say(f"\n**{title}** (wall of one thread / wall of two, medians)\n")
        for key in found:
            if key[-1] == 1:
                two = found[*key[:-1], 2]
                median = lambda rounds: statistics.median(r[0] for r in rounds)
                text = ", ".join(f"{n} {median(r) / median(two[n]):.2f}" for n, r in found[key].items() if n in two)
                self.say(f"- {' · '.join(map(str, key[:-1]))}: {text}")

    def infer(self):
        self.head(
            "Inference of the default network",
            "tomosieve through its segment stage (scaling, network, blending, labels and confidence), the peers network "
            "and softmax alone; in one window as large as the slice, and in windows of 128², of which the peers are shown "
            "16 at a time. Per slice, of four slices of 512² and two of 2048², which tomosieve takes side by side.",
        )
        found = {}
        weights = str(self.folder / "infer.weights")
        maker = self.engine(OURS, 2)
        maker.ask("train", network=DEFAULT, crop=64, batch=4, weights=weights, batches=os.devnull, keep=0)
        maker.end()
        for size, tile in ((size, tile) for size in self.sizes for tile in (size, 128)):
            image = str(self.folder / f"{size}.image")
            ask = {"network": DEFAULT, "size": size, "tile": tile, "weights": weights, "image": image}
            for threads in self.threads:
                of = lambda name: ask | ({} if name == OURS else {"variant": name, "folder": str(self.folder)})
                names = self.engines or [name for name in PREDICTORS if size == 512 or "compile" not in name]
                engines = self.started([OURS, *names], threads, "model", of)
                results = {}
                for name, engine in engines.items():
                    path = self.folder / "p"
                    engine.ask("probabilities", path=str(path))
                    results[name] = np.fromfile(path, np.float32)
                    worst = np.abs(results[name] - results[OURS]).max()
                    if worst > 1e-3 and name == TORCH[0]:
                        sys.exit(f"{name}: probabilities differ by {worst}")
                    if worst > 1e-3:  # torch 2.15 sums the group norms of large channels_last images less exactly
                        self.say(f"{size}², {threads} threads: a probability of {name} differs by {worst:.4f}.\n")
                count = 4 if size == 512 else 2  # as many slices of a volume, for the peers one slice so many times
                what = f"7 × {size}² in {(size // tile) ** 2} windows" if tile < size else f"7 × {size}²"
                found[what, threads] = self.table(what, threads, self.alternate(engines, "segment", count))
                for engine in engines.values():
                    engine.end()
        self.scaling("Inference: two threads against one", found)

    def roofline(self):
        """What the machine can do, and how much of it a step and a slice get."""
        self.say("\n### What the machine can do, and what is made of it\n")
        self.say(
            "Peaks are PyTorch's product of two matrices of 2048² (MKL) and its copy of 256 MiB, read and written. Operations "
            "are those of convolutions as they are defined; Winograd's takes a quarter of the multiplications of a 3×3 one, "
            "so more than the peak is possible. Bytes are what the layers would read and write if nothing stayed in cache, "
            "a backward pass for twice a forward one. The best of the rounds.\n"
        )
        self.say("| what | threads | ms | GFLOP/s | of peak | GB/s | of peak |\n|---|--:|--:|--:|--:|--:|--:|")
        peer = self.engine("peer", 1)
        step = peer.ask("work", network=DEFAULT, size=128, batch=4, train=True)
        piece = peer.ask("work", network=DEFAULT, size=512, batch=1, train=False)
        peer.end()
        best = lambda engine, do, count: min(w for w, _ in self.alternate({do: engine}, do, count)[do])
        for threads in self.threads:
            peer = self.engine("peer", threads)
            flops, copied = (peer.ask(do, count=1) for do in ("multiply", "copy"))
            seconds = best(peer, "multiply", 8)
            most = flops["flops"] / seconds
            self.say(f"| product of matrices | {threads} | {1000 * seconds:.1f} | {most / 1e9:.0f} | | | |")
            seconds = best(peer, "copy", 8)
            widest = copied["bytes"] / seconds
            self.say(f"| copy | {threads} | {1000 * seconds:.1f} | | | {widest / 1e9:.1f} | |")
            peer.end()
            training = self.trainers(DEFAULT, 128, 4, threads, 0, [])[OURS]
            inference = self.engine(OURS, threads)
            weights, image = str(self.folder / f"{DEFAULT}-128-4.weights"), os.devnull
            inference.ask("model", network=DEFAULT, size=512, tile=512, weights=weights, image=image)
            for what, engine, do, done in (
                ("training step, 4 × 7 × 128²", training, "steps", step),
                ("slice, 7 × 512²", inference, "segment", piece),
            ):
                seconds = best(engine, do, 4)
                rate, wide = done["flops"] / seconds, done["bytes"] / seconds
                cells = f"{rate / 1e9:.0f} | {100 * rate / most:.0f} % | {wide / 1e9:.1f} | {100 * wide / widest:.0f} %"
                self.say(f"| {what} | {threads} | {1000 * seconds:.1f} | {cells} |")
                engine.end()

    def path(self):
        self.say("\n### The data path and the moving average beside a step\n")
        self.say("| what | threads | step | drawing weak and strong views | moving average |")
        self.say("|---|---|---|---|---|")
        for crop, batch in ((128, 4), (256, 4)):
            for threads in self.threads:
                (engine,) = self.trainers(DEFAULT, crop, batch, threads, 0, []).values()
                medians = {}
                for do, count in (("steps", 4), ("draw", 4), ("blend", 20)):
                    measured = self.alternate({OURS: engine}, do, count)[OURS]
                    medians[do] = 1000 * statistics.median(cpu for _, cpu in measured)
                part = lambda do: f"{medians[do]:.2f} ms ({100 * medians[do] / medians['steps']:.1f} %)"
                cells = f"{medians['steps']:.1f} ms | {part('draw')} | {part('blend')}"
                self.say(f"| {batch} × 7 × {crop}² | {threads} | {cells} |")
                engine.end()

    def memory(self):
        self.say("\n### Memory of training (resident, MiB)\n")
        self.say("| what | engine | before | peak | of the step |")
        self.say("|---|---|---|---|---|")
        for crop, batch in ((128, 4), (256, 4), (256, 16)):
            for name in (OURS, *TORCH[:2]):
                both = self.trainers(DEFAULT, crop, batch, 1, names=[name] if name != OURS else [])
                for other in set(both) - {name}:
                    both[other].end()
                engine = both[name]
                idle = self.engine(name, 1)
                idle.ask("train", **self.requested(name, crop, batch))
                before = idle.status("VmRSS")
                idle.end()
                engine.forget_peak()
                engine.ask("steps", count=3)
                peak = engine.status("VmHWM")
                what = f"{batch} × 7 × {crop}²"
                self.say(f"| {what} | {name} | {before:.0f} | {peak:.0f} | {peak - before:.0f} |")
                engine.end()
        engine = self.trainers(DEFAULT, 64, 4, 2, 0, [])[OURS]
        engine.ask("steps", count=50)
        early = engine.status("VmRSS")
        engine.ask("steps", count=1000)
        self.say(f"\n1000 further steps of 4 × 7 × 64²: from {early:.1f} to {engine.status('VmRSS'):.1f} MiB.")
        engine.end()

    def requested(self, name, crop, batch):
        files = {k: str(self.folder / f"{DEFAULT}-{crop}-{batch}.{k}") for k in ("weights", "batches")}
        ask = {"network": DEFAULT, "crop": crop, "batch": batch, **files}
        return ask | ({"keep": 4} if name == OURS else {"variant": name})

    def views(self):
        self.head(
            "Strong views of a 7 × 128² patch", "Albumentations on 8-bit voxels with OpenCV, tomosieve on floats."
        )
        for names in (["gamma"], ["brightness-contrast"], ["color-jitter"], ["clahe"]):
            engines = {name: self.engine(name, 1) for name in (OURS, "albumentations")}
            measured = {name: [] for name in engines}
            for number in range(-1, self.rounds):
                for name, engine in engines.items():
                    wall, cpu, _ = engine.measure("views", names=names, count=100, size=128)
                    if number >= 0:
                        measured[name].append((wall / 100, cpu / 100))
            self.table(names[0], 1, measured)
            for engine in engines.values():
                engine.end()

    def stage1(self):
        """On 1 GiB of u16; what would take a peer hours is measured on a part and said to be so."""
        shape = (512, 1024, 1024)
        path = self.folder / "scan_512x1024x1024_uint16.raw"
        rng = np.random.default_rng(1)
        with open(path, "wb") as file:
            for z in range(shape[0]):
                means = np.array([9000, 21000, 30000, 44000])[rng.integers(0, 4, shape[1:], np.uint8)]
                noisy = means + 2500 * rng.standard_normal(shape[1:], np.float32)
                file.write(noisy.clip(0, 65535).astype(np.uint16).tobytes())
        voxels = int(np.prod(shape))
        self.head(
            "Stage 1 on 1 GiB of 16-bit voxels (512 × 1024 × 1024)",
            "tomosieve: the whole stage, from reading the file to the last pseudo label written; for `histogram` "
            "reading and counting, for `thresholds` that and multi-Otsu's, without labels. The peers: from an array in "
            "memory. Where it says `1/n`, the peer had every n-th part of the voxels and its time is multiplied.",
        )
        for threads in self.threads:
            for what, classes, part in (
                ("memory-copy", 0, 1), ("histogram", 0, 1), ("thresholds", 4, 1), ("multi-otsu", 4, 1),
                ("multi-otsu", 5, 1), ("kmeans", 4, 1 if threads == 2 and not self.quick else 16), ("gmm", 4, 64),
            ):  # fmt: skip
                if self.rows and what not in self.rows:
                    continue
                ours, peer = self.engine(OURS, threads), self.engine("peer", threads)
                ours.ask("volume", path=str(path), run=str(self.folder / "run"))
                peer.ask("volume", path=str(path), voxels=voxels // part)
                do = {"do": "cluster", "method": what, "classes": classes}
                if classes == 0:
                    do = {"do": "histogram"}
                if what == "thresholds":
                    do |= {"do": "fit", "method": "multi-otsu"}
                theirs = {"do": "cluster", "method": what, "classes": classes}
                measured = {OURS: [], f"peer 1/{part}" if part > 1 else "peer": []}
                slow = what in ("kmeans", "gmm")
                for number in range(-1, 1 if slow else 3):
                    wall, cpu, mine = ours.measure(**do)
                    if number < 0 and slow:
                        continue
                    more_wall, more_cpu, other = peer.measure(**theirs)
                    if number >= 0:
                        for name, pair in zip(measured, ((wall, cpu), (part * more_wall, part * more_cpu))):
                            measured[name].append(pair)
                self.table(f"{what}{f', K = {classes}' if classes else ''}", threads, measured)
                print(f"  {mine}\n  {other}", file=sys.stderr)
                ours.end(), peer.end()
        if self.rows and "multi-otsu" not in self.rows:
            return
        ours = self.engine(OURS, self.threads[-1])
        ours.ask("volume", path=str(path), run=str(self.folder / "run"))
        times = [
            f"{ours.measure('cluster', method='multi-otsu', classes=k)[0]:.2f} s (K = {k})" for k in range(2, 11)
        ]
        self.say(f"\nMulti-Otsu, the whole stage with {self.threads[-1]} threads: {', '.join(times)}.")
        ours.end()

    def segment(self):
        """The whole of the preset `quick` beside the same steps in PyTorch."""
        self.say("\n### `segment --preset quick` on a volume of 32 × 192 × 192, seconds\n")
        self.say("| threads | program | cluster | train | correct | predict | all |\n|--:|---|--:|--:|--:|--:|--:|")
        volume, run = self.folder / "phantom", self.folder / "segmented"
        tomosieve = pathlib.Path(self.ours[0]).parents[1] / "tomosieve"
        subprocess.run([tomosieve, "phantom", "intergrowth", "-o", volume, "--force", "-q"], check=True)
        totals = {}
        for threads in self.threads:
            command = [tomosieve, "segment", volume / "volume", "-o", run, "--preset", "quick", "-q"]
            shutil.rmtree(run, ignore_errors=True)
            subprocess.run([*command, "--threads", str(threads)], check=True, stdout=subprocess.DEVNULL)
            ours = json.loads((run / "provenance.json").read_text())["seconds"]
            log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            steps = [max(entry["step"] for entry in log if entry["stage"] == stage) for stage in ("train", "correct")]
            command = [sys.executable, HERE / "program.py", volume / "volume", self.folder / "theirs"]
            command += map(str, (threads, *steps))
            theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
            for name, seconds in ((OURS, ours), ("PyTorch", theirs)):
                stages = [seconds[stage] for stage in ("cluster", "train", "correct", "predict")]
                totals[name, threads] = sum(stages)
                cells = " | ".join(f"{seconds:.1f}" for seconds in (*stages, sum(stages)))
                self.say(f"| {threads} | {name} | {cells} |")
        ratios = [f"{totals['PyTorch', n] / totals[OURS, n]:.2f} with {n}" for n in self.threads]
        self.say(f"\n{steps[0]} steps of stage 2, {steps[1]} of stage 3.")
        self.say(f"PyTorch's time over ours, by threads: {', '.join(ratios)}.")
        if {1, 2} <= set(self.threads):
            twice = [f"{name} {totals[name, 1] / totals[name, 2]:.2f}" for name in (OURS, "PyTorch")]
            self.say(f"Two threads against one: {', '.join(twice)}.")

    def curve(self):
        """Two hundred steps from the same weights on the same batches."""
        steps = 50 if self.quick else 200
        engines = self.trainers(DEFAULT, 128, 4, 2, keep=steps, names=TORCH[:1])
        losses = {name: engine.ask("steps", count=steps - 2)["losses"] for name, engine in engines.items()}
        for engine in engines.values():
            engine.end()
        ours, theirs = (np.array(values) for values in losses.values())
        worst = np.abs(ours - theirs).argmax()
        self.say("\n### Loss curves from the same weights and batches\n")
        self.say(
            f"Steps 3 to {steps} of {DEFAULT}, 4 × 7 × 128², Adam at 1e-3: the largest difference to PyTorch is "
            f"{abs(ours - theirs)[worst]:.2e} at step {worst + 3}, where the losses are {ours[worst]:.5f} and "
            f"{theirs[worst]:.5f}; within the first 20 steps {abs(ours - theirs)[:18].max():.2e}."
        )
        np.savetxt(self.folder / "curve.csv", np.stack([ours, theirs], 1), "%.7g", ",")
        draw(ours, theirs, ROOT / "docs/images/loss-curves.png")


def draw(ours, theirs, path):
    """Both curves in one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, figsize=(7, 5), sharex=True, height_ratios=[2, 1], layout="constrained")
    steps = np.arange(3, len(ours) + 3)
    axes[0].plot(steps, theirs, "#d97706", lw=3, label="PyTorch")
    axes[0].plot(steps, ours, "#1d4ed8", lw=1, label="tomosieve")
    axes[0].set_ylabel("loss"), axes[0].legend(frameon=False)
    axes[1].semilogy(steps, np.abs(ours - theirs).clip(1e-9), "#475569", lw=1)
    axes[1].set_ylabel("|difference|"), axes[1].set_xlabel("step")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags")).split()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "SSE2"
    rss = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {simd}, {rss:.0f} GiB, {platform.system()} {platform.release()}"


def versions():
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for line in (HERE / "requirements.txt").read_text().split():
        try:
            name = line.split("==")[0]
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            pass
    return ", ".join(found)


def main():
    sections = ["roofline", "train", "infer", "networks", "path", "memory", "views", "stage1", "segment", "curve"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", default=sections, choices=sections)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="+", choices=PREDICTORS, help="peers of training and inference, instead of all")
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 2048], help="sides of slices to infer")
    parser.add_argument("--networks", nargs="+", default=OTHERS, choices=OTHERS, help="those of the section `networks`")
    parser.add_argument("--rows", nargs="+", help="rows of stage 1, such as kmeans, instead of all")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, for trying out")
    parser.add_argument("--out", type=pathlib.Path, help="write the tables there, too")
    parser.add_argument("--folder", type=pathlib.Path, help="where to keep weights and batches")
    arguments = parser.parse_args()
    # One build: with other features of its dependencies, as of a part of the workspace, it would take minutes more.
    build = ["cargo", "build", "--release", "-q", "--workspace", "--bins", "--example", "speed"]
    subprocess.run(build, cwd=ROOT, check=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        comparison = Comparison(arguments, folder)
        comparison.say(f"{time.strftime('%Y-%m-%d')} · {machine()} · {versions()}")
        comparison.say(f"\n`compare.py {' '.join(sys.argv[1:])}`")
        for section in arguments.sections:
            getattr(comparison, section)()


if __name__ == "__main__":
    main()
