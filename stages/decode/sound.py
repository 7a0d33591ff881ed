"""The sound of a source: mono, resampled by FFmpeg, on one sample grid that starts with the source.

FFmpeg's mono mix adds channels. Channels that are each other's negative (a balanced microphone on a stereo jack)
cancel, and a channel that a layout leaves out (an LFE, which may be track 4 of a recorder) is lost. So the mix is
compared with the channels, block by block, and where it is far quieter, the loudest channel replaces it.
"""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array
from stages.decode.frames import Shown
from stages.decode.reader import NS
from stages.decode.timeline import Failures

DRIFT_NS = 50_000_000
"""Times that deviate less from the sample count are jitter; beyond that, the sound is placed by its time again."""
BLOCK_NS = NS // 4
"""The mix is judged on blocks of this length, on a grid that starts with the source."""
LOST_RATIO = 10**-1.8
"""Of the loudest channel's power: a mix with less has lost it. One of eight channels alone has 1/64 in a plain mix."""
STILL_LOST_RATIO = 0.2
"""The same for a block after one whose mix was lost: part of it may be."""
SILENCE = 10**-7.0
"""Mean power, at full scale 1, below which nothing can be lost: -70 dBFS."""
LOOK_NS = NS
"""What is wrong in this stretch at the start of the sound is known when the source is opened."""
log = logging.getLogger("percept.decode")
RESAMPLING = {"rematrix_maxval": "1.0"}
"""The mono mix never exceeds the range, whatever the decoder's sample format."""


@dataclass
class Block:
    """What one block of several channels needs until it is judged."""

    number: int
    place: int
    """Number of its first sample."""
    count: int
    """Of channels."""
    decoded: list[Array] = field(default_factory=list)
    """What was decoded, frame by frame, in the decoder's sample format."""
    mixed: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    """Pieces of FFmpeg's mix and their places."""

    def channels(self) -> NDArray[np.float32]:
        """The samples as "C N"."""
        return as_channels(np.concatenate(self.decoded, axis=1), self.count)

    def lost_channel(self, before: int | None) -> int | None:
        """The loudest channel if the mix has lost it; None if all is well. `before`: the one of the last block."""
        channels = self.channels()
        powers = np.einsum("cn,cn->c", channels, channels) / channels.shape[1]
        loudest = int(powers.argmax())
        mixed = np.concatenate([samples for _, samples in self.mixed] or [np.zeros(1, np.float32)])
        ratio = LOST_RATIO if before is None else STILL_LOST_RATIO
        if powers[loudest] < SILENCE or np.mean(mixed**2) >= ratio * powers[loudest]:
            return None
        return before if before is not None and powers[before] > powers[loudest] / 2 else loudest


class SoundFrames(Protocol):
    """Decoded sound in order."""

    ends: bool
    """Without a next frame, the stream is at its end; else more may come."""
    failures: Failures

    @property
    def broken_off(self) -> str: ...

    @property
    def errors(self) -> int: ...

    def peek(self) -> Shown | None: ...

    def pop(self) -> Shown: ...


