"""How fast is an exact search compared with LanceDB's flat scan, over the same vectors, and does it find the same?

    python -m benchmarks.search_lancedb [--rows 1000000] [--size 512] [--queries 20] [--rounds 3] [--float32]

Run by hand: it installs LanceDB (450 MB) into a virtual environment of its own, which is removed at the end, and needs
some 8 GB of disk for a million rows. The vectors are clustered, of unit length, in 16-bit floats; `--float32` gives
LanceDB 32-bit ones. Sides take turns, each in a new process:

    cold    from the start of a query, with the archive or table closed, to its ten hits; imports are not counted
    warm    the median of the queries after it
    recall  of the ten best by a full computation in 64-bit floats
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from archive.schema import Facts, schema_of
from archive.shard import encoded, metadata_of
from benchmarks import report
from pipeline.arrays import Array

TOP = 10
PER_FILE = 20_000
CLUSTERS = 1000
LANCE = """
import json, sys, time
import lancedb, numpy as np, pyarrow as pa
step, folder, vectors, queries = sys.argv[1:5]
if step == "ingest":
    values = np.load(vectors, mmap_mode="r").astype(np.float32 if sys.argv[5] == "float32" else np.float16)
    kind = pa.float32() if sys.argv[5] == "float32" else pa.float16()
    def batches():
        for first in range(0, len(values), 50_000):
            part = values[first:first + 50_000]
            column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1), kind), part.shape[1])
            yield pa.record_batch([pa.array(range(first, first + len(part))), column], names=["row", "vector"])
    schema = pa.schema([("row", pa.int64()), ("vector", pa.list_(kind, values.shape[1]))])
    lancedb.connect(folder).create_table("clips", batches(), schema=schema)
else:
    found, took_s = [], []
    began_s = time.perf_counter()
    table = lancedb.connect(folder).open_table("clips")
    for query in np.load(queries):
        hits = table.search(query.astype(np.float32)).distance_type("dot").limit(10).select(["row"]).to_arrow()
        took_s.append(time.perf_counter() - began_s)
        found.append(hits["row"].to_pylist())
        began_s = time.perf_counter()
    print(json.dumps({"found": found, "took_s": took_s}))
"""
OURS = """
import json, sys, time
from itertools import islice
import numpy as np, torch
from archive.search import cache
from archive.search.rows import Rows
from archive.search.scan import Scan
from archive.local_store import LocalStore
from archive.search.vectors import VectorQuery
step, archive, queries = sys.argv[1:4]
if step == "ingest":
    cache.update(LocalStore(str(archive)), cache.place_of(archive), {"image"})
