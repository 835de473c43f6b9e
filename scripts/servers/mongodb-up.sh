#!/usr/bin/env bash
# Starts the stand-in for MongoDB (see mongodb-install.sh: it is not MongoDB) on 127.0.0.1, and waits until it is ready.
#
# usage: mongodb-up.sh DIR PORT    idempotent; DIR keeps data, log and pid file
# environment:
#   BACKEND=memory|h2    memory: fast, forgets all at the end; h2: in a file of DIR, survives kill -9 (default: memory)
#   REPLICA_SET=rs0      the replica set's name; empty: a single server
#   HEAP=2g              the most memory of its heap
#   DEADLINE_SECONDS=30  how long it may take to be ready
#   TLS_CERT, TLS_KEY    certificate (PEM) and key (PKCS 8, DER): it speaks TLS only
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${ENSEMBLE_SERVERS_DIR:-$here/../../target/servers}/mongodb
[ $# -eq 2 ] || { echo "usage: mongodb-up.sh DIR PORT" >&2; exit 2; }
[ -e "$home/stamp" ] || { echo "mongodb-up: run $here/mongodb-install.sh first" >&2; exit 1; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
port=$2

# Whether the process of the pid file is this directory's server, and not another that has got its number.
is_mine() {
    local pid
    pid=$(cat "$dir/pid" 2>/dev/null) && { tr '\0' '\n' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -- "-Densemble.dir=$dir"
}

if is_mine; then
    grep -qx "ready $port" "$dir/log" && { echo "already up on 127.0.0.1:$port"; exit 0; }
    echo "mongodb-up: another server runs in $dir" >&2
    exit 1
fi
set_name=${REPLICA_SET-rs0}
# A thread for each connection or so, as the real server has one: else small commands wait behind large ones of others.
args=("-Xmx${HEAP:-2g}" "-Densemble.dir=$dir" "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn" "-Dio.netty.eventLoopThreads=64")
[ -z "$set_name" ] || args+=("-Drs=$set_name")
[ -z "${TLS_CERT:-}" ] || args+=("-Dtls.cert=$TLS_CERT" "-Dtls.key=$TLS_KEY")
setsid nohup java "${args[@]}" -cp "$home/classes:$home/lib/*" MongoStandIn "${BACKEND:-memory}" "$port" "$dir/data.mv" \
    > "$dir/log" 2>&1 < /dev/null &
echo $! > "$dir/pid"

end=$((SECONDS + ${DEADLINE_SECONDS:-30}))
until grep -qx "ready $port" "$dir/log"; do
    # Between the start of the process and that of Java its command line is another one.
    if ! is_mine && { sleep 0.2; ! is_mine; }; then
        echo "mongodb-up: it ended; the last of its log:" >&2
        tail -5 "$dir/log" >&2
        rm -f "$dir/pid"
        exit 1
    fi
    if [ "$SECONDS" -ge "$end" ]; then
        echo "mongodb-up: not ready in time" >&2
        "$here/mongodb-down.sh" "$dir"
        exit 1
    fi
    sleep 0.1
done
echo "up on 127.0.0.1:$port (pid $(cat "$dir/pid"))"
