#!/bin/sh
# Measures the release bootstraps. Runs inside `stack.py with`.
set -eu
# Thousands of sign-ins from one address are what is measured here.
export AUTH_RATE_LIMIT_PER_MINUTE=1000000
"${CARGO_TARGET_DIR:-target}/release/ops" '{"action":"migrate"}' >/dev/null
exec cargo run --quiet --release --package bench -- "$@"
