#!/bin/sh
# miri-host.sh [TEST]    runs the tests of src/orthanc under Miri (nightly toolchain with the components miri and rust-src).
# The whole crate cannot run there, since its dependencies are C and C++; the host layer needs four pure crates only, so it is
# compiled as a crate of its own in a temporary folder.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/src"
cat > "$WORK/Cargo.toml" <<TOML
[package]
name = "orthanc-ai"
version = "0.0.0"
edition = "2024"
build = "$ROOT/build.rs"
[features]
fault-injection = []
[dependencies]
$(grep -E '^(log|serde|serde_json|thiserror) = ' "$ROOT/Cargo.toml")
[build-dependencies]
$(grep -E '^bindgen = ' "$ROOT/Cargo.toml")
TOML
cp "$ROOT/Cargo.lock" "$WORK/"
ln -s "$ROOT/orthanc-sdk" "$WORK/orthanc-sdk"
cat > "$WORK/src/lib.rs" <<RUST
#[path = "$ROOT/src/orthanc/mod.rs"]
pub mod orthanc;
pub mod plugin {
    pub fn initialize(_: &crate::orthanc::Host) -> Result<(), crate::orthanc::HostError> {
        Ok(())
    }
    pub fn finalize() {}
}
RUST
cd "$WORK"
unset CARGO_TARGET_DIR LIBTORCH
cargo +nightly miri test --lib "${1:-orthanc}"
