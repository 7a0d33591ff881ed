"""Small synthetic media, made on the fly, that contain their own time.

    make_video(path, seconds=4, audio=Sound())
    read_time_ms(frame)      # the time drawn into a decoded picture

A picture is a fixed grey texture with a bright square that crosses it at `SQUARE_SPEED` widths per second, and below
it a strip of black and white blocks that spells the picture's time in milliseconds. A sound steps its pitch every
second (`tone_hz`), so a spectrum shows its second.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stages.decode.gate import same_scheduling

TIME_BITS = 16
SQUARE_SPEED = 0.25
VIDEO_TICK = Fraction(1, 90_000)


@dataclass(frozen=True)
class Sound:
    """One sound track. `parts` are the stretches with samples, in seconds of the file; None: all of it."""

    rate_hz: int = 44_100
    layout: str = "stereo"
    codec: str = "aac"
    start_s: float = 0.0
    seconds: float | None = None
    parts: Sequence[tuple[float, float]] | None = None
    language: str = ""
    gain: float = 0.4
    tone: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    """Samples in [-1, 1] at the given times in seconds; None: `stepped_tone`."""
    options: dict[str, str] = field(default_factory=dict)


def tone_hz(time_s: float) -> float:
    """Pitch of `stepped_tone` during the second that contains `time_s`."""
    return 300.0 + 100.0 * (int(time_s) % 20)


def stepped_tone(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sine whose pitch steps every second."""
    seconds = np.floor(times_s + 1e-9)
    return np.sin(2 * np.pi * (300.0 + 100.0 * (seconds % 20)) * (times_s - seconds))


def pitch_hz(samples: NDArray[np.floating[Any]], rate_hz: int) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate_hz / len(samples))


