"""What was built, kept between runs: one directory per key, complete or not there at all.

<cache>/exports/<key>/network.onnx ...   a network as ONNX; the key is made of its weights and of who exported it
<cache>/engines/<key>/...                what a backend made of it; the key adds backend, versions, precision, device
<cache>/*/<key>/meta.json                sha-256 of the files, what the key was made of, the gate's outcome
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

from engines.models.network import sha256_of
from pipeline import machine
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

LOCK_WAIT_S = 3_600.0
LOCK_REPORT_S = 10.0


class Meta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands beside a built network."""

    key: str
    facts: dict[str, str]
    """What the key was made of, for people who look."""
    files: dict[str, str]
    """sha-256 of every file, by name."""
    outcome: dict[str, Any] = {}
    """What the builder says of it, such as the gate's report."""
    built_s: float = 0.0
    """Seconds it took."""


def key_of(facts: dict[str, str]) -> str:
    """The same facts give the same key, in any process and any order."""
    return hashlib.sha256(msgspec.json.encode(dict(sorted(facts.items())))).hexdigest()[:40]


Build = Callable[[Path], dict[str, Any] | None]
"""Writes its files into the directory it is given; what it returns becomes `Meta.outcome`."""


class Cache:
    """Entries of one kind: "exports" or "engines"."""

    def __init__(self, directory: str | Path = "", kind: str = "exports") -> None:
        self.directory = Path(directory or machine.cache_directory()) / kind

    def find(self, key: str) -> Path | None:
        """The directory of this key, every file checked against its sha-256, or None.

        What does not match is set aside, aloud, and counts as not there.
        """
        entry = self.directory / key
        if not entry.is_dir():
            return None
        if not _fault_of(entry, key):
            return entry
        try:  # it may just be replaced: only who holds the lock can tell
            with locked(self.directory / f"{key}.lock", wait_s=0):
                return self._find(key)
        except (ModelError, OSError):  # somebody builds it, or nothing can be written here
            return None

    def _find(self, key: str) -> Path | None:
        """`find` for who holds the lock."""
        entry = self.directory / key
        if not entry.is_dir():
            return None
        if fault := _fault_of(entry, key):
            log.warning("%s: %s; set aside, it will be built again", entry, fault)
            _set_aside(entry)
            return None
        return entry

    def get(self, key: str, facts: dict[str, str], build: Build) -> Path:
        """The directory of this key, built now if it is not there; one process builds, the others wait.

        Raises:
            ModelError: the cache cannot be written, or another process has been building for too long.
        """
        return self.find(key) or self.put(key, facts, build, replace=False)

    def put(self, key: str, facts: dict[str, str], build: Build, replace: bool = True) -> Path:
        """Build an entry; one that is there already is replaced, or else kept."""
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
        """Raises: ModelError: there is none."""
        try:
            return msgspec.json.decode((self.directory / key / "meta.json").read_bytes(), type=Meta)
        except (OSError, msgspec.DecodeError) as error:
            raise ModelError(f"{self.directory / key}: meta.json cannot be read ({error})") from error

    def note(self, key: str, outcome: dict[str, Any]) -> Meta:
        """Put another outcome on an entry that is there."""
        with locked(self.directory / f"{key}.lock"):
            meta = msgspec.structs.replace(self.meta(key), outcome=outcome)
            written = self.directory / key / "meta.json.new"
            written.write_bytes(msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
            os.replace(written, self.directory / key / "meta.json")
        return meta

    def entries(self) -> list[Meta]:
        """Of every complete entry, oldest first."""
        if not self.directory.is_dir():
            return []
        found = [
            entry for entry in self.directory.iterdir() if (entry / "meta.json").is_file() and "." not in entry.name
        ]
        return [self.meta(entry.name) for entry in sorted(found, key=lambda entry: entry.stat().st_mtime)]

    def fault(self, key: str) -> str:
        """What is wrong with an entry, every file read, or ""."""
        return _fault_of(self.directory / key, key)

    def size_bytes(self, key: str) -> int:
        return sum(path.stat().st_size for path in (self.directory / key).iterdir())

    def set_aside(self, key: str, meta: Meta | None = None) -> None:
        """Take an entry out of use; with `meta`, only if it is still that one."""
        with locked(self.directory / f"{key}.lock"):
            if meta is None or ((self.directory / key).is_dir() and self.meta(key) == meta):
                _set_aside(self.directory / key)

    def _build(self, key: str, facts: dict[str, str], build: Build) -> Path:
        for left_over in self.directory.glob(f"{key}.new-*"):  # of a builder that died; the lock says nobody is at it
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
            f"{what}: cannot be built: {error}. See that its files are there and the disk has room"
        ) from error


def _set_aside(entry: Path) -> None:
    for number in range(100):
        try:
            os.rename(entry, entry.with_name(f"{entry.name}.bad-{number}"))
        except FileNotFoundError:
            return  # another process was quicker
        except OSError:
            continue
        return
    raise ModelError(f"{entry}: cannot be set aside. Delete {entry.parent}")


def _fault_of(entry: Path, key: str) -> str:
    """What is wrong with a cache entry, or ""."""
    try:
        meta = msgspec.json.decode((entry / "meta.json").read_bytes(), type=Meta)
    except (OSError, msgspec.DecodeError) as error:
        return f"meta.json cannot be read ({error})"
    if meta.key != key:
        return f"meta.json is of key {meta.key}"
    for name, wanted in meta.files.items():
        path = entry / name
        if not path.is_file():
            return f"{name} is missing"
        if sha256_of(path) != wanted:
            return f"{name} is damaged"
    return ""


@contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """One process at a time; the kernel frees the lock when its holder dies.

    Raises:
        ModelError: the holder has it for too long.
    """
    with path.open("a") as file:
        _wait_for_lock(file, path, wait_s)
        yield


def _wait_for_lock(file: Any, path: Path, wait_s: float) -> None:
    begin = reported = time.monotonic()
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
        if now - reported > LOCK_REPORT_S:
            reported = now
            log.warning("waiting for another process that builds this network (%s, %.0f s)", path, now - begin)
        time.sleep(0.05)
