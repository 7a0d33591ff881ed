"""How long, and how much memory, do a search and new words need in a large archive?

    python -m benchmarks.archive_scale [--rows 10000000] [--in-memory 1000000] [--size 512] [--words 100] [--queries 20]

Run by hand: ten million rows of one modality need some 40 GB of disk for a while. The vectors are those of
`benchmarks.search_lancedb`. Each step is a new process; its peak is that of its resident memory, files mapped included.

    search      from an archive that no search has seen: the copy for searching, then one query, then the others
    relabel     all rows scored against new words, from the archive into another folder
    in memory   rows of one modality scored against the words, once their vectors are there: the products and the odds,
                and all that a row holds of them
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.search_lancedb import CLUSTERS, PER_FILE, write_file

STEPS = """
import json, resource, statistics, sys, time
from itertools import islice
import numpy as np
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
step, archive, size, count, rows = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
random = np.random.default_rng(2)

def units(number):
    found = random.standard_normal((number, size)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)

def words():
    near, background = units(count), units(614)
    side = LabelSide(near, background, scoring.competing(near, background), 0.1, 3.0)
    return LabelSet(tuple(f"word {number}" for number in range(count)), {"image": side})

def search():
    from archive.local_store import LocalStore
    from archive.search import cache
    from archive.search.rows import Rows
    from archive.search.scan import Scan
    from archive.search.vectors import VectorQuery
    began_s = time.perf_counter()
    folder = cache.place_of(archive)
    stored = Rows(folder, cache.update(LocalStore(archive), folder, {"image"}))
    yield "copy_s", time.perf_counter() - began_s
    took_s = []
    for query in units(count):
        began_s = time.perf_counter()
        list(islice(Scan(stored, VectorQuery({"image": query.astype(np.float64)})).best_first(), 10))
        took_s.append(time.perf_counter() - began_s)
    yield "first_s", took_s[0]
    yield "warm_s", statistics.median(took_s[1:])

def relabel():
    from archive import relabel as made
    from archive.local_store import LocalStore
    began_s = time.perf_counter()
    label_set = words()
    asked = made.Asked(label_set, label_set.labels, "made", 5)
    store, output = LocalStore(archive), LocalStore(archive + "-new")
    todo = made.plan(store, output, asked)
    failed = made.relabel(store, output, todo.names, asked, lambda *_: None)
    assert not failed, failed
    yield "clips", todo.clips
    yield "wall_s", time.perf_counter() - began_s

def memory():
    from archive.relabel_odds import BulkSide
    from archive.relabel_scores import BulkScorer, Embeddings
    label_set = words()
    vectors = np.concatenate([units(20_000).astype(np.float16) for _ in range(rows // 20_000)])
    log_sum, present = np.full(len(vectors), 6.4, np.float32), np.ones(len(vectors), bool)
    side, scorer = BulkSide(label_set.sides["image"]), BulkScorer(label_set, 5)
    weight, step = np.ones(len(vectors), np.float32), scorer.block_rows

    def scored():
        for first in range(0, len(vectors), step):
            here = slice(first, first + step)
            scorer.score({"image": Embeddings(vectors[here], log_sum[here], present[here])}, {"image": weight[here]})

    def compared():
        for first in range(0, len(vectors), step):
            side.compare(vectors[first : first + step], log_sum[first : first + step])

    for name, act in (("odds_s", compared), ("whole_rows_s", scored)):
        took_s = []
        for _ in range(4):
            began_s = time.perf_counter()
            act()
            took_s.append(time.perf_counter() - began_s)
        yield name, statistics.median(took_s[1:])

figures = dict({"search": search, "relabel": relabel, "memory": memory}[step]())
print(json.dumps(figures | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--in-memory", type=int, default=1_000_000, metavar="ROWS")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args()
    size, words = options.size, options.words
    figures: dict[str, Any] = {"rows": options.rows, "in_memory_rows": options.in_memory, "size": size, "words": words}
    figures["in_memory"] = done("memory", "", size, words, options.in_memory)
    with tempfile.TemporaryDirectory(prefix="percept-scale-") as name:
        archive = Path(name) / "labels"
        make(archive, options.rows, size)
        figures["search"] = done("search", str(archive), size, options.queries, options.rows)
        figures["relabel"] = done("relabel", str(archive), size, words, options.rows)
    report.write("archive_scale", figures)


def done(step: str, archive: str, size: int, count: int, rows: int) -> dict[str, float]:
    command = [sys.executable, "-c", STEPS, step, archive, *map(str, (size, count, rows))]
    found: dict[str, float] = json.loads(report.execute(command).stdout)
    print(f"{step}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)
    return found


def make(archive: Path, rows: int, size: int) -> None:
    random = np.random.default_rng(1)
    centres = random.standard_normal((CLUSTERS, size)).astype(np.float32)
    for first in range(0, rows, PER_FILE):
        part = min(PER_FILE, rows - first)
        near = centres[random.integers(CLUSTERS, size=part)] + random.standard_normal((part, size), np.float32)
        vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float16)
        write_file(archive / "made" / f"{first:09}.mp4.parquet", vectors, first)


if __name__ == "__main__":
    main()
