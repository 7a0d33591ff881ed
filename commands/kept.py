"""What commands have opened, kept for a later call that needs the same."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Self, TypeVar

T = TypeVar("T")

MOST = 3
"""Kept at a time: what explains, and what finds in single pictures and in films."""


class Kept:
    """A context manager. A command that is called once has one of its own; answers to many calls share one."""

    def __init__(self) -> None:
        self._open: list[tuple[object, Any, ExitStack]] = []

    def open(self, how: object, opener: Callable[[], AbstractContextManager[T]]) -> T:
        """What `opener` opens, or what it opened earlier for an equal `how`. What was used longest ago gives way."""
        for number, (known, thing, _) in enumerate(self._open):
            if known == how:
                self._open.append(self._open.pop(number))
                found: T = thing
                return found
        while len(self._open) >= MOST:
            self._open.pop(0)[2].close()
        stack = ExitStack()
        opened = stack.enter_context(opener())
        self._open.append((how, opened, stack))
        return opened

    def close(self) -> None:
        while self._open:
            self._open.pop()[2].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
