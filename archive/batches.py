"""Sources in batches: what one child process labels before another takes its place."""

import json
from collections.abc import Iterator, Sequence
from math import ceil

import msgspec

from pipeline.errors import ConfigError

MOST_SOURCES = 50
MOST_BYTES = 1 << 30
"""Some ten minutes of work for four cores: short beside a run, long beside the start of a child."""
LEAST_BYTES = 128 << 20
"""Batches are not made smaller than this to have more of them: a child takes seconds to start."""
BATCHES_PER_SLOT = 4
"""If there is enough to do, so that the last batch of a run keeps the others waiting for a small part of it only."""


class Task(msgspec.Struct, frozen=True):
    """One source."""

    source: str
    name: str
    """In the archive."""
    bytes: int = 0
    """Its size; 0 if unknown."""


class Batch(msgspec.Struct, frozen=True):
    """Sources for one child process."""

    tasks: tuple[Task, ...]
    deaths: int = 0
    """How many children died on its only source."""

    @property
    def bytes(self) -> int:
        return sum(task.bytes for task in self.tasks)


def batches_of(tasks: Sequence[Task], slots: int) -> list[Batch]:
    """Neighbours together, the largest batches first. slots: children at a time, as far as is known."""
    slots, size = max(1, slots), sum(task.bytes for task in tasks)
    shares = slots * min(BATCHES_PER_SLOT, max(1, size // slots // LEAST_BYTES))
    most = min(MOST_SOURCES, ceil(len(tasks) / shares))
    most_bytes = min(MOST_BYTES, ceil(size / shares))
    return sorted(_filled(tasks, most, most_bytes), key=lambda batch: -batch.bytes)


def _filled(tasks: Sequence[Task], most: int, most_bytes: int) -> Iterator[Batch]:
    together: list[Task] = []
    size = 0
    for task in tasks:
        if together and (len(together) >= most or size + task.bytes > most_bytes):
            yield Batch(tuple(together))
            together, size = [], 0
        together.append(task)
        size += task.bytes
    if together:
        yield Batch(tuple(together))


def again(batch: Batch, left: Sequence[Task]) -> list[Batch]:
    """What is tried next after a child died and left these sources.

    If it had finished others, they are one batch as before: something from outside may have ended it. If not, they are
    halved, so that a source that kills its child is soon alone.
    """
    if len(left) < len(batch.tasks):
        return [Batch(tuple(left))] if left else []
    if len(left) == 1:
        return [Batch(tuple(left), batch.deaths + 1)]
    middle = len(left) // 2
    return [Batch(tuple(part)) for part in (left[:middle], left[middle:])]


def order_of(batch: Batch, config: str, words: str) -> bytes:
    """What a child reads on its stdin. config, words: the hashes that it must have too."""
    sources = [(task.source, task.name) for task in batch.tasks]
    return json.dumps({"sources": sources, "config": config, "words": words}).encode()


def read_order(text: bytes, config: str, words: str) -> dict[str, str]:
    """The sources of an order, each with its name in the archive.

    Raises: ConfigError: this machine would label them differently, or it is none.
    """
    try:
        order = json.loads(text)
        sources = dict(order["sources"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--order: stdin has no batch of sources ({error}); it is for --on, which writes it"
        ) from error
    for what, here in (("config", config), ("words", words)):
        if order.get(what) != here:
            raise ConfigError(
                f"the {what} of this machine ({here}) differ from those of the run ({order.get(what)}); expected the "
                "same version of percept, and the same files of settings, labels and models at the same paths"
            )
    return sources
