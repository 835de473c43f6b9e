#!/usr/bin/env bash
# Runs every suite that needs real servers. Those that are not named by the environment are installed and started here,
# on 127.0.0.1, and stopped at the end.
#
# usage: test.sh
# environment: ENSEMBLE_TEST_MONGODB_URI, ENSEMBLE_TEST_KAFKA_BROKERS (servers of your own, which the suites fill with
#              databases and topics of their own names); ENSEMBLE_SERVERS_DIR (where servers are kept; default target/servers)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
export ENSEMBLE_SERVERS_DIR=${ENSEMBLE_SERVERS_DIR:-$PWD/target/servers}
mongodb=$ENSEMBLE_SERVERS_DIR/mongodb-test mongodb_port=27417 kafka_port=19492
started_mongodb='' started_kafka=''

cleanup() {
    [[ -z $started_mongodb ]] || "$here/mongodb-down.sh" "$mongodb" >/dev/null || true
    [[ -z $started_kafka ]] || "$here/kafka-down.sh" "$kafka_port" --wipe >/dev/null || true
}
trap cleanup EXIT

"$here/mongodb-install.sh"
"$here/kafka-install.sh"
if [[ -z ${ENSEMBLE_TEST_MONGODB_URI:-} ]]; then
    started_mongodb=yes
    "$here/mongodb-up.sh" "$mongodb" "$mongodb_port"
    export ENSEMBLE_TEST_MONGODB_URI="mongodb://127.0.0.1:$mongodb_port/?replicaSet=rs0"
fi
if [[ -z ${ENSEMBLE_TEST_KAFKA_BROKERS:-} ]]; then
    started_kafka=yes
    "$here/kafka-down.sh" "$kafka_port" --wipe >/dev/null
    "$here/kafka-up.sh" "$kafka_port" 1
    export ENSEMBLE_TEST_KAFKA_BROKERS=127.0.0.1:$kafka_port
fi
# The whole workspace each time, so that nothing is built again for other features. The suites of the store and the log
# are there twice: as they are, and through proxies that do what servers do on their bad days.
tests=(cargo test --locked --workspace --all-features)
"${tests[@]}" --test mongodb --test mongodb_kills
# Some of these start and kill brokers of their own.
"${tests[@]}" --test kafka --test kafka_scan --test kafka_faults -- --test-threads 1
"${tests[@]}" --test servers -- --skip cluster
# Each of these is half a dozen processes.
"${tests[@]}" --test servers cluster -- --test-threads 1
"$here/end_to_end.sh" --kills 3
"$here/cluster.sh" --kills 6
"$here/python_client.sh"
