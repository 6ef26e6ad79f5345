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

# The kernels on AArch64, emulated (Debian: apt install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross).
arm:
    rustup target add aarch64-unknown-linux-gnu
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
        cargo test --release --locked --target aarch64-unknown-linux-gnu -p tomosieve-kernels
