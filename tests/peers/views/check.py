"""Live cross-check of the views: draws fresh images and parameters, lets Albumentations and OpenCV change them, and
runs the golden tests against the result.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python check.py [--seeds 1 2 3]
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--size", type=int, nargs=2, default=[150, 130])
    parser.add_argument("--random", type=int, default=40, help="random cases of each view")
    parser.add_argument("--manifest", type=pathlib.Path, default=ROOT / "Cargo.toml")
    args = parser.parse_args()
    failed = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            golden = pathlib.Path(folder, "views.json")
            maker = ROOT / "crates/tomosieve/tests/golden/views/make_views.py"
            draw = ["--seed", str(seed), "--random", str(args.random), "--size", *map(str, args.size)]
            subprocess.run([sys.executable, maker, *draw, "--out", golden], check=True)
            test = ["cargo", "test", "-q", "--manifest-path", args.manifest, "-p", "tomosieve", "--test", "views"]
            env = os.environ | {"TOMOSIEVE_VIEWS_GOLDEN": str(golden)}
            if subprocess.run([*test, "golden"], env=env).returncode:
                failed.append(seed)
    sys.exit(f"seeds that differ: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
