"""What the FFmpeg inside PyAV can read and write."""

from collections.abc import Iterable

VIDEO = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg2video", "mpeg4", "mjpeg", "prores", "dnxhd", "vc1", "ffv1", "vvc")
AUDIO = ("aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "dca", "truehd", "alac", "wmav2", "pcm_s16le")
PICTURES = ("png", "webp", "gif", "bmp", "tiff")
WRITTEN = ("libx264", "aac")
"""The encoders of the labelled video."""
HARDWARE = ("cuda", "vaapi", "qsv", "vulkan")


def usable(names: Iterable[str], mode: str = "r") -> list[str]:
    """Those of these decoders, or with mode "w" encoders, that this build of FFmpeg has."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    found = []
    for name in names:
        try:
            Codec(name, mode)
        except UnknownCodecError:
            continue
        found.append(name)
    return found


def hardware_decoders() -> list[str]:
    """The kinds of hardware decoders that this build of FFmpeg knows, whether or not they are here."""
    from av.codec.hwaccel import hwdevices_available

    return [name for name in hwdevices_available() if name in HARDWARE]
