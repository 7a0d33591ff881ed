"""Lists the entries of the cache of exports and engines, with the facts shown to users, and removes entries."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from engines.backends.backend import Order
from engines.backends.table import Candidate, Settings, backend
from engines.building import building
from engines.building.building import EngineRecord, record_of
from engines.cache.cache import Cache, Meta, key_of
from engines.gate.gate import GateReport
from engines.models.checkpoint import read_model
from engines.models.detector import detector_tower
from engines.models.fusion import exchange_tower, exchanges
from pipeline import machine
from pipeline.errors import ModelError

KINDS = ("engines", "exports")
EARLIER = "networks"
"""Where earlier versions kept exported networks."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the cache."""

    kind: Literal["engine", "export", "left over"]
    path: str
    key: str = ""
    network: str = ""
    directory: str = ""
    """Directory of the model's files; empty for an export, which does not store it."""
    name: str = ""
    """Backend and precision of an engine, precision of an export, or a description of a left-over."""
    device: str = ""
    size_bytes: int
    built_at_s: float
    """Seconds since 1970."""
    built_s: float = 0.0
    gate: GateReport | None = None
    export: str = ""
    """Key of the export that an engine was built from."""
    useless: str = ""
    """Why nothing can use the entry any more; "" if something can."""

    @property
    def failed(self) -> bool:
        if self.gate is None:
            return self.kind == "left over"
        return not (self.gate.passed or self.gate.is_pending)

    @property
    def title(self) -> str:
        return " ".join(filter(None, (self.network, self.name, self.device, self.kind))).strip()


def entries(cache_directory: str = "") -> list[Entry]:
    """Engines, exports, and left-overs of both; each kind oldest first. Reads the models' files to compute keys."""
    root = Path(cache_directory or machine.cache_directory())
    engines = list(_engines(root))
    return [*engines, *_exports(root, {entry.export for entry in engines if not entry.useless}), *_left_over(root)]


def order_of(record: EngineRecord, cache_directory: str, threads: int = 1) -> tuple[Order, Candidate]:
    """The order that the recorded engine was built for.

    Raises:
        ModelError: its model no longer exists, or its network is unknown.
    """
    if not Path(record.directory).is_dir():
        raise ModelError(f"its model is gone: {record.directory}")
    name, _, precision = record.name.partition("-")
    candidate = Candidate(name, precision, record.device)
    run = Settings(name, precision, record.device, threads, cache_directory)
    return building.order_of(record.network, record.directory, candidate, run), candidate


def networks_of(model: str, audio_model: str = "") -> set[tuple[str, str]]:
    """(network, directory) of every tower of a model, including text towers, the detector and the fusion head.

    Raises:
        ModelError: there is no such model.
    """
    spec = read_model(model, audio_model)
    heads = [exchange_tower(spec, other) for other in exchanges(spec)]
    detector = detector_tower(spec)
    heads += [detector] if detector is not None else []
    towers = {(tower.network, tower.directory) for tower in (*spec.towers().values(), *heads)}
    return towers | {(text.network, text.directory) for text in spec.texts.values()}


def keys(cache: Cache) -> list[str]:
    """Keys of all entries, valid or not, oldest first."""
    if not cache.directory.is_dir():
        return []
    found = [path for path in cache.directory.iterdir() if path.is_dir() and "." not in path.name]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def remove(entry: Entry) -> bool:
    """Delete an entry and return True; return False if a process is building it."""
    path = Path(entry.path)
    if not entry.key:
        shutil.rmtree(path, ignore_errors=True)
        return True
    with (path.parent / f"{entry.key}.lock").open("a") as lock:
        if not _take(lock.fileno()):
            return False
        shutil.rmtree(path, ignore_errors=True)
    return True


def is_building(cache_directory: str = "") -> bool:
    """Whether any process is building an engine, and may be about to read an export that nothing else uses."""
    root = Path(cache_directory or machine.cache_directory())
    for path in (root / "engines").glob("*.lock"):
        with path.open("a") as lock:
            if not _take(lock.fileno()):
                return True
    return False


def _engines(root: Path) -> Iterator[Entry]:
    cache = Cache(root, "engines")
    for key, meta in _metas(cache):
        entry = _sized("engine", cache.directory / key, key)
        try:
            if meta is None:
                raise ModelError("meta.json cannot be read")
            record = record_of(meta)
        except ModelError as error:
            yield msgspec.structs.replace(entry, useless=str(error))
            continue
        yield msgspec.structs.replace(
            entry,
            network=record.network,
            directory=record.directory,
            name=record.name,
            device=record.device,
            built_s=meta.built_s,
            gate=record.gate,
            export=meta.facts.get("export", ""),
            useless=_why_useless(key, record, str(root)),
        )


def _why_useless(key: str, record: EngineRecord, cache_directory: str) -> str:
    try:
        order, candidate = order_of(record, cache_directory)
        chosen = backend(candidate.backend)
        if chosen.missing(record.device):
            return ""  # the backend may be installed again
        current = key_of(building.engine_facts(order, chosen))
    except (ModelError, ImportError, OSError, ValueError) as error:
        return str(error)
    return "" if current == key else "made with other versions, or the model has changed"


def _exports(root: Path, used: set[str]) -> Iterator[Entry]:
    cache = Cache(root, "exports")
    for key, meta in _metas(cache):
        entry = _sized("export", cache.directory / key, key)
        if meta is None:
            yield msgspec.structs.replace(entry, useless="meta.json cannot be read")
            continue
        yield msgspec.structs.replace(
            entry,
            network=meta.facts.get("network", ""),
            name=meta.facts.get("precision", ""),
            built_s=meta.built_s,
            useless="" if key in used else "no engine uses it",
        )


def _left_over(root: Path) -> Iterator[Entry]:
    for kind in KINDS:
        folder = root / kind
        for path in sorted(folder.glob("*.bad-*")):
            yield msgspec.structs.replace(_sized("left over", path), name="set aside", useless="it was damaged")
        for path in sorted(folder.glob("*.new-*")):
            key = path.name.partition(".")[0]
            what = {"name": "unfinished", "useless": "its builder died"}
            yield msgspec.structs.replace(_sized("left over", path, key), **what)
    if (root / EARLIER).is_dir():
        what = {"name": "of earlier versions", "useless": "from an earlier version"}
        yield msgspec.structs.replace(_sized("left over", root / EARLIER), **what)


def _metas(cache: Cache) -> Iterator[tuple[str, Meta | None]]:
    """Every entry, oldest first; None as its meta if that cannot be read."""
    for key in keys(cache):
        try:
            yield key, cache.meta(key)
        except ModelError:
            yield key, None


def _sized(kind: Literal["engine", "export", "left over"], path: Path, key: str = "") -> Entry:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Entry(kind=kind, path=str(path), key=key, size_bytes=size, built_at_s=path.stat().st_mtime)


def _take(descriptor: int) -> bool:
    """Try to take the lock; return whether it was free. It is held until the file is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
