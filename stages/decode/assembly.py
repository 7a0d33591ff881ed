"""The part that all readers share: assembles clips from pictures and sound."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import ClipInfo, DecodedClip, Gap, SourceInfo
from pipeline.errors import SourceError
from stages.decode.frames import Shown
from stages.decode.grid import PictureGrid, Pictures, TileFrames
from stages.decode.hls import Losses
from stages.decode.reader import NS, Reader, ReaderOptions
from stages.decode.relay import Relay
from stages.decode.shots import ShotPictures
from stages.decode.sound import SoundTrack
from stages.decode.source import shown_name
from stages.decode.tiling import Tiling
from stages.decode.unchanged import Unchanged

SOUND_AHEAD_NS = NS // 10
"""Sound is decoded this far beyond a clip, so that the resampler has output all samples of the clip."""
JOIN_NS = NS // 2
"""A new epoch that begins less than this after the end of the one before begins there."""
CATCH_UP_NS = 60 * NS
CUT_NS = NS
"""A source that ends more than this before its declared end was cut off; that counts as one decode error."""


@dataclass
class Media:
    """The open streams of a source, and why one is absent."""

    pictures: Pictures | None
    sound: SoundTrack | Relay | None
    start_ns: int
    """Start of the chosen streams."""
    declared_end_ns: int | None = None
    """Their end according to the container; None if that is unknown or unreliable."""
    frames_absent: str = ""
    audio_absent: str = ""
    losses: Losses | None = None
    """What is missing of the source."""

    @property
    def errors(self) -> int:
        return (self.pictures.errors if self.pictures else 0) + (self.sound.errors if self.sound else 0)


class Epoch:
    """A stretch of a source without a gap, tiled by clips: all of it, or one shot. `number` is that of its frames.

    begin_ns: where the epoch begins, if this is a later shot of it.
    """

    def __init__(
        self,
        media: Media,
        options: ReaderOptions,
        anchor_ns: int,
        number: int,
        first_tile: int,
        begin_ns: int | None = None,
    ) -> None:
        self.tiling = Tiling(anchor_ns, options.clip_ns, options.stride_ns, options.frame_rate_hz)
        self.number = number
        self.begin_ns = anchor_ns if begin_ns is None else begin_ns
        self.media = media
        self.options = options
        self.grid = PictureGrid(media.pictures, self.tiling, number, first_tile) if media.pictures else None

    def advance(self, until_ns: int) -> None:
        """Decode everything before `until_ns`."""
        if self.options.end_ns is not None:
            until_ns = min(until_ns, self.options.end_ns)
        if self.grid:
            self.grid.advance(until_ns)
        if self.media.sound:
            self.media.sound.advance(until_ns + SOUND_AHEAD_NS, self.number)

    def end_ns(self, until_ns: int) -> int | None:
        """End of the epoch, once it was decoded to `until_ns`; None if it continues."""
        turn_ns = self.grid.turn_ns if self.grid else None
        if turn_ns is not None and turn_ns <= until_ns:
            return turn_ns
        covered_ns = self.covered_ns
        ended = all(head.epoch > self.number for head in heads(self.media))
        limit_ns = self.options.end_ns
        if limit_ns is not None and limit_ns <= until_ns:
            return min(covered_ns, limit_ns) if ended else limit_ns
        return covered_ns if ended else None

    @property
    def covered_ns(self) -> int:
        pictures_ns = self.grid.covered_ns if self.grid else 0
        sound_ns = self.media.sound.covered_ns if self.media.sound else 0
        return max(pictures_ns, sound_ns, self.tiling.anchor_ns)


def heads(media: Media) -> list[Shown]:
    """The next picture and the next piece of sound."""
    return [head for part in (media.pictures, media.sound) if part is not None and (head := part.peek()) is not None]


def lost(failed: bool) -> str:
    """Why a clip lacks a stream that its source has."""
    return "failed" if failed else "gap"


class ClipMaker(Reader):
    """Makes a clip of what an epoch holds for a tile; a subclass opens the streams and says which tile is next."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        super().__init__(source, source_index, options)
        self._info: SourceInfo | None = None
        self._previous: tuple[int, Array] | None = None
        self._errors_reported = 0
        self._missing_errors = 0

    def _clip_info(self, epoch: int, index: int, start_ns: int, end_ns: int, size: tuple[int, int]) -> ClipInfo:
        assert self._info is not None
        width, height = size if all(size) else (self._info.width, self._info.height)
        return ClipInfo(
            source=shown_name(self.source),
            source_index=self.source_index,
            index=index,
            start_ns=start_ns,
            end_ns=end_ns,
            epoch=epoch,
            width=width,
            height=height,
        )

    def _clip(self, epoch: Epoch, tile: int, info: ClipInfo, joined: bool) -> DecodedClip:
        """One clip with all its arrays; `joined`: including the frames of the next tile."""
        arrays: dict[str, Array] = {}
        absent: dict[str, str] = {}
        gathered = TileFrames()
        if epoch.grid:
            gathered = epoch.grid.close(tile)
            if joined:
                gathered = gathered.joined(epoch.grid.close(tile + 1, is_tail=True), self.options.max_frames)
        errors = epoch.media.errors - self._errors_reported
        self._errors_reported += errors
        errors += self._missing_errors
        if epoch.media.losses is not None:
            errors += epoch.media.losses.count(info.start_ns, info.end_ns)
        self._add_frames(gathered, epoch.media.frames_absent or lost(gathered.lost), tile == 0, arrays, absent)
        self._add_audio(epoch, info, arrays, absent)
        info = msgspec.structs.replace(
            info, decode_errors=errors, corrupt_frames=gathered.corrupt, estimated_times=gathered.estimated
        )
        return DecodedClip(info, arrays, absent)

    def _add_frames(
        self,
        gathered: TileFrames,
        reason: str,
        is_first: bool,
        arrays: dict[str, Array],
        absent: dict[str, str],
    ) -> None:
        previous, self._previous = self._previous, None
        if not gathered.times_ns:
            absent.update(dict.fromkeys(("frames", "frame_times_ns", "previous_frame", "previous_time_ns"), reason))
            return
        arrays["frames"] = gathered.frames()
        arrays["frame_times_ns"] = np.array(gathered.times_ns, np.int64)
        if previous is not None:
            arrays["previous_time_ns"] = np.array([previous[0]], np.int64)
            arrays["previous_frame"] = previous[1]
        else:
            absent.update(dict.fromkeys(("previous_frame", "previous_time_ns"), "too_short" if is_first else "gap"))
        if self.options.clips_touch:
            self._previous = (gathered.times_ns[-1], gathered.pictures[-1])

    def _add_audio(self, epoch: Epoch, info: ClipInfo, arrays: dict[str, Array], absent: dict[str, str]) -> None:
        names, sound, rate_hz = ("audio", "audio_start_ns", "audio_mask"), epoch.media.sound, self.options.audio_rate_hz
        if sound is None:
            absent.update(dict.fromkeys(names, epoch.media.audio_absent))
            return
        first, end = self._window(info.start_ns, info.end_ns)
        epoch_start = round(epoch.begin_ns * rate_hz / NS) if info.epoch else 0
        samples, mask = sound.window(first, end - first, epoch_start)
        if not mask[-round((info.end_ns - info.start_ns) * rate_hz / NS) :].any():
            failed = sound.failures.overlap(info.start_ns, info.end_ns)
            absent.update(dict.fromkeys(names, lost(failed)))
            return
        arrays["audio"], arrays["audio_mask"] = samples, mask
        arrays["audio_start_ns"] = np.array([round(first * NS / rate_hz)], np.int64)

    def _window(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Numbers of the samples in a clip, half-open."""
        rate_hz = self.options.audio_rate_hz
        length_ns = max(end_ns - start_ns, int(self.options.audio_context_s * NS))
        end = round(end_ns * rate_hz / NS)
        return end - round(length_ns * rate_hz / NS), end


class AssemblingReader(ClipMaker):
    """Puts clips together from pictures and sound; a subclass opens the streams."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        super().__init__(source, source_index, options)
        self._media: Media | None = None

    @abstractmethod
    def _open(self) -> tuple[SourceInfo, Media]:
        """Open the source; see `Reader.open`."""

    @abstractmethod
    def _close(self) -> None:
        """Release what `_open` opened."""

    def open(self) -> SourceInfo:
        try:
            self._info, self._media = self._open()
        except BaseException:
            self.close()
            raise
        if self.options.shots and self._media.pictures is not None:
            self._media.pictures = ShotPictures(self._media.pictures, self.options.tail_ns)
        return self._info

    @property
    def media(self) -> Media:
        """The open streams. Whoever takes frames from them takes them from the clips."""
        assert self._media is not None, "not open"
        return self._media

    def close(self) -> None:
        self._media = None
        self._previous = None
        self._close()

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        assert self._media is not None, "clips before open"
        media, options = self._media, self.options
        anchor_ns, index, number, epoch_number = max(media.start_ns, options.start_ns), 0, 0, 0
        first_tile = self._skip(media, anchor_ns, start_index)
        self._catch_up(media, anchor_ns + first_tile * options.stride_ns)
        begin_ns = anchor_ns
        while True:
            epoch = Epoch(media, options, anchor_ns, epoch_number, first_tile, begin_ns)
            self._previous = None
            tiles = 0
            for clip in self._tiles(epoch, number, index, first_tile, start_index):
                tiles = clip.info.index + 1 - index
                if clip.info.index >= start_index:
                    yield clip
            turn_ns = epoch.grid.turn_ns if epoch.grid else None
            end_ns = turn_ns if turn_ns is not None else epoch.covered_ns
            is_cut = epoch.grid is not None and epoch.grid.ends_in_cut
            index, number, first_tile = index + tiles, number + (not is_cut), 0
            following = self._next_epoch(epoch, end_ns)
            if following is None:
                self._check_start(index, end_ns)
                return
            anchor_ns, epoch_number = following
            begin_ns = begin_ns if is_cut else anchor_ns
            if anchor_ns > end_ns and index >= start_index:
                yield Gap(shown_name(self.source), self.source_index, number, end_ns, anchor_ns, index)

    def _skip(self, media: Media, anchor_ns: int, start_index: int) -> int:
        """Skip to the clip before `start_index` if that changes no clip. Returns the tile to begin with."""
        pictures, options = media.pictures, self.options
        first_tile = 0 if options.shots else max(0, start_index - 1)
        if pictures is None or anchor_ns + first_tile * options.stride_ns <= 0:
            return 0
        # a stretch may end after any tile but the first, and its tail join the tile before
        margin_ns = options.stride_ns + options.tail_ns if first_tile else 0
        whole_ns = pictures.whole_until_ns(anchor_ns + first_tile * options.stride_ns + margin_ns)
        first_tile = min(first_tile, (whole_ns - margin_ns - anchor_ns) // options.stride_ns)
        if first_tile < 0:
            return 0
        pictures.skip_to(anchor_ns + first_tile * options.stride_ns)
        return first_tile

    def _catch_up(self, media: Media, start_ns: int) -> None:
        """Decode the sound before the first clip. Hours of it take minutes, so `alive` is called between steps."""
        if media.sound is not None:
            media.sound.forget(self._window(start_ns, start_ns + self.options.clip_ns)[0])
            for until_ns in range(CATCH_UP_NS, start_ns, CATCH_UP_NS):
                media.sound.advance(until_ns, 0)
                self.alive()

    def _next_epoch(self, epoch: Epoch, end_ns: int) -> tuple[int, int] | None:
        """Start and number of the next epoch; None at the end of the source."""
        following = heads(epoch.media)
        if not following:
            return None
        number = min(head.epoch for head in following)
        start_ns = min(head.time_ns for head in following if head.epoch == number)
        limit_ns = self.options.end_ns
        if limit_ns is not None and start_ns >= limit_ns:
            return None
        return (end_ns if start_ns < end_ns + JOIN_NS else start_ns), number

    def _tiles(self, epoch: Epoch, number: int, index: int, first_tile: int, start_index: int) -> Iterator[DecodedClip]:
        """The clips of one epoch."""
        options, tile, last = self.options, first_tile, False
        unchanged = Unchanged(epoch.media.pictures, epoch.media.sound, epoch.number) if options.reuse else None
        while not last:
            start_ns, end_ns = epoch.tiling.start_ns(tile), epoch.tiling.end_ns(tile)
            self._check_duration(start_ns)
            self.alive()
            if not options.clips_touch and epoch.media.pictures:
                epoch.media.pictures.skip_to(start_ns)
            if epoch.media.sound:
                epoch.media.sound.forget(self._window(start_ns, end_ns)[0])
            horizon_ns = end_ns + (options.tail_ns if options.clips_touch else 0)
            asked = unchanged if index + tile >= start_index else None
            clip = self._undecoded(asked, epoch, tile, number, index, horizon_ns) if asked is not None else None
            if clip is not None:
                yield clip
                tile += 1
                continue
            epoch.advance(horizon_ns)
            epoch_end_ns = epoch.end_ns(horizon_ns)
            if epoch_end_ns is not None:
                last = epoch_end_ns < start_ns + options.stride_ns + options.tail_ns
                end_ns = epoch_end_ns if last and options.clips_touch else min(end_ns, epoch_end_ns)
            if end_ns <= start_ns or (tile > 0 and end_ns - start_ns < options.tail_ns):
                return
            size = epoch.grid.size if epoch.grid else (0, 0)
            info = self._clip_info(number, index + tile, start_ns, end_ns, size)
            self._missing_errors = int(epoch_end_ns is not None and last and self._ends_early(epoch, epoch_end_ns))
            clip = self._clip(epoch, tile, info, joined=last and options.clips_touch)
            yield asked.decoded(clip) if asked is not None and not last else clip
            tile += 1

    def _undecoded(
        self, unchanged: Unchanged, epoch: Epoch, tile: int, number: int, index: int, horizon_ns: int
    ) -> DecodedClip | None:
        """The clip of a tile without media and without decoding its pictures, if nothing has changed; else None."""
        limit_ns = self.options.end_ns
        if epoch.grid is None or (limit_ns is not None and limit_ns < horizon_ns):
            return None
        start_ns, end_ns = epoch.tiling.start_ns(tile), epoch.tiling.end_ns(tile)
        clip = unchanged.undecoded(
            self._clip_info(number, index + tile, start_ns, end_ns, epoch.grid.size), horizon_ns + SOUND_AHEAD_NS
        )
        if clip is not None:
            epoch.grid.skip(tile)
            self._previous = None
        return clip

    def _ends_early(self, epoch: Epoch, end_ns: int) -> bool:
        """Whether the source ends well before its declared end: the file was cut off."""
        declared_ns, limit_ns = epoch.media.declared_end_ns, self.options.end_ns
        if declared_ns is None or self._next_epoch(epoch, end_ns) is not None:
            return False
        return end_ns < min(declared_ns, limit_ns if limit_ns is not None else declared_ns) - CUT_NS

    def _check_start(self, clips: int, end_ns: int) -> None:
        if not clips and self.options.start_ns and end_ns <= self.options.start_ns:
            name = shown_name(self.source)
            raise SourceError(f"{name}: nothing at or after the start of {self.options.start_ns / NS:g} s")

    def _check_duration(self, time_ns: int) -> None:
        if time_ns > self.options.max_duration_s * NS:
            name = shown_name(self.source)
            raise SourceError(f"{name}: longer than the limit of {self.options.max_duration_s:g} s")
