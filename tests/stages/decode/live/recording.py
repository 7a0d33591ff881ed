"""Reads a camera for a while, as a decode process does, and keeps everything that comes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.clip import DecodedClip, Gap, Missed, SourceInfo
from stages.decode.live.options import Feed
from stages.decode.live.reader import LiveReader, ReaderOptions, Stuck, make_live_reader
from tests.clock_film import Picture
from tests.clock_reading import Moment, picture_moments, sound_moments
from tests.rtsp_farm import LENGTH_S

NS = 1_000_000_000
LEVEL = Picture().level
MOST_S = 40.0


@dataclass
class Recording:
    """What a reader gave, and told."""

    items: list[DecodedClip | Gap | Missed] = field(default_factory=list)
    opened: list[SourceInfo] = field(default_factory=list)
    connections: list[tuple[float, str, str, str]] = field(default_factory=list)
    """Seconds since the start, state, text, transport."""
    longest_silence_s: float = 0.0
    """Between two calls of `alive`."""
    ages_s: list[float] = field(default_factory=list)
    """Of the clips: from the capture of their last picture or sound until they came."""
    stuck: str = ""
    notes: dict[str, float] = field(default_factory=dict)
    zero_ns: int = 0

    def note_age(self, clip: DecodedClip) -> None:
        assert clip.info.live is not None
        self.ages_s.append((time.monotonic_ns() - clip.info.live.captured_ns) / NS)

    @property
    def clips(self) -> list[DecodedClip]:
        return [item for item in self.items if isinstance(item, DecodedClip)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    @property
    def missed(self) -> list[Missed]:
        return [item for item in self.items if isinstance(item, Missed)]

    @property
    def states(self) -> list[str]:
        return [state for _, state, _, _ in self.connections]

    def first(self, state: str) -> float:
        """When a state was first told."""
        return next(at_s for at_s, each, _, _ in self.connections if each == state)


def reader_of(url: str, clip_s: float = 1.0, zero_ns: int | None = None, **options: Any) -> LiveReader:
    """A reader of small pictures, which leaves no clip out. `options`: of the feed, and `audio_context_s`."""
    context_s = options.pop("audio_context_s", 0.0)
    feed = Feed(
        url=url,
        zero_ns=time.monotonic_ns() if zero_ns is None else zero_ns,
        **{"stall_s": 1.0, "every": True, **options},
    )
    clip_ns = round(clip_s * NS)
    return make_live_reader(
        "door",
        0,
        ReaderOptions(feed=feed, clip_ns=clip_ns, stride_ns=clip_ns, short_side_px=48, audio_context_s=context_s),
    )


def record(
    reader: LiveReader,
    seconds: float = 20.0,
    clips: int = 1000,
    react: Callable[[Recording], None] = lambda recording: None,
    enough: Callable[[Recording], bool] = lambda recording: True,
) -> Recording:
    """Read until there are so many clips, for at most `seconds`. `react` is called after each clip.

    With less than `enough`, it goes on for up to `MOST_S`: a busy machine is late.
    """
    recording = Recording(zero_ns=reader.options.feed.zero_ns)
    last_s = start_s = time.monotonic()

    def alive() -> None:
        nonlocal last_s
        now_s = time.monotonic()
        recording.longest_silence_s = max(recording.longest_silence_s, now_s - last_s)
        last_s = now_s
        if now_s > start_s + MOST_S or (now_s > start_s + seconds and enough(recording)):
            reader.close()

    def told(state: str, text: str, transport: str) -> None:
        recording.connections.append(((time.monotonic_ns() - recording.zero_ns) / NS, state, text, transport))

    reader.alive, reader.on_opened, reader.on_connection = alive, recording.opened.append, told
    with reader:
        reader.open()
        try:
            for item in reader.clips():
                recording.items.append(item)
                if isinstance(item, DecodedClip):
                    recording.note_age(item)
                    react(recording)
                if len(recording.clips) >= clips:
                    break
                last_s = time.monotonic()
        except Stuck as error:
            recording.stuck = str(error)
    return recording


def shifts_s(clip: DecodedClip) -> tuple[list[float], list[float]]:
    """How late each new picture and each piece of sound is reported, modulo the length of the film."""
    pictures, sounds = list(picture_moments(clip, LEVEL)), list(sound_moments(clip, 16_000))
    return beside_the_first([shift_s(each) for each in pictures]), beside_the_first([shift_s(each) for each in sounds])


def beside_the_first(shifts: list[float]) -> list[float]:
    """Shifts are known modulo the length of the film; those next to each other shall be numbers next to each other."""
    half_s = LENGTH_S / 2
    return [shifts[0] + (each - shifts[0] + half_s) % LENGTH_S - half_s for each in shifts]


def shift_s(moment: Moment) -> float:
    return moment.shift_s % LENGTH_S


def apart_s(one: float, other: float) -> float:
    """How far two shifts are apart."""
    apart = abs(one - other) % LENGTH_S
    return min(apart, LENGTH_S - apart)
