#!/usr/bin/env bash
# Format, lints, documentation and dependencies: everything that must be clean before a change lands.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
# The suites that need servers are no part of all targets, and their helpers are not known to be tests.
cargo clippy --locked --all-features -p ensemble-store -p ensemble-events -p ensemble-testkit -p ensemble --test "*" -- -D warnings -A clippy::unwrap_used
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked --quiet
# Licences, sources and bans. Advisories need a database from the network, so they are left to a scheduled job.
if ! command -v cargo-deny >/dev/null; then
    cargo install --locked --quiet cargo-deny --version 0.20.2
fi
cargo deny --all-features check bans licenses sources
echo "checks: clean"
