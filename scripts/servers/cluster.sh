#!/usr/bin/env bash
# Loads files through a cluster, two supervisors and three workers on MongoDB (here its stand-in, on disk) and Kafka, and
# kills any of these processes, servers included, with -9 again and again meanwhile. What is there at the end is held
# against the reference with clients that are none of ours.
#
# usage: cluster.sh [--kills N] [--shard-bytes N] [FILE...]     without files, a catalogue is generated
# environment: ENSEMBLE (the command; by default the one that the tests have built), ENSEMBLE_SERVERS_DIR (default target/servers), SEED
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export ENSEMBLE_SERVERS_DIR=${ENSEMBLE_SERVERS_DIR:-$root/target/servers}
ensemble=${ENSEMBLE:-${CARGO_TARGET_DIR:-$root/target}/debug/ensemble}
kills=10 shard_bytes=16384
while [[ ${1:-} == --* ]]; do
    case $1 in
        --kills) kills=$2 ;;
        --shard-bytes) shard_bytes=$2 ;;
        *) echo "cluster: what is $1?" >&2; exit 2 ;;
    esac
    shift 2
done
# shellcheck source=scripts/servers/checks/lib.sh
source "$here/checks/lib.sh"
RANDOM=${SEED:-$$}
mongodb_port=27617 kafka_port=19692
work=$(mktemp -d)
mongodb=$work/mongodb
declare -A pids=()
job=''

cleanup() {
    [[ -z $job ]] || kill -9 "$job" 2>/dev/null || true
    for name in "${!pids[@]}"; do kill -9 "${pids[$name]}" 2>/dev/null || true; done
    stop_servers
    rm -rf "$work"
}
trap cleanup EXIT

start_servers
choose_files "$@"
database=cluster
uri=mongodb://127.0.0.1:$mongodb_port/$database?replicaSet=rs0
places=(--store "$uri" --events "kafka://127.0.0.1:$kafka_port/$database")
# Short, so that what takes over after a kill does so soon.
export ENSEMBLE__SUPERVISOR__OFFICE_LEASE_MS=2000 ENSEMBLE__LEASES__LAPSE_MS=15000

# Starts a process of the cluster by its name. One that cannot start because a server is away is started again later.
start() {
    case $1 in
        supervisor-*)
            local n=${1#supervisor-}
            "$ensemble" supervisor "${places[@]}" --listen "127.0.0.1:7${n}70" --worker-listen "127.0.0.1:7${n}71" \
                --http-listen "127.0.0.1:7${n}72" >>"$work/$1.log" 2>&1 &
            ;;
        worker-*)
            "$ensemble" worker "${places[@]}" --supervisor http://127.0.0.1:7171,http://127.0.0.1:7271 --id "$1" \
                >>"$work/$1.log" 2>&1 &
            ;;
    esac
    pids[$1]=$!
}

members=(supervisor-1 supervisor-2 worker-1 worker-2 worker-3)
for name in "${members[@]}"; do start "$name"; done
"$ensemble" submit csv "${files[@]}" --server http://127.0.0.1:7170,http://127.0.0.1:7270 --request-id cluster \
    --shard-bytes "$shard_bytes" --wait --output json >"$work/report.json" 2>"$work/submit.log" &
job=$!
# A job that is being uploaded is none yet.
for ((n = 0; n < 600; n++)); do
    [[ $("$ensemble" jobs list --store "$uri" --output json 2>/dev/null) == "[]" ]] || break
    kill -0 "$job" 2>/dev/null || break
    sleep 0.2
done

declare -A fired=()
for ((n = 1; n <= kills; n++)); do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    kill -0 "$job" 2>/dev/null || break
    victims=("${members[@]}" mongodb kafka)
    victim=${victims[RANDOM % ${#victims[@]}]}
    case $victim in
        mongodb | kafka) kill_server "$victim" ;;
        *)
            kill -9 "${pids[$victim]}" 2>/dev/null || true
            wait "${pids[$victim]}" 2>/dev/null || true
            start "$victim"
            ;;
    esac
    # One that came when the job had just ended shows nothing.
    kill -0 "$job" 2>/dev/null && fired[$victim]=$((${fired[$victim]:-0} + 1))
    # What could not start because a server was away just then.
    for name in "${members[@]}"; do kill -0 "${pids[$name]}" 2>/dev/null || start "$name"; done
done
# The job may still need whoever could not start in time.
while kill -0 "$job" 2>/dev/null; do
    for name in "${members[@]}"; do kill -0 "${pids[$name]}" 2>/dev/null || start "$name"; done
    sleep 1
done
status=0
wait "$job" || status=$?
job=''
# shellcheck disable=SC2317
ended_well() { [[ $status == 0 ]] || { cat "$work/submit.log" >&2; tail -n 5 "$work"/*.log >&2; return 1; }; }
# shellcheck disable=SC2317
faults_fired() {
    local total=0 victim
    for victim in "${!fired[@]}"; do
        echo "  $victim was killed ${fired[$victim]} times while the job ran"
        total=$((total + ${fired[$victim]}))
    done
    ((kills == 0 || total > 0))
}
check "the job's end" ended_well
check "that processes died meanwhile" faults_fired
# shellcheck disable=SC2317
ends_in_order() {
    local code member
    for member in worker-1 worker-2 worker-3 supervisor-1 supervisor-2; do
        kill -TERM "${pids[$member]}"
        code=0
        wait "${pids[$member]}" || code=$?
        [[ $code == 0 ]] || { echo "$member ended with $code" >&2; tail -n 5 "$work/$member.log" >&2; return 1; }
        unset "pids[$member]"
    done
}
check "that all end in order" ends_in_order
cat "$work/report.json"
check_answer "$uri" "$database" "127.0.0.1:$kafka_port" "${files[@]}"
echo "$passed passed, $failed failed"
((failed == 0))
