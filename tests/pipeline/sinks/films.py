"""Videos that were written, looked at again."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.build import film_source
from pipeline.sinks.film import open_film
from pipeline.sinks.rewrite import Area, Rewriter
from pipeline.status import VideoOptions

Picture = np.ndarray[Any, Any]


def pictures(path: Path) -> list[tuple[float, Picture]]:
    """Time in seconds and RGB picture of every frame."""
    with av.open(str(path)) as container:
        return [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def times_s(path: Path) -> list[float]:
    return [time_s for time_s, _ in pictures(path)]


def sound_s(path: Path) -> tuple[str, float]:
    """Codec and length in seconds of the sound."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(track))
        return track.codec_context.codec.canonical_name, samples / track.rate


def samples_of(path: Path) -> tuple[Picture, int, float]:
    """The sound as one channel, its rate, and the time of its first sample in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames]), frames[0].rate, frames[0].time


def draw_nothing(picture: Picture, time_s: float, area: Area) -> None:
    pass


def rewrite(source: Path, path: Path, draw: Any = draw_nothing, below_px: int = 0, **options: Any) -> Rewriter:
    """Rewrite a whole video. `options`: those of the reader."""
    rewriter = Rewriter(open_film(str(source), film_source(options)), str(path), VideoOptions())
    rewriter.create(below_px)
    rewriter.draw_until(float("inf"), draw)
    rewriter.close()
    return rewriter
