"""The output of a watch: records become results, history, snapshots, films and alerts."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from live.alerts import by_name, make_targets
from live.archive import Archive, Change
from live.camera_events import CameraEvents
from live.delivery import Delivery
from live.disk import Disk, disk_reason
from live.event import LiveEvent
from live.films import Films
from live.history import FILE
from live.keeper import Film
from live.mqtt import MqttTarget
from live.retention import Retention
from live.sentence import sentence
from live.settings import Settings
from live.snapshots import Snapshots, media_name
from pipeline.errors import OutputError
from pipeline.logs import visible
from pipeline.messages import Configured, FilmAsked, FilmWritten, Told
from pipeline.result import ClipRecord
from pipeline.sinks.jsonl import rounded
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec

MEDIA = "media"
TEND_NS = 1_000_000_000
"""Time between two looks for cameras that have become quiet."""


class WatchOptions(SinkOptions, frozen=True, kw_only=True):
    """What the output of a watch is told."""

    settings: dict[str, Any]
    """`live.settings.Settings` as plain data."""
    version: int = 1
    """Of the settings; each change raises it."""
    directory: str
    """The state folder."""
    run_directory: str = ""
    """The run's private folder: pictures of clips are in `cameras/<name>` there."""
    run: str
    """A name for this run of the watch, of its own. A restarted output process gets the same."""
    zero_ns: int = 0
    """The instant on the monotonic clock from which the times of clips count."""
    percept: str = ""
    """Version of Percept, for receivers of alerts."""