else:
    found, took_s = [], []
    began_s = time.perf_counter()
    folder = cache.place_of(archive)
    rows = Rows(folder, cache.update(LocalStore(str(archive)), folder, {"image"}))
    for query in np.load(queries):
        scan = Scan(rows, VectorQuery({"image": query.astype(np.float64)}))
        hits = [row for row, _ in islice(scan.best_first(), 10)]
        took_s.append(time.perf_counter() - began_s)
        found.append(hits)
        began_s = time.perf_counter()
    print(json.dumps({"found": found, "took_s": took_s}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--python", help="a Python that has LanceDB; none is installed then")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="percept-lance-") as name:
        folder = Path(name)
        python = options.python or install(folder / "venv")
        vectors, queries = made(folder, options.rows, options.size, options.queries)
        figures = compare(folder, python, vectors, queries, "float32" if options.float32 else "float16", options.rounds)
    report.write("search_lancedb", {"rows": options.rows, "size": options.size, **figures})


def install(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "lancedb", "numpy", "pyarrow"], check=True)
    return python


def made(folder: Path, rows: int, size: int, count: int) -> tuple[Path, Path]:
    """Vectors in clusters, queries near some of them, and an archive of these vectors."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((CLUSTERS, size)).astype(np.float32)
    path, queries = folder / "vectors.npy", folder / "queries.npy"
    values = np.lib.format.open_memmap(path, "w+", np.float16, (rows, size))
    for first in range(0, rows, PER_FILE):
        part = min(PER_FILE, rows - first)
        near = centres[random.integers(CLUSTERS, size=part)] + random.standard_normal((part, size), np.float32)
        values[first : first + part] = near / np.linalg.norm(near, axis=1, keepdims=True)
        write_file(folder / "labels" / "made" / f"{first:09}.mp4.parquet", values[first : first + part], first)
    values.flush()
    asked = values[random.integers(rows, size=count)].astype(np.float32)
    asked += 0.5 * random.standard_normal(asked.shape, np.float32) / np.sqrt(size)
    np.save(queries, asked / np.linalg.norm(asked, axis=1, keepdims=True))
    return path, queries


def write_file(path: Path, vectors: Array, first: int) -> None:
    """A file of an archive that has these vectors, and nothing else to say."""
    count, size = vectors.shape
    name = f"made/{first:09}.mp4"
    schema = schema_of({"image": size})
    columns: dict[str, Any] = {
        "source": pyarrow.array([name] * count),
        "clip": pyarrow.array(range(count), pyarrow.int64()),
        "start_s": pyarrow.array(np.arange(count) * 2.0),
        "end_s": pyarrow.array(np.arange(count) * 2.0 + 2.0),
        "image_vector": pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(vectors.reshape(-1), pyarrow.float16()), size
        ),
        "image_log_sum": pyarrow.array(np.zeros(count, np.float32)),
        "image_weight": pyarrow.array(np.ones(count, np.float32)),
    }
    facts = Facts(source=name, name=name, model="made", dims={"image": size}, clips=count, labelled=count)
    filled = [columns[field.name].cast(field.type) if field.name in columns else pyarrow.nulls(count, field.type)
              for field in schema]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pyarrow.table(filled, schema=schema.with_metadata(metadata_of(facts)))))


def compare(folder: Path, python: str, vectors: Path, queries: Path, kind: str, rounds: int) -> dict[str, Any]:
    archive, table = str(folder / "labels"), str(folder / "lance")
    lance, ours = [python, "-c", LANCE], [sys.executable, "-c", OURS]
    built = {
        "ours": report.execute([*ours, "ingest", archive, str(queries)]).seconds,
        "lancedb": report.execute([*lance, "ingest", table, str(vectors), str(queries), kind]).seconds,
    }
    sides = {
        "ours": [*ours, "search", archive, str(queries)],
        "lancedb": [*lance, "search", table, str(vectors), str(queries)],
    }
    truth = best(vectors, np.load(queries))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            answer = json.loads(report.execute(sides[name]).stdout)
            found[name].append(figures_of(answer, truth))
            print(f"  round {number + 1}: {name}: {found[name][-1]}", file=sys.stderr)
    return summary(found, built)


def best(vectors: Path, queries: Array) -> list[set[int]]:
    """The rows of the ten highest products, computed in 64-bit floats."""
    values = np.load(vectors, mmap_mode="r")
    scores = np.concatenate(
        [
            queries.astype(np.float64) @ values[first : first + PER_FILE].astype(np.float64).T
            for first in range(0, len(values), PER_FILE)
        ],
        axis=1,
    )
    return [set(np.argsort(-each)[:TOP].tolist()) for each in scores]


def figures_of(answer: dict[str, Any], truth: list[set[int]]) -> dict[str, float]:
    shares = [len(set(found) & true) / TOP for found, true in zip(answer["found"], truth, strict=True)]
    return {
        "cold_s": answer["took_s"][0],
        "warm_s": statistics.median(answer["took_s"][1:]),
        "recall": statistics.mean(shares),
    }


def summary(found: dict[str, list[dict[str, float]]], built: dict[str, float]) -> dict[str, Any]:
    figures: dict[str, Any] = {"built_s": built}
    for name, each in found.items():
        figures[name] = {key: report.min_median_max([one[key] for one in each]) for key in each[0]}
        print(f"{name}: " + ", ".join(f"{key} {value['median']:.4f}" for key, value in figures[name].items()))
    for key in ("cold_s", "warm_s"):
        ratio = report.ratios([one[key] for one in found["lancedb"]], [one[key] for one in found["ours"]])
        figures[f"{key}_ratio"] = ratio
        print(f"LanceDB's {key} / ours: {ratio['median']:.2f}")
    return figures


if __name__ == "__main__":
    main()
