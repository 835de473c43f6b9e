#!/usr/bin/env python3
"""Loading into MongoDB and Kafka on this machine, against the driver alone and against the usual way in Python.

    cargo build --release && cargo build --release -p ensemble-store --example bare_inserts
    python3 -m venv VENV && VENV/bin/pip install pydantic pymongo
    VENV/bin/python benches/servers.py --uri URI --brokers HOST:PORT [--rows 100000] [--runs 3]

In turn: `ensemble run` (bronze, silver, dead letters, ledger, gold and an event a row); a loop of the same driver that
inserts the same silver documents with the same write concern, a batch of 1,000 after the other, and nothing else; and
csv → Pydantic → pymongo's insert_many of 5,000. scripts/servers has the servers.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")


def timed(command):
    """Runs a command; its wall time in seconds and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


def with_database(uri, database):
    address, _, options = uri.partition("?")
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.split('/')[0]}/{database}" + (f"?{options}" if options else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ensemble, bare = os.path.join(RELEASE, "ensemble"), os.path.join(RELEASE, "examples/bare_inserts")
    name = f"bench_{int(time.time())}"
    rates = {"ensemble run": [], "the driver alone": [], "Pydantic and pymongo": []}
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "tracks.csv")
        with open(path, "wb") as out:
            subprocess.run([ensemble, "generate", "--rows", str(args.rows)], stdout=out, check=True)
        for run in range(args.runs):
            mine = f"{name}_{run}"
            uri = with_database(args.uri, mine)
            seconds, _ = timed([ensemble, "run", "--store", uri, "--events", f"kafka://{args.brokers}/{mine}", "--output", "json", path])
            rates["ensemble run"].append(args.rows / seconds)
            _, said = timed([bare, args.uri, mine, f"{mine}_bare"])
            documents, seconds = said.split()
            rates["the driver alone"].append(int(documents) / float(seconds))
            peer = [sys.executable, os.path.join(ROOT, "benches/peers/pydantic_pymongo.py"), args.uri, f"{mine}_python", path]
            seconds, _ = timed(peer)
            rates["Pydantic and pymongo"].append(args.rows / seconds)
    print(f"{args.rows} rows, {args.runs} runs in turn\n\n| | rows/s, median | range |\n|---|---|---|")
    for what, each in rates.items():
        print(f"| {what} | {statistics.median(each):,.0f} | {min(each):,.0f}–{max(each):,.0f} |")
    mine = rates["ensemble run"]
    for what in ("the driver alone", "Pydantic and pymongo"):
        ratios = [a / b for a, b in zip(mine, rates[what])]
        print(f"\nensemble / {what}: median {statistics.median(ratios):.2f}, {min(ratios):.2f}–{max(ratios):.2f}")


main()
