#!/bin/sh
# Measures the release bootstraps. Runs inside `stack.py with`.
set -eu
"${CARGO_TARGET_DIR:-target}/release/ops" '{"action":"migrate"}' >/dev/null
exec cargo run --quiet --release --package bench -- "$@"
