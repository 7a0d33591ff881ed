"""Whether a hardware decoder shows what software shows: exactly the same times, nearly the same pictures.

It decodes a short film that is drawn and encoded on the spot. How a GPU resizes is its own affair, so that is measured:
at the wanted size, else at twice that size (the rest is done on the CPU, with antialiasing), else it does not resize.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
import msgspec
import numpy as np

from engines.devices.gpus import NVIDIA_DRIVER, gpu_at
from pipeline.arrays import Array
from pipeline.errors import ModelError
from stages.decode import nvdec
from stages.decode.nvdec import DECODERS, Size
from stages.decode.picture import PictureConverter
from stages.decode.source import reason

VERSION = "1"
"""Of this gate; older verdicts do not count."""
MOST_LEVELS = 1.0
"""Mean difference of all values, of 255. Bilinear resizing without antialiasing has 0.4 to 9 on real films at the
wanted size, and 0.2 to 1.2 at twice that size."""
SCALES = (1, 2, 0)
"""How many times larger than wanted pictures come from the hardware, the least work first; 0: as large as they are."""
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "veryfast", "bf": "3"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=error:bframes=3"}),
    "av1": ("libsvtav1", {"preset": "11", "svtav1-params": "lp=1:keyint=10"}),
}
WIDTH_PX, HEIGHT_PX = 640, 360
WANTED: Size = (200, 112)
FRAMES, GROUP, RATE_HZ = 24, 10, 24
MOVED_PX = 4
"""From one picture to the next."""
DETAIL = 6.0
"""Standard deviation of each octave of detail, which makes a picture about as hard to resize as detailed real ones."""


class Verdict(msgspec.Struct, frozen=True):
    scale: int | None
    """One of `SCALES`; None: the hardware is not used."""
    problem: str = ""
    levels: dict[str, float] = {}
    """Mean difference by scale, as far as it was measured."""

    def size(self, wanted: Size, source: Size) -> Size | None:
        """Even width and height to which the hardware resizes pictures; None if it does not."""
        if not self.scale:
            return None
        width, height = (-(-side * self.scale // 2) * 2 for side in wanted)
        return (width, height) if width < source[0] and height < source[1] else None


@cache
def verdict(codec: str, device: str) -> Verdict:
    """The verdict on a codec of `DECODERS`, kept for this GPU, driver and PyAV. That nothing is decoded is not kept."""
    from engines.cache.cache import Cache, key_of

    kept, facts = Cache(kind="decoders"), facts_of(codec, device)
    key = key_of(facts)
    try:
        kept.get(key, facts, lambda folder: msgspec.to_builtins(judge(codec, device)))
        return msgspec.convert(kept.meta(key).outcome, Verdict)
    except (av.error.FFmpegError, ValueError) as error:
        return Verdict(None, f"{DECODERS[codec]}: {reason(error)}")
    except ModelError:  # nothing can be kept
        return judge(codec, device)


def facts_of(codec: str, device: str) -> dict[str, str]:
    gpu = gpu_at(device)
    driver = NVIDIA_DRIVER / "version"
    return {
        "gate": VERSION,
        "codec": codec,
        "gpu": gpu.name if gpu else device,
        "driver": driver.read_text() if driver.exists() else "",
        "av": av.__version__,
        "ffmpeg": repr(av.library_versions),
    }


def judge(codec: str, device: str) -> Verdict:
    """Raises: av.error.FFmpegError, ValueError: the film cannot be made, or not be decoded on the device."""
    levels: dict[str, float] = {}
    with av.open(film(codec)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        stream.codec_context.thread_type = "NONE"
        wanted = dict(decoded(stream.codec_context, packets, None))
        for scale in SCALES:
            size = Verdict(scale).size(WANTED, (WIDTH_PX, HEIGHT_PX))
            context = nvdec.opened(stream.codec_context, device, size)
            found = dict(decoded(context, packets, next(iter(wanted.values()))[0]))
            if list(found) != list(wanted):
                return Verdict(None, f"{DECODERS[codec]} did not give the same times as software", levels)
            levels[str(scale)] = round(float(np.mean([far(found[each][1], wanted[each][1]) for each in wanted])), 3)
            if levels[str(scale)] <= MOST_LEVELS:
                return Verdict(scale, levels=levels)
    return Verdict(None, f"{DECODERS[codec]} did not give the same pictures as software ({levels} levels)", levels)


def far(one: Array, other: Array) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def decoded(context: Any, packets: list[Any], like: Any | None) -> Iterator[tuple[int, tuple[Any, Array]]]:
    """Time in ticks, frame and picture of all frames. like: a frame of the software, if this is another decoder."""
    converter = PictureConverter(*WANTED, WIDTH_PX * HEIGHT_PX)
    for packet in (*packets, None):
        for frame in context.decode(packet):
            yield frame.pts, (frame, converter.convert(frame, like))


def film(codec: str) -> BytesIO:
    """A film of moving noise with as much detail at every size, with B-frames if the codec has them.

    Raises: av.error.FFmpegError, ValueError.
    """
    file, (encoder, options), still = BytesIO(), ENCODERS[codec], drawn()
    os.environ.setdefault("SVT_LOG", "1")  # this encoder prints errors only
    with same_scheduling(), av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream(encoder, rate=RATE_HZ, options=options | {"g": str(GROUP)})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(still, number * MOVED_PX, axis=1))
            frame.pts, frame.time_base = number, Fraction(1, RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    return file


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Give the thread its scheduling back afterwards.

    SVT-AV1 makes a thread that opens an encoder real-time if the user is root (libSvtAv1Enc 4.1 in PyAV 18.1.0), and
    with it every process that is started from it later: with two of them nothing else of the machine runs.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)


def drawn() -> Array:
    """uint8 "H W 3": the sum of noise of all sizes, as natural pictures have it."""
    random, total = np.random.default_rng(7), np.full((HEIGHT_PX, WIDTH_PX, 3), 128.0)
    cell = 1
    while cell <= HEIGHT_PX // 4:
        coarse = random.normal(0, DETAIL, (-(-HEIGHT_PX // cell), -(-WIDTH_PX // cell), 1))
        total += np.kron(coarse, np.ones((cell, cell, 1)))[:HEIGHT_PX, :WIDTH_PX]
        cell *= 2
    picture: Array = np.clip(total, 0, 255).round().astype(np.uint8)
    return picture
