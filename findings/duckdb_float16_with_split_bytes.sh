#!/usr/bin/env bash
# DuckDB reads 16-bit floats from Parquet, but not if their bytes are split, as the format allows since 2.11.
#
# BYTE_STREAM_SPLIT puts the first bytes of all values of a page together, then the second ones, so that they compress
# better. Since version 2.11 of the format it may be used for FIXED_LEN_BYTE_ARRAY, and so for FLOAT16, which is a
# logical type on two bytes. PyArrow writes and reads it, Polars and pandas read it. DuckDB says that the encoding is only
# supported for FLOAT, DOUBLE, INT32 or INT64. A query that does not touch the column works, as does `describe`, so that
# files look right until somebody asks for the vectors.
#
# One would guess that a reader which knows FLOAT16 and knows the encoding knows both together.
#
# It matters for archives of embeddings, where splitting the bytes is the usual advice for floats and saves 8 %: with it,
# SQL can count the rows and never compute on them. The remedy is the plain encoding with zstd.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq

values = np.linspace(-1, 1, 1000).astype(np.float16)
table = pa.table({"number": range(1000), "half": pa.array(values, pa.float16())})
SPLIT, PLAIN = "split.parquet", "plain.parquet"
pq.write_table(table, PLAIN, compression="zstd", use_dictionary=False)
pq.write_table(table, SPLIT, compression="zstd", use_dictionary=False, use_byte_stream_split=["half"])

print("Versions")
print(f"  duckdb {duckdb.__version__}, pyarrow {pa.__version__}, polars {polars.__version__}")
print("Expected: all of them read both files.")
print("Seen:")
changed = []
for name in (PLAIN, SPLIT):
    group = pq.ParquetFile(name).metadata.row_group(0).column(1)
    same = {
        "pyarrow": bool((pq.read_table(name)["half"].to_numpy() == values).all()),
        "polars": bool((polars.read_parquet(name)["half"].cast(polars.Float32).to_numpy() == values).all()),
    }
    try:
        found = np.array(duckdb.sql(f"select half::float from '{name}'").fetchall())[:, 0]
        same["duckdb"] = bool(np.allclose(found, values, atol=1e-3))
    except duckdb.Error as error:
        same["duckdb"] = str(error).splitlines()[0]
    count = duckdb.sql(f"select count(*), max(number) from '{name}'").fetchall()[0]
    print(f"  {name} {group.encodings}: {same}; duckdb without the column: {count}")
    if same["pyarrow"] is not True or same["polars"] is not True or count != (1000, 999):
        changed.append(f"{name} is not read by the others")
    if (same["duckdb"] is True) != (name == PLAIN):
        changed.append(f"{name} in DuckDB: {same['duckdb']}")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
