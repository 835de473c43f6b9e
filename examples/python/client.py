#!/usr/bin/env python3
"""Uploads a CSV file of tracks to an Ensemble server, runs a job over it, watches it to its end, asks why rows were
rejected and reads gold.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python client.py --server 127.0.0.1:7070 FILE [--view analytics_genre_stats]

The client code is generated from the proto files when it starts.
"""

import argparse
import importlib
import os
import sys
import tempfile
import uuid

import google_crc32c
import grpc
import grpc_tools
from grpc_tools import protoc

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto")
CHUNK_BYTES = 256 << 10


def generate():
    """Compiles the proto files into a folder, and returns the modules."""
    out = tempfile.mkdtemp()
    files = [f"ensemble/v1/{name}.proto" for name in ("contracts", "gold", "jobs")]
    well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    if protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]):
        sys.exit("the proto files cannot be compiled")
    sys.path.insert(0, out)
    names = ("jobs_pb2", "jobs_pb2_grpc", "gold_pb2", "gold_pb2_grpc")
    return [importlib.import_module(f"ensemble.v1.{name}") for name in names]


def pieces(jobs_pb2, path, upload_id, durable):
    """The messages of an upload, from what is durable already."""
    request = jobs_pb2.UploadFileRequest
    yield request(start=jobs_pb2.UploadStart(upload_id=upload_id, file_name=os.path.basename(path)))
    with open(path, "rb") as file:
        file.seek(durable)
        offset = durable
        while data := file.read(CHUNK_BYTES):
            yield request(chunk=jobs_pb2.UploadChunk(offset=offset, data=data, crc32c=google_crc32c.value(data)))
            offset += len(data)
    yield request(end=jobs_pb2.UploadEnd(length=offset))


def upload(jobs_pb2, jobs, path, upload_id):
    """Sends the file; goes on where a broken stream left off."""
    durable = 0
    for _ in range(10):
        try:
            for answer in jobs.UploadFile(pieces(jobs_pb2, path, upload_id, durable)):
                durable = answer.durable_offset
                if answer.complete:
                    return durable
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS):
                raise
            # The first answer says what is durable; sending from the beginning is harmless.
            durable = 0
    sys.exit("the upload has broken too often")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:7070")
    parser.add_argument("--view", default="analytics_genre_stats")
    parser.add_argument("file")
    args = parser.parse_args()
    jobs_pb2, jobs_pb2_grpc, gold_pb2, gold_pb2_grpc = generate()
    with grpc.insecure_channel(args.server) as channel:
        jobs = jobs_pb2_grpc.JobServiceStub(channel)
        gold = gold_pb2_grpc.GoldServiceStub(channel)
        # Repeating the calls with the same id ends with the same job.
        request_id = str(uuid.uuid4())
        print(f"{upload(jobs_pb2, jobs, args.file, request_id)} bytes are uploaded")
        job = jobs.SubmitJob(
            jobs_pb2.SubmitJobRequest(
                request_id=request_id, contract_name="tracks", csv_files=[jobs_pb2.CsvFile(upload_id=request_id)]
            )
        )
        for job in jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.job_id)):
            print(f"{jobs_pb2.JobState.Name(job.state)}: {job.counts.rows} rows, {job.counts.rejected} rejected")
        if job.state != jobs_pb2.JOB_STATE_SUCCEEDED:
            sys.exit(job.reason or "the job has not succeeded")
        letters = jobs.ListDeadLetters(jobs_pb2.ListDeadLettersRequest(job_id=job.job_id, page_size=3)).dead_letters
        for letter in letters:
            print(f"rejected: {letter.file}:{letter.line} by {letter.rule}")
            row = jobs.ExplainRow(
                jobs_pb2.ExplainRowRequest(job_id=letter.job_id, file=letter.file, offset=letter.offset)
            )
            for column in row.columns:
                if column.rule:
                    print(f"  {column.column} is {column.raw!r} in column {column.header}: {column.rule}")
        view = gold.ReadView(gold_pb2.ReadViewRequest(view=args.view, limit=5))
        print("\t".join(column.name for column in view.columns))
        for row in view.rows:
            values = (value.WhichOneof("value") for value in row.values)
            print("\t".join(str(getattr(v, kind)) if kind else "" for kind, v in zip(values, row.values)))


main()
