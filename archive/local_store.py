"""An archive in a folder, which may be on a file server that several machines use."""

import builtins
import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from archive.entries import CLAIMS, OWN, PART, Entry, StoreError, is_shard, parts_of
from archive.local_claims import LOCK, LocalClaims
from pipeline.sinks.file import output_error, printable


class LocalStore(LocalClaims):
    """A file is written under a name of its own, brought to the disk, and renamed."""

    def __init__(self, where: str) -> None:
        super().__init__(Path(where, CLAIMS))
        self.where = where
        self._root = Path(where)

    def list(self) -> Iterator[Entry]:
        seen = set[tuple[int, int]]()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                shards, folders = self._in_folder(below, seen)
            except FileNotFoundError:
                continue
            except OSError as error:
                text = f"{printable(str(self._root / below))}: the folder cannot be read ({error.strerror})"
                raise StoreError(text) from error
            yield from shards
            waiting += reversed(folders)

    def _in_folder(self, below: str, seen: set[tuple[int, int]]) -> tuple[builtins.list[Entry], builtins.list[str]]:
        """The shards and the folders in one folder. Links are followed, and each folder is looked at once."""
        status = os.stat(self._root / below)
        if (status.st_dev, status.st_ino) in seen:
            return [], []
        seen.add((status.st_dev, status.st_ino))
        shards, folders = [], []
        with os.scandir(self._root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_folder(entry) and not entry.name.startswith("."):
                    folders.append(f"{below}{entry.name}/")
                elif is_shard(entry.name):
                    with contextlib.suppress(OSError):  # deleted meanwhile, or a link to nowhere
                        facts = entry.stat()
                        shards.append(Entry(below + entry.name, facts.st_size, facts.st_mtime_ns))
        return shards, folders

    def open(self, name: str) -> BinaryIO:
        return open(self._path(name), "rb")

    def put(self, name: str, data: bytes) -> None:
        with self.sink(name) as file:
            file.write(data)

    @contextlib.contextmanager
    def sink(self, name: str) -> Iterator[BinaryIO]:
        path = self._path(name)
        half = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(half, "xb") as file:
                    yield file
                    sync(file)
                half.replace(path)
            except BaseException:
                half.unlink(missing_ok=True)
                raise
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(str(output_error(printable(str(path)), error))) from error

    def delete(self, name: str) -> None:
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot delete {printable(str(path))}: {error.strerror}") from error

    def tidy(self, age_s: float) -> int:
        removed = 0
        try:
            for path in self._left_behind():
                with contextlib.suppress(FileNotFoundError):
                    if self.now_s() - path.stat().st_mtime > age_s:
                        path.unlink()
                        removed += 1
        except OSError as error:
            raise StoreError(f"cannot tidy {printable(self.where)}: {error.strerror}") from error
        return removed

    def _left_behind(self) -> Iterator[Path]:
        """Claims, and files that were not or are not yet renamed."""
        for folder, below, names in os.walk(self._root):
            here = Path(folder)
            below[:] = [name for name in below if not name.startswith(".") or name == OWN]
            is_claims = here == self.folder
            yield from (here / name for name in names if name.endswith(PART) or (is_claims and name != LOCK))

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*parts_of(name))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """A link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def sync(file: BinaryIO) -> None:
    """Have a file that was written to its end on the disk. Raises: OSError, also if it has another size there."""
    written = file.tell()
    file.flush()
    os.fsync(file.fileno())
    size = os.fstat(file.fileno()).st_size
    if size != written:
        raise OSError(errno.EIO, f"{size} bytes of {written} were written")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
