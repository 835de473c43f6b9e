#!/usr/bin/env bash
# kafka-down.sh [PORT] [--kill] [--wipe] [--node N]: stops the nodes that kafka-up.sh started at PORT (default 19092),
# or only node N, by their recorded pids, and waits until they are gone: SIGTERM, then SIGKILL after 15 s; with --kill
# SIGKILL at once. --wipe also removes the cluster's files (not with --node).
# Env: ENSEMBLE_SERVERS_DIR (default target/servers).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=19092 signal=TERM wipe= node='*'
while [ $# -gt 0 ]; do
    case $1 in
        --kill) signal=KILL ;;
        --wipe) wipe=1 ;;
        --node) node=${2:?}; shift ;;
        [0-9]*) port=$1 ;;
        *) echo "usage: $0 [PORT] [--kill] [--wipe] [--node N]" >&2; exit 2 ;;
    esac
    shift
done
[ -z "$wipe" ] || [ "$node" = '*' ] || { echo "kafka: --wipe is for all nodes" >&2; exit 2; }
dir=${ENSEMBLE_SERVERS_DIR:-$here/../../target/servers}/kafka/$port
[ -d "$dir" ] || exit 0
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"; flock -w 120 9

pids=
for d in "$dir"/node$node; do
    pid=$(cat "$d/pid" 2>/dev/null) || continue
    # Only if that pid still runs this node, not if the number was used again.
    if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "kafka.Kafka $d/server.properties"; then pids+=" $pid"; fi
done

# True once no thread of any of the pids is left. A zombie's leader alone holds no ports.
gone() {
    local pid task
    for pid in $pids; do
        for task in /proc/"$pid"/task/*; do
            [ -d "$task" ] && [ "$(sed 's/.*) //' "$task/stat" 2>/dev/null | cut -c1)" != Z ] && return 1
        done
    done
    return 0
}
wait_gone() { local try; for try in $(seq "$1"); do gone && return 0; sleep 0.1; done; return 1; }

if [ -n "$pids" ]; then
    kill -$signal $pids 2>/dev/null || true # all at once
    wait_gone 150 || { echo "kafka:$pids would not stop; killing" >&2; kill -KILL $pids 2>/dev/null || true; wait_gone 100; }
fi
rm -f "$dir"/node$node/pid
# The lock's file stays: another call may wait for it.
if [ -n "$wipe" ]; then rm -rf "$dir"/node* "$dir/bootstrap" "$dir/log4j2.properties"; fi
