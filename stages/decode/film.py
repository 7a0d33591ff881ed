"""A source in full, for the labelled video: the streams, times and colours are those of the PyAV reader.

Pictures come as often as the source has them, and sound with one or two channels. Streams are chosen as if all
modalities were asked for. Other readers, such as decord, have no say in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import av
import msgspec

from pipeline.arrays import Array
from pipeline.errors import SourceError
from stages.decode.film_relay import FilmRelay
from stages.decode.film_sound import FilmSound
from stages.decode.frames import DecodedStream, Shown
from stages.decode.picture import FAST_SCALING, PictureConverter
from stages.decode.reader import NS, ReaderOptions
from stages.decode.reader_av import AvPictures, AvReader
from stages.decode.relay import Relay
from stages.decode.sound import SoundTrack
from stages.decode.source import is_cover, shown_name
from stages.decode.still import StillPictures

ANY_RATE_HZ = 16_000
"""The reader opens sound only if it has a rate; the film has its own."""
MOST_SIZES = 8
"""Converters that are kept."""
STILL_STEP_NS = NS // 25


class FilmReader(AvReader):
    """Opens the streams and leaves their sound to the film."""

    tracks: Sequence[DecodedStream] = ()

    def _sound(self, audio: Sequence[DecodedStream], notes: list[str]) -> SoundTrack | Relay | None:
        self.tracks = [stream for stream in audio if stream.peek() is not None]
        return super()._sound(audio, notes)

    def _look(self, sound: SoundTrack | Relay | None, notes: list[str]) -> None:
        pass


class AvFilm:
    """The stretch of a source that the options give; `pipeline.sinks.film.Film` describes it."""

    def __init__(self, reader: FilmReader) -> None:
        info = reader.open()
        self._reader = reader
        self._media = reader.media
        self._converters = Converters(reader.options.max_pixels)
        pictures = reader.media.pictures
        if not isinstance(pictures, AvPictures | StillPictures):
            reader.close()
            name = shown_name(reader.source)
            raise SourceError(f"{name}: {'; '.join(['it has no pictures', *pictures_lost(info.notes)])}")
        self.start_ns, self.end_ns = reader.options.start_ns, reader.options.end_ns
        self.frame_rate_hz = info.frame_rate_hz
        self._pictures = pictures
        self._pictures.skip_to(self.start_ns)
        tracks = [FilmSound(stream, self.start_ns) for stream in reader.tracks]
        self._sound = FilmRelay(tracks) if len(tracks) > 1 else tracks[0] if tracks else None
        self.sound_rate_hz = self._sound.rate_hz if self._sound else 0
        self.channels = self._sound.channels if self._sound else 0
        self.left_out = left_out(pictures.stream, len(tracks)) if isinstance(pictures, AvPictures) else []

    @property
    def errors(self) -> int:
        return self._media.errors + self._converters.errors + (self._sound.errors if self._sound else 0)

    def pictures(self) -> Iterator["FilmPicture"]:
        head = self._pictures.peek()
        while head is not None and (self.end_ns is None or head.time_ns < self.end_ns):
            shown, head = self._pictures.pop(), self._pictures.peek()
            if not self._is_over(shown, head):
                for part in [shown] if isinstance(self._pictures, AvPictures) else repeated(shown):
                    yield FilmPicture(part, max(part.time_ns, self.start_ns), *shown.size, self._converters)

    def sound(self, until_ns: int, rate_hz: int, channels: int) -> Iterator[tuple[int, Array]]:
        return self._sound.pieces(until_ns, rate_hz, channels) if self._sound else iter(())

    def close(self) -> None:
        self._reader.close()

    def _is_over(self, shown: Shown, following: Shown | None) -> bool:
        """Whether a picture is no longer on show when the film starts."""
        if following is None:
            return False
        is_last = shown.end_ns <= self.start_ns and following.epoch != shown.epoch
        return is_last or following.time_ns <= self.start_ns


class FilmPicture:
    """One picture of a film."""

    def __init__(self, shown: Shown, time_ns: int, width: int, height: int, converters: "Converters") -> None:
        self.time_ns = time_ns
        self.end_ns = max(shown.end_ns, time_ns)
        self.width = width
        self.height = height
        self._frame = shown.picture
        self._converters = converters

    def rgb(self, width: int, height: int) -> Array | None:
        return self._converters.rgb(self._frame, width, height)


class Converters:
    """Converters by size."""

    def __init__(self, max_pixels: int) -> None:
        self.errors = 0
        self._max_pixels = max_pixels
        self._by_size: dict[tuple[int, int], PictureConverter] = {}

    def rgb(self, frame: Any, width: int, height: int) -> Array | None:
        if (width, height) not in self._by_size:
            while len(self._by_size) >= MOST_SIZES:
                self._by_size.pop(next(iter(self._by_size)))
            self._by_size[width, height] = PictureConverter(width, height, self._max_pixels, FAST_SCALING)
        try:
            return self._by_size[width, height].convert(frame)
        except (av.error.FFmpegError, ValueError, MemoryError):
            self.errors += 1
            return None


def open_film(source: str, options: Mapping[str, Any]) -> AvFilm:
    """The film of a source. `options` are those of the reader; whatever the modalities, it has pictures and sound.

    Raises:
        SourceError: the source cannot be opened, or has no pictures.
    """
    given = msgspec.convert(dict(options), ReaderOptions)
    rate_hz = given.audio_rate_hz or ANY_RATE_HZ
    both = msgspec.structs.replace(
        given, modalities=("image", "audio"), audio_rate_hz=rate_hz, shots=False, key_frames=False, device="cpu"
    )
    try:
        return AvFilm(FilmReader(source, 0, both))
    except SourceError as error:
        if given.wants_audio:
            raise
        film = AvFilm(FilmReader(source, 0, msgspec.structs.replace(both, modalities=("image",))))
        film.left_out = [f"its sound ({str(error).removeprefix(f'{shown_name(source)}: ')})"]
        return film


def repeated(shown: Shown) -> Iterator[Shown]:
    """A picture that stays, `STILL_STEP_NS` at a time: players do not show a video of one picture well."""
    for time_ns in range(shown.time_ns, shown.end_ns, STILL_STEP_NS):
        yield replace(shown, time_ns=time_ns, end_ns=min(time_ns + STILL_STEP_NS, shown.end_ns))


def left_out(pictures: DecodedStream, sounds: int) -> list[str]:
    """What of a source is not in its film, in words."""
    streams = pictures.container.streams
    others = {
        "other picture track": sum(not is_cover(stream) for stream in streams.video) - 1,
        "other sound track": len(streams.audio) - sounds if sounds else 0,
        "subtitle track": len(streams.subtitles),
    }
    texts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in others.items() if count > 0]
    return [*texts, "its sound, which cannot be decoded"] if streams.audio and not sounds else texts


def pictures_lost(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if note.startswith("no picture could be decoded")]
