"""The console that a training reports to. The command line provides one."""

from collections.abc import Mapping
from typing import Protocol


class Steps(Protocol):
    """Shows that `done` of `total` steps are finished. It may be called at any rate."""

    def __call__(self, done: int, total: int, failed: int = 0, facts: Mapping[str, float] | None = None) -> None: ...


class Console(Protocol):
    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def steps(self, what: str) -> Steps: ...
