#!/usr/bin/env bash
# Peak memory of every stage of `tomosieve segment` under one --max-memory, on volumes of several sizes, and on a
# small one in other formats and with other windows, batches and networks: the line must be flat, and what the plan says
# must be near what is used (else it ends with 1).
# Prints a Markdown table. Needs GNU time (Debian package `time`). Usage: benches/memory.sh FOLDER [LIMIT [GIB...]]
set -euo pipefail
folder=$(realpath -m "${1:?usage: benches/memory.sh FOLDER [LIMIT [GIB...]]}")
limit=${2:-1GiB}
sizes=("${@:3}")
[ ${#sizes[@]} -gt 0 ] || sizes=(1 2 4 8)
cd "$(dirname "$0")/.."
cargo build --release --quiet
tomosieve=${CARGO_TARGET_DIR:-target}/release/tomosieve
# A GiB of 16-bit voxels; larger volumes are its slices again, by other names for the same files.
if [ ! -e "$folder/phantom.json" ]; then
    "$tomosieve" phantom intergrowth -o "$folder" --shape 512,1024,1024 --acquisition noise --force -q
fi
slices=("$folder"/volume/*.tif)
failed=0
echo "| volume | stage | planned, MiB | resident at most, MiB | used / planned | s |"
echo "|---|---|--:|--:|--:|--:|"
small=(--slices 3 --set 'network.widths=[8,16]')
measure() { # NAME VOLUME [SETTING...]
    run=$folder/run
    rm -rf "$run"
    settings=(--preset quick --max-memory "$limit" --set train.steps=80 --set train.settled=0 --set correct.steps=160 --set starts=2
        --set correct.guard=false --set segment.overlap=0.1 "${@:3}")
    plan=$("$tomosieve" segment "$2" -o "$run" "${settings[@]}" --dry-run --json -q)
    for stage in cluster train correct predict; do
        if [ $stage = cluster ]; then
            arguments=(cluster "$2" -o "$run" "${settings[@]}")
        else
            arguments=("$stage" "$run")
        fi
        read -r used seconds < <(/usr/bin/time -f '%M %e' "$tomosieve" "${arguments[@]}" -q 2>&1 | tail -1)
        python3 - "$plan" "$1" $stage "$used" "$seconds" <<'PYTHON' || failed=1
import json, sys

plan, volume, name, used, seconds = sys.argv[1:]
planned = next(stage["memory"] for stage in json.loads(plan)["stages"] if stage["stage"] == name) / 2**20
used = int(used) / 2**10
share = used / planned
print(f"| {volume} | {name} | {planned:.0f} | {used:.0f} | {100 * share:.0f} % | {float(seconds):.0f} |")
if not 0.8 <= share <= 1.0:
    sys.exit(f"{name} uses {100 * share:.0f} % of what is planned, expected 80 to 100 %")
PYTHON
    done
    rm -rf "$run"
}
stack() { # FOLDER SLICES
    rm -rf "$1"
    mkdir -p "$1"
    for ((z = 0; z < $2; z++)); do
        ln "${slices[z % 512]}" "$1/$(printf 'slice_%05d.tif' "$z")"
    done
}
for size in "${sizes[@]}"; do
    stack "$folder/stack" $((512 * size))
    measure "$size GiB" "$folder/stack" "${small[@]}"
done
stack "$folder/stack" 128
for form in h5 ome.zarr nii; do
    volume=$folder/volume.$form
    "$tomosieve" convert "$folder/stack" "$volume" --force -q
    measure "256 MiB, $form" "$volume" "${small[@]}"
    rm -rf "$volume"
done
measure "256 MiB, default network" "$folder/stack"
measure "256 MiB, windows of 256²" "$folder/stack" "${small[@]}" --set segment.tile=256
measure "256 MiB, batches of 16 × 128²" "$folder/stack" "${small[@]}" --set train.batch=16 --set correct.batch=16 \
    --set train.crop=128 --set correct.crop=128
stack "$folder/stack" 8
for network in unet unet++ resunet++ deeplabv3+ segformer; do
    measure "16 MiB, $network" "$folder/stack" --slices 3 --network "$network" --set 'network.widths=[]'
done
rm -rf "$folder/stack"
exit $failed
