#!/usr/bin/env bash
# In Polars the sum of 16-bit floats per group is too small by any factor, and another one at every run.
#
# `Series.sum()` of 5000 ones in Float16 is 5000. `group_by(...).agg(pl.col(...).sum())` of the same column adds in
# 16 bits, where 2048 + 1 is 2048: with one thread the total is 2048. With more threads each adds a share of the rows,
# and the shares differ from run to run: 2048, 2672, 4096, ... `.arr.sum()` and `.list.sum()` stop at 2048, too. There
# is no warning, and no overflow. Means per group are right, and small integers are widened for sums (Int8 to Int64).
#
# One would guess that a sum per group is the sum of the group, as with every other type, and that the same call on the
# same data gives the same total, at least up to the last digit.
#
# It matters for embeddings and scores, which are stored as halves to save space: Parquet's Float16 arrives as Float16.
# Totals per label, source or day are wrong once a group has some thousand rows. The remedy is a cast before the sum:
# `pl.col("score").cast(pl.Float32).sum()`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check polars==2.1.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import os
import subprocess
import sys
from importlib.metadata import version

ROWS = 5000
STOP = 2048  # 2048 + 1 is 2048 in 16 bits
RUNS = 40

CHILD = f"""
import polars as pl

scores = pl.Series([1.0] * {ROWS}, dtype=pl.Float16)
frame = pl.DataFrame({{"label": ["dog"] * {ROWS}, "score": scores}})
row = pl.DataFrame({{"score": pl.Series([[1.0] * {ROWS}], dtype=pl.Array(pl.Float16, {ROWS}))}})


def grouped(expression):
    return frame.group_by("label").agg(expression)["score"].item()


score = pl.col("score")
print(int(scores.sum()))
print(int(row.select(score.arr.sum()).item()))
print(int(grouped(score.mean()) * {ROWS}))
print(int(grouped(score.cast(pl.Float32).sum())))
print(*sorted({{int(grouped(score.sum())) for _ in range({RUNS})}}))
"""


def totals(threads):
    """The totals by each of the ways, in a process with so many threads."""
    environment = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True)
    ways = ("Series.sum()", "arr.sum()", "group_by, mean() * rows", "group_by, cast, sum()", "group_by, sum()")
    lines = child.stdout.splitlines()
    return {way: [int(word) for word in line.split()] for way, line in zip(ways, lines, strict=True)}


print("Versions")
print(f"  polars {version('polars')}")
print(f"Expected: the sum of {ROWS} ones is {ROWS}, in every way, at every run.")
print("Seen:")
changed = []
for threads in (1, 8):
    seen = totals(threads)
    for way, values in seen.items():
        runs = f"in {RUNS} runs" if way == "group_by, sum()" else ""
        print(f"  threads {threads}, {way:24}: {', '.join(map(str, values))} {runs}")
    if any(seen[way] != [ROWS] for way in ("Series.sum()", "group_by, mean() * rows", "group_by, cast, sum()")):
        changed.append("other ways give a wrong total")
    if seen["arr.sum()"] != [STOP]:
        changed.append("arr.sum() does not stop")
    if threads == 1 and seen["group_by, sum()"] != [STOP]:
        changed.append("the sum of a group does not stop with one thread")
    if threads > 1 and seen["group_by, sum()"] == [ROWS]:
        changed.append("the sum of a group is right with several threads")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
