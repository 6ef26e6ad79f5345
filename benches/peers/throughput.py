"""Streaming: stage 1 and `convert` beside `dd` and beside Python, on the same files with a cold cache.

    target/speed/bin/pip install -r benches/peers/requirements.txt
    target/speed/bin/python benches/peers/throughput.py FOLDER [--rounds 3] [--out FILE] [--only WORD] [--tomosieve PATH]

FOLDER needs 8 GiB of a disk that is not in memory. Before every run the files' pages are dropped from the page cache
(posix_fadvise), so each reads from the disk; what is written counts when the command ends, flushed. MB are 10^6 bytes
of voxels, unpacked, at the median of all rounds. Stage 1 reads the volume twice, to count its values and to label them,
and writes labels; Python does not look for shading, so tomosieve does it in a row of its own.

`dd` reads into /dev/null, beside a conversion on the disk it copies (`conv=fsync`). So that what is compared with reading
is reading and not what the disk takes to write, a conversion also goes to a file in memory (/dev/shm), if there is room.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import h5py
import numpy as np
import tifffile
import zarr

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPE = (512, 1024, 1024)
BYTES = 2 * SHAPE[0] * SHAPE[1] * SHAPE[2]
SLAB = 32
MEMORY = pathlib.Path("/dev/shm")


def slabs():
    """A noisy phantom of four grey values, some slices at a time."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    for z in range(0, SHAPE[0], SLAB):
        kind = ((x // 97 + y // 131 + z // 64) % 4).astype(np.float32)
        noise = rng.standard_normal((SLAB, *SHAPE[1:]), np.float32)
        yield (9000 + 11000 * kind + 900 * noise).clip(0, 65535).astype(np.uint16)


def make(folder):
    """The volume in every form."""
    files = {name: folder / name for name in ("plain.tif", "plain.npy", "deflate.tif", "gzip.h5", "blosc.zarr")}
    if all(path.exists() for path in files.values()):
        return files
    plain = np.lib.format.open_memmap(files["plain.npy"], "w+", np.uint16, SHAPE)
    with h5py.File(files["gzip.h5"], "w") as h5:
        packed = h5.create_dataset(
            "exchange/data", SHAPE, np.uint16, chunks=(16, 256, 256), compression="gzip", compression_opts=1, shuffle=True
        )
        blosc = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
        array = zarr.create_array(files["blosc.zarr"], shape=SHAPE, dtype=np.uint16, chunks=(32, 256, 256), compressors=blosc)
        tiff, deflate = tifffile.TiffWriter(files["plain.tif"]), tifffile.TiffWriter(files["deflate.tif"])
        for number, slab in enumerate(slabs()):
            part = slice(number * SLAB, (number + 1) * SLAB)
            plain[part] = packed[part] = array[part] = slab
            for page in slab:
                tiff.write(page, contiguous=True)
                deflate.write(page, compression="zlib", compressionargs={"level": 1}, predictor=True, rowsperstrip=64)
        plain.flush(), tiff.close(), deflate.close()
    return files


def forget(path):
    """Drops a file's pages, or those of all files in a folder, from the cache."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path):
    """The volume, some slices at a time, as a Python user would."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as tiff:
            for z in range(0, SHAPE[0], SLAB):
                yield tiff.asarray(key=range(z, z + SLAB))
    elif path.suffix == ".h5":
        with h5py.File(path) as h5:
            for z in range(0, SHAPE[0], SLAB):
                yield h5["exchange/data"][z : z + SLAB]
    else:
        array = np.load(path, mmap_mode="r") if path.suffix == ".npy" else zarr.open_array(path, mode="r")
        for z in range(0, SHAPE[0], SLAB):
            yield array[z : z + SLAB]


def python_convert(source, target):
    out = np.lib.format.open_memmap(target, "w+", np.uint16, SHAPE)
    for number, slab in enumerate(read(source)):
        out[number * SLAB : (number + 1) * SLAB] = slab
    out.flush()


def python_stage1(source, target):
    """Counts, thresholds between four means, labels: the clustering itself is not what is measured."""
    counts = np.zeros(65536, np.int64)
    for slab in read(source):
        counts += np.bincount(slab.ravel(), minlength=65536)
    table = np.searchsorted([14500, 25500, 36500], np.arange(65536)).astype(np.uint8)
    with tifffile.TiffWriter(target) as out:
        for slab in read(source):
            for page in table[slab]:
                out.write(page, compression="lzw")


def timed(work, source, *written):
    for path in written:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    forget(source)
    started = time.perf_counter()
    work()
    for path in written:
        for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--only", default="", help="the measurements whose name has this in it")
    parser.add_argument("--tomosieve", type=pathlib.Path, help="the program, if it is not to be built")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tomosieve = arguments.tomosieve
    if tomosieve is None:
        subprocess.run(["cargo", "build", "--release", "-q"], cwd=ROOT, check=True)
        tomosieve = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/tomosieve"
    run = lambda *words: subprocess.run([tomosieve, *map(str, words), "-q"], check=True, stdout=subprocess.DEVNULL)
    dd = lambda *words: subprocess.run(["dd", "bs=8M", *words], check=True, stderr=subprocess.DEVNULL)
    memory = None
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * BYTES:
        memory = tempfile.TemporaryDirectory(dir=MEMORY)
    lines = []

    def say(line):
        print(line, flush=True)
        lines.append(line)
        if arguments.out:
            arguments.out.write_text("\n".join(lines) + "\n")

    say(f"{time.strftime('%Y-%m-%d')} · {os.cpu_count()} cores · {SHAPE} voxels of 16 bits, {BYTES / 1e6:.0f} MB\n")
    say("| what | dd, MB/s | tomosieve, MB/s | of dd | Python, MB/s | tomosieve / Python |\n|---|--:|--:|--:|--:|--:|")
    for name, source in make(folder).items():
        theirs, result = folder / "theirs.tif", folder / "run"
        plain = "plain" in name
        read_only = lambda: dd(f"if={source}", "of=/dev/null")
        # The passes over the voxels; dd's work and what it writes, ours, and Python's.
        works = {
            "counting (inspect)": (1, (read_only,), (lambda: run("inspect", source),), None),
            "stage 1 (cluster)": (
                2,
                (read_only,),
                (lambda: run("cluster", source, "-o", result, "--set", "input.shading=off"), result),
                (lambda: python_stage1(source, theirs), theirs),
            ),
        }
        if plain:
            look = lambda: run("cluster", source, "-o", result)
            # It looks at 37 of the 512 slices, each between its neighbours.
            works["stage 1, looking for shading"] = (2 + 3 * 37 / SHAPE[0], (read_only,), (look, result), None)

        def convert(to, beside):
            ours = lambda: run("convert", source, to, "--force")
            return 1, beside, (ours, to), (lambda: python_convert(source, to), to)

        copy = folder / "copy.npy"
        works["convert to .npy on the disk"] = convert(copy, (lambda: dd(f"if={source}", f"of={copy}", "conv=fsync"), copy))
        if memory:
            works["convert to .npy in memory"] = convert(pathlib.Path(memory.name) / "copy.npy", (read_only,))
        for what, (passes, beside, ours, peer) in works.items():
            if arguments.only not in f"{what}, {name}":
                continue
            rates = {"dd": [], "ours": [], "peer": []}
            for _ in range(arguments.rounds):
                if plain:
                    rates["dd"].append(BYTES / 1e6 / timed(beside[0], source, *beside[1:]))
                rates["ours"].append(passes * BYTES / 1e6 / timed(ours[0], source, *ours[1:]))
                if peer:
                    rates["peer"].append(passes * BYTES / 1e6 / timed(peer[0], source, *peer[1:]))
                for path in {*beside[1:], *ours[1:], *(peer or ())[1:]}:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            middle = {key: statistics.median(values) if values else None for key, values in rates.items()}
            number = lambda value: "" if value is None else f"{value:.0f}"
            share = f"{100 * middle['ours'] / middle['dd']:.0f} %" if plain else ""
            ratio = f"{middle['ours'] / middle['peer']:.2f}" if peer else ""
            say(
                f"| {what}, {name} | {number(middle['dd'])} | {number(middle['ours'])} | {share} "
                f"| {number(middle['peer'])} | {ratio} |"
            )
    if memory:
        memory.cleanup()


if __name__ == "__main__":
    main()
