#!/usr/bin/env bash
# Runs the example client in Python against a supervisor on an embedded store: upload, job, watch, gold.
#
# usage: python_client.sh
# environment: ENSEMBLE (the command; by default the one that the tests have built), ENSEMBLE_SERVERS_DIR (where the client's packages are
#              kept; default target/servers)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ensemble=${ENSEMBLE:-${CARGO_TARGET_DIR:-$root/target}/debug/ensemble}
venv=${ENSEMBLE_SERVERS_DIR:-$root/target/servers}/venv-client
work=$(mktemp -d)
server=''

cleanup() {
    [[ -z $server ]] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

if ! [[ -e $venv/ready ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/examples/python/requirements.txt"
    touch "$venv/ready"
fi
"$ensemble" supervisor --store "$work/store" --listen 127.0.0.1:27770 --worker-listen 127.0.0.1:27771 \
    --http-listen 127.0.0.1:27772 2>"$work/log" &
server=$!
for ((n = 0; n < 100; n++)); do
    ! grep -q '^ready ' "$work/log" || break
    sleep 0.1
done
"$venv/bin/python" "$root/examples/python/client.py" --server 127.0.0.1:27770 "$root/examples/catalogue.csv" | tee "$work/said"
grep -q 'JOB_STATE_SUCCEEDED: 20000 rows, 102 rejected' "$work/said"
grep -q '^rejected: catalogue.csv:110 by tempo.range' "$work/said"
grep -q '^acoustic' "$work/said"
kill -TERM "$server"
wait "$server"
server=''
echo "python_client: the client's answer is right, and the supervisor ended in order"
