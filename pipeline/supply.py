"""Where a run gets sources from that nobody listed before it began."""

from typing import Protocol

import msgspec


class Supplied(msgspec.Struct, frozen=True):
    """A source of a run, and what its outputs are told of it."""

    source: str
    """As a reader opens it."""
    ticket: bytes = b""
    """For sinks, which receive it before anything else of the source. The run does not look into it."""


class Supply(Protocol):
    """Asked for the next source whenever a decoder is free. All calls come from the thread of the run; none waits."""

    def next(self) -> Supplied | None:
        """The next source; None if there is none now."""

    @property
    def is_over(self) -> bool:
        """Whether no source will come any more."""

    def written(self, source: str) -> None:
        """All outputs have written all of a source, which has ended or failed."""

    def close(self) -> None:
        """No source is asked for any more. Those that were given and not reported as written are cut off."""


class NoSupply:
    """Nothing comes after the sources of a list."""

    is_over = True

    def next(self) -> Supplied | None:
        return None

    def written(self, source: str) -> None:
        pass

    def close(self) -> None:
        pass
