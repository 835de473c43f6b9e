//! Reading the topics back, page by page, for a verification.
//!
//! Partition after partition is read from its first event up to where it ended when it was begun, so a pass over a log
//! that grows meanwhile comes to an end. At most a page and what the client library reads ahead are in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};

use super::{
    KafkaOptions, consumer,
    decode::{Event, NotAnEvent, What, decode},
    fault,
    parting::Parting,
};
use crate::{EventType, EventsError, LogCursor, PartPage, ShardPart};

const POLL: Duration = Duration::from_millis(200);

/// A consumer, and where it is.
pub(super) struct Reader {
    consumer: Parting<BaseConsumer>,
    /// Every topic and partition; a cursor's segment is an index of it.
    partitions: Vec<(String, i32)>,
    at: Option<Place>,
}

/// A place in a partition.
#[derive(Debug, Clone, Copy)]
struct Place {
    cursor: LogCursor,
    /// The partition's end when it was begun.
    end: u64,
}

impl Reader {
    /// The events behind `after`. Blocks.
    ///
    /// # Errors
    /// `Unavailable` where the brokers say nothing for the delivery time-out: the same call may be repeated.
    pub(super) fn page(
        reader: &Mutex<Option<Self>>,
        options: &KafkaOptions,
        after: LogCursor,
        limit_bytes: usize,
    ) -> Result<PartPage, EventsError> {
        let mut slot = reader.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that has failed is not used again.
        let mut reader = match slot.take() {
            Some(reader) if after != LogCursor::default() => reader,
            _ => Self::open(options)?,
        };
        let page = reader.read(options, after, limit_bytes)?;
        if page.next.is_some() {
            *slot = Some(reader);
        }
        Ok(page)
    }

    fn open(options: &KafkaOptions) -> Result<Self, EventsError> {
        let consumer = Parting::new(consumer::open(options)?);
        let mut partitions = Vec::new();
        for topic in EventType::ALL.map(|t| options.url.topic(t)) {
            let metadata = ask(options, &topic, |timeout| consumer.fetch_metadata(Some(&topic), timeout))?;
            let found = metadata.topics().iter().find(|t| t.name() == topic);
            let found = found.filter(|t| t.error().is_none() && !t.partitions().is_empty());
            let found = found.ok_or_else(|| EventsError::Unavailable(format!("topic {topic} is not there")))?;
            partitions.extend((0i32..).take(found.partitions().len()).map(|partition| (topic.clone(), partition)));
        }
        Ok(Self { consumer, partitions, at: None })
    }

    fn read(&mut self, options: &KafkaOptions, after: LogCursor, limit_bytes: usize) -> Result<PartPage, EventsError> {
        let mut page = Page::default();
        let mut cursor = after;
        while (cursor.segment as usize) < self.partitions.len() {
            let place = match self.at.filter(|place| place.cursor == cursor) {
                Some(place) => place,
                None => self.go_to(cursor, options, &mut page)?,
            };
            cursor = self.read_partition(place, limit_bytes, options, &mut page)?;
            if page.bytes >= limit_bytes {
                return Ok(page.finish(Some(cursor)));
            }
            cursor = LogCursor { segment: cursor.segment + 1, offset: 0 };
        }
        Ok(page.finish(None))
    }

