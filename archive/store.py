"""Where the files of an archive are."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.sinks.file import output_error

CLAIMS = ".percept/claims"


class Entry(NamedTuple):
    """A file of an archive."""

    name: str
    size: int
    mtime_ns: int


class Store(Protocol):
    def list(self) -> Iterator[Entry]: ...
    def open(self, name: str) -> Any: ...
    def put(self, name: str, data: bytes) -> None: ...
    def delete(self, name: str) -> None: ...
    def claim(self, key: str, text: str) -> bool: ...
    def touch(self, key: str) -> bool: ...
    def read_claim(self, key: str) -> tuple[str, float] | None: ...
    def release(self, key: str) -> None: ...
    def claims(self) -> Iterator[str]: ...


class LocalStore:
    """A folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    def list(self) -> Iterator[Entry]:
        waiting = [""]
        while waiting:
            here = waiting.pop()
            with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(self.root, here)) as entries:
                for entry in entries:
                    name = f"{here}/{entry.name}" if here else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        waiting.append(name)
                    elif name.endswith(".parquet"):
                        status = entry.stat()
                        yield Entry(name, status.st_size, status.st_mtime_ns)

    def open(self, name: str) -> Any:
        return open(Path(self.root, name), "rb")

    def put(self, name: str, data: bytes) -> None:
        path = Path(self.root, name)
        half = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
                half = file.name
                file.write(data)
            os.replace(half, path)
        except OSError as error:
            if half:
                Path(half).unlink(missing_ok=True)
            raise output_error(str(path), error) from error

    def delete(self, name: str) -> None:
        Path(self.root, name).unlink(missing_ok=True)

    def _claim(self, key: str) -> Path:
        return Path(self.root, CLAIMS, key)

    def claim(self, key: str, text: str) -> bool:
        path = self._claim(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
        except OSError as error:
            raise output_error(str(path), error) from error
        return True

    def touch(self, key: str) -> bool:
        try:
            os.utime(self._claim(key))
        except FileNotFoundError:
            return False
        return True

    def read_claim(self, key: str) -> tuple[str, float] | None:
        """Its text, and its age in seconds."""
        try:
            path = self._claim(key)
            return path.read_text(encoding="utf-8"), time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return None

    def release(self, key: str) -> None:
        self._claim(key).unlink(missing_ok=True)

    def claims(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from os.listdir(Path(self.root, CLAIMS))


def store_of(place: str) -> Store:
    return LocalStore(place)
