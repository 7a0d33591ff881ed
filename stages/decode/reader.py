"""A reader turns one source into clips: pictures on a fixed time grid and sound on a fixed sample grid."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import ceil
from types import TracebackType
from typing import Self

import msgspec

from pipeline.clip import DecodedClip, Gap, Modality, SourceInfo
from pipeline.errors import ConfigError
from stages.decode.readers import READERS, USUAL

NS = 1_000_000_000


class ReaderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a reader. Times are those of a player's seek bar."""

    reader: str = "av"
    """A name in `READERS`, or "package.module:Class"."""
    modalities: tuple[Modality, ...] = ("image", "motion", "audio")
    """Pictures are read for image and motion, sound for audio."""
    clip_ns: int = 2 * NS
    stride_ns: int = 2 * NS
    """From one clip's start to the next; if longer than `clip_ns`, the source is sampled."""
    shots: bool = False
    """Clips end where a shot ends; a shot that is longer than a clip is tiled from its start."""
    key_frames: bool = False
    """Pictures are key frames; each is shown until the next one."""
    reuse: bool = False
    """Clips that show what an earlier one shows come without media; see `stages.decode.unchanged`."""
    tail_ns: int = NS // 2
    """A last clip shorter than this joins the one before it, or is left out if clips do not touch; a shorter shot joins
    another one."""
    gap_ns: int = 10 * NS
    """A leap of all streams that is longer starts a new epoch; where pictures stay, one of them may (docs/media.md)."""
    frame_rate_hz: float = 8.0
    """Cells per second of the frame grid: each cell yields at most one frame."""
    short_side_px: int = 224
    """Short side of the frames; smaller sources keep their size."""
    long_side_px: int = 640
    audio_rate_hz: int = 16_000
    """0: no sound is read."""
    audio_context_s: float = 0.0
    """Length of sound before a clip's end; at least the clip itself is covered."""
    audio_track: str = ""
    """Number among the sound tracks (from 0) or language ("eng"); empty: the container's default, and others where that
    is silent."""
    start_ns: int = 0
    end_ns: int | None = None
    max_pixels: int = 8192 * 8192
    max_duration_s: float = 24 * 3600.0
    max_streams: int = 256
    threads: int = 1
    """Threads of a video decoder."""
    device: str = "cpu"
    """What decodes pictures: "cpu", "cuda", "cuda:N", or "auto", a GPU if there is one. Where a GPU would give other
    pictures, software decodes."""
    open_timeout_s: float = 20.0
    read_timeout_s: float = 20.0
    """For network sources: longest wait for one read."""

    def __post_init__(self) -> None:
        wrong = [
            (self.clip_ns <= 0, f"clip_ns {self.clip_ns} must be positive"),
            (
                self.stride_ns < self.clip_ns,
                f"stride_ns {self.stride_ns} must not be shorter than clip_ns {self.clip_ns}",
            ),
            (self.frame_rate_hz <= 0, f"frame_rate_hz {self.frame_rate_hz} must be positive"),
            (self.short_side_px <= 0, f"short_side_px {self.short_side_px} must be positive"),
            (
                self.long_side_px < self.short_side_px,
                f"long_side_px {self.long_side_px} must not be smaller than short_side_px {self.short_side_px}",
            ),
            (self.audio_rate_hz < 0, f"audio_rate_hz {self.audio_rate_hz} must not be negative"),
            (self.start_ns < 0, f"start_ns {self.start_ns} must not be negative"),
            (
                self.end_ns is not None and self.end_ns <= self.start_ns,
                f"end_ns {self.end_ns} must be after start_ns {self.start_ns}",
            ),
            (not self.modalities, "modalities must name at least one of image, motion, audio"),
            (
                self.shots and (self.key_frames or not self.clips_touch),
                "shots are found on all pictures: neither key_frames nor a longer stride_ns goes with them",
            ),
            (
                self.reuse and (self.shots or self.key_frames or not self.clips_touch),
                "what is unchanged is found on clips that touch: neither shots nor key_frames go with reuse",
            ),
            (self.threads < 1, f"threads {self.threads} must be at least 1"),
        ]
        if problems := [text for is_wrong, text in wrong if is_wrong]:
            raise ValueError("; ".join(problems))

    @property
    def wants_frames(self) -> bool:
        return "image" in self.modalities or "motion" in self.modalities

    @property
    def wants_audio(self) -> bool:
        return "audio" in self.modalities and self.audio_rate_hz > 0

    @property
    def clips_touch(self) -> bool:
        return self.stride_ns == self.clip_ns

    @property
    def max_frames(self) -> int:
        """Most frames in one clip."""
        return ceil(self.clip_ns * self.frame_rate_hz / NS) + 1


class Reader(ABC):
    """Reads one source from its start, or from any clip, to its end. Call `open` before `clips`."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        self.source = source
        self.source_index = source_index
        self.options = options
        self.alive: Callable[[], None] = lambda: None
        """Called repeatedly while the next clip takes long; set by the caller to detect readers that hang."""

    @classmethod
    def missing(cls) -> str:
        """The missing package that this reader needs, and how to install it; "" if nothing is missing."""
        return ""

    @abstractmethod
    def open(self) -> SourceInfo:
        """Open the source and read up to its first picture.

        Raises:
            SourceError: it is missing, not media, has none of the requested streams, or exceeds the limits.
        """

    @abstractmethod
    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        """Clips in order from clip `start_index`; a gap comes before the clip that follows it.

        A later start yields the same clips, bit for bit; with `reuse`, none is said to show what one before it shows.
        Call it once per `open`.

        Raises:
            SourceError: nothing could be decoded, or the source is longer than the limit.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the source; may be called at any time, and more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def reader_class(name: str) -> type[Reader]:
    """The class that `ReaderOptions.reader` names: one of `READERS`, or "package.module:Class".

    Raises:
        ConfigError: no such reader exists.
    """
    module, _, attribute = READERS.get(name, name).partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f'decode.reader is {name!r}; expected {" or ".join(READERS)}, or the "package.module:Class" of your own '
            f"reader ({error})"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Reader)):
        raise ConfigError(f"decode.reader is {name!r}; expected a class derived from stages.decode.reader.Reader")
    return found


def check_reader(name: str) -> None:
    """Raises: ConfigError: no such reader exists, or a package that it needs is missing."""
    if name == USUAL:  # every installation has it, and whoever plans does not need to import it
        return
    if missing := reader_class(name).missing():
        raise ConfigError(missing)


def make_reader(source: str, source_index: int, options: ReaderOptions) -> Reader:
    """The reader that the options name. Nothing is opened yet."""
    return reader_class(options.reader)(source, source_index, options)
