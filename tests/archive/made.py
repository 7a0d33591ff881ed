"""Archives made for tests: rows with vectors that the test knows, and no video."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archive.fingerprint import fingerprint_of
from archive.labels import words_hash
from archive.names import file_of
from archive.schema import Facts
from archive.shard import Shard, encoded
from pipeline.arrays import Array
from pipeline.result import ClipRecord, Label, Track

MODEL = "percept-mini@3"
LABELS = ("dog", "rain", "music")


def unit(vectors: Array) -> Array:
    """Vectors of length 1."""
    normed: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return normed


def stored_of(
    vectors: Mapping[str, Array],
    log_sum: float = 0.0,
    thumbnail: bytes = b"",
    features: Mapping[str, Array] | None = None,
) -> dict[str, Any]:
    """The part `stored` of a clip with these unit vectors, and features of any length."""
    return {
        "vectors": {
            name: {"values": vector.astype("<f2").tobytes(), "log_sum": log_sum} for name, vector in vectors.items()
        },
        "weights": {name: 0.5 for name in vectors if not name.startswith("fused")},
        "thumbnail": thumbnail,
        "features": {name: vector.astype("<f2").tobytes() for name, vector in (features or {}).items()},
    }


def clip_of(
    source: str,
    clip: int,
    vectors: Mapping[str, Array] | None = None,
    labels: Sequence[tuple[str, float]] = (),
    tracks: Sequence[Track] = (),
    clip_s: float = 2.0,
    thumbnail: bytes = b"",
    features: Mapping[str, Array] | None = None,
) -> ClipRecord:
    parts: dict[str, Any] = {"labels": [Label(name, share, share) for name, share in labels], "tracks": list(tracks)}
    if vectors is not None:
        parts["stored"] = stored_of(vectors, thumbnail=thumbnail, features=features)
    start_s = clip * clip_s
    return ClipRecord(
        source=source,
        epoch=0,
        clip=clip,
        start_s=start_s,
        end_s=start_s + clip_s,
        width=640,
        height=360,
        parts=parts,
        model=MODEL,
    )


def write_shard(
    folder: Path,
    name: str,
    records: Sequence[ClipRecord],
    container: Mapping[str, str] | None = None,
    columns: Mapping[str, int] | None = None,
    **facts: Any,
) -> Path:
    """One file of an archive. `name`: such as `videos/talk.mp4`. `facts`: of `Facts`, in place of those that fit."""
    shard = Shard(container or {})
    for record in records:
        shard.add(record)
    source = records[0].source if records else name
    given = {
        "source": source,
        "name": name,
        "fingerprint": fingerprint_of(source) if Path(source).is_file() else None,
        "config": "0" * 16,
        "model": MODEL,
        "labels": LABELS,
        "words": words_hash(LABELS),
        "dims": shard.dims,
        "features": shard.features,
        "clips": len(shard.rows),
        "labelled": shard.labelled,
        "failed": shard.failed,
        "seconds": shard.seconds,
        "made": "2026-01-01T00:00:00+00:00",
    }
    path = folder / file_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(shard.table(Facts(**(given | facts)), columns)))
    return path


def archive_with_features(folder: Path, seed: int = 0) -> dict[str, Array]:
    """A film and a sound whose clips have features. Returns those of sound as float16 "2 6", by source."""
    random = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for name, modalities in (("v/a.mp4", ("image", "audio")), ("v/b.wav", ("audio",))):
        given = [
            {
                each: (100 * random.standard_normal(24 if each == "image" else 6)).astype(np.float16)
                for each in modalities
            }
            for _ in range(2)
        ]
        records = [
            clip_of(
                f"/data/{name}",
                clip,
                {each: unit(random.standard_normal(16)) for each in modalities},
                features=features,
            )
            for clip, features in enumerate(given)
        ]
        write_shard(folder, name, records, config="f" * 16)
        made[name] = np.stack([features["audio"] for features in given])
    return made


def damage_rows(path: Path) -> None:
    """Make the rows of a file unreadable, and leave its footer."""
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    data[4 : -8 - footer] = bytes(byte ^ 0xA5 for byte in data[4 : -8 - footer])
    path.write_bytes(data)


def random_archive(folder: Path, sources: int = 3, clips: int = 5, size: int = 16, seed: int = 0) -> dict[str, Array]:
    """An archive of random vectors of picture and sound. Returns the picture's as float32 "clips size", by name."""
    random = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for number in range(sources):
        name = f"videos/{number // 10}/clip{number}.mp4"
        image, audio = (unit(random.standard_normal((clips, size))).astype(np.float32) for _ in range(2))
        records = [
            clip_of(f"/data/{name}", clip, {"image": image[clip], "audio": audio[clip]}, [("dog", 0.5)])
            for clip in range(clips)
        ]
        write_shard(folder, name, records)
        made[name] = image
    return made
