# `just check` is what CI runs.
check:
    .ci/run

fmt:
    cargo fmt --all

# The demo of the README.
demo:
    cargo run --release -- demo

bench:
    cargo bench --workspace
