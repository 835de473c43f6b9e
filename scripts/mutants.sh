#!/usr/bin/env bash
# Leaves out each of the ten rules of the commit protocol, one at a time, and sees whether the simulation notices.
# Four are left out by a flag of the simulation, six by a patch of the program, in a copy of the workspace.
# That a refused ledger entry waits for a majority hardly ever shows there, and has a test of its own.
# Usage: scripts/mutants.sh [SEEDS]
# MUTANTS_TARGET_DIR may name another target directory, but never the workspace's own: Cargo would take what was built of
# the mutants for what was built of the program.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-1000}
copy=$PWD/target/mutants/workspace
export CARGO_TARGET_DIR=${MUTANTS_TARGET_DIR:-$PWD/target/mutants/target}

if [[ $(realpath -m "$CARGO_TARGET_DIR") == "$(realpath -m "$PWD/target")" ]]; then
    echo "mutants: MUTANTS_TARGET_DIR must not be the workspace's own target directory" >&2
    exit 2
fi
rm -rf "$copy"
mkdir -p "$copy"
# The copies are as new as this run: what is left of the last one was built from mutants.
git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -T - -cf - 2>/dev/null | tar -xmf - -C "$copy"
cd "$copy"

caught=0
missed=0

# Runs the simulation as it is built, with these arguments, and says what came of it under a name.
simulate() {
    local name=$1 output failed first
    shift
    output=$("$CARGO_TARGET_DIR/debug/ensemble-simulation" --seeds "$seeds" "$@") || true
    failed=$(sed -n 's/.* passed, \([0-9]*\) failed$/\1/p' <<<"$output")
    first=$(grep -m 1 '^seed ' <<<"$output") || first="-"
    printf '%-9s %5s of %s  %s\n' "$name" "${failed:-?}" "$seeds" "$first"
    if [[ $name == none ]]; then
        if [[ ${failed:-1} != 0 ]]; then
            echo "the simulation fails with all rules in place" >&2
            exit 1
        fi
    elif [[ ${failed:-0} -gt 0 ]]; then
        caught=$((caught + 1))
    else
        missed=$((missed + 1))
    fi
}

build() {
    cargo build --quiet -p ensemble-simulation 2>build.log || { cat build.log >&2; exit 1; }
}

build
simulate none
for rule in settle read concern ledger; do
    simulate "$rule" --break "$rule"
done
for rule in decision match prune chain zero; do
    patch --quiet -p1 <"crates/simulation/mutants/$rule.patch"
    build
    simulate "$rule"
    patch --quiet --reverse -p1 <"crates/simulation/mutants/$rule.patch"
done
patch --quiet -p1 <crates/simulation/mutants/refusal.patch
if cargo test --quiet -p ensemble-testkit an_entry_that_no_majority_has_settles_nothing >test.log 2>&1; then
    echo "refusal   is not noticed by its test"
    missed=$((missed + 1))
elif grep -q "refused, by what may be rolled back" test.log; then
    echo "refusal   is noticed by its test"
    caught=$((caught + 1))
else
    cat test.log >&2
    exit 1
fi

echo "$caught passed, $missed failed"
((missed == 0))
