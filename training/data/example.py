"""Labelled media: one stretch of one file with its label, and a data set of them."""

import hashlib
import os
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError

EDGE_BYTES = 4096


class Example(msgspec.Struct, frozen=True):
    """A stretch of a file, and what is seen or heard in it."""

    path: str
    label: str
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the end of the file."""
    group: str = ""
    """What it was cut from: examples of one group are never split between training and held-out. "" stands alone."""

    @property
    def key(self) -> str:
        """Names this stretch of this file in a cache: changes when the file does, not when its data set is moved.

        Raises OSError where the file is not there.
        """
        path = Path(self.path)
        stat = path.stat()
        digest = hashlib.sha256(f"{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
        digest.update(f" {self.start_s} {self.end_s} ".encode())
        # names, sizes and dates of unpacked data sets are often all alike
        digest.update(edges(path, stat.st_size))
        return digest.hexdigest()[:32]


def counted(count: int, noun: str) -> str:
    """`1 label`, `1,200 labels`"""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def edges(path: Path, size_bytes: int) -> bytes:
    """The first and the last bytes of a file."""
    with path.open("rb") as file:
        head = file.read(EDGE_BYTES)
        file.seek(max(0, size_bytes - EDGE_BYTES), os.SEEK_SET)
        return head + file.read(EDGE_BYTES)


class Dataset(msgspec.Struct, frozen=True):
    """Examples whose files are there, in the order of their list or of their names."""

    name: str
    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    """All that are asked about, also those whose files are missing."""
    splits: dict[str, tuple[int, ...]] = {}
    """Published splits: name to indices of `examples`."""
    notes: tuple[str, ...] = ()
    """What a person should know: what the folder was taken for, what is missing or there twice."""
    layout: str = ""
    split: str = ""
    """The one these examples were taken from; "" where all were."""
    evaluated: str = ""
    """The split that published figures are about; "" where there is none."""

    def take(self, split: str) -> "Dataset":
        """The same with the examples of one split.

        Raises:
            ConfigError: there is no such split.
        """
        if split not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise ConfigError(f"--split {split}: {self.name} has no such split; expected one of: {known}")
        chosen = self.splits[split]
        place = {index: position for position, index in enumerate(chosen)}
        splits = {
            name: kept
            for name, indices in self.splits.items()
            if (kept := tuple(place[index] for index in indices if index in place))
        }
        examples = tuple(self.examples[index] for index in chosen)
        return msgspec.structs.replace(self, examples=examples, splits=splits)
