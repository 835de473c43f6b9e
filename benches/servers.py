#!/usr/bin/env python3
"""Loading into MongoDB and Kafka on this machine, against the driver alone and against the usual way in Python.

    cargo build --release && cargo build --release -p ensemble-store --example bare_inserts
    python3 -m venv VENV && VENV/bin/pip install pydantic pymongo
    VENV/bin/python benches/servers.py --uri URI --brokers HOST:PORT [--rows 200000] [--runs 5]

In turn: `ensemble run` (bronze, silver, dead letters, ledger, gold and an event a row); the same with `--events none`; a
loop of the same driver that inserts the same silver documents with the same write concern, a batch of 1,000 after the
other, and nothing else; the same loop with eight batches at a time, which is what the server takes at the most; and csv →
Pydantic → pymongo's insert_many of 5,000. All but Python go by their own clocks, which start where they have their
connections; Python is timed as a whole. The first round is not counted, as servers in Java are slow at first. Every
other round goes the other way round, and what was loaded is dropped before the next load.
scripts/servers has the servers. For 200,000 rows the stand-in for MongoDB wants HEAP=14g and
JAVA_TOOL_OPTIONS="-XX:+UseParallelGC -Xmn9g": else its collector takes more time than its work, now of one load and now of
another.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import pymongo

from common import ENSEMBLE, RELEASE, ROOT, generate, with_database


def timed(command):
    """Runs a command; its wall time in seconds and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


class Bench:
    """The loads; each gives its rows per second."""

    def __init__(self, args, path):
        self.args, self.path = args, path
        self.name = f"bench_{int(time.time())}"
        self.source = f"{self.name}_source"
        self.ensemble("none", self.source)

    def ensemble(self, events, database):
        place = ["--store", with_database(self.args.uri, database), "--events", events]
        done = timed([ENSEMBLE, "run", *place, "--output", "json", self.path])[1]
        return self.args.rows / json.loads(done)["seconds"]

    def with_events(self, database):
        return self.ensemble(f"kafka://{self.args.brokers}/{database}", database)

    def without_events(self, database):
        return self.ensemble("none", database)

    def driver_alone(self, database, at_once="1"):
        bare = os.path.join(RELEASE, "examples/bare_inserts")
        documents, seconds = timed([bare, self.args.uri, self.source, database, at_once])[1].split()
        return int(documents) / float(seconds)

    def driver_at_most(self, database):
        return self.driver_alone(database, "8")

    def python(self, database):
        peer = os.path.join(ROOT, "benches/peers/pydantic_pymongo.py")
        return self.args.rows / timed([sys.executable, peer, self.args.uri, database, self.path])[0]

    def rounds(self):
        """The rates of each kind of load, a list as long as there are counted rounds."""
        kinds = {
            "ensemble run": self.with_events,
            "the same, no events": self.without_events,
            "the driver alone": self.driver_alone,
            "the driver alone, eight at a time": self.driver_at_most,
            "Pydantic and pymongo": self.python,
        }
        rates = {kind: [] for kind in kinds}
        client = pymongo.MongoClient(self.args.uri)
        for number in range(self.args.runs + 1):
            order = list(kinds.items())
            for at, (kind, load) in enumerate(order if number % 2 == 0 else reversed(order)):
                database = f"{self.name}_{number}_{at}"
                rate = load(database)
                client.drop_database(database)
                if number > 0:
                    rates[kind].append(rate)
        client.drop_database(self.source)
        return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "tracks.csv")
        generate(path, "--rows", str(args.rows))
        rates = Bench(args, path).rounds()
    print(f"{args.rows} rows, {args.runs} rounds\n\n| | rows/s, median | range |\n|---|---|---|")
    for kind, each in rates.items():
        print(f"| {kind} | {statistics.median(each):,.0f} | {min(each):,.0f} – {max(each):,.0f} |")
    for mine in ("ensemble run", "the same, no events", "the driver alone, eight at a time"):
        for other in ("the driver alone", "Pydantic and pymongo"):
            ratios = [a / b for a, b in zip(rates[mine], rates[other])]
            print(f"\n{mine} / {other}: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


main()