class SoundTrack:
    """Samples at `rate_hz`; sample n is at n / rate after the source's start. Samples are kept until `forget`."""

    def __init__(self, stream: SoundFrames, rate_hz: int, name: str = "") -> None:
        self.stream = stream
        self.rate_hz = rate_hz
        self.name = name
        """Of the source, for warnings."""
        self.notes: list[str] = []
        """What was done to the first `LOOK_NS`; what is done later is warned of."""
        self.covered_ns = 0
        self._resampler: Any = None
        self._format: tuple[Any, ...] = ()
        self._expected_ns = 0
        self._segment_ns = 0
        self._segment_samples = 0
        self._place = 0
        self._end = 0
        self._needed = 0
        self._mix_plainly = False
        self._has_warned = False
        self._is_new = True
        self._block: Block | None = None
        self._solo: Solo | None = None
        self._blocks: deque[tuple[int, NDArray[np.float32]]] = deque()

    @property
    def errors(self) -> int:
        return self.stream.errors

    @property
    def broken_off(self) -> str:
        return self.stream.broken_off

    @property
    def failures(self) -> Failures:
        return self.stream.failures

    def peek(self) -> Shown | None:
        """The next piece of sound that is not decoded by `advance` yet."""
        return self.stream.peek()

    def look(self) -> None:
        """Decode the first `LOOK_NS`, for `notes`. It changes nothing in what comes out."""
        if (head := self.stream.peek()) is not None:
            self.advance(head.time_ns + LOOK_NS, head.epoch)
        self._is_new = False

    def advance(self, until_ns: int, epoch: int) -> None:
        """Decode everything of an epoch that starts before `until_ns`, and its block."""
        until_ns = -(-until_ns // BLOCK_NS) * BLOCK_NS
        head = self.stream.peek()
        while head is not None and head.epoch <= epoch and head.time_ns < until_ns:
            self._push(self.stream.pop())
            head = self.stream.peek()
        if (head is None and self.stream.ends) or (head and (head.epoch > epoch or self._strays(head))):
            self._flush()
        self._settle()
        self.covered_ns = max(self.covered_ns, self.stream.failures.end_ns)

    def window(self, first: int, count: int, not_before: int) -> tuple[Array, Array]:
        """Samples [first, first + count) as float32 "S", and a mask uint8 "S", 1 for real samples."""
        samples, mask = np.zeros(count, np.float32), np.zeros(count, np.uint8)
        for place, block in self._blocks:
            start = max(first, place, not_before)
            end = min(first + count, place + len(block))
            if start < end:
                samples[start - first : end - first] = block[start - place : end - place]
                mask[start - first : end - first] = 1
        return samples, mask

    def forget(self, before: int) -> None:
        """Drop the samples before number `before`, including those that are decoded later."""
        self._needed = max(self._needed, before)
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= before:
            self._blocks.popleft()

    def _strays(self, head: Shown) -> bool:
        return abs(head.time_ns - self._expected_ns) > DRIFT_NS

    def _push(self, head: Shown) -> None:
        frame = head.picture
        if not frame.samples or not frame.sample_rate:
            return
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or layout != self._format or self._strays(head):
            self._flush()
            self._format = layout
            self._resampler = self._make_resampler()
            self._mix_plainly = False
            self._place = round(head.time_ns * self.rate_hz / NS)
            self._segment_ns, self._segment_samples = head.time_ns, 0
        self._segment_samples += frame.samples
        self._expected_ns = self._segment_ns + round(self._segment_samples * NS / frame.sample_rate)
        self.covered_ns = max(self.covered_ns, self._expected_ns)
        frame.pts = None
        if frame.layout.nb_channels > 1:
            number = head.time_ns // BLOCK_NS
            if self._block is None or self._block.number != number:
                self._settle()
                self._block = Block(number, round(head.time_ns * self.rate_hz / NS), frame.layout.nb_channels)
            self._block.decoded.append(frame.to_ndarray())
        self._resample(frame)

    def _make_resampler(self) -> Any:
        return av.AudioResampler(format="flt", layout="mono", rate=self.rate_hz, options=RESAMPLING)

    def _resample(self, frame: Any) -> None:
        if not self._mix_plainly:
            try:
                pieces = self._resampler.resample(frame)
            except (av.error.FFmpegError, ValueError):
                # swresample cannot mix a layout without channel names: use the mean of the channels.
                self._mix_plainly = True
                self._resampler = self._make_resampler()
                if self._is_new:
                    self.notes.append(plain_mix_of(frame))
        if self._mix_plainly:
            pieces = self._resampler.resample(mean_of_channels(frame))
        for piece in pieces:
            self._keep(piece)

    def _flush(self) -> None:
        if self._resampler is not None:
            for piece in self._resampler.resample(None):
                self._keep(piece)
            self._resampler = None
        self._settle()
        self._end_solo()

    def _settle(self) -> None:
        """Keep the mix of the block, or its loudest channel."""
        block, self._block = self._block, None
        if block is None:
            return
        channel = block.lost_channel(self._solo.channel if self._solo else None)
        if channel is None:
            self._end_solo()
            for place, samples in block.mixed:
                self._store(place, samples)
            return
        if self._solo is None or self._solo.channel != channel:
            self._end_solo()
            for place, samples in block.mixed:  # the resampler is a little behind
                if place < block.place:
                    self._store(place, samples[: block.place - place])
            self._solo = Solo(channel, block.place, self._make_resampler())
            self._warn(block.place, channel, block.count)
        rate_hz = self._format[2]
        for samples in self._solo.resampled(block.channels(), rate_hz):
            self._store(self._solo.place - len(samples), samples)

    def _end_solo(self) -> None:
        solo, self._solo = self._solo, None
        if solo is not None:
            for samples in solo.resampled(None, 0):
                self._store(solo.place - len(samples), samples)

    def _warn(self, place: int, channel: int, count: int) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        lost = f"the mono mix loses sound channel {channel + 1} of {count}"
        if self._is_new:
            self.notes.append(f"where {lost}, that channel is used")
        else:
            since_s = place / self.rate_hz
            log.warning("%s: %s from %.1f s on; that channel is used instead", self.name, lost, since_s)

    def _keep(self, piece: Any) -> None:
        if piece is None or not piece.samples:
            return
        samples = np.nan_to_num(piece.to_ndarray().reshape(-1))
        place, self._place = self._place, self._place + len(samples)
        if self._block is None:
            self._store(place, samples)
        else:
            self._block.mixed.append((place, samples))

    def _store(self, place: int, samples: NDArray[np.float32]) -> None:
        end = place + len(samples)
        fresh = samples[max(0, self._end - place) :]
        if len(fresh) and end > self._needed:
            self._blocks.append((end - len(fresh), fresh))
        self._end = max(self._end, end)


class Solo:
    """One channel, resampled like the mix."""

    def __init__(self, channel: int, place: int, resampler: Any) -> None:
        self.channel = channel
        self.place = place
        """Number of the next sample."""
        self._resampler = resampler

    def resampled(self, channels: NDArray[np.float32] | None, rate_hz: int) -> Iterator[NDArray[np.float32]]:
        """What comes out for these samples "C N"; None flushes."""
        frame = None if channels is None else mono_frame(channels[self.channel], rate_hz)
        for piece in self._resampler.resample(frame):
            samples = np.nan_to_num(piece.to_ndarray().reshape(-1))
            self.place += len(samples)
            yield samples


def mono_frame(samples: NDArray[np.float32], rate_hz: int) -> Any:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="flt", layout="mono")
    frame.sample_rate = rate_hz
    return frame


