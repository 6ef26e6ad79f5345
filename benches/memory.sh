#!/usr/bin/env bash
# Peak memory of `tomosieve segment` on a generated volume of 2 GiB under --max-memory 1GiB, all stages.
# Needs GNU time (Debian package `time`). Usage: benches/memory.sh FOLDER [SHAPE] [LIMIT]
set -euo pipefail
folder=${1:?usage: benches/memory.sh FOLDER [Z,Y,X] [LIMIT]}
shape=${2:-1024,1024,1024}
limit=${3:-1GiB}
cd "$(dirname "$0")/.."
cargo build --release --quiet
tomosieve=${CARGO_TARGET_DIR:-target}/release/tomosieve
if [ ! -e "$folder/phantom.json" ]; then
    "$tomosieve" phantom intergrowth -o "$folder" --shape "$shape" --acquisition noise --force
fi
for stage in cluster train correct predict; do
    if [ $stage = cluster ]; then
        arguments=(cluster "$folder/volume" -o "$folder/run" --preset quick --max-memory "$limit" --force
            --set network.widths='[8,16]' --set train.steps=40 --set correct.steps=20)
    else
        arguments=("$stage" "$folder/run" --force)
    fi
    /usr/bin/time -f "$stage: %M KiB resident at most, %e s" "$tomosieve" "${arguments[@]}" -q
done
