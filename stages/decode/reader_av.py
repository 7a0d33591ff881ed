"""The PyAV reader: any container and codec that FFmpeg supports. Each stream has its own container."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import msgspec
from av.container import InputContainer

from pipeline.arrays import Array
from pipeline.clip import DecodedClip, Gap, SourceInfo
from pipeline.errors import SourceError
from pipeline.media import is_url
from stages.decode.arrival import comes_live
from stages.decode.assembly import AssemblingReader, Media
from stages.decode.canvas import Canvas
from stages.decode.clock import Clock
from stages.decode.container import declared_end_ns, names_of, rules_of
from stages.decode.cuts import Sketcher
from stages.decode.device import device, tags_of, timecode
from stages.decode.frames import DecodedStream, Shown
from stages.decode.grid import Pictures
from stages.decode.key_frames import Keys
from stages.decode.links import Kind, Link, link_of, next_chain
from stages.decode.live.still_sizes import DEEPEST, PacketFacts
from stages.decode.picture import notes_on_picture
from stages.decode.read_ahead import Seen
from stages.decode.reader import NS, ReaderOptions
from stages.decode.relay import Relay
from stages.decode.shape import keeps_shape
from stages.decode.sound import SoundTrack
from stages.decode.source import (
    Stream,
    Streams,
    check_pixels,
    choose_streams,
    is_cover,
    is_decodable,
    is_media,
    open_container,
    shown_name,
)
from stages.decode.still import Still, StillPictures, may_be_still, read_still
from stages.decode.timing import Timing
from stages.decode.tracks import note_on_tracks, with_fallbacks
from stages.decode.unused import Unused
from stages.decode.wall_time import start_wall

INDEXED = {"mov", "mp4", "matroska", "webm"}
"""Containers whose index leads to exactly the requested key frame."""
ROUND_START_NS = NS // 2
"""A source that begins less than this after its container's start is tiled from that start, for round clip times."""


class AvPictures(Pictures):
    """Pictures of one video stream, converted by swscale."""

    def __init__(self, stream: DecodedStream, source: str, options: ReaderOptions) -> None:
        super().__init__(stream.failures)
        self.stream = stream
        self._source = source
        self._options = options
        self._canvas = Canvas(options)
        self._sketcher = Sketcher()
        self._conversion_errors = 0
        self._index = Index(stream, options.gap_ns)
        self._keys: Keys | None = None
        self._key_pictures: dict[int, Array] = {}
        """By time."""

    @property
    def errors(self) -> int:  # type: ignore[override]
        return self.stream.errors + self._conversion_errors

    @property
    def broken_off(self) -> str:  # type: ignore[override]
        return self.stream.broken_off

    def peek(self) -> Shown | None:
        return self.stream.peek()

    def pop(self) -> Shown:
        return self.stream.pop()

    def convert(self, shown: Shown) -> Array | None:
        try:
            return self._canvas.convert(shown)
        except (av.error.FFmpegError, ValueError, MemoryError):
            self._conversion_errors += 1
            return None

    def small(self, shown: Shown) -> Array | None:
        try:
            return self._sketcher.small(shown.picture)
        except (av.error.FFmpegError, ValueError, MemoryError):
            return None

    def whole_until_ns(self, time_ns: int) -> int:
        head, whole_ns = self.stream.peek(), min(time_ns, self._index.whole_until_ns)
        if head is None or whole_ns <= 0:
            return -1
        with open_container(self._source, self._options) as container:
            stream = container.streams[self.stream.stream.index]
            return whole_ns if keeps_shape(container, stream, head.size, self.stream.ticks(whole_ns)) else -1

    def skip_to(self, time_ns: int) -> None:
        self._seek(min(time_ns, self._index.whole_until_ns))
        if time_ns > self._index.whole_until_ns:
            self.stream.pass_to(time_ns)

    def packets(self, start_ns: int, end_ns: int, until_ns: int) -> list[PacketFacts] | None:
        head, ahead = self.stream.peek(), self.stream.ahead
        if head is None or ahead is None:
            return None
        ahead.forget(start_ns)
        seen = ahead.stretch(start_ns, end_ns, until_ns)
        if seen is None or any(self.stream.clock.epoch_at(each.time_ns) != head.epoch for each in seen):
            return None
        return list(facts_of(seen))

    def key_pictures(self, start_ns: int, end_ns: int) -> list[Array] | None:
        ahead = self.stream.ahead
        after = ahead.key_after(end_ns) if ahead is not None else None
        if ahead is None or after is None:
            return None
        known, self._key_pictures = self._key_pictures, {}
        for each in (*ahead.keys(start_ns, end_ns), after):
            picture = known.get(each.time_ns)
            if picture is None and (picture := self._key_picture(each)) is None:
                return None
            self._key_pictures[each.time_ns] = picture
        return list(self._key_pictures.values())

    def _key_picture(self, seen: Seen) -> Array | None:
        """None if it cannot be decoded, or has another shape."""
        if self._keys is None or self._keys.like is not seen.decoder:
            self._keys = Keys(seen.decoder)
        shapes = self.stream.shapes
        for frame in self._keys.decoded(seen.key):
            size = shapes.of(frame, shapes.aspect(self._keys.context))
            if not shapes.is_other(size):
                return self.convert(Shown(seen.time_ns, seen.time_ns, frame, size=size, canvas=shapes.size))
        return None

    def drop_to(self, time_ns: int) -> None:
        self.stream.drop_to(time_ns)

    def spare(self, unused: Unused, epoch: int) -> None:
        self.stream.spare(unused, epoch)

    def _seek(self, time_ns: int) -> None:
        """Go to the last key frame at or before a time, unless the next picture is after it."""
        head = self.stream.peek()
        entry = self._index.key_before(time_ns)
        if head is None or entry is None or self._index.time_ns(entry) <= head.time_ns:
            return
        target_ns = time_ns
        while entry is not None and self.stream.seek(target_ns):
            landed = self.stream.peek()
            if landed is not None and landed.time_ns <= time_ns:
                return
            target_ns = self._index.time_ns(entry) - 1
            entry = self._index.key_before(target_ns)


