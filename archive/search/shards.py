"""The files of an archive in a local folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from archive.names import SUFFIX


@dataclass(frozen=True)
class Entry:
    name: str
    size: int
    mtime_ns: int


class Shards(Protocol):
    """Where the files of an archive are: the part of a store that a search needs."""

    def list(self) -> Iterator[Entry]: ...

    def open(self, name: str) -> Any: ...


class Folder:
    """An archive on a disk. `name`: relative to its folder, with `/`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def list(self) -> Iterator[Entry]:
        """Everything but what begins with a dot, in no order."""
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            with os.scandir(self.path / inside) as entries:
                for entry in entries:
                    name = f"{inside}{entry.name}"
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        waiting.append(f"{name}/")
                    elif name.endswith(SUFFIX):
                        facts = entry.stat()
                        yield Entry(name, facts.st_size, facts.st_mtime_ns)

    def open(self, name: str) -> Any:
        return (self.path / name).open("rb")
