//! The command on real servers: `ENSEMBLE_TEST_MONGODB_URI` (a MongoDB replica set, or the stand-in of `scripts/servers`)
//! and `ENSEMBLE_TEST_KAFKA_BROKERS`. `scripts/servers/test.sh` starts them and runs this.

#[path = "../../../events/tests/kafka_faults/broker.rs"]
#[allow(dead_code, reason = "the event log's own tests use the rest")]
mod broker;
mod cluster;
mod faults;
mod places;
#[path = "../cli/processes.rs"]
#[allow(dead_code, reason = "the tests without servers use the rest")]
mod processes;
mod stalls;
mod starts;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "the tests without servers use the rest")]
mod support;
