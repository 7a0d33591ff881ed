"""The cache of exports and engines between runs: one directory per key, either complete or absent.

<cache>/exports/<key>/network.onnx ...   a network as ONNX; the key covers its weights, code and exporter
<cache>/engines/<key>/...                what a backend built from it; the key adds backend, versions, precision, device
<cache>/*/<key>/meta.json                sha-256 of the files, the facts behind the key, the gate's outcome
<cache>/*/<key>.lock                     held while building; the kernel frees it if the holder dies
<cache>/*/<key>.bad-<n>                  set aside because it did not match its meta.json
"""

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from engines.models.digests import sha256_of
from pipeline import machine
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

LOCK_WAIT_S = 3_600.0
LOCK_REPORT_S = 10.0


class Meta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of an entry's `meta.json`."""

    key: str
    facts: dict[str, str]
    """The facts that the key is a hash of, for debugging."""
    files: dict[str, str]
    """sha-256 of every file, by name."""
    outcome: dict[str, Any] = {}
    """Returned by the builder, such as the gate's report."""
    built_s: float = 0.0
    """Seconds the build took."""


def key_of(facts: dict[str, str]) -> str:
    """Hash of the facts; independent of the process and of their order."""
    return hashlib.sha256(msgspec.json.encode(dict(sorted(facts.items())))).hexdigest()[:40]


Build = Callable[[Path], dict[str, Any] | None]
"""Writes its files into the given directory; its return value becomes `Meta.outcome`."""


