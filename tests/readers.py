"""Reads a Delta table with readers that are not ours; prints rows and column sums of each as JSON.

  readers.py TABLE_FOLDER
"""
import json
import math
import sys

import duckdb
import polars
import pyarrow.compute as pc
from deltalake import DeltaTable

location = sys.argv[1]
arrow = DeltaTable(location).to_pyarrow_table()
numbers = [f.name for f in arrow.schema if str(f.type) == "double"]
frame = polars.read_delta(location)
try:
    duckdb.sql("INSTALL delta; LOAD delta")
    relation = f"delta_scan('{location}')"
except duckdb.Error:
    # Without access to duckdb's extensions it reads the very files that the log names.
    files = DeltaTable(location).file_uris()
    relation = f"read_parquet({files!r})"
# JSON has no infinity, and the conviction of a rule without exception is one.
plain = lambda sum: sum if sum is None or math.isfinite(sum) else str(sum)
sums = ", ".join(f'sum("{c}")' for c in numbers) or "0"
rows, *duck = duckdb.sql(f"SELECT count(*), {sums} FROM {relation}").fetchall()[0]
print(json.dumps({
    "deltalake": {"rows": arrow.num_rows, "sums": {c: plain(pc.sum(arrow[c]).as_py()) for c in numbers}},
    "polars": {"rows": frame.height, "sums": {c: plain(frame[c].sum()) for c in numbers}},
    "duckdb": {"rows": rows, "sums": dict(zip(numbers, map(plain, duck)))},
}))