def facts_of(seen: Iterable[Seen]) -> Iterator[PacketFacts]:
    """What is known of pictures, in the order in which they are decoded."""
    latest_ns, depth = -1, 0
    for each in seen:
        depth = 0 if each.time_ns > latest_ns or each.key is not None else min(depth + 1, DEEPEST)
        latest_ns = max(latest_ns, each.time_ns)
        yield PacketFacts(each.size, each.key is not None, depth)


class Index:
    """The container's own list of packets or key frames, and how far it is reliable."""

    def __init__(self, stream: DecodedStream, gap_ns: int) -> None:
        self._stream = stream
        self._gap_ns = gap_ns

    @cached_property
    def whole_until_ns(self) -> int:
        """Time up to which the index is in order and without a gap; -1 if it is not reliable at all."""
        head = self._stream.peek()
        if head is None or head.estimated or not INDEXED & set(self._stream.container.format.name.split(",")):
            return -1
        last_ns = -1
        for entry in self._stream.stream.index_entries:
            time_ns = self.time_ns(entry)
            if last_ns >= 0 and not last_ns <= time_ns <= last_ns + self._gap_ns:
                break
            last_ns = time_ns
        return last_ns

    def key_before(self, time_ns: int) -> Any | None:
        """The last key frame listed at or before a time."""
        entries = self._stream.stream.index_entries
        place = entries.search_timestamp(self._stream.ticks(time_ns), backward=True)
        return entries[place] if place >= 0 else None

    def time_ns(self, entry: Any) -> int:
        """When an entry is decoded; it is shown then or a little later."""
        ticks: int = entry.timestamp
        return self._stream.time_ns(ticks)


