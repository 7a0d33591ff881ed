#!/usr/bin/env bash
# DuckDB rounds fractions in a JSON Lines or CSV file to whole numbers if they first occur after row 20480.
#
# DuckDB takes the types of the columns from the first 20480 rows. If a number was whole up to there (0, 1, or a count),
# the column is BIGINT, and a later 0.6 is read as 1, 0.4 as 0: without an error or a warning, although `ignore_errors`
# is off. The same file with the fractions among the first rows is read correctly. A JSON key that first occurs after
# these rows is an error, which names `sample_size` as a remedy. It is the remedy here, too: `sample_size = -1`, which
# takes the types from all rows, or the types by hand (`columns`).
#
# One would guess that a value that does not fit the guessed type is an error, as an unknown key is and as text in a
# number's place is, or that the column becomes wider.
#
# It matters for logs and results that grow for weeks: probabilities that begin as 0, durations in whole seconds,
# levels of a silent night. Every average of them is wrong, and thresholds hit the wrong rows.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check duckdb==2.0.1

cd "$work"
"$work/venv/bin/python" - <<'PY'
import json
import sys

import duckdb

SAMPLE = 20480
LATE = {0.6: 1, 0.4: 0, 12.75: 13}


def write(whole_rows, key="level"):
    """Rows with a whole number, then rows with fractions, as JSON Lines and as CSV."""
    rows = [{"level": 0}] * whole_rows + [{"level": 0, key: value} for value in LATE]
    with open("made.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with open("made.csv", "w") as file:
        file.writelines(["level\n", *(f"{row['level']}\n" for row in rows)])


def last_of(source):
    """The column's type and its last values, or the error."""
    try:
        relation = duckdb.sql(f"select level from {source}")
        return str(relation.types[0]), [value for (value,) in relation.fetchall()[-len(LATE) :]]
    except duckdb.Error as error:
        return type(error).__name__, str(error)


print("Versions")
print(f"  duckdb {duckdb.__version__}")
print(f"Expected: the last values are {list(LATE)}, or there is an error.")
print("Seen:")
seen = {}
for whole_rows in (SAMPLE - len(LATE), SAMPLE):
    write(whole_rows)
    sources = ("'made.jsonl'", "read_json('made.jsonl', sample_size = -1)", "'made.csv'")
    for source in sources if whole_rows == SAMPLE else sources[:1]:
        seen[whole_rows, source] = last_of(source)
        print(f"  after {whole_rows} whole numbers, {source:41}: {seen[whole_rows, source]}")
write(SAMPLE, key="note")
unknown = last_of("'made.jsonl'")
print(f"  a new key after {SAMPLE} rows: {unknown[0]} ({'unknown key' if 'unknown key' in unknown[1] else unknown[1]})")

changed = []
for source in ("'made.jsonl'", "'made.csv'"):
    if seen[SAMPLE, source] != ("BIGINT", list(LATE.values())):
        changed.append(f"late fractions in {source} are not rounded")
if "unknown key" not in unknown[1]:
    changed.append("a late key is no error")
for case in ((SAMPLE - len(LATE), "'made.jsonl'"), (SAMPLE, "read_json('made.jsonl', sample_size = -1)")):
    if seen[case] != ("DOUBLE", list(LATE)):
        changed.append(f"after {case[0]} whole numbers {case[1]} is not read as written")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
