#!/bin/sh
# Writes .sqlx anew, or with --check compares it, against a freshly migrated database.
# Runs inside `stack.py with`.
set -eu
export DATABASE_URL="$TEST_DATABASE_URL" SQLX_OFFLINE=false
cargo sqlx migrate run --source migrations
cargo sqlx prepare "$@" --workspace -- --all-targets --all-features
