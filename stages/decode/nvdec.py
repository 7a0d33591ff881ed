"""NVIDIA's video decoder (NVDEC), through FFmpeg's decoders that are named *_cuvid.

PyAV's wheel has them, and they load the driver's libraries when they are opened.

They can make pictures smaller on the way, so that little has to be copied from the GPU.
"""

from typing import Any

from engines.devices.gpus import why_no_driver
from pipeline.errors import ConfigError

DECODERS = {"h264": "h264_cuvid", "hevc": "hevc_cuvid", "av1": "av1_cuvid"}
"""By codec."""

Size = tuple[int, int]
"""Width and height in pixels."""


def why_none(device: str) -> str:
    """Why nothing can be decoded on "cuda" or "cuda:N" here; "" if it probably can. Does not initialise CUDA."""
    import av

    if not any(name in av.codecs_available for name in DECODERS.values()):
        return f"PyAV {av.__version__} is built without {', '.join(DECODERS.values())}"
    return why_no_driver(device)


def check_device(device: str) -> None:
    """Raises: ConfigError: pictures are to be decoded on a GPU, and cannot be."""
    if device.startswith("cuda") and (why := why_none(device)):
        raise ConfigError(f"decode.device is {device!r}: {why}. Choose --set decode.device=auto, or cpu")


def chosen(device: str) -> str:
    """The GPU that `decode.device` means; "" for none."""
    wanted = "cuda" if device == "auto" else device
    return "" if wanted == "cpu" or why_none(wanted) else wanted


def opened(like: Any, device: str, size: Size | None) -> Any:
    """An open decoder for the packets that `like`, a decoder of PyAV in software, takes.

    size: to which pictures are resized, in even numbers; None: they keep theirs.

    Raises:
        av.error.FFmpegError: the driver or the hardware refuses.
    """
    import av

    context: Any = av.CodecContext.create(DECODERS[codec_of(like)], "r")
    context.extradata = like.extradata
    context.width, context.height, context.pix_fmt = like.width, like.height, "nv12"
    options = {"gpu": device.partition(":")[2] or "0"}
    context.options = options | ({"resize": f"{size[0]}x{size[1]}"} if size else {})
    context.open()
    return context


def codec_of(context: Any) -> str:
    """The codec of a decoder, whatever library decodes it: "av1" for libdav1d."""
    return str(context.codec.canonical_name)
