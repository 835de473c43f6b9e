#!/usr/bin/env bash
# kafka-up.sh [PORT] [NODES]: starts a KRaft cluster of NODES (1 or 3; default 1) nodes, each broker and controller,
# on 127.0.0.1, with the jars of kafka-install.sh, and waits until each accepts requests. Prints the bootstrap servers.
#
# Broker n listens on PORT+n-1 (default 19092), its controller on PORT+10+n-1. The cluster's files are in
# $ENSEMBLE_SERVERS_DIR/kafka/PORT (default target/servers/kafka/PORT): bootstrap, and node<n>/{pid,
# server.properties,server.log,data}. Nodes that run already are left alone, so the same call restarts a killed
# node on its old data. NODES is fixed by the first call until `kafka-down.sh PORT --wipe`.
#
# Env: ENSEMBLE_SERVERS_DIR; KAFKA_HEAP (default 512m); KAFKA_JAVA_OPTS; KAFKA_START_TIMEOUT (seconds, default 60);
#      KAFKA_EXTRA (file whose lines are added to server.properties; read by the first call only).
set -euo pipefail
[ $# -le 2 ] || { echo "usage: $0 [PORT] [NODES]" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${1:-19092}; nodes=${2:-}
[[ $port =~ ^[0-9]+$ ]] || { echo "kafka: $port is no port" >&2; exit 2; }
home=${ENSEMBLE_SERVERS_DIR:-$here/../../target/servers}/kafka
[ -f "$home/libs/.stamp" ] || { echo "kafka: run $here/kafka-install.sh first" >&2; exit 1; }
mkdir -p "$home/$port"; home=$(cd "$home" && pwd); dir=$home/$port
cp="$home/libs/*"
cluster=ZrzmMXx1TPCAQcXbNTtPdw # any UUID in base64url that does not begin with a dash
deadline=$((SECONDS + ${KAFKA_START_TIMEOUT:-60}))
exec 9>"$dir/.lock"; flock -w 120 9

known=$(cat "$dir/nodes" 2>/dev/null || true)
if [ -n "$known" ] && [ "${nodes:-$known}" != "$known" ]; then
    echo "kafka: $dir holds a cluster of $known nodes; kafka-down.sh $port --wipe first" >&2; exit 1
fi
nodes=${nodes:-${known:-1}}
case $nodes in 1) rf=1 isr=1 ;; 3) rf=3 isr=2 ;; *) echo "kafka: NODES must be 1 or 3" >&2; exit 2 ;; esac

# alive N: does node N's recorded pid still run this node (and is not a number that was used again)?
# Looks twice: a process just killed with -9 is there for a moment longer.
alive() {
    local pause pid; pid=$(cat "$dir/node$1/pid" 2>/dev/null) || return 1
    for pause in 0.2 0; do
        tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "kafka.Kafka $dir/node$1/server.properties" || return 1
        sleep $pause
    done
}

voters= boot=
for i in $(seq "$nodes"); do
    boot+=${boot:+,}127.0.0.1:$((port + i - 1)); voters+=${voters:+,}$i@127.0.0.1:$((port + 9 + i))
done

cat >"$dir/log4j2.properties" <<'L'
status = error
appender.console.type = Console
appender.console.name = out
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c{1})%n
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
rootLogger.level = info
rootLogger.appenderRef.console.ref = out
L

properties() { # of node $1, whose files are in $2
    cat <<P
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$((port + $1 - 1)),CONTROLLER://127.0.0.1:$((port + 9 + $1))
advertised.listeners=PLAINTEXT://127.0.0.1:$((port + $1 - 1))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$2/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=$rf
min.insync.replicas=$isr
offsets.topic.replication.factor=$rf
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$rf
transaction.state.log.min.isr=$isr
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
# A node killed with -9 comes back only once its old session has ended (by default 9 s).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
P
    if [ -n "${KAFKA_EXTRA:-}" ]; then cat "$KAFKA_EXTRA"; fi
}

free() { # waits for port $1: a node just killed with -9 keeps it for a moment after kill returns
    local try
    for try in $(seq 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 0
        sleep 0.1
    done
    echo "kafka: port $1 is taken" >&2; exit 1
}

started=
for i in $(seq "$nodes"); do
    alive "$i" && continue
    d=$dir/node$i; mkdir -p "$d/data"
    free $((port + i - 1)); free $((port + 9 + i))
    if [ ! -f "$d/data/meta.properties" ]; then
        properties "$i" "$d" >"$d/server.properties"
        java -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile="$dir/log4j2.properties" \
            -cp "$cp" kafka.tools.StorageTool format -t "$cluster" -c "$d/server.properties" >"$d/format.log" 2>&1 ||
            { echo "kafka: format failed" >&2; cat "$d/format.log" >&2; exit 1; }
    fi
    [ -f "$d/server.log" ] && mv -f "$d/server.log" "$d/server.log.prev"
    # setsid: a signal to the caller's group must not reach the broker. 9>&-: the lock must not leak to it.
    setsid java -Xms"${KAFKA_HEAP:-512m}" -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError \
        -Djava.awt.headless=true -Dlog4j2.configurationFile="$dir/log4j2.properties" ${KAFKA_JAVA_OPTS:-} \
        -cp "$cp" kafka.Kafka "$d/server.properties" </dev/null >"$d/server.log" 2>&1 9>&- &
    echo $! >"$d/pid"; started+=" $i"
done
echo "$nodes" >"$dir/nodes"

for i in $started; do
    d=$dir/node$i; pid=$(cat "$d/pid")
    # Written once the broker is registered, caught up and unfenced, and its listener is open.
    until grep -q 'Kafka Server started' "$d/server.log" 2>/dev/null; do
        if ! kill -0 "$pid" 2>/dev/null; then
            echo "kafka: node $i died at start:" >&2
            grep -E 'ERROR|FATAL|Exception' "$d/server.log" | tail -n 15 >&2; exit 1
        elif [ $SECONDS -ge $deadline ]; then
            echo "kafka: node $i not ready by the deadline:" >&2; tail -n 15 "$d/server.log" >&2; exit 1
        fi
        sleep 0.1
    done
done
echo "$boot" >"$dir/bootstrap"; echo "$boot"
