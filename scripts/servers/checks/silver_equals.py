#!/usr/bin/env python3
"""Whether silver in MongoDB is what the reference makes of the files: every key, every column, every value and its type.

  silver_equals.py --uri URI --database NAME [--collection spotify_clean] [--contract FILE] FILE...

The files are those of the one job, in its order. A document's `_id` is its key. Columns that are null may be absent, and
are counted; `claim` and `displaced` are the product's own. Prints the counts and the first differences; ends with 1
where there is one, and with 2 where the server cannot be read.
Wants `pip install -r requirements.txt`.
"""
import argparse
import sys
from pathlib import Path

from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from reference import CONTRACT, Contract, answer, equal

BOOKKEEPING = {"_id", "claim", "displaced"}
SHOWN = 20


class Comparison:
    """What has been compared, and what differs."""

    def __init__(self, contract, silver):
        self.key = contract.key
        self.columns = [column.name for column in contract.columns]
        self.silver = silver
        self.seen = set()
        self.values = self.absent_nulls = self.differences = 0

    def differs(self, what):
        self.differences += 1
        if self.differences <= SHOWN:
            print(f"  {what}")

    def document(self, document):
        key = document["_id"]
        expected = self.silver.get(key)
        if expected is None:
            self.differs(f"{key!r}: not in the reference")
            return
        self.seen.add(key)
        for column in self.columns:
            if column not in document and column == self.key:
                continue    # it is the _id
            if column not in document and expected[column] is None:
                self.absent_nulls += 1
                continue
            self.values += 1
            found = document.get(column)
            # The driver's class for 64 bits; how many an integer takes is the store's business.
            found = int(found) if type(found) is Int64 else found
            if not equal(expected[column], found):
                self.differs(f"{key!r}.{column}: {found!r} for {expected[column]!r}")
        for column in document.keys() - BOOKKEEPING - set(self.columns):
            self.differs(f"{key!r}.{column}: no column of the contract")

    def end(self):
        for key in self.silver.keys() - self.seen:
            self.differs(f"{key!r}: missing")


def main():
    parser = argparse.ArgumentParser(description="Compares silver in MongoDB with the reference.")
    parser.add_argument("--uri", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--collection", default="spotify_clean")
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args()
    contract = Contract(args.contract)
    expected = answer(args.files, contract)
    comparison = Comparison(contract, expected.silver)
    try:
        client = MongoClient(args.uri, serverSelectionTimeoutMS=10_000)
        silver = client[args.database].get_collection(args.collection, read_concern=ReadConcern("majority"))
        for document in silver.find(batch_size=5_000):
            comparison.document(document)
    except PyMongoError as error:
        print(f"{args.database}.{args.collection}: {error}", file=sys.stderr)
        return 2
    comparison.end()
    print(f"reference: {expected.counts()}")
    print(f"silver: {len(comparison.seen)} documents of {len(expected.silver)}, {comparison.values} values compared, "
          f"{comparison.absent_nulls} nulls absent, {comparison.differences} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
