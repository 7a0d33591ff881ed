"""Films of events: when each is cut, and how long the closing message waits for it."""

from contextlib import suppress
from pathlib import Path

import msgspec

from live.event import LiveEvent
from live.keeper import Film
from live.settings import Camera
from live.snapshots import make_day, media_name
from pipeline.messages import FilmAsked

SETTLE_NS = 500_000_000
"""A film is asked for so long after its end, when the last packets are there."""
LATE_NS = 10_000_000_000
"""A closing message waits for its film until so long after the film's end."""


class Films:
    """The films that are wanted. An event that lasts for very long has a film of its beginning."""

    def __init__(self, media: Path) -> None:
        self._media = media
        self._films: dict[str, Film] = {}
        self._asked: set[str] = set()

    def resume(self, film: Film) -> None:
        """A film that an earlier process wanted. It may have been asked for, but its answer is lost: ask again."""
        self._films[film.event] = film

    def begin(self, event: LiveEvent, camera: Camera, start_ns: int) -> Film | None:
        """An event has begun, at this monotonic time. Returns its film, if it gets one."""
        if not camera.record or event.kind not in ("label", "rule"):
            return None
        from_ns = start_ns - round(camera.pre_s * 1e9)
        until_ns = from_ns + round(camera.longest_s * 1e9)
        path = str(self._media / media_name(event, ".mp4"))
        film = Film(event.id, event.camera, path, start_ns, camera.post_s, from_ns, until_ns, until_ns + LATE_NS)
        self._films[event.id] = film
        return film

    def end(self, event: LiveEvent) -> Film | None:
        """An event is over. Returns its film with its end, if it is still to come."""
        film = self._films.get(event.id)
        if film is None:
            return None
        until_ns = min(film.until_ns, film.start_ns + round((event.duration_s + film.post_s) * 1e9))
        film = msgspec.structs.replace(film, until_ns=until_ns, give_up_ns=until_ns + LATE_NS)
        self._films[event.id] = film
        return film

    def due(self, now_ns: int) -> list[FilmAsked]:
        """The films to ask for now, each once."""
        found = []
        for film in self._films.values():
            if film.event not in self._asked and now_ns >= film.until_ns + SETTLE_NS:
                self._asked.add(film.event)
                with suppress(OSError):  # a full disk: there will be no film, and whoever writes it says so
                    make_day(Path(film.path).parent)
                found.append(FilmAsked(film.event, film.camera, film.path, film.from_ns, film.until_ns))
        return found

    def late(self, now_ns: int) -> list[str]:
        """Events whose films are not waited for any longer."""
        return [film.event for film in self._films.values() if now_ns >= film.give_up_ns]

    def over(self, event: str) -> None:
        """The film is there, or given up."""
        self._films.pop(event, None)
        self._asked.discard(event)