def draw(time_s: float, width: int, height: int) -> NDArray[np.uint8]:
    """The picture at a time: "height width 3"."""
    texture = np.random.default_rng(7).integers(60, 120, (height // 8 + 1, width // 8 + 1), np.uint8)
    grey = np.kron(texture, np.ones((8, 8), np.uint8))[:height, :width]
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    if width < 64 or height < 32:
        return np.full((height, width, 3), int(time_s * 40) % 200 + 30, np.uint8)
    side = height // 4
    left = round(time_s * SQUARE_SPEED * width) % (width - side)
    picture[height // 4 : height // 4 + side, left : left + side] = (240, 60, 40)
    strip = height - height // 6
    bits = round(time_s * 1000)
    edges = np.linspace(0, width, TIME_BITS + 1).astype(int)
    for bit in range(TIME_BITS):
        picture[strip:, edges[bit] : edges[bit + 1]] = 230 if bits >> bit & 1 else 20
    return picture


def read_time_ms(picture: NDArray[np.uint8]) -> int:
    """The time drawn into a picture, in milliseconds."""
    height, width = picture.shape[:2]
    strip = picture[height - height // 12 :].mean(axis=(0, 2))
    edges = np.linspace(0, width, TIME_BITS + 1)
    centers = ((edges[:-1] + edges[1:]) / 2).astype(int)
    return sum(1 << bit for bit, x in enumerate(centers) if strip[x - 1 : x + 2].mean() > 125)


def make_video(
    path: Path | str,
    seconds: float = 4.0,
    fps: float = 30.0,
    size: tuple[int, int] = (320, 240),
    *,
    audio: Sound | Sequence[Sound] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    gop: int = 0,
    b_frames: int | None = None,
    times_s: Sequence[float] | None = None,
    vfr: bool = False,
    start_s: float = 0.0,
    rotation: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    interlaced: bool = False,
    interleaved: bool = True,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    picture: Callable[[float, int, int], NDArray[np.uint8]] = draw,
    color: dict[str, int] | None = None,
) -> Path:
    """Write a video of `size` (width, height) and return its path.

    times_s: times of all frames; None: every 1/fps from `start_s` (with `vfr`, at uneven steps).
    rotation: degrees counter-clockwise by which a player turns the picture; the stored picture is not turned.
    pixel_aspect: width of a pixel over its height.
    interleaved: False puts all sound after all pictures.
    color: attributes of the codec context, such as {"colorspace": 1, "color_range": 2}.
    """
    path = Path(path)
    sounds = [audio] if isinstance(audio, Sound) else list(audio or ())
    times = list(times_s) if times_s is not None else list(frame_times(seconds, fps, start_s, vfr))
    merged = dict(container_options or {})
    if not interleaved:
        merged["max_interleave_delta"] = "1"
    with same_scheduling(), av.open(str(path), "w", options=merged) as container:
        container.metadata.update(metadata or {})
        settings = default_options(codec) | (options or {})
        if interlaced:
            settings["flags"] = "+ildct+ilme"
            if codec == "libx264":
                settings["x264-params"] = "tff=1"
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=settings)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1) / context.framerate if codec.startswith("mpeg") else VIDEO_TICK
        context.sample_aspect_ratio = pixel_aspect
        if gop:
            context.gop_size = gop
        if b_frames is not None:
            context.max_b_frames = b_frames
        for name, value in (color or {}).items():
            setattr(context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tracks = [(add_track(container, sound), sound) for sound in sounds]
        writers = [video_packets(stream, times, size, pixel_format, interlaced, picture)]
        end_s = max(seconds, times[-1] + 1 / fps if times else 0.0)
        writers += [sound_packets(track, sound, end_s) for track, sound in tracks]
        write_packets(container, writers, interleaved)
    return path


def make_sound(
    path: Path | str,
    seconds: float = 4.0,
    sound: Sound | None = None,
    *,
    cover: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a sound file, with a cover picture on demand (.mp3 and .flac)."""
    path = Path(path)
    sound = sound or Sound(codec=codec_of(path))
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        track = add_track(container, sound)
        writers = [sound_packets(track, sound, seconds)]
        if cover:
            stream = container.add_stream("mjpeg", rate=1)
            stream.width, stream.height, stream.pix_fmt = 96, 96, "yuvj420p"
            stream.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(np.full((96, 96, 3), 90, np.uint8)).reformat(format="yuvj420p")
            frame.pts = 0
            writers.insert(0, iter([(0.0, packet) for packet in stream.encode(frame)]))
        write_packets(container, writers, interleaved=False)
    return path


def make_size_change(path: Path | str, sizes: Sequence[tuple[int, int]], seconds_each: float = 2.0) -> Path:
    """A transport stream (.ts) whose picture size changes along the way."""
    path, fps = Path(path), 25
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=default_options("libx264"))
        stream.width, stream.height = sizes[0]
        stream.codec_context.time_base = VIDEO_TICK
        for number, (width, height) in enumerate(sizes):
            context: Any = av.CodecContext.create("libx264", "w")
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.framerate, context.time_base = Fraction(fps), VIDEO_TICK
            context.options = default_options("libx264")
            times = [number * seconds_each + k / fps for k in range(int(seconds_each * fps))]
            for packet in encode_frames(context, times, (width, height), "yuv420p", False, draw):
                packet.stream, packet.time_base = stream, VIDEO_TICK
                container.mux(packet)
    return path


def damage(source: Path, path: Path, *, start: float = 0.5, zeros: int = 0, cut: bool = False, flips: int = 0) -> Path:
    """A copy with bytes from `start` (share of the length) on zeroed, flipped here and there, or cut off."""
    data = bytearray(source.read_bytes())
    first = int(len(data) * start)
    if cut:
        del data[first:]
    data[first : first + zeros] = bytes(len(data[first : first + zeros]))
    for place in np.random.default_rng(5).integers(first, len(data), flips) if flips else ():
        data[place] ^= 0x55
    path.write_bytes(data)
    return path


def frame_times(seconds: float, fps: float, start_s: float, vfr: bool) -> Iterator[float]:
    """Times of frames; with `vfr` the step swings between half and one and a half of 1/fps."""
    time, count = start_s, 0
    while time < start_s + seconds - 1e-9:
        yield time
        count += 1
        time = time + (0.5 + count % 5 / 4) / fps if vfr else start_s + count / fps


def default_options(codec: str) -> dict[str, str]:
    return {
        "libx264": {"preset": "veryfast", "crf": "18", "threads": "1"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "1M"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "1M"},
        "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
        "mpeg4": {"qscale": "2"},
        "mpeg2video": {"qscale": "2"},
    }.get(codec, {})


def codec_of(path: Path) -> str:
    return {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame", ".opus": "libopus"}.get(path.suffix, "aac")


def add_track(container: Any, sound: Sound) -> Any:
    track = container.add_stream(sound.codec, rate=sound.rate_hz, layout=sound.layout, options=sound.options)
    if sound.language:
        track.metadata["language"] = sound.language
    return track


def video_packets(
    stream: Any,
    times: Sequence[float],
    size: tuple[int, int],
    pixel_format: str,
    interlaced: bool,
    picture: Callable[[float, int, int], NDArray[np.uint8]],
) -> Iterator[tuple[float, Any]]:
    for packet in encode_frames(stream, times, size, pixel_format, interlaced, picture):
        yield float(packet.dts * packet.time_base), packet


def encode_frames(
    encoder: Any,
    times: Sequence[float],
    size: tuple[int, int],
    pixel_format: str,
    interlaced: bool,
    picture: Callable[[float, int, int], NDArray[np.uint8]],
) -> Iterator[Any]:
    width, height = size
    for time in times:
        image = picture(time, width, height)
        if interlaced:
            above = height * 3 // 4
            image[1:above:2] = picture(time + 0.02, width, height)[1:above:2]
        frame = av.VideoFrame.from_ndarray(image).reformat(format=pixel_format)
        tick = encoder.time_base if isinstance(encoder, av.CodecContext) else encoder.codec_context.time_base
        frame.pts, frame.time_base = round(time / tick), tick
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def sound_packets(track: Any, sound: Sound, end_s: float) -> Iterator[tuple[float, Any]]:
    context = track.codec_context
    last = end_s if sound.seconds is None else sound.start_s + sound.seconds
    tone = sound.tone or stepped_tone
    for first, end in sound.parts or ((sound.start_s, last),):
        fifo = av.AudioFifo()
        samples = np.arange(round(first * sound.rate_hz), round(end * sound.rate_hz))
        wave = (tone(samples / sound.rate_hz) * sound.gain * 32767).astype(np.int16)
        channels = context.layout.nb_channels
        packed = np.repeat(wave[:, None], channels, axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=context.layout.name)
        frame.sample_rate, frame.time_base = sound.rate_hz, Fraction(1, sound.rate_hz)
        frame.pts = 0
        fifo.write(frame)
        done = round(first * sound.rate_hz)
        size = context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            piece.pts, piece.time_base = done, Fraction(1, sound.rate_hz)
            done += piece.samples
            for packet in track.encode(piece):
                yield float((packet.dts or 0) * packet.time_base), packet
    for packet in track.encode(None):
        yield float((packet.dts or 0) * packet.time_base), packet


def write_packets(container: Any, writers: list[Iterator[tuple[float, Any]]], interleaved: bool) -> None:
    """Mux the packets of all streams, by time or one stream after the other."""
    heads = [next(writer, None) for writer in writers]
    while any(head is not None for head in heads):
        waiting = [number for number, head in enumerate(heads) if head is not None]
        number = min(waiting, key=lambda n: heads[n][0]) if interleaved else waiting[0]  # type: ignore[index]
        container.mux(heads[number][1])  # type: ignore[index]
        heads[number] = next(writers[number], None)
