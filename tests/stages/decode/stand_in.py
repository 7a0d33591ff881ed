"""A hardware decoder that is none: software decodes, and resizes as a GPU would."""

from collections.abc import Callable, Iterable
from typing import Any

import av
import pytest
from av.video.reformatter import Interpolation

from stages.decode import gate, hardware, nvdec
from stages.decode.key_frames import Keys


class StandIn:
    """Decodes like *_cuvid: NV12, resized, with the times of packets and without their durations.

    refuses_at: number of the packet at which it fails. without: numbers of the frames that it leaves out.
    """

    refuses_at = -1
    without: Iterable[int] = ()
    late = 4
    """Frames that it holds back."""

    def __init__(self, like: Any, size: tuple[int, int] | None, scaling: Interpolation = Interpolation.BICUBIC) -> None:
        self._context = Keys(like).context
        self._size = size
        self._scaling = scaling
        self._held: list[Any] = []
        self.packets = self.frames = 0

    def decode(self, packet: Any | None) -> list[Any]:
        if self.packets == self.refuses_at:
            raise av.error.ExternalError(0, "CUDA_ERROR_ILLEGAL_ADDRESS")
        self.packets += 1
        for frame in self._context.decode(packet):
            if self.frames not in self.without:
                self._held.append(self._copied(frame))
            self.frames += 1
        count = len(self._held) - (self.late if packet is not None else 0)
        given, self._held = self._held[: max(0, count)], self._held[max(0, count) :]
        return given

    def flush_buffers(self) -> None:
        self._held = []
        self._context.flush_buffers()

    def _copied(self, frame: Any) -> Any:
        width, height = self._size or (frame.width, frame.height)
        copied = frame.reformat(width, height, "nv12", interpolation=self._scaling)
        copied.pts, copied.duration = frame.pts, 0
        return copied


def play(patch: pytest.MonkeyPatch, make: Callable[..., Any] = StandIn, scale: int | None = 1) -> list[Any]:
    """Let a stand-in be the GPU of this machine, and the gate say so. Returns the decoders that are opened."""
    opened: list[Any] = []

    def open_one(like: Any, device: str, size: tuple[int, int] | None) -> Any:
        assert device == "cuda"
        opened.append(make(like, size))
        return opened[-1]

    patch.setattr(nvdec, "why_none", lambda device: "")
    patch.setattr(nvdec, "opened", open_one)
    verdict = gate.Verdict(scale, "" if scale is not None else "it does not show the same")
    patch.setattr(hardware, "verdict", lambda codec, device: verdict)
    return opened
