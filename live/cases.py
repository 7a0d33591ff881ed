"""The events of a watch on their way: each gets its snapshot and its film, and is told when it begins and ends."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from live.archive import Change
from live.event import LiveEvent
from live.films import Films
from live.health import LOST
from live.keeper import Film, Keeper
from live.sentence import sentence
from live.settings import Camera
from live.snapshots import Snapshots, media_name
from pipeline.logs import visible
from pipeline.messages import FilmAsked, FilmWritten, Told
from pipeline.result import ClipRecord


class Cases:
    """Makes a `Change` of what happens. The alert of an event that is over waits for its film, if it gets one.

    cameras: folder of the pictures of clips. zero_ns: the instant on the monotonic clock from which clips count.
    """

    def __init__(self, keeper: Keeper, cameras: Path, media: Path, zero_ns: int) -> None:
        self.counts: Counter[str] = Counter()
        """Events of this run by camera."""
        self.told: list[Told] = []
        """Sentences for the user. Whoever passes them on empties the list."""
        self.open: dict[str, LiveEvent] = {}
        """Events that go on."""
        self._held: dict[str, LiveEvent] = {}
        """Events that are over and whose alert waits for their film."""
        self._keeper, self._zero_ns = keeper, zero_ns
        self._snapshots, self._films = Snapshots(cameras, media), Films(media)

    def take_over(self) -> None:
        """Take what goes on in the history, of this run or of an earlier one."""
        self.open = {event.id: event for event in self._keeper.open_events()}

    def resume(self) -> None:
        """Go on where another process of this run was."""
        self.counts.update(self._keeper.counts())
        for event in self.open.values():
            self._snapshots.resume(event)
        for film in self._keeper.films():
            self._films.resume(film)
            kept = self._keeper.event(film.event)
            if kept and kept.state == "closed":
                self._held[kept.id] = kept

    def change(
        self, events: Iterable[LiveEvent], cameras: Callable[[str], Camera | None], record: ClipRecord | None = None
    ) -> Change:
        """What a record and its events mean for what is kept."""
        if record is not None:
            self._snapshots.look(record)
        change = Change(record=record, events=[], alerts=[], films=[])
        for event in events:
            event = self._dressed(event, record)
            film = self._film(event, cameras(event.camera), record)
            change.events.append(event)
            if film:
                change.films.append(film)
            if event.state == "closed" and film:
                self._held[event.id] = event
            else:
                change.alerts.append(event)
            if (event.name, event.state) != (LOST, "open"):  # whoever reads the camera says so at once, and why
                self.told.append(Told(sentence(event), "info"))
        return change

    def film_written(self, message: FilmWritten) -> Change:
        """A film that was asked for is there, or cannot be."""
        self._films.over(message.event)
        is_held = message.event in self._held
        event = self._held.pop(message.event, None) or self.open.get(message.event)
        event = event or self._keeper.event(message.event)
        if event is None:
            return Change(films_over=[message.event])
        if message.error:
            self.told.append(Told(visible(f"{event.camera}: no film of {event.name}: {message.error}"), "warning"))
        else:
            event = msgspec.structs.replace(event, recording=media_name(event, ".mp4"))
        if event.id in self.open:
            self.open[event.id] = event
        return Change(events=[event], alerts=[event] if is_held else [], films_over=[event.id])

    def films_due(self, now_ns: int) -> list[FilmAsked]:
        """The films to ask for now, each once."""
        return self._films.due(now_ns)

    def give_up(self, now_ns: int | None = None) -> Change | None:
        """Wait no longer for films that are late; without a time, for none at all."""
        late = [*self._held] if now_ns is None else self._films.late(now_ns)
        for id in late:
            self._films.over(id)
        held = [event for id in late if (event := self._held.pop(id, None))]
        return Change(alerts=held, films_over=late) if late else None

    def _dressed(self, event: LiveEvent, record: ClipRecord | None) -> LiveEvent:
        """The event with its files."""
        known = self.open.pop(event.id, None)
        if known:
            event = msgspec.structs.replace(event, snapshot=known.snapshot, recording=known.recording)
        else:
            self.counts[event.camera] += 1
            event = msgspec.structs.replace(event, snapshot=self._snapshots.take(event, record))
        if event.state == "open":
            self.open[event.id] = event
        else:
            self._snapshots.over(event.id)
        return event

    def _film(self, event: LiveEvent, camera: Camera | None, record: ClipRecord | None) -> Film | None:
        if event.state == "closed":
            return self._films.end(event)
        if camera is None:
            return None
        return self._films.begin(event, camera, self._zero_ns + round(self._start_s(event, record) * 1e9))

    def _start_s(self, event: LiveEvent, record: ClipRecord | None) -> float:
        """When an event began, since the start of the watch."""
        if record and record.clip == event.first_clip:
            return record.start_s
        start_s = self._keeper.start_s(event)
        if start_s is not None:
            return start_s
        return record.start_s if record else (time.monotonic_ns() - self._zero_ns) / 1e9
