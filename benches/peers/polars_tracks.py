"""What a data engineer would write with Polars: validate a catalogue of tracks, keep the first row of each key, title-case artists, write silver
and two gold tables as Parquet. What is no number is null, and so is dropped. Usage: polars_tracks.py CSV DIRECTORY"""

import os
import sys

import polars as pl

source, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
unit = ("danceability", "energy", "speechiness", "acousticness", "instrumentalness", "liveness", "valence")
rules = [pl.col(name).is_between(0, 1) for name in unit] + [
    pl.col("tempo") > 0,
    pl.col("loudness").is_between(-60, 10),
    pl.col("duration_ms") > 0,
    pl.col("popularity").is_between(0, 100),
    pl.col("year").is_between(1900, 2100),
    pl.col("key").is_between(-1, 11),
    pl.col("mode").is_between(0, 1),
    pl.col("time_signature").is_between(0, 7),
]
silver = (
    pl.scan_csv(source, ignore_errors=True)
    .filter(*rules)
    .unique("track_id", keep="first", maintain_order=True)
    .with_columns(pl.col("artist_name").str.to_titlecase())
    .collect()
)
silver.write_parquet(f"{out}/silver.parquet")
means = ("popularity", "energy", "danceability", "tempo")
silver.group_by("genre").agg(pl.len(), pl.col(*means).mean()).write_parquet(f"{out}/genres.parquet")
means = ("duration_ms", "loudness", "energy")
silver.group_by("year").agg(pl.len(), pl.col(*means).mean()).write_parquet(f"{out}/years.parquet")
print(silver.height)
