# What the scripts that kill servers have in common: the servers, the foreign clients, and how a check is told. To be sourced, with
# $here (this folder's parent), $ensemble, $ENSEMBLE_SERVERS_DIR, $work, $mongodb, $mongodb_port and $kafka_port set.
# shellcheck shell=bash
venv=$ENSEMBLE_SERVERS_DIR/venv
if ! [[ -e $venv/ready ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/checks/requirements.txt"
    touch "$venv/ready"
fi
# start_servers   the stand-in for MongoDB, on disk in $mongodb, and a fresh broker
start_servers() {
    "$here/mongodb-install.sh"
    "$here/kafka-install.sh"
    "$here/kafka-down.sh" "$kafka_port" --wipe >/dev/null
    BACKEND=h2 "$here/mongodb-up.sh" "$mongodb" "$mongodb_port"
    "$here/kafka-up.sh" "$kafka_port" 1
}

stop_servers() {
    "$here/mongodb-down.sh" "$mongodb" >/dev/null 2>&1 || true
    "$here/kafka-down.sh" "$kafka_port" --wipe >/dev/null 2>&1 || true
}

# kill_server mongodb|kafka   with -9, and starts it again
kill_server() {
    case $1 in
        mongodb)
            # One that has ended by itself is a fault as well; why is worth knowing.
            local pid n
            pid=$(cat "$mongodb/pid")
            kill -9 "$pid" 2>/dev/null || { echo "mongodb had ended:" >&2; tail -n 5 "$mongodb/log" >&2; }
            # On a busy machine a process takes a while to die, and has its files locked until then.
            for ((n = 0; n < 200; n++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
            BACKEND=h2 "$here/mongodb-up.sh" "$mongodb" "$mongodb_port" >/dev/null
            ;;
        kafka)
            "$here/kafka-down.sh" "$kafka_port" --kill >/dev/null
            "$here/kafka-up.sh" "$kafka_port" 1 >/dev/null
            ;;
    esac
}

# choose_files FILE...   sets $files; without one a catalogue is generated
choose_files() {
    files=("$@")
    if [[ ${#files[@]} == 0 ]]; then
        "$ensemble" generate --rows 20000 --duplicates 0.05 --bad 0.01 >"$work/tracks.csv"
        files=("$work/tracks.csv")
    fi
}

passed=0 failed=0

# check NAME COMMAND...
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "$name holds"
    else
        failed=$((failed + 1))
        echo "$name does not hold" >&2
    fi
}

# check_answer URI DATABASE BROKERS FILE...   silver, events and what the program itself can verify
check_answer() {
    local uri=$1 database=$2 brokers=$3
    shift 3
    check "silver" "$venv/bin/python" "$here/checks/silver_equals.py" --uri "$uri" --database "$database" "$@"
    check "gold" "$venv/bin/python" "$here/checks/gold_equals.py" --uri "$uri" --database "$database" "$@"
    check "events" "$venv/bin/python" "$here/checks/events_equal.py" --brokers "$brokers" --prefix "$database" "$@"
    # The stand-in sorts a whole collection for each page.
    ENSEMBLE__LEASES__LAPSE_MS=600000 ENSEMBLE__MONGODB__OPERATION_TIMEOUT_MS=300000 \
        check "verify" "$ensemble" verify --store "$uri" --events "kafka://$brokers/$database"
}
