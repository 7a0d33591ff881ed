"""Decodes the pictures of one stream by hardware, and goes on in software where the hardware cannot.

The first picture is decoded in software. It tells whether the hardware would show the same: plain conversion, without
fields, HDR or transparency. Then the hardware takes over, and whatever it does that software would not do, ends it. Who
takes over decodes again from a key frame on, and gives what was not given yet: `stages/decode/handover.py`.
"""

import logging
from collections.abc import Callable
from typing import Any

import av

from stages.decode import nvdec
from stages.decode.gate import Verdict, verdict
from stages.decode.handover import Handover
from stages.decode.key_frames import MOST_HELD_BYTES, Keys
from stages.decode.nvdec import DECODERS, Size, codec_of
from stages.decode.parameter_sets import parameter_sets
from stages.decode.picture import fit_size, orientation, upright_size
from stages.decode.reader import ReaderOptions
from stages.decode.reduced import Reduced
from stages.decode.source import reason
from stages.decode.tone import is_hdr

log = logging.getLogger("percept.decode")
FORMATS = ("yuv420p", "yuvj420p")
NEW_STREAM = ("new_extradata", "param_change")
"""Side data of packets after which pictures may be others."""


class Unsuited(Exception):
    """Why pictures are decoded in software."""


class HardwareDecoder:
    """Takes the place of a stream's own decoder. name: of the source, for messages."""

    lost: Callable[[Any, Exception], None]
    """Is called with a packet that software cannot decode, or None, and the error; set by the stream."""

    def __init__(self, options: ReaderOptions, stream: Any, name: str) -> None:
        self.note = ""
        """Why the source is decoded in software, if a GPU was asked for."""
        self._options = options
        self._device = nvdec.chosen(options.device)
        self._stream = stream
        self._context = stream.codec_context
        self._name = name
        self._inner: Any = None
        self._like: Any = None
        self._size: Size | None = None
        self._known = b""
        """Parameter sets of the stream."""
        self._handover = Handover()
        self._ends_after: int | None = None
        """Pictures up to this time were given before software took over."""
        self._is_over = False
        if problem := self._problem():
            self._end(Unsuited(problem))

    def _problem(self) -> str:
        """Why nothing of the source is decoded by hardware, as far as that is known before it is read."""
        if not self._device:
            return nvdec.why_none(self._options.device)
        if other := next((name for name in ("key_frames", "reuse", "shots") if getattr(self._options, name)), ""):
            return f"{other} looks at them in another way"
        codec = codec_of(self._context)
        return "" if codec in DECODERS else f"no {codec} in hardware"

    @property
    def is_on(self) -> bool:
        """Whether the hardware decodes."""
        return self._inner is not None

    def decode(self, context: Any, packet: Any | None) -> list[Any]:
        """The frames that a packet completes, of PyAV or `Reduced`; None: those that are left.

        context: the decoder in software that the packet is for.

        Raises:
            av.error.FFmpegError: software cannot decode it.
        """
        if self._is_over:
            return self._new(context.decode(packet))
        if context is not self._context:
            self._end(Unsuited("the pictures move to another stream"))
            self._handover = Handover()
            return list(context.decode(packet))
        problem = self._handover.sent(packet) if packet is not None else ""
        if self._inner is None:
            return self._started(context, packet, problem)
        return self._continued(context, packet, problem)

    def restart(self) -> None:
        """Packets from another place follow."""
        self._handover, self._ends_after = Handover(under_way=True), None
        if self._inner is not None:
            self._inner.flush_buffers()

    def close(self) -> None:
        """Let go of the GPU. Nothing is decoded afterwards."""
        self._inner = self._like = None
        self._is_over, self._handover = True, Handover()

    # In hardware

    def _continued(self, context: Any, packet: Any | None, problem: str) -> list[Any]:
        given: list[Any] = []
        try:
            self._check_packet(packet, problem)
            self._take(packet, given)
        except (Unsuited, av.error.FFmpegError) as error:
            return given + self._fall_back(context, packet, error)
        return given

    def _take(self, packet: Any | None, given: list[Any]) -> None:
        """Decode a packet, and add the pictures that it completes.

        Raises: Unsuited, av.error.FFmpegError.
        """
        for frame in self._inner.decode(packet):
            if self._handover.is_past(frame.pts):
                continue
            sent = self._handover.owed(frame.pts)
            self._check_frame(frame, sent)
            self._handover.gave(frame.pts)
            given.append(Reduced(frame, self._like, sent))
        if packet is None and self._handover.earliest is not None:
            raise Unsuited("pictures are missing at the end")

    def _check_packet(self, packet: Any | None, problem: str) -> None:
        """Raises: Unsuited: there is a problem, or software would do more with this packet than to decode it."""
        if problem:
            raise Unsuited(problem)
        if packet is None:
            return
        if self._handover.size > MOST_HELD_BYTES:
            raise Unsuited("key frames are too far apart")
        if packet is self._handover.first and not packet.is_keyframe:
            raise Unsuited("it begins without a key frame")
        if packet.is_corrupt or packet.is_discard:
            raise Unsuited("a packet is damaged" if packet.is_corrupt else "some pictures are only decoded for others")
        if any(packet.has_sidedata(kind) for kind in NEW_STREAM) or self._changes(packet):
            raise Unsuited("size or format may change")

    def _changes(self, packet: Any) -> bool:
        if not packet.is_keyframe:
            return False
        found = parameter_sets(codec_of(self._context), bytes(packet), self._extradata)
        if not self._known:
            self._known = b"".join([self._extradata, *found])
        return any(each not in self._known for each in found)

    @property
    def _extradata(self) -> bytes:
        return self._context.extradata or b""

    def _check_frame(self, frame: Any, sent: Any | None) -> None:
        """Raises: Unsuited: software would give another picture here."""
        size = (frame.width, frame.height)
        if sent is None:
            raise Unsuited("a picture has a time that no packet has")
        if frame.pts != self._handover.earliest:
            raise Unsuited("a picture is missing")
        if frame.interlaced_frame:
            raise Unsuited("pictures are interlaced")
        if size != (self._size or (self._like.width, self._like.height)):
            raise Unsuited(f"pictures have {size[0]}x{size[1]} pixels")

    # From software to hardware

    def _started(self, context: Any, packet: Any | None, problem: str) -> list[Any]:
        try:
            frames = list(context.decode(packet))
        except av.error.FFmpegError:
            self._end(Unsuited("its first picture cannot be decoded"))
            raise
        try:
            self._check_packet(packet, problem)
            if packet is None:
                raise Unsuited("it is short")
            if frames:
                for frame in frames:
                    self._check_first(frame)
                    self._handover.gave(frame.pts)
                frames += self._taken_over(context, frames[0])
        except (Unsuited, av.error.FFmpegError) as error:
            self._end(error)
            self._handover = Handover()
        return frames

    def _check_first(self, frame: Any) -> None:
        """Raises: Unsuited: frames of the hardware would be converted in another way than those of the software."""
        problems = {
            f"pixels are {frame.format.name}": frame.format.name not in FORMATS,
            "pictures are interlaced": frame.interlaced_frame,
            "pictures are HDR": is_hdr(frame),
            "a picture is damaged": frame.is_corrupt or frame.pts != self._handover.earliest,
        }
        if found := next((text for text, is_so in problems.items() if is_so), ""):
            raise Unsuited(found)

    def _taken_over(self, context: Any, like: Any) -> list[Any]:
        """The pictures of the packets so far that software has not given.

        Raises: Unsuited, av.error.FFmpegError: the hardware does not take over.
        """
        if [(each.width, each.height) for each in Keys(context).decoded(self._handover.first)] != [
            (like.width, like.height)
        ]:
            raise Unsuited("the container changes the size of pictures")
        judged = verdict(codec_of(context), self._device)
        if judged.scale is None:
            raise Unsuited(judged.problem)
        self._like, self._size = like, self._reduced_size(context, like, judged)
        handover, given = self._handover, list[Any]()
        self._handover = handover.copy()
        self._inner = nvdec.opened(context, self._device, self._size)
        try:
            for packet in handover:
                self._take(packet, given)
        except (Unsuited, av.error.FFmpegError):
            self._inner, self._handover = None, handover
            raise
        return given

    def _reduced_size(self, context: Any, like: Any, judged: Verdict) -> Size | None:
        """Width and height, as stored, to which the hardware resizes; None if it does not."""
        options = self._options
        upright = upright_size(like, self._stream.sample_aspect_ratio or context.sample_aspect_ratio)
        width, height = fit_size(*upright, options.short_side_px, options.long_side_px)
        if orientation(like).transpose:
            width, height = height, width
        return judged.size((width, height), (like.width, like.height))

    # Back to software

    def _fall_back(self, context: Any, packet: Any | None, why: Exception) -> list[Any]:
        """Software decodes again what is owed, and goes on."""
        self._end(why)
        context.flush_buffers()
        context.skip_frame = "DEFAULT"
        frames: list[Any] = []
        for each in (*self._handover, *[None] * (packet is None)):
            try:
                frames += context.decode(each)
            except av.error.FFmpegError as error:
                self.lost(each, error)
        self._ends_after, self._handover = self._handover.last, Handover()
        return self._new(frames)

    def _new(self, frames: list[Any]) -> list[Any]:
        """Frames without those that the hardware has given."""
        if self._ends_after is None:
            return frames
        last = self._ends_after
        new = [frame for frame in frames if frame.pts is None or frame.pts > last]
        if new:
            self._ends_after = None
        return new

    def _end(self, error: Exception) -> None:
        """No more hardware. What it has begun is told at once; else it is a note, where hardware was asked for."""
        self._is_over = True
        why = str(error) if isinstance(error, Unsuited) else f"{DECODERS[codec_of(self._context)]}: {reason(error)}"
        if self._inner is not None:
            self._inner = None
            log.warning("%s: decoding goes on in software: %s", self._name, why)
        elif self._options.device != "auto":
            self.note = f"pictures are decoded in software: {why}"
