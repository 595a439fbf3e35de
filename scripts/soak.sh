#!/bin/sh
# Tries for long what must hold every time. Runs inside `stack.py with`.
set -eu
# By itself, as it is deployed: beside the tests' harness it would share its features.
cargo build --quiet --package auth
cargo build --quiet --package todos
exec cargo run --quiet --package soak -- "$@"
