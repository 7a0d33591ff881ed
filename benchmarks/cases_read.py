"""Looks at one file, in a process of its own: what the reader of a checkout yields, or what a player shows.

    python -m benchmarks.cases_read [--root DIR] [--as player] [--track TRACK] [--fed-from FILE] FILE

Prints a `Look` as JSON. `--root` is the checkout whose reader is used.
"""

import argparse
import logging
import math
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import tests.clock_film  # noqa: F401 (before the other checkout's packages can be found)

WINDOW_S = 0.05
FRAME_RATE_HZ = 25.0
SILENT_DB = -180.0
JITTER_S = 0.03
"""Timestamps that deviate less from the count of samples are not followed."""
NS = 1_000_000_000


@dataclass
class Section:
    """A clip, or a whole video."""

    start_s: float
    end_s: float
    pictures: list[tuple[float, float, float]] = field(default_factory=list)
    """Time in seconds, brightness of the upper and of the lower half."""
    sound: list[tuple[float, float]] = field(default_factory=list)
    """Time of the middle in seconds and pitch in Hz, of pieces of `WINDOW_S`."""
    disc: float | None = None
    """Width over height of what is bright in the last picture."""


@dataclass
class Look:
    """What became of a file."""

    sections: list[Section] = field(default_factory=list)
    gaps: int = 0
    errors: int = 0
    loudness_db: float = SILENT_DB
    said: list[str] = field(default_factory=list)
    """Warnings and notes."""
    failure: str = ""

    @property
    def end_s(self) -> float:
        return self.sections[-1].end_s if self.sections else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--as", dest="role", choices=("reader", "player"), default="reader")
    parser.add_argument("--track", default="")
    parser.add_argument("--fed-from", type=Path)
    parser.add_argument("file")
    options = parser.parse_args()
    sys.path.insert(0, str(options.root))
    if options.fed_from:
        threading.Thread(target=feed, args=(options.fed_from, options.file), daemon=True).start()
    look = played(options.file) if options.role == "player" else read(options.file, options.track)
    sys.stdout.buffer.write(msgspec.json.encode(look))


def feed(source: Path, pipe: str) -> None:
    """Write a file into a named pipe, as soon as somebody reads."""
    with source.open("rb") as given, open(pipe, "wb") as taken:
        shutil.copyfileobj(given, taken)


class Heard(logging.Handler):
    """Collects warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def read(file: str, track: str) -> Look:
    """All that the reader yields."""
    from pipeline.clip import Gap
    from pipeline.errors import SourceError
    from stages.decode.reader import ReaderOptions, make_reader

    look, heard = Look(), Heard()
    logging.getLogger().addHandler(heard)
    logging.getLogger("percept").addHandler(heard)
    power: list[tuple[float, int]] = []
    try:
        with make_reader(file, 0, ReaderOptions(frame_rate_hz=FRAME_RATE_HZ, audio_track=track)) as reader:
            look.said += reader.open().notes
            for item in reader.clips():
                if isinstance(item, Gap):
                    look.gaps += 1
                    continue
                look.errors += item.info.decode_errors
                look.sections.append(section(item, reader.options.audio_rate_hz))
                samples = item.arrays.get("audio", np.zeros(0, np.float32))
                power.append((float(np.square(samples).sum()), len(samples)))
    except SourceError as error:
        look.failure = str(error)
    look.loudness_db = decibels(power)
    look.said += dict.fromkeys(heard.messages)
    return look


def section(clip: Any, rate_hz: int) -> Section:
    found = Section(clip.info.start_ns / NS, clip.info.end_ns / NS)
    if "frames" in clip.arrays:
        times = clip.arrays["frame_times_ns"] / NS
        found.pictures = [(float(time), *halves(picture)) for time, picture in zip(times, clip.arrays["frames"])]  # noqa: B905
        found.disc = disc(clip.arrays["frames"][-1])
    if "audio" in clip.arrays:
        start_s = int(clip.arrays["audio_start_ns"][0]) / NS
        found.sound = list(pitches(clip.arrays["audio"], clip.arrays["audio_mask"] > 0, start_s, rate_hz))
    return found


def decibels(power: list[tuple[float, int]]) -> float:
    """Level of the sound, in dB of full scale, from sums of squares and their counts."""
    total, count = sum(each for each, _ in power), sum(each for _, each in power)
    return 10 * math.log10(total / count) if total else SILENT_DB


def halves(picture: NDArray[Any]) -> tuple[float, float]:
    """Luma of the middle of the upper and the lower half of an RGB picture."""
    height = len(picture)
    upper, lower = (float(picture[height * at // 8 : height * (at + 2) // 8].mean()) for at in (1, 5))
    return upper * 219 / 255 + 16, lower * 219 / 255 + 16


def disc(picture: NDArray[Any]) -> float | None:
    """Width over height of the bright part; None if there is none."""
    rows, columns = np.nonzero(picture[..., 0] > 128)
    return float((np.ptp(columns) + 1) / (np.ptp(rows) + 1)) if len(rows) else None


def pitches(
    samples: NDArray[Any], real: NDArray[np.bool_], start_s: float, rate_hz: int
) -> Iterator[tuple[float, float]]:
    """Time and pitch of all pieces that have one."""
    from tests.clock_reading import pitch_hz

    size = round(WINDOW_S * rate_hz)
    for place in range(0, len(samples) - size + 1, size):
        piece = samples[place : place + size]
        hz = pitch_hz(piece, rate_hz) if real[place : place + size].all() else None
        if hz is not None:
            yield start_s + (place + size / 2) / rate_hz, hz


def played(file: str) -> Look:
    """What a player shows of a labelled video: its top right corner, where nothing is written."""
    import av

    whole = Section(0.0, 0.0)
    with av.open(file) as container:
        for frame in container.decode(video=0):
            luma = frame.reformat(format="yuv420p").to_ndarray()[: frame.height]
            corner = float(luma[: frame.height // 4, frame.width * 2 // 3 :].mean())
            whole.pictures.append((float(frame.time), corner, corner))
            whole.end_s = float(frame.time) + 0.04
    with av.open(file) as container:
        if container.streams.audio:
            rate_hz = container.streams.audio[0].rate
            samples, real = placed(container, rate_hz)
            whole.sound = list(pitches(samples, real, 0.0, rate_hz))
            whole.end_s = max(whole.end_s, len(samples) / rate_hz)
    return Look([whole])


def placed(container: Any, rate_hz: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The sound, each frame after the one before, or at its time if that is elsewhere; and where there is any."""
    pieces: list[tuple[int, NDArray[np.float32]]] = []
    end = 0
    for frame in container.decode(audio=0):
        samples = frame.to_ndarray().reshape(-1, frame.samples).mean(axis=0, dtype=np.float32)
        place = round(frame.time * rate_hz)
        if abs(place - end) < JITTER_S * rate_hz:
            place = end
        end = place + len(samples)
        pieces.append((max(0, place), samples[max(0, -place) :]))
    length = max((place + len(samples) for place, samples in pieces), default=0)
    sound, real = np.zeros(length, np.float32), np.zeros(length, np.bool_)
    for place, samples in pieces:
        sound[place : place + len(samples)] = samples
        real[place : place + len(samples)] = True
    return sound, real


if __name__ == "__main__":
    main()
