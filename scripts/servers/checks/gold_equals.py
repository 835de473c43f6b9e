#!/usr/bin/env python3
"""Whether gold in MongoDB is what the reference makes of the files: every view, every row, every value and its type.

  gold_equals.py --uri URI --database NAME [--contract FILE] FILE...

The files are those of the one job, in its order. A row is the document's `row`, or one of its `rows`. Labels, counts,
sums and means have to be the very same; deviations and correlations, which are roots, equal within 1e-12 of their size.
Prints the counts and the first differences; ends with 1 where there is one, and with 2 where the server cannot be read.
Wants `pip install -r requirements.txt`.
"""
import argparse
import math
import sys
import tomllib
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path

from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from reference import CONTRACT, Contract, answer, equal

NANO = Decimal("1e-9")
SHOWN = 20


def exact(value):
    """A number as gold adds it up: floats in billionths of their shortest decimal, halves to even."""
    if isinstance(value, float):
        return Fraction(Decimal(repr(value)).quantize(NANO, ROUND_HALF_EVEN))
    return Fraction(value)


def root(square):
    """The root of an exact square, to more digits than a double has."""
    scale = 10**80
    return Fraction(math.isqrt(square.numerator * scale * scale // square.denominator), scale)


def plain(total):
    """An exact decimal in digits, without zeros at its end."""
    text = format(Decimal(total.numerator * 10**9 // total.denominator).scaleb(-9), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_integer(column, contract):
    return contract["columns"][column]["type"] in ("int", "year")


def label(value, width, column, contract):
    """The lower edge of a value's bin, or the value."""
    if width is None:
        return value
    edge = exact(value) // width * width
    return int(edge) if is_integer(column, contract) and width.denominator == 1 else float(edge)


def statistics(group, measures):
    row = {"count": len(group)}
    for measure in measures:
        values = [exact(document[measure]) for document in group if document[measure] is not None]
        total, squares, n = sum(values), sum(v * v for v in values), len(values)
        row[f"mean_{measure}"] = float(total / n) if n else None
        row[f"stddev_{measure}"] = float(root(squares / n - (total / n) ** 2)) if n else None
        row[f"sum_{measure}"] = plain(Fraction(total))
    return row


def correlations(group, columns):
    for a, b in combinations(columns, 2):
        both = [(exact(d[a]), exact(d[b])) for d in group if d[a] is not None and d[b] is not None]
        n = len(both)
        x, y = sum(p for p, _ in both), sum(q for _, q in both)
        deviations = [n * sum(p * p for p, _ in both) - x * x, n * sum(q * q for _, q in both) - y * y]
        covered = n * sum(p * q for p, q in both) - x * y
        r = float(covered / root(Fraction(deviations[0] * deviations[1]))) if all(deviations) else None
        yield {"field_a": a, "field_b": b, "n": n, "r": r}


def rows_of(view, silver, contract):
    """A view's rows, from the rows of silver."""
    keys = [(by.partition("/")[0], Fraction(by.partition("/")[2]) if "/" in by else None) for by in view["by"]]
    groups = {}
    for document in silver.values():
        if all(document[column] is not None for column, _ in keys):
            labels = tuple(label(document[column], width, column, contract) for column, width in keys)
            groups.setdefault(labels, []).append(document)
    for labels, group in groups.items():
        names = dict(zip((column for column, _ in keys), labels))
        if "correlate" in view:
            yield from (names | pair for pair in correlations(group, view["correlate"]))
        else:
            yield names | statistics(group, view.get("measures", []))


class Comparison:
    """What has been compared, and what differs."""

    def __init__(self):
        self.rows = self.values = self.differences = 0

    def differs(self, what):
        self.differences += 1
        if self.differences <= SHOWN:
            print(f"  {what}")

    def view(self, name, labels, expected, documents):
        expected = {tuple(row[column] for column in labels): row for row in expected}
        for document in documents:
            for found in document.get("rows", [document["row"]] if "row" in document else []):
                key = tuple(found.get(column) for column in labels)
                if key not in expected:
                    self.differs(f"{name} {key}: not in the reference")
                else:
                    self.row(f"{name} {key}", expected.pop(key), found)
        for key in expected:
            self.differs(f"{name} {key}: missing")

    def row(self, name, expected, found):
        self.rows += 1
        if list(found) != list(expected):
            self.differs(f"{name}: the columns are {list(found)}, not {list(expected)}")
            return
        for column, value in expected.items():
            self.values += 1
            got = int(found[column]) if type(found[column]) is Int64 else found[column]
            is_root = column == "r" or column.startswith("stddev_")
            if is_root and isinstance(value, float) and isinstance(got, float):
                same = math.isclose(value, got, rel_tol=1e-12, abs_tol=1e-15)
            else:
                same = equal(value, got)
            if not same:
                self.differs(f"{name}.{column}: {got!r} for {value!r}")


def main():
    parser = argparse.ArgumentParser(description="Compares gold in MongoDB with the reference.")
    parser.add_argument("--uri", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args()
    silver = answer(args.files, Contract(args.contract)).silver
    with open(args.contract, "rb") as file:
        contract = tomllib.load(file)
    comparison = Comparison()
    try:
        database = MongoClient(args.uri, serverSelectionTimeoutMS=10_000)[args.database]
        for name, view in contract["gold"].items():
            found = database.get_collection(name, read_concern=ReadConcern("majority"))
            labels = [by.partition("/")[0] for by in view["by"]]
            labels += ["field_a", "field_b"] if "correlate" in view else []
            comparison.view(name, labels, rows_of(view, silver, contract), found.find())
    except PyMongoError as error:
        print(f"{args.database}: {error}", file=sys.stderr)
        return 2
    print(f"gold: {len(contract['gold'])} views, {comparison.rows} rows, {comparison.values} values compared, "
          f"{comparison.differences} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
