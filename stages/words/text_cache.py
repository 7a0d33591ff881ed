"""Text vectors on disk, per text tower and prompt, so that words are encoded once and not in every run."""

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.models.model import ModelSpec
from pipeline.stage import RunSettings

CHUNK = 256
"""Prompts that are computed and written at a time."""
MOST_SHARDS = 64
"""With more files than this they are merged into one."""
FEW = 128
"""Up to this many prompts are encoded one by one: the others in a batch change a vector in the seventh digit."""
EDGE_BYTES = 65_536
SHIPPED = "text-vectors.npz"
"""An optional shard next to a model's text tower, so that its own words need not be encoded at the first start."""

UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile)
"""The errors that numpy and zipfile raise for a damaged file."""

log = logging.getLogger("percept.labels")

Vectors = NDArray[np.float32]
Report = Callable[[str], None]


class Tower(Protocol):
    """An open text tower."""

    def vectors(self, prompts: Sequence[str]) -> NDArray[Any]:
        """Unit vectors "N D" in the order of the prompts."""

    def close(self) -> None: ...


OpenTower = Callable[[ModelSpec, str, RunSettings], Tower]


def open_text_tower(spec: ModelSpec, space: str, run: RunSettings) -> Tower:
    """The model's own text tower. Costs seconds: torch is imported and weights are read."""
    from engines.models.text_tower import TextTower

    return TextTower(spec.texts[space], run)


def text_tower_key(spec: ModelSpec, space: str) -> str:
    """A key that changes with the text tower: from its description and the size, date, head and tail of its files."""
    text = spec.texts[space]
    digest = hashlib.sha256(msgspec.json.encode(text))
    directory = Path(spec.directory) / text.directory
    for file in sorted(directory.iterdir()) if directory.is_dir() else []:
        if file.is_file() and file.suffix in (".safetensors", ".json", ".txt", ".model"):
            stat = file.stat()
            digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}".encode())
            with file.open("rb") as opened:
                digest.update(opened.read(EDGE_BYTES))
                opened.seek(max(0, stat.st_size - EDGE_BYTES))
                digest.update(opened.read(EDGE_BYTES))
    return f"{space.replace(os.sep, '_')}-{digest.hexdigest()[:16]}"


class TextCache:
    """Vectors of prompts from one text tower, cached in a folder of shard files.

    A shard is an npz with `keys` (uint8 "N 16", head of the prompt's SHA-256) and `vectors` (float32 "N D"). Shards
    are written under a temporary name and renamed, never changed; processes may add to a folder at the same time. A
    shard that cannot be read is removed and its prompts are computed again.
    """

    def __init__(self, spec: ModelSpec, space: str, run: RunSettings, open_tower: OpenTower = open_text_tower) -> None:
        self.spec, self.space, self.run = spec, space, run
        self._open_tower = open_tower
        self._known: dict[bytes, Vectors] = {}
        self.folder: Path | None = None
        if run.cache_directory:
            self.folder = Path(run.cache_directory) / "text-vectors" / text_tower_key(spec, space)

    def vectors(self, prompts: list[str], report: Report) -> Vectors:
        """float32 "N D" in the order of the prompts, unit length, not centred."""
        keys = [_key(prompt) for prompt in prompts]
        for more in (self._shipped, self._read):  # a large folder is not read for words that the model ships
            if all(key in self._known for key in keys):
                break
            self._known.update(more())
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._known}
        if missing:
            self._known.update(self._compute(missing, report))
        return np.stack([self._known[key] for key in keys])

    def _compute(self, missing: dict[bytes, str], report: Report) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        names = list(missing)
        tower = self._open_tower(self.spec, self.space, self.run)
        try:
            for start in range(0, len(names), CHUNK):
                chunk = names[start : start + CHUNK]
                prompts = [missing[key] for key in chunk]
                parts = [[prompt] for prompt in prompts] if len(names) <= FEW else [prompts]
                vectors = np.concatenate([tower.vectors(part) for part in parts]).astype(np.float32)
                found.update(zip(chunk, vectors, strict=True))
                self._write(chunk, vectors)
                report(f"encoding words: {start + len(chunk):,} of {len(names):,}")
        finally:
            tower.close()
        return found

    def _read(self) -> dict[bytes, Vectors]:
        known: dict[bytes, Vectors] = {}
        if self.folder is None or not self.folder.is_dir():
            return known
        shards = sorted(self.folder.glob("*.npz"))
        for shard in shards:
            try:
                known.update(_load(shard, self.spec.texts[self.space].dim))
            except FileNotFoundError:
                continue  # another process has just merged it
            except UNREADABLE as error:
                log.info("%s cannot be read (%s); its words are encoded again", shard, error)
                shard.unlink(missing_ok=True)
        if len(shards) > MOST_SHARDS:
            self._write(list(known), np.stack(list(known.values())))
            for shard in shards:
                shard.unlink(missing_ok=True)
        return known

    def _shipped(self) -> dict[bytes, Vectors]:
        text = self.spec.texts[self.space]
        shard = Path(self.spec.directory) / text.directory / SHIPPED
        try:
            return _load(shard, text.dim)
        except FileNotFoundError:
            return {}
        except UNREADABLE as error:
            log.warning("%s cannot be read (%s); the text tower encodes its words", shard, error)
            return {}

    def _write(self, keys: list[bytes], vectors: Vectors) -> None:
        if self.folder is None or not keys:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:24]
        half = self.folder / f"{name}.{os.getpid()}.part"
        with half.open("wb") as file:
            packed = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
            np.savez(file, keys=packed, vectors=vectors)
        half.replace(self.folder / f"{name}.npz")


def _key(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode()).digest()[:16]


def _load(shard: Path, dim: int) -> dict[bytes, Vectors]:
    """The vectors of a shard by key. Raises one of `UNREADABLE` if it is damaged."""
    with shard.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        keys, vectors = arrays["keys"], arrays["vectors"]
    if keys.dtype != np.uint8 or keys.ndim != 2 or vectors.shape != (len(keys), dim) or not np.isfinite(vectors).all():
        raise ValueError(f"{shard}: keys {keys.shape}, vectors {vectors.shape}; expected (N, 16) and (N, {dim})")
    return dict(zip((key.tobytes() for key in keys), vectors.astype(np.float32), strict=True))
