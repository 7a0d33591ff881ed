"""Clock films: every moment of their picture and sound tells its own time, so a reader's shifts can be measured.

    write_film(path, 16.0, clock_of_sound)            any container, by the name's suffix
    joined(path, first, second)                       the bytes of several files, one after the other

The upper half of a picture is `DARK + level * second` bright, the lower half `DARK + 200 * fraction`. The sound's pitch
rises by 100 Hz per second from 300 Hz. `tests/clock_reading.py` tells the time from both; `tests/clock_ts.py` and
`tests/clock_patch.py` change timestamps in files.

The time that a moment tells is its told time. A `Clock` gives the timestamp that it gets in the file.
"""

import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stages.decode.gate import same_scheduling
from tests.clock_patch import FLV_AUDIO, FLV_VIDEO, patch_flash, patch_matroska
from tests.clock_ts import SUFFIXES, patch_times

Clock = Callable[[float], float | None]
"""Told time in seconds -> timestamp in seconds. None: the moment is left out of the file."""
DARK = 20
FRACTION_LEVELS = 200
LOWEST_HZ = 300.0
HZ_PER_S = 100.0
TS_START_S = 1.4
LAYOUTS = {1: "mono", 2: "stereo", 4: "4.0", 6: "5.1", 8: "7.1"}
TICK = Fraction(1, 90_000)
FIXED_RATE = ("mpeg", "flv", "h263", "wmv", "mjpeg", "prores", "dnxhd", "ffv1", "theora")
"""Codecs whose time base is one picture."""
FAST = {
    "libx264": {"preset": "ultrafast", "crf": "18", "threads": "1", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "500k"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "500k"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "mpeg4": {"qscale": "2"},
    "mpeg2video": {"qscale": "2"},
    "vorbis": {"strict": "experimental"},
    "wmav2": {"b": "128k"},
}


def right(told_s: float) -> float | None:
    """The clock of a sound film: every moment is stamped with its own time."""
    return told_s


def restarted(at_s: float, to_s: float = 0.0) -> Clock:
    """A clock that is set to `to_s` at the told time `at_s`."""
    return lambda told_s: told_s if told_s < at_s else told_s - at_s + to_s


def moved(by_s: float, from_s: float = -float("inf"), until_s: float = float("inf")) -> Clock:
    """A clock that is `by_s` ahead, at all told times or in a stretch of them; one picture long, a damaged time."""
    return lambda told_s: told_s + by_s if from_s <= told_s < until_s else told_s


def without(from_s: float, until_s: float) -> Clock:
    """A right clock of a stream with a hole."""
    return lambda told_s: None if from_s <= told_s < until_s else told_s


def added(*clocks: Clock) -> Clock:
    """All deviations together."""

    def clock(told_s: float) -> float | None:
        stamps = [each(told_s) for each in clocks]
        return None if None in stamps else told_s + sum(stamp - told_s for stamp in stamps if stamp is not None)

    return clock


@dataclass(frozen=True)
class Picture:
    """One video stream."""

    codec: str = "libx264"
    rate: Fraction | float = 25
    size: tuple[int, int] = (64, 48)
    gop: int = 25
    b_frames: int = 0
    times_s: Sequence[float] | None = None
    """Told times of its pictures, such as those of a screen that stands still; None: all of its rate."""
    is_uneven: bool = False
    """Steps swing between half and one and a half of 1 / rate."""
    level: float = 10.0
    """Brightness per second. 10 is enough for 21 s, 3 for 70 s."""
    grey: int | None = None
    """This brightness throughout: a picture that tells no time."""
    clock: Clock = right
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    is_default: bool | None = None


@dataclass(frozen=True)
class Sound:
    """One sound track."""

    codec: str = "aac"
    rate_hz: int = 48_000
    gains: Sequence[float] = (0.3, 0.3)
    """Of its channels."""
    layout: str = ""
    """Empty: the usual one for that many channels."""
    muted: Sequence[tuple[float, float]] = ()
    """Told times between which the samples are zero."""
    phase_rad: float = 0.0
    fixed_hz: float | None = None
    """This pitch throughout: a sound that tells no time, or always the same."""
    start_s: float | None = None
    """Told time at which it starts and ends; None: those of the film."""
    end_s: float | None = None
    clock: Clock = right
    language: str = ""
    options: dict[str, str] = field(default_factory=dict)
    is_default: bool | None = None


def write_film(
    path: Path,
    seconds: float = 16.0,
    pictures: Picture | Sequence[Picture] | None = Picture(),
    sounds: Sound | Sequence[Sound] | None = Sound(),
    *,
    start_s: float = 0.0,
    options: dict[str, str] | None = None,
    format_name: str | None = None,
) -> Path:
    """Write the told times [start_s, start_s + seconds) and return the path.

    A clock may do anything in .ts and .flv, and go back by up to 32 s in .mkv and .webm; elsewhere its stamps must not
    go back. The order in the file is that of told times, whatever the clocks do. All stamps in .ts are `TS_START_S`
    later, as ffmpeg writes them. `options` are those of the muxer, such as {"mpegts_start_pid": "512"}.
    """
    settings = {"max_interleave_delta": "1"} | (options or {})
    if path.suffix in SUFFIXES:
        settings = {"pes_payload_size": "0", "output_ts_offset": str(TS_START_S)} | settings
    end_s = start_s + seconds
    shots, tracks = as_list(pictures), as_list(sounds)
    clocks = {number: each.clock for number, each in enumerate((*shots, *tracks))}
    later = {number for number, clock in clocks.items() if path.suffix in SUFFIXES or goes_back(clock, start_s, end_s)}
    stamps = [right if number in later else clocks[number] for number in clocks]
    if path.suffix in SUFFIXES and not any(leaves_out(clock, start_s, end_s) for clock in clocks.values()):
        plain = [[replace(each, clock=right) for each in streams] for streams in (shots, tracks)]
        path.write_bytes(unclocked(path.suffix, pickle.dumps((*plain, stamps, start_s, end_s, settings, format_name))))
    else:
        encode(path, shots, tracks, stamps, start_s, end_s, settings, format_name)
    patch(path, {number: clocks[number] for number in later if clocks[number] is not right}, len(shots), settings)
    return path


@lru_cache(maxsize=16)
def unclocked(suffix: str, given: bytes) -> bytes:
    """The file that `encode` writes with what is pickled in `given`: films often differ in their clocks alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film{suffix}"
        encode(path, *pickle.loads(given))
        return path.read_bytes()


def encode(
    path: Path,
    shots: Sequence[Picture],
    tracks: Sequence[Sound],
    stamps: Sequence[Clock],
    start_s: float,
    end_s: float,
    settings: dict[str, str],
    format_name: str | None,
) -> None:
    """Write the streams, stamped by `stamps`; a moment is left out if its stream's own clock says so."""
    with same_scheduling(), av.open(str(path), "w", format=format_name, options=settings) as container:
        streams = [add_picture(container, shot) for shot in shots] + [add_sound(container, track) for track in tracks]
        packets = [picture_packets(stream, shot, start_s, end_s) for stream, shot in zip(streams, shots, strict=False)]
        packets += [
            sound_packets(stream, track, start_s, end_s)
            for stream, track in zip(streams[len(shots) :], tracks, strict=True)
        ]
        write_packets(container, packets, stamps)


def leaves_out(clock: Clock, start_s: float, end_s: float) -> bool:
    """Whether moments of the film get no stamp."""
    return clock is not right and any(clock(float(at)) is None for at in np.arange(start_s, end_s, 0.001))


def goes_back(clock: Clock, start_s: float, end_s: float) -> bool:
    """Whether its stamps go back anywhere in the film."""
    stamps = [stamp for at in np.arange(start_s, end_s, 0.01) if (stamp := clock(float(at))) is not None]
    return bool((np.diff(stamps) < 0).any())


def patch(path: Path, clocks: dict[int, Clock], pictures: int, settings: dict[str, str]) -> None:
    """Change the stamps of streams, by their numbers, in the file that was written; the pictures come first."""
    if not clocks:
        return
    if path.suffix in SUFFIXES:
        first = int(settings.get("mpegts_start_pid", "256"))
        offset_s = float(settings["output_ts_offset"])
        patch_times(path, {first + number: clock for number, clock in clocks.items()}, offset_s)
    elif path.suffix in (".mkv", ".webm"):
        patch_matroska(path, clocks)
    elif path.suffix == ".flv":
        patch_flash(path, clocks, {FLV_VIDEO: 0, FLV_AUDIO: pictures})
    else:
        raise ValueError(f"{path.name}: a clock goes back, which only .ts, .flv, .mkv and .webm can have")


def joined(path: Path, *parts: Path) -> Path:
    """The bytes of several files, one after the other, as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def as_list(given: Any) -> list[Any]:
    return [] if given is None else [given] if isinstance(given, Picture | Sound) else list(given)


def add_picture(container: Any, shot: Picture) -> Any:
    rate = Fraction(shot.rate).limit_denominator(1001)
    settings = FAST.get(shot.codec, {}) | shot.options
    if shot.b_frames:
        settings["bf"] = str(shot.b_frames)
    stream = container.add_stream(shot.codec, rate=rate, options=settings)
    stream.width, stream.height = shot.size
    stream.pix_fmt = shot.pixel_format
    context = stream.codec_context
    context.time_base = 1 / rate if shot.codec.startswith(FIXED_RATE) else TICK
    context.gop_size = shot.gop
    set_default(stream, shot.is_default)
    return stream


def add_sound(container: Any, track: Sound) -> Any:
    layout = track.layout or LAYOUTS[len(track.gains)]
    settings = FAST.get(track.codec, {}) | track.options
    stream = container.add_stream(track.codec, rate=track.rate_hz, layout=layout, options=settings)
    if track.language:
        stream.metadata["language"] = track.language
    set_default(stream, track.is_default)
    return stream


def set_default(stream: Any, is_default: bool | None) -> None:
    if is_default is not None:
        stream.disposition = av.stream.Disposition.default if is_default else av.stream.Disposition(0)


def draw(told_s: float, shot: Picture) -> Any:
    """The picture of a told time, in planes."""
    width, height = shot.size
    second = int(told_s + 1e-6)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[: height // 2] = round(DARK + shot.level * second) if shot.grey is None else shot.grey
    lower = DARK + round(FRACTION_LEVELS * max(0.0, told_s - second)) if shot.grey is None else shot.grey
    planes[height // 2 : height] = lower
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    return frame if shot.pixel_format == "yuv420p" else frame.reformat(format=shot.pixel_format)


def picture_times(shot: Picture, start_s: float, end_s: float) -> list[float]:
    if shot.times_s is not None:
        return [float(time_s) for time_s in shot.times_s]
    step = 1 / float(Fraction(shot.rate).limit_denominator(1001))
    numbers = np.arange(int(np.ceil(start_s / step - 1e-6)), int(np.ceil(end_s / step - 1e-6)))
    times = (numbers + (0.3 * np.sin(numbers * 2.4) if shot.is_uneven else 0)) * step
    return [float(time) for time in times if time >= start_s]


def picture_packets(stream: Any, shot: Picture, start_s: float, end_s: float) -> Iterator[Any]:
    """Encoded pictures, stamped with their told times."""
    tick = stream.codec_context.time_base
    for told_s in picture_times(shot, start_s, end_s):
        if shot.clock(told_s) is not None:
            frame = draw(told_s, shot)
            frame.pts, frame.time_base = round(told_s / tick), tick
            yield from stream.encode(frame)
    yield from stream.encode(None)


def wave(track: Sound, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tone, at full scale 1: its pitch at each moment tells the time."""
    if track.fixed_hz is not None:
        return np.sin(2 * np.pi * track.fixed_hz * times_s + track.phase_rad)
    return np.sin(2 * np.pi * (LOWEST_HZ * times_s + HZ_PER_S / 2 * times_s**2) + track.phase_rad)


def sound_packets(stream: Any, track: Sound, start_s: float, end_s: float) -> Iterator[Any]:
    """Encoded sound, stamped with its told times; packets that the clock leaves out are dropped."""
    rate_hz, context = track.rate_hz, stream.codec_context
    first = round((start_s if track.start_s is None else track.start_s) * rate_hz)
    last = round((end_s if track.end_s is None else track.end_s) * rate_hz)
    times_s = np.arange(first, last) / rate_hz
    samples = wave(track, times_s)[:, None] * np.asarray(track.gains)
    for from_s, until_s in track.muted:
        samples[(times_s >= from_s) & (times_s < until_s)] = 0
    whole = np.round(samples * 32767).astype(np.int16)
    size = context.frame_size or rate_hz // 50
    layout = context.layout.name
    for place in range(0, len(whole), size):
        piece = np.ascontiguousarray(whole[place : place + size]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), first + place
        yield from kept(stream.encode(frame), track.clock)
    yield from kept(stream.encode(None), track.clock)


def kept(packets: Sequence[Any], clock: Clock) -> Iterator[Any]:
    for packet in packets:
        if clock(float(packet.pts * packet.time_base)) is not None:
            yield packet


def write_packets(container: Any, streams: Sequence[Iterator[Any]], clocks: Sequence[Clock]) -> None:
    """Mux the packets in the order of their told times, with the stamps of their clocks."""
    heads: list[Any] = [next(stream, None) for stream in streams]
    while any(head is not None for head in heads):
        waiting = [number for number, head in enumerate(heads) if head is not None]
        number = min(waiting, key=lambda each: heads[each].dts * heads[each].time_base)
        packet = heads[number]
        stamp(packet, clocks[number])
        container.mux(packet)
        heads[number] = next(streams[number], None)


def stamp(packet: Any, clock: Clock) -> None:
    told_s = float(packet.pts * packet.time_base)
    stamp_s = clock(told_s)
    by = 0 if stamp_s is None else round((stamp_s - told_s) / packet.time_base)
    packet.pts, packet.dts = packet.pts + by, packet.dts + by
