//! Reading topics back, from their beginning.

use rdkafka::consumer::BaseConsumer;

use super::{KafkaOptions, config, fault};
use crate::EventsError;

/// What the client library may have read ahead, in KiB.
const READ_AHEAD_KIB: u32 = 8 << 10;

/// A consumer that belongs to no group's offsets: it is told where to read.
pub(crate) fn open(options: &KafkaOptions) -> Result<BaseConsumer, EventsError> {
    let mut config = config::client(options);
    config
        // Partitions are assigned by hand and nothing is committed, so no group of this name ever forms.
        .set("group.id", "ensemble-verify")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        // Nothing that is still to come is waited for, and a partition's last request holds up the next one's first.
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", READ_AHEAD_KIB.to_string());
    config.create().map_err(|e| fault::refused_config(&e))
}
