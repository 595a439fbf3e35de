#!/bin/sh
# Every check but the tests, the cheap ones first; stops at the first that fails.
# Runs inside `stack.py with`.
set -eu

step() {
    name=$1
    shift
    echo "==> $name"
    start=$(date +%s)
    "$@" || { echo "error: the check failed at: $name" >&2; exit 1; }
    echo "    $(($(date +%s) - start)) s"
}

up_to_date() {
    make --no-print-directory generate OUT=target/generated || return 1
    for file in target/generated/*; do
        diff -u "docs/${file##*/}" "$file" || { echo "docs/${file##*/} is stale: make generate" >&2; return 1; }
    done
}

step "Format" cargo fmt --all --check
step "Template" sam validate --lint --region us-east-1
step "Licences, bans, sources" cargo deny --log-level error check licenses bans sources
step "Lints" cargo clippy --workspace --all-targets --all-features -- -D warnings
step "Queries" scripts/sqlx.sh --check
step "Documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
step "Generated files" up_to_date
