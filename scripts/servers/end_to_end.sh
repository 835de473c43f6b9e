#!/usr/bin/env bash
# Loads files through the ensemble command into MongoDB (here its stand-in, on disk) and Kafka, kills both servers with
# -9 again and again meanwhile, and holds what is there against the reference with clients that are none of ours:
# silver and gold value for value, events id for id. Then `ensemble verify`.
#
# usage: end_to_end.sh [--kills N] [--shard-bytes N] [FILE...]     without files, a catalogue is generated
# environment: ENSEMBLE (the command; by default the one that the tests have built), ENSEMBLE_SERVERS_DIR (default target/servers)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export ENSEMBLE_SERVERS_DIR=${ENSEMBLE_SERVERS_DIR:-$root/target/servers}
ensemble=${ENSEMBLE:-${CARGO_TARGET_DIR:-$root/target}/debug/ensemble}
kills=3 shard_bytes=16384
while [[ ${1:-} == --* ]]; do
    case $1 in
        --kills) kills=$2 ;;
        --shard-bytes) shard_bytes=$2 ;;
        *) echo "end_to_end: what is $1?" >&2; exit 2 ;;
    esac
    shift 2
done
# shellcheck source=scripts/servers/checks/lib.sh
source "$here/checks/lib.sh"
mongodb_port=27517 kafka_port=19592
work=$(mktemp -d)
# The database of the last run must not be taken for this one's.
mongodb=$work/mongodb

cleanup() {
    [[ -z ${job:-} ]] || kill -9 "$job" 2>/dev/null || true
    stop_servers
    rm -rf "$work"
}
trap cleanup EXIT

start_servers
choose_files "$@"
database=end_to_end
uri=mongodb://127.0.0.1:$mongodb_port/$database?replicaSet=rs0
places=(--store "$uri" --events "kafka://127.0.0.1:$kafka_port/$database")

"$ensemble" run "${places[@]}" --shard-bytes "$shard_bytes" --output json "${files[@]}" >"$work/report.json" 2>"$work/run.log" &
job=$!
# A server that dies before the job is there ends the command, as it should.
for ((n = 0; n < 300; n++)); do
    [[ $("$ensemble" jobs list --store "$uri" --output json) == "[]" ]] || break
    sleep 0.2
done
fired=0
for ((n = 1; n <= kills; n++)); do
    for server in mongodb kafka; do
        sleep "0.$((RANDOM % 8 + 2))"
        kill -0 "$job" 2>/dev/null || break 2
        kill_server "$server"
        # One that came when the job had just ended shows nothing.
        kill -0 "$job" 2>/dev/null && fired=$((fired + 1))
    done
done
status=0
wait "$job" || status=$?
job=
# shellcheck disable=SC2317
ended_well() { [[ $status == 0 ]] || { cat "$work/run.log" >&2; return 1; }; }
# shellcheck disable=SC2317
faults_fired() { echo "end_to_end: $fired kills while the job ran"; ((kills == 0 || fired > 0)); }
check "the job's end" ended_well
check "that servers died meanwhile" faults_fired
cat "$work/report.json"
check_answer "$uri" "$database" "127.0.0.1:$kafka_port" "${files[@]}"
echo "$passed passed, $failed failed"
((failed == 0))
