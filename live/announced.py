"""What was published by MQTT to stay there, kept in the history, so that it can be taken back."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live.discovery import Topics, device_id
from live.history import connect, transaction


class Announced:
    """Home Assistant's devices with the platforms of their parts, and the topics whose messages the broker retains.

    Used by one thread. A full disk makes it forget, and is no error.
    """

    def __init__(self, path: Path, topics: Topics) -> None:
        self._path, self._topics = path, topics
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, dict[str, str]] = {}
        self._retained: set[str] = set()

    def devices(self) -> set[str]:
        self._load()
        return {device for device, parts in self._known.items() if parts}

    def parts(self, device: str) -> dict[str, str]:
        """Platforms by the key of the part."""
        self._load()
        return self._known.get(device, {})

    def save(self, device: str, parts: dict[str, str]) -> None:
        """Replace what is known of a device; without parts, it is gone."""
        if self.parts(device) == parts:
            return
        self._known[device] = parts
        with self._writing() as connection:
            connection.execute("DELETE FROM discovered WHERE device = ?", (device,))
            rows = [(device, key, platform) for key, platform in parts.items()]
            connection.executemany("INSERT INTO discovered VALUES (?, ?, ?)", rows)

    def retained(self) -> set[str]:
        """Whole topics, as they were published: the settings may have another first part now."""
        self._load()
        return self._retained

    def save_retained(self, topics: set[str]) -> None:
        """Replace the topics that are known."""
        gone, new = self.retained() - topics, topics - self._retained
        if not gone and not new:
            return
        self._retained = topics
        with self._writing() as connection:
            connection.executemany("DELETE FROM retained WHERE topic = ?", [(topic,) for topic in gone])
            connection.executemany("INSERT OR IGNORE INTO retained VALUES (?)", [(topic,) for topic in topics])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        assert self._connection is not None
        try:
            with transaction(self._connection):
                yield self._connection
        except sqlite3.OperationalError:
            pass  # no room on the disk: what goes while it is full is taken back only in this run

    def _load(self) -> None:
        if self._connection is None:
            self._connection = connect(self._path)
            self._known = {}
            for device, key, platform in self._connection.execute("SELECT * FROM discovered"):
                self._known.setdefault(device, {})[key] = platform
            self._retained = {topic for (topic,) in self._connection.execute("SELECT topic FROM retained")}
            if not self._retained:
                self._retained = self._of_older_versions(self._connection)

    def _of_older_versions(self, connection: sqlite3.Connection) -> set[str]:
        """What those that kept no topics may have published: of the cameras, events and devices that they kept."""
        topics = self._topics
        cameras = {name for (name,) in connection.execute("SELECT DISTINCT camera FROM states WHERE camera != ''")}
        found = {topic(camera) for camera in cameras for topic in (topics.connection, topics.snapshot)}
        events = "SELECT DISTINCT camera, kind, name FROM events WHERE kind IN ('label', 'rule')"
        for camera, kind, name in connection.execute(events):
            found.add(topics.label(camera, name) if kind == "label" else topics.rule(camera, name))
        names = {device_id(camera): camera for camera in cameras}
        for device, parts in self._known.items():
            camera = names.get(device, device.removeprefix("percept_"))
            found |= {topics.part(camera, key) for key in parts if key != "event"}
        return found
