#!/usr/bin/env bash
# PyArrow ignores the Parquet options of a column of lists or structs, without an error, and leaves it uncompressed.
#
# `write_table(table, path, compression={"label": "zstd", "vector": "zstd"})` writes `vector` UNCOMPRESSED if it is a
# list: the keys are the names of Parquet's leaf columns, here `vector.list.element`, and a key that fits none is
# ignored. What is not named is not compressed at all, although the default without the option is snappy. It is the same
# for `use_byte_stream_split`, `use_dictionary` and `column_encoding`, and for misspelled names.
#
# One would guess that the names are those of the table's columns, as in `table["vector"]`, that an unknown name is an
# error, and that a column which is not named keeps the default.
#
# It matters for embeddings, boxes and times, which are lists: the file is several times as large as meant, and nobody
# is told; a setting that was measured on flat columns does nothing. The remedy is `vector.list.element` (for structs
# `box.x`), and a look at `ParquetFile(path).metadata.row_group(0).column(i).compression` after writing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check pyarrow==26.0.1 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, WIDTH = 20_000, 16
LEAF = "vector.list.element"


def make_table():
    """A column of text, one of vectors of smooth values, one of structs."""
    values = np.sin(np.arange(ROWS * WIDTH) / 5000).astype(np.float32).round(3)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), WIDTH)
    boxes = pa.array([{"x": row % 7} for row in range(ROWS)])
    return pa.table({"label": ["dog"] * ROWS, "vector": vectors, "box": boxes})


def written(options):
    """The size of the file in kB, the compression of each leaf column, and the encodings of the vectors."""
    pq.write_table(table, "made.parquet", **{"use_dictionary": False, **options})
    group = pq.read_metadata("made.parquet").row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    compression = {path: column.compression for path, column in columns.items()}
    return os.path.getsize("made.parquet") // 1000, compression, columns[LEAF].encodings


print("Versions")
print(f"  pyarrow {pa.__version__}")
print("Expected: options by column apply to the columns of these names, an unknown name is an error.")
print("Seen:")
table = make_table()
every = dict.fromkeys(table.column_names, "zstd")
cases = {
    "no option": {},
    "compression: zstd for all by name": {"compression": every},
    "compression: zstd for all leaves": {"compression": {"label": "zstd", LEAF: "zstd", "box.x": "zstd"}},
    "compression: misspelled": {"compression": {"vectro": "zstd"}},
    "byte stream split of vector": {"use_byte_stream_split": ["vector"]},
    "byte stream split of the leaf": {"use_byte_stream_split": [LEAF]},
}
seen = {}
for case, options in cases.items():
    seen[case] = written(options)
    size_kb, compression, encodings = seen[case]
    names = ", ".join(f"{path} {codec}" for path, codec in compression.items())
    print(f"  {case:33} {size_kb:5} kB: {names}; vectors {', '.join(encodings)}")


def codecs(case):
    return list(seen[case][1].values())


changed = []
if codecs("no option") != ["SNAPPY"] * 3:
    changed.append("the default is not snappy")
if codecs("compression: zstd for all by name") != ["ZSTD", "UNCOMPRESSED", "UNCOMPRESSED"]:
    changed.append("lists and structs are compressed by name")
if codecs("compression: zstd for all leaves") != ["ZSTD"] * 3:
    changed.append("leaves are not compressed by path")
if codecs("compression: misspelled") != ["UNCOMPRESSED"] * 3:
    changed.append("columns that are not named are compressed")
split = ["BYTE_STREAM_SPLIT" in seen[f"byte stream split of {what}"][2] for what in ("vector", "the leaf")]
if split != [False, True]:
    changed.append("byte stream split applies by name, or not by path")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
