"""Programmes: the streams of one container that belong together, such as a channel of a broadcast or an HLS variant."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer

Stream = Any


def sounds_beside(container: InputContainer, video: Stream | None, sounds: Sequence[Stream]) -> list[Stream]:
    """Those of `sounds` that go with a picture, in order; all of them if the container has no programmes.

    If the picture's programme has no sound, these are the sounds of programmes without a picture.
    """
    if video is None or len(container.streams.video) + len(sounds) < 3:
        return list(sounds)
    beside = [sound for sound in sounds if share_a_programme(container, video, sound)]
    return beside or [sound for sound in sounds if container.streams.best("video", related=sound) is None]


def share_a_programme(container: InputContainer, video: Stream, sound: Stream) -> bool:
    """Whether one is in the first programme of the other; a stream without a programme is in all of them."""
    return _finds(container, video, sound) or _finds(container, sound, video)


def _finds(container: InputContainer, one: Stream, other: Stream) -> bool:
    """Whether FFmpeg finds `other`, the only default stream, when asked for the best one of its type beside `one`."""
    with _only_default(container, other):
        found: Stream | None = container.streams.best(other.type, related=one)
    return found is other


@contextmanager
def _only_default(container: InputContainer, stream: Stream) -> Iterator[None]:
    before = [(each, each.disposition) for each in container.streams if each.type == stream.type]
    try:
        for each, _ in before:
            each.disposition = av.stream.Disposition.default if each is stream else av.stream.Disposition(0)
        yield
    finally:
        for each, disposition in before:
            each.disposition = disposition
