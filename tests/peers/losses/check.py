"""Live cross-check of the losses: draws fresh logits and labels, lets PyTorch compute every loss and gradient, and runs
the golden test against the result.

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
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--manifest", type=pathlib.Path, default=ROOT / "Cargo.toml")
    args = parser.parse_args()
    failed = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            golden = pathlib.Path(folder, "losses.json")
            maker = ROOT / "tests/peers/losses/make_golden.py"
            subprocess.run([sys.executable, maker, "--seed", str(seed), "--out", golden], check=True)
            test = ["cargo", "test", "-q", "--manifest-path", args.manifest, "-p", "tomosieve-nn", "--test", "losses"]
            env = os.environ | {"TOMOSIEVE_LOSSES_GOLDEN": str(golden)}
            if subprocess.run(test, env=env).returncode:
                failed.append(seed)
    sys.exit(f"seeds that differ: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
