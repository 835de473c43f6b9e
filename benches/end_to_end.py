#!/usr/bin/env python3
"""Loading a catalogue end to end, against Polars on the same file in the same run: commands in turn, medians and ratios.

    cargo build --release
    python3 -m venv VENV && VENV/bin/pip install polars
    VENV/bin/python benches/end_to_end.py [--rows 1159764] [--runs 5] [--csv FILE] [--large] [--verify]

Ensemble keeps what Polars does not: the source's bytes, dead letters, an event for each row, lineage, and gold that goes on being updated,
all synced to disk at the end. Without --csv a catalogue is generated. --large adds ten times the rows, --verify times verification.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from common import ENSEMBLE, ROOT, generate


def timed(command, **options):
    """Runs a command; its wall time and processor time in seconds, and its peak resident memory in MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def show(name, runs):
    wall, cpu, rss = (statistics.median(column) for column in zip(*runs))
    print(f"| {name} | {wall:.2f} | {min(r[0] for r in runs):.2f}–{max(r[0] for r in runs):.2f} | {cpu:.2f} | {rss:.0f} |")
    return wall, rss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_159_764)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--csv")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--ensemble", default=ENSEMBLE)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        path = args.csv or os.path.join(scratch, "tracks.csv")
        if not args.csv:
            generate(path, "--rows", str(args.rows), ensemble=args.ensemble)
        store, peer_out = os.path.join(scratch, "store"), os.path.join(scratch, "polars")

        def load(file=path):
            shutil.rmtree(store, ignore_errors=True)
            return timed([args.ensemble, "run", "--store", store, "--output", "json", file])

        def polars():
            shutil.rmtree(peer_out, ignore_errors=True)
            return timed([sys.executable, os.path.join(ROOT, "benches/peers/polars_tracks.py"), path, peer_out])

        load(), polars()
        pairs = [(load(), polars()) for _ in range(args.runs)]
        print(f"{os.path.getsize(path) / 1e6:.0f} MB, {args.runs} runs each, in turn\n")
        print("| | wall s, median | range | processor s | peak RSS MiB |\n|---|---|---|---|---|")
        wall, rss = show("ensemble run", [a for a, _ in pairs])
        show("polars", [b for _, b in pairs])
        ratios = [a[0] / b[0] for a, b in pairs]
        print(f"\nensemble / polars, pair by pair: median {statistics.median(ratios):.2f}, {min(ratios):.2f}–{max(ratios):.2f}")
        if args.verify:
            checks = [timed([args.ensemble, "verify", "--store", store]) for _ in range(3)]
            verify, _ = show("ensemble verify", checks)
            print(f"\nverify / run: {verify / wall:.2f}")
        if args.large:
            large = os.path.join(scratch, "large.csv")
            generate(large, "--rows", str(args.rows * 10), ensemble=args.ensemble)
            big_wall, _, big_rss = load(large)
            print(f"\nten times the rows: {big_wall:.1f} s ({big_wall / wall:.2f} ×), {big_rss:.0f} MiB ({big_rss / rss:.2f} ×)")


main()
