"""Archives with known vectors, and label sets, for tests of the search."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from archive.local_store import LocalStore
from archive.search.cache import update
from archive.search.rows import Rows
from pipeline.arrays import Array
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
from stages.words.scoring import competing, log_sum
from tests.archive.made import clip_of, unit, write_shard

SIZE = 16
TEMPERATURE = 0.1


def random_units(seed: int, *shape: int) -> Array:
    """Unit vectors, rounded as an archive stores them."""
    return unit(np.random.default_rng(seed).standard_normal(shape)).astype(np.float16)


def side(seed: int = 0, labels: int = 2, words: int = 30) -> LabelSide:
    """The first label has background words near it, and two synonyms if there are two labels."""
    background = random_units(seed, words, SIZE).astype(np.float64)
    vectors = unit(random_units(seed + 100, labels + 1, SIZE).astype(np.float64))
    vectors[0] = unit(background[0] + 0.3 * vectors[0])
    kept = competing(vectors, background)
    starts = np.array([0, 2]) if labels == 2 else None
    kept = np.minimum.reduceat(kept, starts, axis=0) if starts is not None else kept[:labels]
    return LabelSide(vectors if labels == 2 else vectors[:labels], background, kept, TEMPERATURE, 0.4, starts)


def label_set(names: tuple[str, ...] = ("image", "audio"), labels: int = 2, head: bool = False) -> LabelSet:
    share = np.array([0.35, 0.65])[:labels] if head else None
    sides = {name: side(10 * place, labels) for place, name in enumerate(names)}
    return LabelSet(("dog", "people")[:labels], sides, head_share=share)


def write_source(
    folder: Path,
    name: str,
    vectors: Mapping[str, Array],
    sides: Mapping[str, LabelSide] | None = None,
    weights: Mapping[str, Array] | None = None,
    **facts: object,
) -> Path:
    """One file. vectors: "N D" by name; rows of zeros are absent ones."""
    records = []
    for clip in range(len(next(iter(vectors.values())))):
        own = {key: values[clip] for key, values in vectors.items() if values[clip].any()}
        record = clip_of(f"/data/{name}", clip, own, [("dog", 0.5)], thumbnail=b"\xff\xd8jpeg")
        stored = record.parts["stored"]
        for key, vector in own.items():
            if sides is not None:
                of = sides[key.removeprefix("fused_")]
                sums = log_sum(vector.astype(np.float64)[None] @ of.background.T, of.temperature)
                stored["vectors"][key]["log_sum"] = float(sums[0])
        if weights is not None:
            stored["weights"] = {key: float(values[clip]) for key, values in weights.items()}
        records.append(msgspec.structs.replace(record, parts=record.parts | {"stored": stored}))
    return write_shard(folder, name, records, **facts)


def opened(folder: Path, *vectors: str) -> Rows:
    """The rows of an archive, brought up to date."""
    place = folder / ".percept" / "search"
    place.mkdir(parents=True, exist_ok=True)
    return Rows(place, update(LocalStore(str(folder)), place, vectors))
