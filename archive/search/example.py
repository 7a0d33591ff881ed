"""Examples: a stretch of a film, a photo or a sound, as the model of an archive sees and hears it."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np

from archive.search.vectors import unit
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.config import Config, GroupOptions
from pipeline.errors import ConfigError, SourceError
from pipeline.plain import PlainLoop, refuse_failed
from pipeline.result import CLOCK, clock_seconds
from pipeline.run import place, private_directory
from stages.classify import EMBEDDING_OF

STAGES = ("flow", "spectrogram", "signals", "encode")
TOGETHER = 8
MOST_CLIPS = 300
"""Of an example that is a whole file: ten minutes."""
_AT = re.compile(rf"(.+)@({CLOCK})(?:-({CLOCK}))?")


@dataclass(frozen=True)
class Place:
    """`clip.mp4`, `clip.mp4@12s` or `clip.mp4@1:05-1:10`."""

    path: str
    start_s: float | None = None
    end_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Place":
        match = _AT.fullmatch(text)
        if match is None:
            return cls(text)
        start_s = clock_seconds(match[2])
        end_s = clock_seconds(match[3]) if match[3] else None
        if end_s is not None and end_s <= start_s:
            raise ConfigError(f"{text}: ends before it begins; expected FILE@FROM-TO, such as clip.mp4@12s-20s")
        return cls(match[1], start_s, end_s)


@dataclass(frozen=True)
class Moment:
    """A clip of an example: its start, and unit vectors "D" by modality."""

    start_s: float
    end_s: float
    vectors: dict[str, Array]


class Examples:
    """The stages up to the towers, open in this process."""

    def __init__(self, loop: PlainLoop, clip_s: float) -> None:
        self._loop, self.clip_s = loop, clip_s

    def vectors(self, where: Place) -> dict[str, Array]:
        """The mean of the clips of a stretch, at unit length, by modality."""
        end_s = where.end_s
        if end_s is None and where.start_s is not None:
            end_s = where.start_s + self.clip_s
        return mean(self.moments(where.path, where.start_s or 0.0, end_s))

    def moments(self, path: str, start_s: float = 0.0, end_s: float | None = None) -> list[Moment]:
        """Every clip of a stretch.

        Raises: SourceError: it cannot be read, or has nothing there.
        """
        found = list[Moment]()
        end_ns = None if end_s is None else round(end_s * 1e9)
        for clip in self._loop.run(path, batch=TOGETHER, start_ns=round(start_s * 1e9), end_ns=end_ns):
            refuse_failed([clip], path)
            vectors = {
                name: unit(clip.values[key].astype(np.float16))
                for name, key in EMBEDDING_OF.items()
                if key in clip.values
            }
            found.append(Moment(clip.info.start_ns / 1e9, clip.info.end_ns / 1e9, vectors))
            if len(found) == MOST_CLIPS:
                break
        if not any(moment.vectors for moment in found):
            raise SourceError(f"{path}: has neither picture nor sound at {start_s:g} s; choose another moment")
        return found


def mean(moments: Sequence[Moment]) -> dict[str, Array]:
    names = dict.fromkeys(name for moment in moments for name in moment.vectors)
    return {
        name: unit(np.sum([moment.vectors[name] for moment in moments if name in moment.vectors], axis=0))
        for name in names
    }


@contextmanager
def examples(config: Config, report: Callable[[str], None] = lambda text: None) -> Iterator[Examples]:
    """Open what turns media into vectors, with the model, clip length and stage options of a config."""
    config = msgspec.structs.replace(config, groups=(GroupOptions(stages=STAGES),))
    with private_directory() as directory:
        plan = place(make_plan(config), directory)
        with PlainLoop(plan, report=report, improve=False) as loop:
            yield Examples(loop, config.clips.seconds)
