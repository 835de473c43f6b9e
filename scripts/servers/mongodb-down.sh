#!/usr/bin/env bash
# Stops the stand-in for MongoDB that mongodb-up.sh started in DIR. Signals no other process.
#
# usage: mongodb-down.sh DIR [--kill] [--wipe]    idempotent; --kill: by SIGKILL, as a crash; --wipe: removes DIR too
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: mongodb-down.sh DIR [--kill] [--wipe]" >&2; exit 2; }
dir=$(cd "$1" 2>/dev/null && pwd) || exit 0
shift
signal=TERM wipe=no
for option in "$@"; do
    case $option in
        --kill) signal=KILL ;;
        --wipe) wipe=yes ;;
        *) echo "mongodb-down: unknown option $option" >&2; exit 2 ;;
    esac
done

pid=$(cat "$dir/pid" 2>/dev/null || true)
is_mine() {
    [ -n "$pid" ] && { tr '\0' '\n' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -- "-Densemble.dir=$dir"
}
if is_mine; then
    kill -s "$signal" "$pid" || true
    for _ in $(seq 200); do
        is_mine || break
        sleep 0.1
    done
    if is_mine; then
        kill -s KILL "$pid" || true
    fi
    echo "down ($signal)"
else
    echo "not running"
fi
rm -f "$dir/pid"
[ "$wipe" = no ] || rm -rf "$dir"
