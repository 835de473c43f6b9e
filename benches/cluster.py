#!/usr/bin/env python3
"""What a cluster costs and brings: a supervisor and workers as processes of their own, on MongoDB and Kafka on this machine.

    cargo build --release && cargo build --release -p ensemble-testkit --features proxy --example slow_store
    python3 -m venv VENV && VENV/bin/pip install pymongo -r examples/python/requirements.txt
    VENV/bin/python benches/cluster.py MEASURE --uri URI --brokers HOST:PORT [--runs 5]

link      `ensemble run` in one process against a supervisor and two workers with the same number of validators, on the same
          file: seconds by the job's own clock, in pairs. The first pair is not counted.
scaling   one worker against eight on a store that takes 50 ms for every write call, the supervisor's own too.
gold      how long after a shard's commit its rows are in the gold that the supervisor serves, and in the store's, while
          two workers load. A commit's time is what its ledger entry says, which is just before the entry is written.
upload    one row that is uploaded, submitted and read back from gold, on an embedded store and an idle machine.
memory    the most resident memory of a supervisor and of two workers while they load N rows, and ten times as many.
"""

import argparse
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import google_crc32c
import grpc
import grpc_tools
import pymongo
from grpc_tools import protoc

from common import ENSEMBLE, RELEASE, ROOT, generate, with_database

SLOW_STORE = os.path.join(RELEASE, "examples/slow_store")
PUBLIC, WORKERS, HTTP = "127.0.0.1:7870", "127.0.0.1:7871", "127.0.0.1:7872"
VIEW = "analytics_yearly_trends"


class Place:
    """A database and topics of one load's own."""

    def __init__(self, args):
        self.name = f"bench_{uuid.uuid4().hex[:12]}"
        self.client = pymongo.MongoClient(args.uri)
        self.uri = with_database(args.uri, self.name)
        self.events = f"kafka://{args.brokers}/{self.name}"

    def options(self, uri=None):
        return ["--store", uri or self.uri, "--events", self.events]

    @property
    def database(self):
        return self.client[self.name]

    def drop(self):
        self.client.drop_database(self.name)


@contextlib.contextmanager
def running(command, **settings):
    """A process that serves; it is told to end at the end."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **settings})
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("ready "):
                break
        else:
            sys.exit(f"{command} has ended:\n{''.join(said)}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process
    finally:
        process.terminate()
        process.wait(60)


def supervisor(options, **settings):
    command = [ENSEMBLE, "supervisor", *options, "--listen", PUBLIC, "--worker-listen", WORKERS, "--http-listen", HTTP]
    return running(command, **settings)


def worker(options, number, *more, **settings):
    command = [ENSEMBLE, "worker", "--supervisor", f"http://{WORKERS}", *options, "--id", f"w{number}", *more]
    return running(command, **settings)


def job(command):
    """The JSON object of a job that is run by this command."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def submit(path, *options):
    return job([ENSEMBLE, "submit", "csv", path, "--server", f"http://{PUBLIC}", "--wait", "--output", "json", *options])


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def link(args, scratch):
    path = os.path.join(scratch, "tracks.csv")
    generate(path, "--rows", str(args.rows or 100_000))

    def alone(place):
        return job([ENSEMBLE, "run", path, *place.options(), "--output", "json"])["seconds"]

    def cluster(place):
        with contextlib.ExitStack() as stack:
            stack.enter_context(supervisor(place.options(), ENSEMBLE__SUPERVISOR__ROOTS=scratch))
            for number in range(2):
                stack.enter_context(worker(place.options(), number, "--validators", "1"))
            return submit(path, "--by-path")["seconds"]

    pairs = []
    for number in range(args.runs + 1):
        seconds = {}
        for load in (alone, cluster) if number % 2 else (cluster, alone):
            place = Place(args)
            seconds[load] = load(place)
            place.drop()
        if number:
            pairs.append(seconds[cluster] / seconds[alone])
            print(f"one process {seconds[alone]:.2f} s, cluster {seconds[cluster]:.2f} s: {pairs[-1]:.2f}", flush=True)
    print(f"cluster / one process: median {statistics.median(pairs):.2f}, {min(pairs):.2f} to {max(pairs):.2f}")