class WatchSink(Sink):
    """Keeps what a watch sees. It can be killed at any instant: its successor, which is sent again every record that
    was not confirmed, goes on where it stopped, and repeats and loses nothing."""

    Options = WatchOptions
    options: WatchOptions

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self.asked: list[FilmAsked] = []
        """Films that are wanted. Whoever passes them on empties the list."""
        self.told: list[Told] = []
        """Sentences for the user, shown at once. Whoever passes them on empties the list."""
        self.counts: Counter[str] = Counter()
        """Events of this run by camera."""
        directory = Path(self.options.directory)
        self._media = directory / MEDIA
        self._history = directory / FILE
        self._settings = msgspec.convert(self.options.settings, Settings)
        self._version = self.options.version
        self._archive = Archive(directory, self.options.run, self._settings.keep, Disk())
        self._snapshots = Snapshots(Path(self.options.run_directory) / "cameras", self._media)
        self._films = Films(self._media)
        self._retention = Retention(directory, self._settings.keep)
        self._delivery = Delivery(self._history, [])
        self._cameras: dict[str, CameraEvents] = {}
        self._connections: dict[str, str] = {}
        self._open: dict[str, LiveEvent] = {}
        self._held: dict[str, LiveEvent] = {}
        """Events that are over and whose alert waits for their film."""
        self._heard_ns: dict[str, int] = {}
        self._tended_ns = 0

    # -- the calls of a sink -----------------------------------------------------------------------------------------

    def open(self) -> None:
        try:
            for folder in (self._history.parent, self._media):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            left = self._archive.open()
        except (OSError, sqlite3.OperationalError) as error:
            raise OutputError(f"cannot write {self._history}: {disk_reason(error) or error}") from error
        self.told += [Told(text, "warning") for text in self._archive.keeper.told]
        self._take_settings()
        self._begin_delivery()
        self._take_up()
        for record in left:
            self._add(record, self._archive.add)

    def write(self, record: ClipRecord) -> None:
        self._add(rounded(record), self._archive.write)

    def close(self, complete: bool) -> None:
        """All events are over. Alerts that cannot be delivered now stay for the next run."""
        over = [event for camera in self._cameras.values() for event in camera.stop()]
        change = self._change(over)
        self._store(msgspec.structs.replace(change, states=self._states(self._cameras, with_past=True)))
        self._give_up([*self._held])
        self._delivery.close()
        self._pass_on()
        self._archive.close()

    # -- the calls of a watch ----------------------------------------------------------------------------------------

    def configure(self, message: Configured) -> None:
        """The settings have changed; they hold from the next record on."""
        if message.version <= self._version:
            return
        before, self._settings = self._settings, msgspec.msgpack.decode(message.body, type=Settings)
        self._version = message.version
        change = self._change(self._configure_cameras())
        states = [*change.states, *self._states(self._cameras)]
        kept = {"settings": msgspec.msgpack.encode(message)}
        self._store(msgspec.structs.replace(change, states=states, meta=kept))
        self._archive.configure(self._settings.keep)
        self._retention.configure(self._settings.keep)
        if before.alerts != self._settings.alerts:
            self._begin_delivery()
        for target in self._brokers():
            target.configure(by_name(self._settings))

    def connection(self, camera: str, state: str, text: str) -> None:
        """A camera is reached, lost or refused."""
        if camera in self._cameras:
            self._keep(self._cameras[camera].connection(state, text), camera)
        self._connections[camera] = state
        for target in self._brokers():
            target.connection(camera, state)

    def film_written(self, message: FilmWritten) -> None:
        """A film that was asked for is there, or cannot be."""
        self._films.over(message.event)
        is_held = message.event in self._held
        event = self._held.pop(message.event, None) or self._open.get(message.event)
        event = event or self._archive.keeper.event(message.event)
        if event is None:
            return
        if message.error:
            self.told.append(Told(visible(f"{event.camera}: no film of {event.name}: {message.error}"), "warning"))
        else:
            event = msgspec.structs.replace(event, recording=media_name(event, ".mp4"))
        if event.id in self._open:
            self._open[event.id] = event
        self._store(Change(events=[event], alerts=[event] if is_held else [], films_over=[event.id]))

    def tick(self) -> None:
        """What is due by the clock. Called at least twice a second."""
        now_ns = time.monotonic_ns()
        self.asked += self._films.due(now_ns)
        self._give_up(self._films.late(now_ns))
        if now_ns - self._tended_ns >= TEND_NS:
            self._tended_ns = now_ns
            for name, camera in self._cameras.items():
                if over := camera.quiet((now_ns - self._heard_ns[name]) / 1e9):
                    self._keep(over, name)
        try:
            self._archive.retry()
            removed = self._retention.step(self._archive.keeper.connection, self._archive.disk.is_full)
            if removed and self._archive.disk.is_full:
                self.told.append(Told(f"the disk is full: {removed} of the oldest files were removed", "warning"))
        except (OSError, sqlite3.Error) as error:
            if not disk_reason(error):
                raise OutputError(f"cannot clean {self.options.directory}: {error}") from error
        self._pass_on()

    # -- records and events ------------------------------------------------------------------------------------------

    def _add(self, record: ClipRecord, store: Callable[[Change], None]) -> None:
        if not self._archive.keeper.is_new(record):
            return
        camera = self._cameras.get(record.source)
        events = camera.add(record) if camera else []
        self._snapshots.look(record)
        states = self._states([record.source] if camera else [])
        self._store(msgspec.structs.replace(self._change(events, record), states=states), store)
        self._archive.keeper.passed(record)
        self._heard_ns[record.source] = time.monotonic_ns()

    def _keep(self, events: list[LiveEvent], camera: str) -> None:
        """Keep events of a camera that no record has caused."""
        if events:
            self._store(msgspec.structs.replace(self._change(events), states=self._states([camera])))

    def _store(self, change: Change, store: Callable[[Change], None] | None = None) -> None:
        try:
            (store or self._archive.write)(change)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"cannot write to {self.options.directory}: {error}") from error

    def _states(self, cameras: Iterable[str], with_past: bool = False) -> list[tuple[str, str, bytes]]:
        return [
            (camera, part, body) for camera in cameras for part, body in self._cameras[camera].states(with_past).items()
        ]

    def _change(self, events: Iterable[LiveEvent], record: ClipRecord | None = None) -> Change:
        """What these events mean for what is kept."""
        change = Change(record=record, events=[], alerts=[], films=[])
        for event in events:
            event = self._dressed(event, record)
            film = self._film(event, record)
            change.events.append(event)
            if film:
                change.films.append(film)
            if event.state == "closed":
                self._snapshots.over(event.id)
            if event.state == "closed" and film:
                self._held[event.id] = event
            else:
                change.alerts.append(event)
            self.told.append(Told(sentence(event), "info"))
        return change

    def _dressed(self, event: LiveEvent, record: ClipRecord | None) -> LiveEvent:
        """The event with its files."""
        known = self._open.pop(event.id, None)
        if known:
            event = msgspec.structs.replace(event, snapshot=known.snapshot, recording=known.recording)
        else:
            self.counts[event.camera] += 1
            event = msgspec.structs.replace(event, snapshot=self._snapshots.take(event, record))
        if event.state == "open":
            self._open[event.id] = event
        return event

    def _film(self, event: LiveEvent, record: ClipRecord | None) -> Film | None:
        camera = self._cameras.get(event.camera)
        if event.state == "closed":
            return self._films.end(event)
        if camera is None:
            return None
        start_s = record.start_s if record and record.clip == event.first_clip else None
        if start_s is None:
            start_s = self._archive.keeper.start_s(event)
        if start_s is None:
            start_s = record.start_s if record else time.monotonic() - self.options.zero_ns / 1e9
        return self._films.begin(event, camera.camera, self.options.zero_ns + round(start_s * 1e9))

    def _give_up(self, films: Iterable[str]) -> None:
        """Do not wait for these films any longer."""
        for id in films:
            self._films.over(id)
            held = self._held.pop(id, None)
            self._store(Change(alerts=[held] if held else [], films_over=[id]))

    # -- settings and what an earlier process has left ---------------------------------------------------------------

    def _take_settings(self) -> None:
        """Take the settings of the last change, if an earlier process of this run has had them."""
        body = self._archive.keeper.load("settings")
        if body is not None and self._archive.goes_on:
            message = msgspec.msgpack.decode(body, type=Configured)
            if message.version > self._version:
                self._settings, self._version = msgspec.msgpack.decode(message.body, type=Settings), message.version

    def _configure_cameras(self) -> list[LiveEvent]:
        """Begin, change and end cameras. Returns the events that are over."""
        over: list[LiveEvent] = []
        wanted = by_name(self._settings)
        for name in [name for name in self._cameras if name not in wanted]:
            over += self._cameras.pop(name).stop()
        for name, camera in wanted.items():
            if name not in self._cameras:
                self._cameras[name] = CameraEvents(camera)
                self._heard_ns[name] = time.monotonic_ns()
                left = self._cameras[name].begin_watch(partial(self._archive.keeper.state, name))
                over += [event for event in left if event.id in self._open]
            elif self._cameras[name].camera != camera:
                over += self._cameras[name].configure(camera)
        return over

    def _begin_delivery(self) -> None:
        """Deliver to the targets of the settings; what waits in the spool for them goes on waiting."""
        self._delivery.close(within_s=0.0)
        self._pass_on()
        targets = make_targets(self._settings, self._history, self._media, self.options.percept)
        self._delivery = self._archive.delivery = Delivery(self._history, targets)
        if lost := self._archive.drop_targets():
            self.told.append(
                Told(f"{lost} alerts were given up, because where they go is not in the settings", "warning")
            )
        self._delivery.start()
        for target in self._brokers():
            for camera, state in self._connections.items():
                target.connection(camera, state)

    def _take_up(self) -> None:
        """Go on with the events and films of this run; close the events of an earlier one."""
        keeper = self._archive.keeper
        self._open = {event.id: event for event in keeper.open_events()}
        if self._archive.goes_on:
            self._resume()
            return
        over = self._configure_cameras()
        ended = {event.id for event in over}
        over += [keeper.ended(event, "the watch ended") for event in self._open.values() if event.id not in ended]
        self._store(msgspec.structs.replace(self._change(over), states=self._states(self._cameras, with_past=True)))

    def _resume(self) -> None:
        keeper = self._archive.keeper
        for camera in self._settings.cameras:
            self._cameras[camera.name] = CameraEvents(camera)
            self._cameras[camera.name].restore(partial(keeper.state, camera.name))
            self._heard_ns[camera.name] = time.monotonic_ns()
        self.counts.update(keeper.counts())
        for event in self._open.values():
            self._snapshots.resume(event)
        for film in keeper.films():
            self._films.resume(film)
            kept = keeper.event(film.event)
            if kept and kept.state == "closed":
                self._held[kept.id] = kept

    def _brokers(self) -> list[MqttTarget]:
        return [target for target in self._delivery.targets if isinstance(target, MqttTarget)]

    def _pass_on(self) -> None:
        """Tell what others have to say."""
        self.told += self._archive.told
        self._archive.told.clear()
        while self._delivery.told:
            self.told.append(self._delivery.told.popleft())
