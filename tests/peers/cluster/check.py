"""Live cross-check of the clusterings: draws fresh data, lets scikit-learn and scikit-image cluster it, and runs the
golden tests against the result.

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
    failed = []
    for seed in parser.parse_args().seeds:
        with tempfile.TemporaryDirectory() as folder:
            golden = pathlib.Path(folder, "golden.json")
            maker = ROOT / "crates/cluster/tests/golden/make.py"
            subprocess.run([sys.executable, maker, "--seed", str(seed), "--out", golden], check=True)
            test = ["cargo", "test", "-q", "-p", "tomosieve-cluster", "--test", "golden"]
            env = os.environ | {"TOMOSIEVE_CLUSTER_GOLDEN": str(golden)}
            if subprocess.run(test, cwd=ROOT, env=env).returncode:
                failed.append(seed)
    sys.exit(f"seeds that differ: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