    /// Begins a partition, or goes on in it.
    fn go_to(&mut self, cursor: LogCursor, options: &KafkaOptions, page: &mut Page) -> Result<Place, EventsError> {
        let Some((topic, partition)) = self.partitions.get(cursor.segment as usize) else {
            return Ok(Place { cursor, end: 0 });
        };
        let (topic, partition) = (topic.as_str(), *partition);
        let marks = |timeout| self.consumer.fetch_watermarks(topic, partition, timeout);
        let (first, end) = ask(options, topic, marks)?;
        let (first, end) = (u64::try_from(first).unwrap_or_default(), u64::try_from(end).unwrap_or_default());
        if cursor.offset == 0 {
            page.removed += first;
        }
        let offset = cursor.offset.max(first);
        let mut assignment = TopicPartitionList::new();
        let assigned = assignment
            .add_partition_offset(topic, partition, Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)))
            .and_then(|()| self.consumer.assign(&assignment));
        assigned.map_err(|e| unreadable(topic, &e))?;
        Ok(Place { cursor: LogCursor { offset, ..cursor }, end })
    }

    /// Reads on in a partition, to its end or to the page's. Answers where it has come to.
    fn read_partition(
        &mut self,
        mut place: Place,
        limit_bytes: usize,
        options: &KafkaOptions,
        page: &mut Page,
    ) -> Result<LogCursor, EventsError> {
        let Some((topic, partition)) = self.partitions.get(place.cursor.segment as usize).cloned() else {
            return Ok(place.cursor);
        };
        let mut heard = Instant::now();
        while place.cursor.offset < place.end && page.bytes < limit_bytes {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) if message.topic() == topic && message.partition() == partition => {
                    heard = Instant::now();
                    place.cursor.offset = u64::try_from(message.offset()).unwrap_or_default() + 1;
                    page.take(&message);
                }
                // There may be nothing at the last offsets.
                Some(Err(KafkaError::PartitionEOF(_))) => place.cursor.offset = place.end,
                // Connections that break are mended.
                Some(Err(error)) if heard.elapsed() >= options.delivery_timeout => {
                    return Err(unreadable(&topic, &error));
                }
                None if heard.elapsed() >= options.delivery_timeout => {
                    let waited = options.delivery_timeout;
                    return Err(EventsError::Unavailable(format!(
                        "nothing was read from topic {topic} for {waited:?}"
                    )));
                }
                Some(_) | None => {}
            }
        }
        self.at = Some(place);
        Ok(place.cursor)
    }
}

/// Asks the brokers, and again where the answer is an error that may pass: a leader may just be changing. Blocks, for the
/// delivery time-out at most.
fn ask<T>(
    options: &KafkaOptions,
    topic: &str,
    question: impl Fn(Duration) -> KafkaResult<T>,
) -> Result<T, EventsError> {
    let deadline = Instant::now() + options.delivery_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match question(left) {
            Ok(answer) => return Ok(answer),
            Err(error) => match unreadable(topic, &error) {
                EventsError::Unavailable(_) if left > POLL => std::thread::park_timeout(POLL),
                error => return Err(error),
            },
        }
    }
}

fn unreadable(topic: &str, error: &KafkaError) -> EventsError {
    match error.rdkafka_error_code() {
        Some(code) if fault::is_refusal(code) => fault::refusal(code, &format!("reading topic {topic}")),
        _ => EventsError::Unavailable(format!("topic {topic} cannot be read: {error}")),
    }
}

/// A page while it is read.
#[derive(Default)]
struct Page {
    parts: HashMap<(ensemble_store::JobId, u32), ShardPart>,
    bytes: usize,
    foreign: u64,
    removed: u64,
}

impl Page {
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        self.bytes += message.payload_len() + message.key_len();
        match decode(message) {
            Ok(event) => self.put(event),
            Err(NotAnEvent(reason)) => {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                tracing::debug!(topic, partition, offset, reason, "a message is no event");
                self.foreign += 1;
            }
        }
    }

    fn put(&mut self, Event { job, shard: number, what, .. }: Event) {
        let part = self.parts.entry((job, number)).or_insert_with(|| ShardPart {
            job,
            number,
            accepted: Vec::new(),
            rejected: Vec::new(),
            committed: 0,
        });
        match what {
            What::Accepted { row, .. } => part.accepted.push(row),
            What::Rejected { row, .. } => part.rejected.push(row),
            What::Committed(_) => part.committed += 1,
        }
    }

    fn finish(self, next: Option<LogCursor>) -> PartPage {
        let Self { parts, foreign, removed, .. } = self;
        PartPage { parts: parts.into_values().collect(), foreign, removed, next }
    }
}
