"""Networks that find objects in a picture: their one interface.

    found = detector.detect(frames)[0]
    found.boxes, found.scores, found.names

A detector gives pictures back as sets of boxes; which boxes show the same object over time is for `track` to say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.arrays import Array
from pipeline.stage import Resources


@dataclass(frozen=True)
class Found:
    """The objects in one picture, best first."""

    boxes: Array
    """float32 "N 4": x0, y0, x1, y1 in pixels of the picture."""
    scores: Array
    """float32 "N" in [0, 1]."""
    names: list[str] = field(default_factory=list)
    """What the network calls each; empty if it has no names."""
    vectors: Array | None = None
    """float32 "N D" of unit length in the text space of the picture tower; None if it gives none."""


class Detector(Protocol):
    """Runs in the process of its stage: `prepare` or `improve` builds its engine, `open` loads it."""

    frames_per_clip: int
    """In which it usually looks; 0 for all."""

    @property
    def preload(self) -> tuple[str, ...]:
        """See `pipeline.stage.Stage.preload`."""

    @property
    def opens_early(self) -> bool:
        """See `pipeline.stage.Stage.opens_early`."""

    def prepare(self, report: Callable[[str], None]) -> None: ...

    def improve(self, report: Callable[[str], None]) -> bool: ...

    def open(self, resources: Resources) -> None: ...

    def detect(self, frames: Sequence[Array]) -> list[Found]:
        """The objects in frames uint8 "H W 3" RGB of one size."""

    @property
    def short_side_px(self) -> int:
        """The size of pictures from which it gains no more, at 4:3."""

    @property
    def name(self) -> str:
        """For results, such as "yolox_nano-openvino-fp32@416"."""
