#!/usr/bin/env python3
"""Where the time of a command goes, by what it is spent on.

    lines='debug="line-tables-only"'
    cargo build --release --locked --workspace --bins --config "profile.release.package.tomosieve.$lines" \
        --config "profile.release.package.tomosieve-kernels.$lines" --config "profile.release.package.tomosieve-nn.$lines"
    python3 benches/profile.py target/release/tomosieve segment VOLUME -o RUN --preset quick --quiet

Linux with `perf` and `addr2line`. A sample belongs to the innermost file of our kernels that it lies in, inlined or not; of
other code to its crate or library. Prints a Markdown table with the six largest places of each kind.
"""

import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# What the files of crates/kernels/src are for.
KERNELS = {
    "convolution": ["conv.rs", "gemm.rs", "depthwise.rs", "transpose.rs", "winograd/", "stencil/"],
    "norm and activation": ["norm/", "channelwise.rs"],
    "pooling and resampling": ["pool.rs", "resample.rs"],
    "softmax": ["softmax.rs"],
    "optimiser and moving average": ["update.rs"],
    "layout, halos and sums": ["convert.rs", "shape.rs", "sums.rs", "buffer.rs"],
}


def output(*command: str, stdin: str = "") -> str:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


def samples(data: str, binary: str) -> collections.Counter:
    """How often each (address within the binary, or None; symbol; object) was met."""
    script = output("perf", "script", "-i", data, "--show-mmap-events", "-F", "event,ip,sym,dso")
    loads = [
        (int(offset, 16), int(virtual, 16), int(size, 16))
        for offset, virtual, size in re.findall(
            r"LOAD\s+(0x\w+)\s+(0x\w+)\s+0x\w+\s+(0x\w+)", output("readelf", "-lW", binary)
        )
    ]
    bases, counts = [], collections.Counter()
    for line in script.splitlines():
        mapped = re.search(r"MMAP2?.*\[(0x\w+)\((0x\w+)\) @ (0x\w+|0) .*\]: r-xp (.*)", line)
        if mapped:
            start, size, offset = (int(word, 16) for word in mapped.groups()[:3])
            if Path(mapped[4]).name == Path(binary).name:
                bases.append((start, start + size, offset))
            continue
        hit = re.match(r"\s*(?:\S+:\s+)?([0-9a-f]+) (.*) \((.*)\)$", line)
        if not hit:
            continue
        ip, address = int(hit[1], 16), None
        for start, end, offset in bases:
            if start <= ip < end:
                at = ip - start + offset
                address = next((at - o + v for o, v, size in loads if o <= at < o + size), None)
        counts[address, hit[2], hit[3]] += 1
    return counts


def frames(binary: str, addresses: list[int]) -> dict[int, list[str]]:
    """The files of each address, innermost inlined function first."""
    text = output("addr2line", "-a", "-i", "-e", binary, stdin="".join(f"{a:#x}\n" for a in addresses))
    files: dict[int, list[str]] = {}
    for line in text.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            files[current := int(line, 16)] = []
        else:
            files[current].append(line)
    return files


def purpose(files: list[str], symbol: str, library: str) -> tuple[str, str]:
    """What a sample was spent on, and where."""
    for file in files:
        kernel = re.search(r"crates/kernels/src/([^:]+)", file)
        if kernel and not kernel[1].startswith(("simd/", "parallel.rs")):
            of = (name for name, starts in KERNELS.items() if kernel[1].startswith(tuple(starts)))
            return next(of, "other kernels"), kernel[1]
    if "kernel" in library:
        return "the system", "kernel"
    if ".so" in library:
        name = re.sub(r"\.so.*", "", Path(library).name)
        return "libraries", f"{name}: {symbol}"
    crate = re.search(r"\b(tomosieve_\w+|tomosieve|burn_\w+|rayon\w*|[a-z_]+)::", symbol)
    return "the rest of the program", crate[1] if crate else symbol


def main() -> None:
    binary, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        subprocess.run(["perf", "record", "-q", "-F", "499", "-o", data, "--", binary, *arguments], check=True)
        counts = samples(data, binary)
    files = frames(binary, sorted({address for address, *_ in counts if address is not None}))
    spent: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for (address, symbol, library), count in counts.items():
        group, place = purpose(files.get(address, []), symbol, library)
        spent[group][place] += count
    total = sum(counts.values())
    print("| on | share | of that |\n|---|--:|---|")
    for group, places in sorted(spent.items(), key=lambda item: -item[1].total()):
        shown = [(place, 100 * count / total) for place, count in places.most_common()]
        most = ", ".join(f"{place} {share:.1f} %" for place, share in shown[:6] if share >= 0.1)
        print(f"| {group} | {100 * places.total() / total:.1f} % | {most} |")


if __name__ == "__main__":
    main()