class Cache:
    """Entries of one kind: "exports" or "engines"."""

    def __init__(self, directory: str | Path = "", kind: str = "exports") -> None:
        self._root = Path(directory or machine.cache_directory())
        self.directory = self._root / kind

    def find(self, key: str) -> Path | None:
        """The directory of this key, or None. Files that have changed since somebody looked must have their sha-256.

        A mismatched entry is set aside with a warning and treated as missing.
        """
        entry = self.directory / key
        if not entry.is_dir():
            return None
        if not _fault_of(entry, key, self._root):
            return entry
        try:  # another process may be replacing it: decide only while holding the lock
            with locked(self.directory / f"{key}.lock", wait_s=0):
                return self._find(key)
        except (ModelError, OSError):  # another process is building it, or the cache is not writable
            return None

    def _find(self, key: str) -> Path | None:
        """`find`, called while holding the lock."""
        entry = self.directory / key
        if not entry.is_dir():
            return None
        if fault := _fault_of(entry, key, self._root):
            log.warning("%s: %s; set aside, it will be rebuilt", entry, fault)
            _set_aside(entry)
            return None
        return entry

    def get(self, key: str, facts: dict[str, str], build: Build) -> Path:
        """The directory of this key, built first if it is missing; one process builds, the others wait.

        Raises:
            ModelError: the cache cannot be written, or another process has been building for too long.
        """
        return self.find(key) or self.put(key, facts, build, replace=False)

    def put(self, key: str, facts: dict[str, str], build: Build, replace: bool = True) -> Path:
        """Build an entry. An existing valid entry is replaced; with `replace` false it is kept and returned.

        Raises:
            ModelError: as `get`.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with locked(self.directory / f"{key}.lock"):
                return (None if replace else self._find(key)) or self._build(key, facts, build)
        except OSError as error:
            raise ModelError(
                f"{self.directory}: cannot be written: {error.strerror or error}; expected a folder to keep built "
                "networks in. Set PERCEPT_CACHE to one"
            ) from error

    def meta(self, key: str) -> Meta:
        """Raises: ModelError: `meta.json` is missing or cannot be read."""
        try:
            return msgspec.json.decode((self.directory / key / "meta.json").read_bytes(), type=Meta)
        except (OSError, msgspec.DecodeError) as error:
            raise ModelError(f"{self.directory / key}: meta.json cannot be read ({error})") from error

    def note(self, key: str, outcome: dict[str, Any]) -> Meta:
        """Replace the outcome of an existing entry."""
        with locked(self.directory / f"{key}.lock"):
            meta = msgspec.structs.replace(self.meta(key), outcome=outcome)
            written = self.directory / key / "meta.json.new"
            written.write_bytes(msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
            os.replace(written, self.directory / key / "meta.json")
        return meta

    def entries(self) -> list[Meta]:
        """`Meta` of every complete entry, oldest first."""
        if not self.directory.is_dir():
            return []
        found = [
            entry for entry in self.directory.iterdir() if (entry / "meta.json").is_file() and "." not in entry.name
        ]
        return [self.meta(entry.name) for entry in sorted(found, key=lambda entry: entry.stat().st_mtime)]

    def fault(self, key: str) -> str:
        """What is wrong with an entry, or ""; reads every file."""
        return _fault_of(self.directory / key, key, "")

    def size_bytes(self, key: str) -> int:
        return sum(path.stat().st_size for path in (self.directory / key).iterdir())

    def set_aside(self, key: str, meta: Meta | None = None) -> None:
        """Take an entry out of use; with `meta`, only if the entry still has this meta."""
        with locked(self.directory / f"{key}.lock"):
            if meta is None or ((self.directory / key).is_dir() and self.meta(key) == meta):
                _set_aside(self.directory / key)

    def _build(self, key: str, facts: dict[str, str], build: Build) -> Path:
        for left_over in self.directory.glob(f"{key}.new-*"):  # from a builder that died: we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
        old: Path | None = None
        started, began_s = Path(tempfile.mkdtemp(prefix=f"{key}.new-", dir=self.directory)), time.monotonic()
        try:
            outcome = _built(build, started, facts)
            files = {path.name: sha256_of(path) for path in sorted(started.iterdir())}
            meta = Meta(key, facts, files, outcome, round(time.monotonic() - began_s, 2))
            (started / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
            if (self.directory / key).exists():
                os.rename(self.directory / key, old := started.with_name(f"{started.name}.old"))
            os.rename(started, self.directory / key)
        finally:
            shutil.rmtree(started, ignore_errors=True)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        return self.directory / key


def _built(build: Build, into: Path, facts: dict[str, str]) -> dict[str, Any]:
    try:
        return build(into) or {}
    except OSError as error:
        what = facts.get("network", "the network")
        raise ModelError(
            f"{what}: cannot be built: {error}. Check that its files exist and that the disk has space"
        ) from error


def _set_aside(entry: Path) -> None:
    for number in range(100):
        try:
            os.rename(entry, entry.with_name(f"{entry.name}.bad-{number}"))
        except FileNotFoundError:
            return  # another process was faster
        except OSError:
            continue
        return
    raise ModelError(f"{entry}: cannot be set aside. Delete {entry.parent}")


def _fault_of(entry: Path, key: str, digests: Path | str) -> str:
    """What is wrong with a cache entry, or "". digests: the cache that has those of its files; "": all are read."""
    try:
        meta = msgspec.json.decode((entry / "meta.json").read_bytes(), type=Meta)
    except (OSError, msgspec.DecodeError) as error:
        return f"meta.json cannot be read ({error})"
    if meta.key != key:
        return f"meta.json belongs to key {meta.key}"
    for name, wanted in meta.files.items():
        path = entry / name
        if not path.is_file():
            return f"{name} is missing"
        if sha256_of(path, digests) != wanted:
            return f"{name} is damaged"
    return ""


@contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold an exclusive lock between processes; the kernel frees it if its holder dies.

    Raises:
        ModelError: another process held it for longer than `wait_s`.
    """
    with path.open("a") as file:
        _wait_for_lock(file, path, wait_s)
        yield


def _wait_for_lock(file: Any, path: Path, wait_s: float) -> None:
    begin, is_reported = time.monotonic(), False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            now = time.monotonic()
        if now - begin >= wait_s:
            raise ModelError(
                f"{path}: another process has been building this network for {wait_s:.0f} s. End it, or wait for it"
            )
        if now - begin > LOCK_REPORT_S and not is_reported:
            is_reported = True
            log.warning("waiting for another process that builds this network (%s)", path)
        time.sleep(0.05)
