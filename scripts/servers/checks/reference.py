#!/usr/bin/env python3
"""The right answer for CSV files of tracks, from one slow process that reads the rows in order.

  reference.py [--contract FILE] [--silver OUT.jsonl] FILE...

prints the counts as JSON and writes silver, one object a line, sorted by key. The files are one job in this order. It
shares nothing with the product but the contract file, and covers what the built-in `tracks` contract uses: `keep =
"first"`, strings, integers, floats, booleans, years, ranges, `spotify_id` and `title_case`. It stops at anything else,
and at files that are not UTF-8 or quote in a way that can be read in two.
"""
import argparse
import csv
import json
import re
import struct
import sys
import tomllib
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from pathlib import Path

CONTRACT = Path(__file__).resolve().parents[3] / "config/contracts/tracks.toml"
# Unicode's White_Space, which is not what str.strip() takes.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
YEAR = re.compile(r"([0-9]{4})(?:\.0+|-[0-9]{2}(?:-[0-9]{2})?)?")
RANGE = re.compile(r"(?P<low>[^<.]*(?:\.[0-9]+)?)(?P<open>[<]?)\.\.(?P<end>=|<)?(?P<high>.*)")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Broken(Exception):
    """The value breaks the rule of this name."""


def equal(expected, found):
    """Equal in type as well, and floats to the last bit."""
    if type(expected) is not type(found):
        return False
    if isinstance(expected, float):
        return struct.pack(">d", expected) == struct.pack(">d", found)
    return expected == found


def title_case(text):
    """Words are letters, marks and numbers, with single apostrophes inside: the first character upper, the rest lower."""
    inside = [unicodedata.category(c)[0] in "LMN" for c in text]
    for at, c in enumerate(text):
        if c in "'’" and 0 < at < len(text) - 1 and inside[at - 1] and inside[at + 1] and text[at - 1] not in "'’":
            inside[at] = True
    out, at = [], 0
    while at < len(text):
        end = at
        while end < len(text) and inside[end]:
            end += 1
        out.append(text[at].upper() + text[at + 1:end].lower() if end > at else text[at])
        at = max(end, at + 1)
    return "".join(out)


def integer(text):
    if not NUMBER.fullmatch(text):
        raise Broken("type")
    value = Decimal(text)
    # Past 64 bits there is no need to write the number out.
    if value and value.adjusted() > 18 or value != value.to_integral_value() or not -2**63 <= value < 2**63:
        raise Broken("type")
    return int(value)


def real(text):
    if not NUMBER.fullmatch(text) or not isfinite(float(text)):
        raise Broken("type")
    return float(text)


def boolean(text):
    if text.lower() not in BOOLEANS:
        raise Broken("type")
    return BOOLEANS[text.lower()]


def year(text):
    match = YEAR.fullmatch(text)
    if not match:
        raise Broken("type")
    return int(match[1])


TYPES = {"string": str, "int": integer, "float": real, "bool": boolean, "year": year}
NORMALISERS = {"title_case": title_case, "spotify_id": lambda text: text.removeprefix("spotify:track:")}
COVERED = {"type", "required", "range", "from", "normalise"}


class Column:
    """One column's rules."""

    def __init__(self, name, rules):
        if not rules.keys() <= COVERED:
            sys.exit(f"{name}: not covered by the reference: {sorted(rules.keys() - COVERED)}")
        self.name = name
        self.parse = TYPES[rules["type"]]
        self.required = rules.get("required", False)
        self.aliases = rules.get("from", [name])
        self.normalisers = [NORMALISERS[step] for step in rules.get("normalise", [])]
        self.range = RANGE.fullmatch(rules["range"]) if "range" in rules else None

    def judge(self, text):
        """The value, or None; raises the rule that it breaks."""
        text = text.strip(WHITE_SPACE)
        for normalise in self.normalisers:
            text = normalise(text)
        if text == "":
            if self.required:
                raise Broken("required")
            return None
        value = self.parse(text)
        if self.range and not self.in_range(value):
            raise Broken("range")
        return value

    def in_range(self, value):
        low, high = self.range["low"], self.range["high"]
        if low and (value <= float(low) if self.range["open"] else value < float(low)):
            return False
        return not high or (value < float(high) if self.range["end"] == "<" else value <= float(high))


