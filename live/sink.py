"""The output of a watch: records become results, history, snapshots, films and alerts."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from live.alerts import by_name, make_targets
from live.archive import Archive, Change
from live.camera_events import CameraEvents
from live.cases import Cases
from live.delivery import Delivery
from live.disk import Disk, disk_reason
from live.event import LiveEvent
from live.history import FILE
from live.mqtt import MqttTarget
from live.retention import MEDIA, Retention
from live.settings import Settings
from pipeline.errors import OutputError
from pipeline.messages import Configured, Counted, FilmAsked, FilmWritten, Told
from pipeline.result import ClipRecord
from pipeline.sinks.jsonl import rounded
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec

TEND_NS = 1_000_000_000
"""Time between two looks for cameras that have become quiet, and whether the history is still there."""


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
        directory = Path(self.options.directory)
        self._media = directory / MEDIA
        self._history = directory / FILE
        self._settings = msgspec.convert(self.options.settings, Settings)
        self._version = self.options.version
        self._archive = Archive(directory, self.options.run, self._settings.keep, Disk())
        pictures = Path(self.options.run_directory) / "cameras"
        self._cases = Cases(self._archive.keeper, pictures, self._media, self.options.zero_ns)
        self.counts = self._cases.counts
        self._retention = Retention(directory, self._settings.keep)
        self._delivery = Delivery(self._history, [])
        self._cameras: dict[str, CameraEvents] = {}
        self._connections: dict[str, str] = {}
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
        self._cases.take_over()
        self._begin_delivery()
        self._take_up()
        for record in left:
            self._add(record, self._archive.add)

    def write(self, record: ClipRecord) -> None:
        self._add(rounded(record), self._archive.write)

    def close(self, complete: bool) -> None:
        """All events are over. Alerts that cannot be delivered now stay for the next run."""
        over = [event for camera in self._cameras.values() for event in camera.stop()]
        self._store(self._change(over, states=self._states(self._cameras, with_past=True)))
        if change := self._cases.give_up():
            self._store(change)
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
        over = self._configure_cameras()
        kept = {"settings": msgspec.msgpack.encode(message)}
        self._store(self._change(over, states=self._states(self._cameras), meta=kept))
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

    def counted(self) -> Counted:
        places = {name: camera.counted() for name, camera in self._cameras.items()}
        return Counted(dict(self.counts), {name: found for name, found in places.items() if found.zones or found.lines})

    def film_written(self, message: FilmWritten) -> None:
        """A film that was asked for is there, or cannot be."""
        self._store(self._cases.film_written(message))

    def tick(self) -> None:
        """What is due by the clock. Called at least twice a second.

        Raises: OutputError: the history was removed.
        """
        now_ns = time.monotonic_ns()
        self.asked += self._cases.films_due(now_ns)
        if change := self._cases.give_up(now_ns):
            self._store(change)
        if now_ns - self._tended_ns >= TEND_NS:
            self._tended_ns = now_ns
            self._archive.keeper.check_place()
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
        states = self._states([record.source] if camera else [])
        self._store(self._change(events, record, states=states), store)
        self._archive.keeper.passed(record)
        self._heard_ns[record.source] = time.monotonic_ns()

    def _keep(self, events: list[LiveEvent], camera: str) -> None:
        """Keep events of a camera that no record has caused."""
        if events:
            self._store(self._change(events, states=self._states([camera])))

    def _store(self, change: Change, store: Callable[[Change], None] | None = None) -> None:
        try:
            (store or self._archive.write)(change)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"cannot write to {self.options.directory}: {error}") from error

    def _states(self, cameras: Iterable[str], with_past: bool = False) -> list[tuple[str, str, bytes]]:
        return [
            (camera, part, body) for camera in cameras for part, body in self._cameras[camera].states(with_past).items()
        ]

    def _change(self, events: Iterable[LiveEvent], record: ClipRecord | None = None, **more: Any) -> Change:
        """What these events mean for what is kept."""
        change = self._cases.change(events, by_name(self._settings).get, record)
        return msgspec.structs.replace(change, **more)

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
            self._connections.pop(name, None)
        for name, camera in wanted.items():
            if name not in self._cameras:
                self._cameras[name] = CameraEvents(camera)
                self._heard_ns[name] = time.monotonic_ns()
                left = self._cameras[name].begin_watch(partial(self._archive.keeper.state, name))
                over += [event for event in left if event.id in self._cases.open]
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
        for target in self._brokers():
            target.resume(self._cases.open.values())
            for camera, state in self._connections.items():
                target.connection(camera, state)
        self._delivery.start()

    def _take_up(self) -> None:
        """Go on with the events and films of this run; close the events of an earlier one."""
        if self._archive.goes_on:
            self._resume()
            return
        over = self._configure_cameras()
        left = [event for id, event in self._cases.open.items() if id not in {each.id for each in over}]
        over += [self._archive.keeper.ended(event, "the watch ended") for event in left]
        self._store(self._change(over, states=self._states(self._cameras, with_past=True)))

    def _resume(self) -> None:
        for camera in self._settings.cameras:
            self._cameras[camera.name] = CameraEvents(camera)
            self._cameras[camera.name].restore(partial(self._archive.keeper.state, camera.name))
            self._heard_ns[camera.name] = time.monotonic_ns()
        self._cases.resume()

    def _brokers(self) -> list[MqttTarget]:
        return [target for target in self._delivery.targets if isinstance(target, MqttTarget)]

    def _pass_on(self) -> None:
        """Tell what others have to say."""
        for told in (self._cases.told, self._archive.told):
            self.told += told
            told.clear()
        while self._delivery.told:
            self.told.append(self._delivery.told.popleft())
