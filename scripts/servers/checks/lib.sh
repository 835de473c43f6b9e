# What the scripts that kill servers have in common: the foreign clients, and how a check is told. To be sourced, with
# $here (this folder's parent), $ensemble and $ENSEMBLE_SERVERS_DIR set.
# shellcheck shell=bash
venv=$ENSEMBLE_SERVERS_DIR/venv
if ! [[ -e $venv/ready ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/checks/requirements.txt"
    touch "$venv/ready"
fi
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
