#!/usr/bin/env python3
"""Whether the events in Kafka are what the reference makes of the files, read by a consumer that is none of ours.

  events_equal.py --brokers HOST:PORT [--prefix PREFIX] [--job ID] [--contract FILE] FILE...

The files are those of the one job, in its order; `--job` is wanted where the topics hold the events of several. Reads
`spotify.tracks` and `ensemble.dead_letters`, with a prefix `PREFIX.spotify.tracks` and so on, from the beginning with
`read_committed`, and checks:
- an event that comes again is the same again but for its time;
- accepted rows: an event for each, none for a row that is not valid; the row's values, its key and its rank;
- of the events of one key, the one of the lowest rank is silver;
- rejected rows: an event for each and for no other, with the rules that it broke.
Prints the counts and the first differences; ends with 1 where there is one, and with 2 where Kafka cannot be read.
Wants `pip install -r requirements.txt`.
"""
import argparse
import json
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from reference import CONTRACT, Contract, answer, equal

ACCEPTED = "ensemble.row.accepted.v1"
REJECTED = "ensemble.row.rejected.v1"
TOPICS = {ACCEPTED: "spotify.tracks", REJECTED: "ensemble.dead_letters"}
DEADLINE_SECONDS = 120
SHOWN = 20


def read(brokers, topic):
    """Every message of a topic up to where it ends now."""
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": "ensemble-checks",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": False,
    })
    try:
        metadata = consumer.list_topics(topic, timeout=10).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        ends = {}
        for partition in metadata.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            if low < high:
                ends[partition] = (low, high)
        consumer.assign([TopicPartition(topic, partition, low) for partition, (low, _) in ends.items()])
        yield from up_to(consumer, topic, {partition: high for partition, (_, high) in ends.items()})
    finally:
        consumer.close()


def up_to(consumer, topic, ends):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while ends:
        for message in consumer.consume(num_messages=10_000, timeout=1.0):
            if message.error() is not None:
                raise KafkaException(message.error())
            yield message
        # Aborted and control records have offsets too: the position tells, not the messages.
        for at in consumer.position([TopicPartition(topic, partition) for partition in ends]):
            if at.offset >= ends[at.partition]:
                del ends[at.partition]
        if ends and time.monotonic() > deadline:
            raise TimeoutError(f"{topic}: not read to its end in {DEADLINE_SECONDS} s: {ends}")


class Event:
    """A CloudEvent in Kafka's binary mode: attributes in headers, data in the value."""

    def __init__(self, message):
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        self.attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce_")}
        self.content_type = headers.get("content-type")
        self.key = None if message.key() is None else message.key().decode()
        self.data = json.loads(message.value())
        self.id = self.attributes["id"]
        self.type = self.attributes["type"]

    def job(self):
        return self.attributes["source"].rsplit("/", 1)[-1]

    def row(self):
        """(number of the file, first byte in it), from `JOB/FILE:OFFSET`."""
        file, offset = self.id.removeprefix(f"{self.job()}/").split(":")
        return int(file), int(offset)

    def rank(self):
        return tuple(map(int, self.attributes["rank"].split(":")))

    def same(self, other):
        mine, others = ({name: value for name, value in event.attributes.items() if name not in ("time", "traceparent")}
                        for event in (self, other))
        return mine == others and self.key == other.key and self.data == other.data


class Comparison:
    """The events by id, and what differs."""

    def __init__(self, contract, expected):
        self.contract = contract
        self.expected = expected
        self.events = {ACCEPTED: {}, REJECTED: {}}
        self.repeats = {ACCEPTED: 0, REJECTED: 0}
        self.jobs = set()
        self.differences = 0

    def differs(self, what):
        self.differences += 1
        if self.differences <= SHOWN:
            print(f"  {what}")

    def take(self, event, expected_type):
        self.jobs.add(event.job())
        if event.type != expected_type or event.attributes.get("specversion") != "1.0":
            self.differs(f"{event.id}: {event.attributes}")
        if event.content_type != "application/json":
            self.differs(f"{event.id}: content-type {event.content_type!r}")
        known = self.events[expected_type].setdefault(event.id, event)
        if known is not event:
            self.repeats[expected_type] += 1
            if not known.same(event):
                self.differs(f"{event.id}: comes again, and is not the same")

    def end(self):
        if len(self.jobs) > 1:
            self.differs(f"the events of {len(self.jobs)} jobs: say which with --job")
        accepted = {event.row(): event for event in self.events[ACCEPTED].values()}
        for row, event in accepted.items():
            self.accepted(row, event)
        for row in self.expected.first.values():
            if row not in accepted:
                self.differs(f"row {row}: accepted, and has no event")
        self.lowest(accepted)
        self.rejected({event.row(): event for event in self.events[REJECTED].values()})

    def accepted(self, row, event):
        document = self.expected.valid.get(row)
        if document is None:
            self.differs(f"{event.id}: the row is not valid")
            return
        key = document[self.contract.key]
        if (event.key, event.attributes.get("subject"), event.attributes.get("partitionkey")) != (key, key, key):
            self.differs(f"{event.id}: the key is not {key!r} everywhere")
        # The file's number in the high 16 bits, the first byte in the low 48.
        if event.rank()[1:] != (row[0] << 48 | row[1], 0):
            self.differs(f"{event.id}: rank {event.rank()} for row {row}")
        if event.data.keys() != document.keys():
            self.differs(f"{event.id}: columns {sorted(event.data.keys() ^ document.keys())}")
        for column, value in document.items():
            if not equal(value, event.data.get(column)):
                self.differs(f"{event.id}.{column}: {event.data.get(column)!r} for {value!r}")

    def lowest(self, accepted):
        if len({event.rank()[0] for event in accepted.values()}) > 1:
            self.differs("the ranks begin with more than one number of a job")
        lowest = {}
        for row, event in accepted.items():
            if event.key not in lowest or event.rank() < lowest[event.key].rank():
                lowest[event.key] = event
        for key, event in lowest.items():
            if self.expected.first.get(key) != event.row():
                self.differs(f"{key!r}: the lowest rank is that of {event.id}, silver is {self.expected.first.get(key)}")

    def rejected(self, rejected):
        for row in self.expected.rejected.keys() ^ rejected.keys():
            self.differs(f"row {row}: rejected by one side alone")
        for row, event in rejected.items():
            rules = self.expected.rejected.get(row)
            if rules is not None and (event.data["rules"], event.data["rule"]) != (rules, rules[0]):
                self.differs(f"{event.id}: rules {event.data['rules']} for {rules}")


def main():
    parser = argparse.ArgumentParser(description="Compares the events in Kafka with the reference.")
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--job")
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args()
    contract = Contract(args.contract)
    comparison = Comparison(contract, answer(args.files, contract))
    try:
        for event_type, topic in TOPICS.items():
            topic = f"{args.prefix}.{topic}" if args.prefix else topic
            for event in map(Event, read(args.brokers, topic)):
                if args.job in (None, event.job()):
                    comparison.take(event, event_type)
    except (KafkaException, TimeoutError) as error:
        print(f"{args.brokers}: {error}", file=sys.stderr)
        return 2
    comparison.end()
    print(f"reference: {comparison.expected.counts()}")
    for event_type, events in comparison.events.items():
        print(f"{TOPICS[event_type]}: {len(events)} events, {comparison.repeats[event_type]} repeats")
    print(f"{comparison.differences} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