def scaling(args, scratch):
    # Few and long rows, so that the store's calls are what takes the time, and not this machine's processors.
    plain, path = os.path.join(scratch, "plain.csv"), os.path.join(scratch, "tracks.csv")
    generate(plain, "--rows", str(args.rows or 14_000), "--duplicates", "0.02")
    with open(plain, encoding="utf-8") as short, open(path, "w", encoding="utf-8") as long:
        long.writelines(f"{'x' * 1000},{line}" for line in short)
    ratios = []
    for _ in range(args.runs):
        seconds = []
        for workers in (1, 8):
            place = Place(args)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            with subprocess.Popen([SLOW_STORE, place.uri, "50"], text=True, **pipes) as slow, contextlib.ExitStack() as stack:
                options = place.options(slow.stdout.readline().strip())
                stack.enter_context(supervisor(options))
                for number in range(workers):
                    # One shard at a time each.
                    stack.enter_context(worker(options, number, ENSEMBLE__WORKERS__CREDIT_BYTES="65536"))
                seconds.append(submit(path, "--shard-bytes", "65000")["seconds"])
                stack.close()
                print(f"{workers} worker(s): {seconds[-1]:.1f} s, {slow.communicate()[0].strip()} slow calls", flush=True)
            place.drop()
        ratios.append(seconds[0] / seconds[1])
    print(f"8 workers / 1: median {statistics.median(ratios):.2f} times as fast, {min(ratios):.2f} to {max(ratios):.2f}")