class Contract:
    """The columns in order, and the key."""

    def __init__(self, path):
        with open(path, "rb") as file:
            contract = tomllib.load(file)
        if contract.get("keep", "first") != "first" or contract.get("unknown_columns", "ignore") != "ignore":
            sys.exit(f"{path}: not covered by the reference: keep or unknown_columns")
        self.key = contract["key"]
        self.columns = [Column(name, rules) for name, rules in contract["columns"].items()]

    def bind(self, header):
        """Where each column stands in a file, or None."""
        names = [name.strip(WHITE_SPACE) for name in header]
        return [next((names.index(alias) for alias in column.aliases if alias in names), None) for column in self.columns]

    def judge(self, record, places, width):
        """(document, rules that it breaks in the order of the columns)."""
        if len(record) != width:
            return None, ["row.columns"]
        document, broken = {}, []
        for column, place in zip(self.columns, places):
            try:
                document[column.name] = column.judge(record[place] if place is not None else "")
            except Broken as rule:
                broken.append(f"{column.name}.{rule}")
        return document, broken


@dataclass
class Answer:
    """Rows by (number of the file, first byte in it), and what became of them."""
    rows: int = 0
    silver: dict = field(default_factory=dict)      # key -> document
    first: dict = field(default_factory=dict)       # key -> the row that holds it
    valid: dict = field(default_factory=dict)       # row -> document
    rejected: dict = field(default_factory=dict)    # row -> rules

    def counts(self):
        by_rule = {}
        for rules in self.rejected.values():
            by_rule[rules[0]] = by_rule.get(rules[0], 0) + 1
        return {
            "rows": self.rows,
            "accepted": len(self.silver),
            "duplicates": len(self.valid) - len(self.silver),
            "rejected": len(self.rejected),
            "rejected_by_rule": dict(sorted(by_rule.items())),
        }


class Lines:
    """A file's lines, and how many bytes of them have been taken."""

    def __init__(self, file):
        self.file = file
        self.bytes = 0

    def __iter__(self):
        for line in self.file:
            self.bytes += len(line.encode())
            if self.bytes == len(line.encode()):
                line = line.removeprefix("\ufeff")
            yield line


def answer(files, contract):
    """Reads the files in order as one job."""
    csv.field_size_limit(2**31 - 1)
    found = Answer()
    for number, path in enumerate(files):
        with open(path, encoding="utf-8", newline="") as file:
            read_file(number, Lines(file), contract, found)
    return found


def read_file(number, lines, contract, found):
    # Strict: a quote that is never closed is an error, where it would swallow the rest of the file.
    records = csv.reader(lines, strict=True)
    header = next(records)
    places = contract.bind(header)
    while True:
        row = (number, lines.bytes)
        record = next(records, None)
        if record is None:
            return
        if not record:
            continue    # an empty line is no row
        found.rows += 1
        document, broken = contract.judge(record, places, len(header))
        if broken:
            found.rejected[row] = broken
            continue
        found.valid[row] = document
        key = document[contract.key]
        if key not in found.silver:
            found.silver[key] = document
            found.first[key] = row


def main():
    parser = argparse.ArgumentParser(description="The right answer for CSV files of tracks.")
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("--silver", type=Path, help="write silver here, one JSON object a line")
    parser.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args()
    found = answer(args.files, Contract(args.contract))
    if args.silver:
        with open(args.silver, "w", encoding="utf-8") as out:
            for key in sorted(found.silver):
                out.write(json.dumps(found.silver[key], ensure_ascii=False) + "\n")
    print(json.dumps(found.counts(), indent=1))


if __name__ == "__main__":
    main()
