"""What a browser can do with a media file, and how a page refers to it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from av.stream import Disposition

from pipeline.media import is_url, open_media

Kind = Literal["video", "sound", "still"]

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_PICTURES = {_MP4: {"h264", "av1", "vp9"}, "matroska,webm": {"vp8", "vp9", "av1"}}
_SOUNDS = {
    _MP4: {"aac", "mp3", "opus", "flac"},
    "matroska,webm": {"opus", "vorbis"},
    "ogg": {"opus", "vorbis", "flac"},
    "mp3": {"mp3"},
    "flac": {"flac"},
    "aac": {"aac"},
    "wav": {"pcm_s16le", "pcm_u8", "pcm_f32le", "pcm_s24le"},
}
_EIGHT_BITS = {"yuv420p", "yuvj420p"}
_STILLS = ("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "jpegxl_pipe")
LATEST_START_S = 0.05
"""Players disagree about the time axis of a file that begins later."""


@dataclass(frozen=True)
class Media:
    """A media file. `obstacle`: why a browser does not play it as it is; "" if it does."""

    path: str
    kind: Kind
    obstacle: str
    duration_s: float
    """0.0: unknown."""
    width: int = 0
    """Upright, with square pixels."""
    height: int = 0


def probe(path: str) -> Media:
    """Raises: av.error.FFmpegError, ValueError, OSError: it cannot be opened, or has neither picture nor sound."""
    with open_media(path) as container:
        cover = Disposition.attached_pic
        video = next((each for each in container.streams.video if not each.disposition & cover), None)
        audio = container.streams.audio[0] if container.streams.audio else None
        form = container.format.name
        duration_s = (container.duration or 0) / 1e6
        if video is not None and (form in _STILLS or form.endswith("_pipe")):
            return Media(path, "still", "", 0.0, *upright_size(container, video))
        if video is None and audio is None:
            raise ValueError("it has neither picture nor sound")
        obstacle = _obstacle(path, form, video, audio, (container.start_time or 0) / 1e6)
        size = upright_size(container, video) if video is not None else (0, 0)
        return Media(path, "sound" if video is None else "video", obstacle, duration_s, *size)


def _obstacle(path: str, form: str, video: Any, audio: Any, start_s: float) -> str:
    if form not in _SOUNDS or (form == "matroska,webm" and Path(path).suffix.lower() != ".webm"):
        return f"the container {form.split(',')[0]}"
    if video is not None:
        codec = video.codec_context
        if codec.name not in _names(_PICTURES.get(form, set())):
            return f"the video codec {codec.name}"
        if codec.pix_fmt not in _EIGHT_BITS:
            return f"the pixel format {codec.pix_fmt}"
    if audio is not None and audio.codec_context.name not in _names(_SOUNDS[form]):
        return f"the audio codec {audio.codec_context.name}"
    if abs(start_s) > LATEST_START_S:
        return f"a clock that begins at {start_s:.1f} s"
    return ""


def _names(codecs: set[str]) -> set[str]:
    """The names of decoders of these codecs."""
    return codecs | {f"lib{name}" for name in codecs} | ({"libdav1d", "mp3float"} & _decoders(codecs))


def _decoders(codecs: set[str]) -> set[str]:
    known = {"av1": "libdav1d", "mp3": "mp3float"}
    return {known[name] for name in codecs if name in known}


def upright_size(container: Any, video: Any) -> tuple[int, int]:
    """Width and height as a player shows them; (0, 0) if no picture can be decoded."""
    frame = next(container.decode(video), None)
    if frame is None:
        return 0, 0
    aspect = video.sample_aspect_ratio or 1
    width, height = round(frame.width * aspect), frame.height
    return (height, width) if frame.rotation % 180 else (width, height)


def find(source: str, results: str) -> str | None:
    """The file of a source, as results name it: from here, or next to the results; None if it is not there."""
    if is_url(source):
        return None
    folder = os.path.dirname(os.path.abspath(results))
    for path in (source, os.path.join(folder, source), os.path.join(folder, os.path.basename(source))):
        if os.path.isfile(path):
            return path
    return None


def link(path: str, page: str) -> str:
    """The URL of a file, relative to a page on the same drive; percent-encoded."""
    folder = os.path.dirname(os.path.abspath(page))
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return Path(os.path.abspath(path)).as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")
