"""Writes a film, an MP4 that plays from its first byte, from packets that a camera sent.

Pictures that browsers play are copied; others, and all pictures with a mask, are encoded as H.264. So it is with
sound, as AAC. The file appears whole: it has a temporary name until it is finished.
"""

import errno
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.errors import OutputError
from stages.decode.live.film_times import Piece, film_times
from stages.decode.live.film_tracks import Copied, Pictures, Sound
from stages.decode.live.headers import Header
from stages.decode.live.masks import Mask

COPIED = {"h264", "hevc", "vp9", "av1", "aac", "mp3", "opus", "flac"}
"""What browsers play in MP4. H.265 plays where the machine has a decoder for it."""
NS = Fraction(1, 1_000_000_000)
TICK = Fraction(1, 90_000)

__all__ = ["FilmError", "Piece", "write_film"]


class FilmError(OutputError):
    """A film cannot be written: nothing is kept of its time, its media are damaged, or the disk is full."""


def write_film(
    path: Path, header: Header, pieces: Sequence[Piece], mask: Mask | None = None, comment: str = ""
) -> None:
    """Write packets of one part, the first of which begins it, to an MP4.

    Raises: FilmError.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(part, header, pieces, mask, comment)
        os.replace(part, path)
    except (OSError, ValueError) as error:  # FFmpeg's errors are one or the other
        raise FilmError(_in_words(error)) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _in_words(error: OSError | ValueError) -> str:
    """A sentence without paths and FFmpeg's own texts."""
    code = getattr(error, "errno", None) or 0
    if code in (errno.ENOSPC, errno.EDQUOT):
        return "no film: the disk is full"
    if isinstance(error, OSError) and code in errno.errorcode:
        return f"no film: {os.strerror(code)}"
    return "no film: the packets of that time are damaged"


def _write(part: Path, header: Header, pieces: Sequence[Piece], mask: Mask | None, comment: str) -> None:
    with (
        av.open(io.BytesIO(header.template), "r") as template,
        av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as film,
    ):
        film.metadata.update({"comment": comment} if comment else {})
        tracks = [_track(film, stream, header, mask) for stream in template.streams]
        videos = [number for number, stream in enumerate(template.streams) if stream.type == "video"]
        for piece, (shown_ns, decoded_ns) in zip(pieces, film_times(pieces, videos), strict=True):
            if shown_ns >= 0 or piece.track in videos:
                film.mux(list(tracks[piece.track].packets(_packet(piece, shown_ns, decoded_ns))))
        for track in tracks:
            film.mux(list(track.rest()))


def _track(film: Any, stream: Any, header: Header, mask: Mask | None) -> Any:
    """The stream of the film that a stream of the template becomes."""
    is_video = stream.type == "video"
    if stream.codec_context.codec.canonical_name in COPIED and not (is_video and mask):
        return Copied(film, stream, header.display_matrix if is_video else ())
    return Pictures(film, stream, header.orientation, mask) if is_video else Sound(film, stream)


def _packet(piece: Piece, shown_ns: int, decoded_ns: int) -> Any:
    packet = av.Packet(piece.data)
    packet.time_base = TICK
    packet.pts, packet.dts = (round(time_ns * NS / TICK) for time_ns in (shown_ns, decoded_ns))
    packet.is_keyframe = piece.is_key
    return packet
