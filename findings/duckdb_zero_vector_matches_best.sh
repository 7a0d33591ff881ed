#!/usr/bin/env bash
# In DuckDB a vector of zeros is the best match of every query by cosine similarity, and the worst by cosine distance.
#
# The cosine of a vector of zeros is not defined: `array_cosine_similarity` and `list_cosine_similarity` return NaN, not
# NULL and not an error. DuckDB sorts NaN above every number, and compares it so too: `order by similarity desc` lists
# the zeros first, `where similarity > 0.5` and `max_by` take them. `array_cosine_distance`, which is 1 - similarity,
# puts them last for the same data, and `array_inner_product` among the others.
#
# One would guess that similarity (descending) and distance (ascending) give the same order, that nothing compares
# greater than a number with NaN, as in IEEE 754, Python and NumPy, and that an empty vector matches nothing.
#
# It matters for archives of embeddings: one row that was filled with zeros, because a clip had no picture or no sound,
# is the first hit of every search, and passes every threshold. The remedy is NULL instead of zeros, or
# `where not isnan(similarity)`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check duckdb==2.0.1

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import duckdb

QUERY = "[1, 0, 0]::float[3]"
ROWS = {"same": [1, 0, 0], "near": [0.9, 0.1, 0], "right angle": [0, 1, 0], "opposite": [-1, 0, 0], "zeros": [0, 0, 0]}

print("Versions")
print(f"  duckdb {duckdb.__version__}")
print("Expected: the order is same, near, ..., by every measure; zeros are not above any threshold.")
print("Seen:")
database = duckdb.connect()
database.execute("create table clips (name varchar, vector float[3])")
database.executemany("insert into clips values (?, ?)", list(ROWS.items()))


def names(text):
    return [row[0] for row in database.sql(text).fetchall()]


seen = {}
for measure, direction in (
    ("array_cosine_similarity", "desc"),
    ("list_cosine_similarity", "desc"),
    ("array_inner_product", "desc"),
    ("array_cosine_distance", "asc"),
):
    seen[measure] = names(f"select name from clips order by {measure}(vector, {QUERY}) {direction}")
    print(f"  order by {measure:23} {direction:4}: {', '.join(seen[measure])}")
similarity = f"array_cosine_similarity(vector, {QUERY})"
seen["above"] = names(f"select name from clips where {similarity} > 0.5 order by name")
seen["best"] = names(f"select max_by(name, {similarity}) from clips")
print(f"  where similarity > 0.5: {', '.join(seen['above'])}; max_by: {', '.join(seen['best'])}")

changed = []
for measure in ("array_cosine_similarity", "list_cosine_similarity"):
    if seen[measure][:2] != ["zeros", "same"]:
        changed.append(f"zeros are not the best match by {measure}")
if seen["array_cosine_distance"][-1] != "zeros" or seen["array_inner_product"][0] != "same":
    changed.append("zeros are not the worst match by distance, or the best by inner product")
if seen["above"] != ["near", "same", "zeros"] or seen["best"] != ["zeros"]:
    changed.append("zeros are not above a threshold, or not the maximum")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