class AvReader(AssemblingReader):
    """Reads with PyAV."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        super().__init__(source, source_index, options)
        self._containers: list[InputContainer] = []
        self._timing = Timing(source, options)
        self._is_live = False

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        yield from super().clips(start_index)
        if is_url(self.source):
            self._check_connection()

    def _check_connection(self) -> None:
        """Raises: SourceError: the source did not end, the connection to it did."""
        for part in (self.media.pictures, self.media.sound):
            if part is not None and part.broken_off:
                hint = " To watch a camera, which is then connected to again: percept watch" if self._is_live else ""
                raise SourceError(f"{shown_name(self.source)}: the connection was lost ({part.broken_off}).{hint}")

    def _open(self) -> tuple[SourceInfo, Media]:
        container = self._container()
        self._is_live = comes_live(self.source, container)
        chosen = choose_streams(container, self.source, self.options)
        self._check_limits(container, chosen.video)
        if chosen.video and may_be_still(container) and not comes_live(self.source, container):
            still = read_still(container, chosen.video, self.source, self.options)
            if still is not None:
                return self._open_still(still)
            container = self._container()
            chosen = choose_streams(container, self.source, self.options)
        chosen = with_fallbacks(container, chosen, self.source, self.options)
        video = self._start(container, "video", chosen) if chosen.video else None
        audio = self._start_sound(container if video is None else None, chosen)
        self._timing.settle()
        notes = notes_on(container, chosen, self.options)
        pictures, size = self._pictures(video, notes)
        sound = self._sound(audio, notes)
        if pictures is None and sound is None:
            self._raise_nothing(video, audio[0] if audio else None, chosen)
        media = self._media_of(chosen, pictures, sound)
        self._look(sound, notes)
        return self._info_of(container, chosen, size, pictures, sound, notes), media

    def _open_still(self, still: Still) -> tuple[SourceInfo, Media]:
        self.options = msgspec.structs.replace(self.options, start_ns=0, end_ns=None)
        pictures, tags = StillPictures(still, self.options), still.frame.metadata
        info = SourceInfo(
            source=shown_name(self.source),
            source_index=self.source_index,
            width=still.size[0],
            height=still.size[1],
            duration_ns=self.options.clip_ns,
            has_video=True,
            start_wall=start_wall(tags),
            device=device([tags]),
            notes=tuple(notes_on_picture(still.frame)),
        )
        absent = absence(self.options.wants_audio, None)
        return info, Media(pictures, None, start_ns=0, audio_absent=absent)

    def _close(self) -> None:
        self._timing.close()
        while self._containers:
            self._containers.pop().close()

    def _container(self, position: int = 0) -> InputContainer:
        container = open_container(self.source, self.options, position)
        self._containers.append(container)
        return container

    def _check_limits(self, container: InputContainer, video: Stream | None) -> None:
        name, options = shown_name(self.source), self.options
        if video is not None:
            check_pixels(video.width, video.height, options, name)
        if container.duration is not None and container.duration / 1e6 > options.max_duration_s:
            raise SourceError(
                f"{name}: {container.duration / 1e6:g} s long, more than the limit of {options.max_duration_s:g} s"
            )

    def _start(self, container: InputContainer, kind: Kind, chosen: Streams) -> DecodedStream:
        """Begin to decode one kind of stream."""
        link = self._prepared(link_of(container, chosen, kind))
        if "matroska" in container.format.name and kind == "video" and not is_url(self.source):
            load_index(container)
        clock = Clock(rules_of(container, chosen, self.options.gap_ns))
        return self._timing.start(link, kind, clock, lambda position: self._reopen(position, kind))

    def _prepared(self, link: Link) -> Link:
        """The link, with decoders that keep the limits."""
        spare = [stream for _, stream in link.spare.values()]
        for stream in (*link.current.values(), *spare):
            if stream.type == "video":
                context = stream.codec_context
                context.thread_type = "AUTO" if self.options.threads > 1 else "NONE"
                context.thread_count = self.options.threads
                context.options = {"max_pixels": str(self.options.max_pixels)}
        return link

    def _reopen(self, position: int, kind: Kind) -> Link | None:
        """The streams of a local file after a byte; of an Ogg file, those of the next chain."""
        if is_url(self.source):
            return None
        names = names_of(self._containers[0])
        after = next_chain(Path(self.source), position) if "ogg" in names else position
        try:
            container = self._container(after) if after is not None else None
            chosen = choose_streams(container, self.source, self.options) if container is not None else None
        except SourceError:
            return None
        if container is None or chosen is None:
            return None
        return self._prepared(link_of(container, chosen, kind))

    def _start_sound(self, container: InputContainer | None, chosen: Streams) -> list[DecodedStream]:
        """Begin to decode the chosen sound track, and those that may stand in for it, each in a container of its own.

        `container`: an open one that nothing else reads.
        """
        started = []
        for track in (chosen.audio, *chosen.fallbacks):
            if track is not None:
                own, container = container or self._container(), None
                started.append(self._start(own, "audio", replace(chosen, audio=track)))
        return started

    def _pictures(self, video: DecodedStream | None, notes: list[str]) -> tuple[Pictures | None, tuple[int, int]]:
        """The pictures and their upright size in the source; None if no picture can be decoded."""
        if video is None:
            return None, (0, 0)
        head = video.peek()
        if head is None:
            notes.append(f"no picture could be decoded ({video.first_error or 'no packets'})")
            return None, (0, 0)
        if head.estimated:
            notes.append(self._timing.note())
        notes += [*notes_on_picture(head.picture), *video.notes]
        return AvPictures(video, self.source, self.options), head.canvas

    def _sound(self, audio: Sequence[DecodedStream], notes: list[str]) -> SoundTrack | Relay | None:
        """The sound of one track, or of several; None if there is none that can be decoded."""
        name = shown_name(self.source)
        tracks = [SoundTrack(stream, self.options.audio_rate_hz, name) for stream in audio if stream.peek() is not None]
        if not tracks:
            notes += [f"no sound could be decoded ({stream.first_error or 'no packets'})" for stream in audio[:1]]
            return None
        return tracks[0] if len(tracks) == 1 else Relay(tracks)

    def _look(self, sound: SoundTrack | Relay | None, notes: list[str]) -> None:
        """Note what is wrong at the start of the sound."""
        if sound is not None:
            sound.look()
            notes += sound.notes

    def _raise_nothing(self, video: DecodedStream | None, audio: DecodedStream | None, chosen: Streams) -> None:
        """Raises: SourceError: always."""
        streams = {"video": video, "audio": audio}
        causes = [
            f"{kind} ({stream.stream.codec_context.name}): {stream.first_error or 'no packets'}"
            for kind, stream in streams.items()
            if stream is not None
        ]
        name, found = shown_name(self.source), [stream for stream in streams.values() if stream is not None]
        is_mp4 = "mp4" in found[0].container.format.name
        if is_mp4 and not any(stream.packets or stream.errors for stream in found):
            raise SourceError(f"{name}: ends after its header: the file was cut off. Copy or record it again.")
        hint = "Is it encrypted?"
        if is_mp4 and is_url(self.source):
            hint = "Is its index at its end, on a server that does not send parts of files (ranges)? Download it first."
        raise SourceError(f"{name}: nothing could be decoded: {', '.join(causes)}. {hint}")

    def _media_of(self, chosen: Streams, pictures: Pictures | None, sound: SoundTrack | Relay | None) -> Media:
        heads = [part.peek() for part in (pictures, sound) if part is not None]
        start_ns = min(head.time_ns for head in heads if head is not None)
        return Media(
            pictures,
            sound,
            start_ns=start_ns if start_ns >= ROUND_START_NS and not self._timing.leading_ns else 0,
            declared_end_ns=self._timing.declared_end_ns or declared_end_ns(chosen),
            losses=self._timing.losses,
            frames_absent="" if pictures else absence(self.options.wants_frames, chosen.video),
            audio_absent="" if sound else absence(self.options.wants_audio, chosen.audio),
        )

    def _info_of(
        self,
        container: InputContainer,
        chosen: Streams,
        size: tuple[int, int],
        pictures: Pictures | None,
        sound: SoundTrack | Relay | None,
        notes: list[str],
    ) -> SourceInfo:
        tags = tags_of(container, chosen.video)
        rate = chosen.video.average_rate or chosen.video.guessed_rate if chosen.video else None
        return SourceInfo(
            source=shown_name(self.source),
            source_index=self.source_index,
            width=size[0],
            height=size[1],
            frame_rate_hz=float(rate or 0),
            sample_rate_hz=chosen.audio.codec_context.sample_rate if chosen.audio else 0,
            duration_ns=container.duration * 1000 if container.duration is not None else None,
            has_video=pictures is not None,
            has_audio=sound is not None,
            start_wall=start_wall(container.metadata),
            timecode=timecode(tags),
            device=device(tags),
            notes=tuple(notes),
        )


def notes_on(container: InputContainer, chosen: Streams, options: ReaderOptions) -> list[str]:
    """Oddities worth reporting."""
    notes = []
    if any(stream.type == "video" and is_cover(stream) for stream in container.streams):
        notes.append("cover picture skipped")
    unknown = [
        f"{stream.type} {stream.index}" for stream in container.streams if is_media(stream) and not is_decodable(stream)
    ]
    if unknown:
        notes.append(f"no decoder for {', '.join(unknown)}")
    if note := note_on_tracks(container, chosen, options):
        notes.append(note)
    return notes


def absence(is_wanted: bool, stream: Stream | None) -> str:
    """Why a source has no pictures, or no sound."""
    if not is_wanted:
        return "not_asked"
    return "no_stream" if stream is None else "failed"


def load_index(container: InputContainer) -> None:
    """Make FFmpeg read the Matroska index, which it does only at the first seek."""
    with suppress(av.error.FFmpegError):
        container.seek(0)