def stubs(out):
    """The clients that are generated from the proto files, into this folder."""
    proto, well_known = os.path.join(ROOT, "proto"), os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    files = [f"ensemble/v1/{name}.proto" for name in ("contracts", "gold", "jobs")]
    if protoc.main(["protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]):
        sys.exit("the proto files cannot be compiled")
    sys.path.insert(0, out)
    return [importlib.import_module(f"ensemble.v1.{n}") for n in ("jobs_pb2", "jobs_pb2_grpc", "gold_pb2", "gold_pb2_grpc")]


class Sampler(threading.Thread):
    """Looks at something again and again; keeps when it had looked and what it saw."""

    def __init__(self, look, pause):
        super().__init__(daemon=True)
        self.look, self.pause, self.seen, self.over = look, pause, [], False

    def run(self):
        while not self.over:
            saw = self.look()
            self.seen.append((time.time(), saw))
            time.sleep(self.pause)

    def end(self):
        self.over = True
        self.join()
        return self.seen


def lags(commits, seen):
    """For each commit, how long after it as many rows had been seen as had been committed by then."""
    lags, rows, at = [], 0, 0
    for settled, claimed in sorted(commits):
        rows += claimed
        while seen[at][1] < rows:
            at += 1
        lags.append(seen[at][0] - settled)
    return lags


def gold(args, scratch):
    path = os.path.join(scratch, "tracks.csv")
    generate(path, "--rows", str(args.rows or 200_000), "--duplicates", "0", "--bad", "0")
    _, _, gold_pb2, gold_pb2_grpc = stubs(scratch)
    request = gold_pb2.ReadViewRequest(view=VIEW)
    for _ in range(args.runs):
        place = Place(args)
        with contextlib.ExitStack() as stack:
            stack.enter_context(supervisor(place.options()))
            for number in range(2):
                stack.enter_context(worker(place.options(), number, "--validators", "1"))
            channel = stack.enter_context(grpc.insecure_channel(PUBLIC))
            service = gold_pb2_grpc.GoldServiceStub(channel)

            def served():
                try:
                    return sum(row.values[1].int for row in service.ReadView(request).rows)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.NOT_FOUND:
                        raise
                    return 0

            def stored():
                return sum(cell.get("row", {}).get("count", 0) for cell in place.database[VIEW].find({}, {"row.count": 1}))

            samplers = {"served": Sampler(served, 0.04), "stored": Sampler(stored, 0.1)}
            for sampler in samplers.values():
                sampler.start()
            rows = submit(path, "--shard-bytes", "131072")["rows"]
            time.sleep(0.5)
            seen = {name: sampler.end() for name, sampler in samplers.items()}
        entries = place.database["ensemble_ledger"].find({}, {"settled_at_us": 1, "claims": 1})
        commits = [(entry["settled_at_us"] / 1e6, entry["claims"]) for entry in entries]
        for name in samplers:
            assert sum(claims for _, claims in commits) == rows == seen[name][-1][1], f"every row is in {name} gold"
        for name, seen in seen.items():
            took = lags(commits, seen)
            values = (statistics.median(took), quantile(took, 0.99), max(took))
            print(f"{name}: {len(took)} commits, median %.0f ms, p99 %.0f ms, most %.0f ms" % tuple(1e3 * v for v in values))
        place.drop()


def upload(args, scratch):
    jobs_pb2, jobs_pb2_grpc, gold_pb2, gold_pb2_grpc = stubs(scratch)
    with open(os.path.join(ROOT, "examples/catalogue.csv"), encoding="utf-8") as catalogue:
        head, first = catalogue.readline(), catalogue.readline()
    identifier = first.split(",")[head.strip().split(",").index("track_id")]
    # On an embedded store the supervisor's process has its own workers.
    with supervisor(["--store", os.path.join(scratch, "store")]), grpc.insecure_channel(PUBLIC) as channel:
        jobs, service = jobs_pb2_grpc.JobServiceStub(channel), gold_pb2_grpc.GoldServiceStub(channel)
        request, took = jobs_pb2.UploadFileRequest, []
        for number in range(60):
            data = (head + first.replace(identifier, f"{number:022d}")).encode()
            name, begun = str(uuid.uuid4()), time.perf_counter()
            pieces = [
                request(start=jobs_pb2.UploadStart(upload_id=name, file_name="one.csv")),
                request(chunk=jobs_pb2.UploadChunk(offset=0, data=data, crc32c=google_crc32c.value(data))),
                request(end=jobs_pb2.UploadEnd(length=len(data))),
            ]
            list(jobs.UploadFile(iter(pieces)))
            file = jobs_pb2.CsvFile(upload_id=name)
            jobs.SubmitJob(jobs_pb2.SubmitJobRequest(request_id=name, contract_name="tracks", csv_files=[file]))
            while sum(row.values[1].int for row in service.ReadView(gold_pb2.ReadViewRequest(view=VIEW)).rows) <= number:
                time.sleep(0.001)
            took.append(time.perf_counter() - begun)
            # The job ends in peace.
            time.sleep(0.1)
    took = took[5:]
    print(f"{len(took)} uploads of one row: median {1e3 * statistics.median(took):.0f} ms, most {1e3 * max(took):.0f} ms")


def resident(process):
    """Its memory in MiB."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(args, scratch):
    few, most = args.rows or 120_000, {}
    for rows in (few, 10 * few) * args.runs:
        path = os.path.join(scratch, f"{rows}.csv")
        if not os.path.exists(path):
            generate(path, "--rows", str(rows))
        place = Place(args)
        with contextlib.ExitStack() as stack:
            processes = {"supervisor": stack.enter_context(supervisor(place.options(), ENSEMBLE__SUPERVISOR__ROOTS=scratch))}
            for number in range(2):
                processes[f"w{number}"] = stack.enter_context(worker(place.options(), number, "--validators", "1"))
            sampler = Sampler(lambda: {name: resident(process) for name, process in processes.items()}, 0.02)
            sampler.start()
            done = submit(path, "--by-path")
            seen = sampler.end()
        place.drop()
        print(f"{rows} rows, {done['shards']} shards, {done['seconds']:.1f} s", flush=True)
        for name in processes:
            values = [saw[name] for _, saw in seen]
            most.setdefault((name, rows), []).append(max(values))
            print(f"  {name}: {max(values):.0f} MiB at most, median {statistics.median(values):.0f}", flush=True)
    for name in processes:
        before, after = (statistics.median(most[name, rows]) for rows in (few, 10 * few))
        print(f"{name}: {before:.0f} MiB, {after:.0f} MiB for ten times the rows: {after / before:.2f} times")


def main():
    measures = {"link": link, "scaling": scaling, "gold": gold, "upload": upload, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=measures)
    parser.add_argument("--uri", default="mongodb://127.0.0.1:27017/?replicaSet=rs0")
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measures[args.measure](args, scratch)


main()
