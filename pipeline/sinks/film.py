"""What the labelled video needs of a source: its pictures and sound in full, at the times that clips and labels have.

The decoder's side makes it (`stages/decode/film.py`), and `pipeline/build.py` names the function that opens it.
"""

from collections.abc import Iterator
from typing import Protocol

from pipeline.arrays import Array
from pipeline.build import load
from pipeline.status import FilmSource


class FilmPicture(Protocol):
    """One picture, from `time_ns` to `end_ns`, or until the next one."""

    @property
    def time_ns(self) -> int: ...

    @property
    def end_ns(self) -> int: ...

    @property
    def width(self) -> int:
        """In pixels: upright and with square pixels."""

    @property
    def height(self) -> int: ...

    def rgb(self, width: int, height: int) -> Array | None:
        """The picture at another size, uint8 "H W 3", upright; None if it cannot be converted, which is an error."""


class Film(Protocol):
    """The stretch [start_ns, end_ns) of a source. Times are those of the source."""

    start_ns: int
    end_ns: int | None
    frame_rate_hz: float
    """0: unknown."""
    sound_rate_hz: int
    """Of the sound at its start; 0: there is no sound."""
    channels: int
    left_out: list[str]
    """Streams that are not part of it, such as "1 other sound track"."""

    @property
    def errors(self) -> int:
        """Packets and pictures that could not be decoded or converted so far."""

    def pictures(self) -> Iterator[FilmPicture]:
        """All pictures in order. The first is the one on show at the start."""

    def sound(self, until_ns: int, rate_hz: int, channels: int) -> Iterator[tuple[int, Array]]:
        """The sound that begins before a time and after that of the last call, in pieces.

        For each the number of its first sample at `rate_hz` from time 0, and samples float32 "C N". Between pieces
        there may be holes and overlaps.
        """

    def close(self) -> None: ...


def open_film(source: str, how: FilmSource) -> Film:
    """Raises: SourceError: it cannot be opened, or has no pictures."""
    film: Film = load(how.opener, "film")(source, how.options)
    return film
