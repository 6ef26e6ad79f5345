"""Live cross-check of the networks' building blocks and of Grad-CAM: draws fresh parameters and inputs, lets PyTorch
compute outputs, gradients and heat maps, and runs the golden tests against them.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python check.py [--seeds 1 2 3]
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--manifest", type=pathlib.Path, default=HERE.parents[2] / "Cargo.toml")
    args = parser.parse_args()
    failed = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            for maker, variable, tests in [
                ("make_golden.py", "TOMOSIEVE_NETWORKS_GOLDEN", ["goldens"]),
                ("make_golden_gradcam.py", "TOMOSIEVE_GRADCAM_GOLDEN", ["gradcam", "pytorch"]),
            ]:
                golden = pathlib.Path(folder, maker).with_suffix(".safetensors")
                subprocess.run([sys.executable, HERE / maker, "--seed", str(seed), "--out", golden], check=True)
                test = ["cargo", "test", "-q", "--manifest-path", args.manifest, "-p", "tomosieve-nn", "--test", *tests]
                if subprocess.run(test, env=os.environ | {variable: str(golden)}).returncode:
                    failed.append(seed)
    sys.exit(f"seeds that differ: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