def is_ambisonic(frame: Any) -> bool:
    return bool(frame.layout.name.startswith("ambisonic"))


def mean_of_channels(frame: Any) -> Any:
    """Any audio frame as mono float; of ambisonics, the first channel, which has no direction."""
    channels = channels_of(frame)
    mono = channels[0] if is_ambisonic(frame) else channels.mean(axis=0, dtype=np.float32)
    return mono_frame(mono, frame.sample_rate)


def plain_mix_of(frame: Any) -> str:
    """What `mean_of_channels` does, in plain words."""
    if is_ambisonic(frame):
        return "ambisonics: the channel without direction is used"
    return f"{frame.layout.nb_channels} unnamed sound channels: their mean is used"


def channels_of(frame: Any) -> NDArray[np.float32]:
    """The samples of any audio frame as float32 "C N", at full scale 1."""
    return as_channels(frame.to_ndarray(), frame.layout.nb_channels)


def as_channels(array: Array, count: int) -> NDArray[np.float32]:
    """Planar samples "C N" or packed ones "1 N*C", of any type, as float32 "C N" at full scale 1."""
    if len(array) != count:
        array = array.reshape(-1, count).T
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        array = (array.astype(np.float32) - (info.max + 1 >> 1 if array.dtype.kind == "u" else 0)) / (info.max + 1.0)
    return np.nan_to_num(np.asarray(array, np.float32))
