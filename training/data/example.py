"""Labelled media: an example is one time range of a file with its label; a data set has many."""

import hashlib
import os
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError

EDGE_BYTES = 4096


class Example(msgspec.Struct, frozen=True):
    """A time range of a file, and the label of what is seen or heard in it."""

    path: str
    label: str
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the end of the file."""
    group: str = ""
    """The recording it was cut from, "" if unknown. A group is never divided between training and held-out."""

    @property
    def key(self) -> str:
        """Key of this time range of this file in a cache. It changes with the file, not when the data set is moved.

        Raises: OSError: the file does not exist.
        """
        path = Path(self.path)
        stat = path.stat()
        digest = hashlib.sha256(f"{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
        digest.update(f" {self.start_s} {self.end_s} ".encode())
        # in an unpacked data set, names, sizes and dates are often the same
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
    """Examples whose files exist, in the order of their list or of their names."""

    name: str
    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    """All labels to score, including those whose files are missing."""
    splits: dict[str, tuple[int, ...]] = {}
    """Published splits: name to indices of `examples`."""
    notes: tuple[str, ...] = ()
    """Remarks for the user: the detected layout, missing files, duplicates."""
    layout: str = ""
    split: str = ""
    """The split these examples are from; "" for all examples."""
    evaluated: str = ""
    """The split of published figures, "" if there is none."""

    def take(self, split: str) -> "Dataset":
        """The same with only the examples of one split.

        Raises:
            ConfigError: the split does not exist.
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
