#!/usr/bin/env python3
"""The usual way in Python: csv, a Pydantic model a row, keys seen once, pymongo's insert_many of 5,000 documents.

  pydantic_pymongo.py URI DATABASE FILE      prints how many rows were accepted, rejected and duplicates
"""
import csv
import sys

from pydantic import BaseModel, Field, ValidationError
from pymongo import MongoClient, WriteConcern

BATCH = 5_000


class Track(BaseModel):
    track_id: str
    artist_name: str
    track_name: str
    genre: str
    popularity: int = Field(ge=0, le=100)
    year: int = Field(ge=1900, le=2100)
    danceability: float = Field(ge=0, le=1)
    energy: float = Field(ge=0, le=1)
    key: int = Field(ge=-1, le=11)
    loudness: float = Field(ge=-60, le=10)
    mode: int = Field(ge=0, le=1)
    speechiness: float = Field(ge=0, le=1)
    acousticness: float = Field(ge=0, le=1)
    instrumentalness: float = Field(ge=0, le=1)
    liveness: float = Field(ge=0, le=1)
    valence: float = Field(ge=0, le=1)
    tempo: float = Field(gt=0, le=1000)
    duration_ms: int = Field(gt=0, le=86_400_000)
    time_signature: int = Field(ge=0, le=7)


def main():
    uri, database, path = sys.argv[1:]
    concern = WriteConcern("majority", j=True)
    tracks = MongoClient(uri)[database].get_collection("tracks", write_concern=concern)
    seen, batch = set(), []
    accepted = rejected = duplicates = 0
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                track = Track(**row)
            except ValidationError:
                rejected += 1
                continue
            if track.track_id in seen:
                duplicates += 1
                continue
            seen.add(track.track_id)
            track.artist_name = track.artist_name.title()
            batch.append({"_id": track.track_id, **track.model_dump()})
            accepted += 1
            if len(batch) == BATCH:
                tracks.insert_many(batch, ordered=False)
                batch = []
    if batch:
        tracks.insert_many(batch, ordered=False)
    print(accepted, rejected, duplicates)


main()
