"""What is right for each odd source of `shared/cases`: its expect.md as a table."""

import math
from dataclasses import dataclass, replace
from typing import Any

Steps = tuple[tuple[float, int | None], ...]
"""When a film should tell which second, from each time on until the next; None: nothing."""
HEARD_DB = (-20.5, -12.5)
"""A tone of -13.5 dBFS, in a mono mix or alone."""
WHITE, GREY, HIGH = 22, 11, 20
"""What pictures and sounds that are not the clock tell: white, grey, 2300 Hz."""


def seconds(count: int) -> Steps:
    """Second n at n."""
    return tuple((float(number), number) for number in range(count))


@dataclass(frozen=True)
class Expected:
    """What a reader, or a player of the labelled video, should make of one file."""

    file: str
    end_s: float
    clips: int | None = None
    picture: Steps | None = None
    """None: it tells no time, or there is none."""
    sound: Steps | None = None
    level: float = 10.0
    """Brightness per second told."""
    is_even: bool = False
    """The film tells fractions of seconds as well (`tests/clock_film.py`)."""
    loudness_db: tuple[float, float] | None = None
    is_disc: bool = False
    """A disc in the picture must be round."""
    errors: int = 0
    """Decode errors allowed."""
    may_refuse: bool = False
    says: tuple[str, ...] = ()
    """A warning, a note or an error with one of these words is right too, in place of the whole sound."""
    track: str = ""
    fed_from: str = ""
    """The file that is written into the named pipe while it is read."""
    or_else: "Expected | None" = None
    """Another right result."""


def film(file: str, end: int, **more: Any) -> Expected:
    """A film of `end` whole seconds, in clips of 2 s; picture and sound tell second n at n, unless told otherwise."""
    clock = seconds(end)
    return replace(Expected(file, float(end), math.ceil(end / 2), clock, clock), **more)


STILL: Steps = ((0, 0), (1, 1), (2, 2), (3, 3), (20, 20), (50, 50), (51, 51))
LAST_SLIDE = seconds(12)
DESK: Steps = ((0, 2), (5, 3), (10, 4), (15, 5))
MUTED: Steps = (*seconds(6), (6, None), *seconds(20)[10:])

READ: dict[str, tuple[Expected, ...]] = {
    "ambisonic_right": (film("ambix_right.wav", 6, picture=None, loudness_db=HEARD_DB),),
    "antiphase": (film("antiphase.mov", 20, loudness_db=HEARD_DB),),
    "chained_opus": (film("chain.opus", 20, picture=None, says=("10 s", "10.0 s", "gave up", "given up")),),
    "colon_in_name": (film("10:30:05.mp4", 4), film("cam1:front.mp4", 4)),
    "last_slide_stays": (film("lastlong.mp4", 20, picture=LAST_SLIDE),),
    "last_time_wrong": (film("lastbad.ts", 16),),
    "mxf_four_tracks": (film("four.mxf", 20, says=("silent",)),),
    "named_pipe": (film("pipe.ts", 20, fed_from="film.ts", may_refuse=True),),
    "overlapping_segments": (film("overlap.ts", 20),),
    "pid_change": (film("pidchange.ts", 16),),
    "playlist_without_end": (film("live.m3u8", 20, may_refuse=True), film("full.m3u8", 20)),
    "six_track_recorder": (film("poly6_4.wav", 6, picture=None, loudness_db=HEARD_DB),),
    "sound_clock_restarts": (film("aud_reset.ts", 16),),
    "static_screen": (film("static.webm", 52, picture=STILL, sound=None, level=3.0),),
    "theora_repeats": (film("desk.ogv", 20, picture=DESK),),
    "turned_call": (film("turncall.webm", 8, picture=None, sound=None, is_disc=True),),
    "two_programmes": (film("mpts.ts", 10, or_else=film("mpts.ts", 10, picture=((0, GREY),), sound=((0, HIGH),))),),
    "video_of_joined_ts": (film("reset.ts", 16),),
    "video_of_two_pictures": (film("twovideo.mkv", 20),),
    "video_sound_format": (film("achange.ts", 20),),
    "video_sound_hole_mkv": (film("gap_pcm.mkv", 20, sound=MUTED),),
    "video_two_english": (film("twoeng.mkv", 8, track="eng"),),
    "video_undecodable_first": (film("unknown_first.mkv", 8),),
}
"""What the reader should yield."""

VIDEOS: dict[str, Expected] = {
    name: film(expected.file, round(expected.end_s), clips=None, sound=expected.sound, track=expected.track)
    for name, (expected, *_) in READ.items()
    if name.startswith("video_")
}
"""What a player should show of the labelled video."""

LONG_NAMES = {"long_name_events": ("ok.mp4", f"{'x' * 248}.mp4", "third.mp4")}
"""Sources that are labelled in one run, with subtitles; each has two clips."""
