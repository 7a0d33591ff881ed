"""What reads the writing in a picture."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from pipeline.arrays import Array


@dataclass(frozen=True)
class Line:
    """A line of writing. box: x0, y0, x1, y1 in pixels of the picture; confidence in [0, 1], as the reader tells it."""

    text: str
    confidence: float
    box: tuple[float, float, float, float]


class TextReader(ABC):
    """Reads pictures, one after the other. Making one is cheap; `open` may be expensive."""

    @abstractmethod
    def missing(self) -> str:
        """What has to be installed, as a sentence; "" if nothing."""

    @abstractmethod
    def open(self, threads: int) -> None:
        """Load what `read` needs. threads: that it may use."""

    @abstractmethod
    def read(self, picture: Array, short_side_px: int) -> list[Line]:
        """The lines in a picture, uint8 "H W 3" RGB, in any order.

        short_side_px: size at which writing is looked for; a smaller picture is enlarged.
        """
