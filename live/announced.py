"""What was announced to Home Assistant, kept in the history, so that it can be taken back."""

import sqlite3
from pathlib import Path

from live.history import connect, transaction


class Announced:
    """Devices and the platforms of their parts. Used by one thread. A full disk makes it forget, and is no error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, dict[str, str]] = {}

    def devices(self) -> set[str]:
        self._load()
        return {device for device, parts in self._known.items() if parts}

    def parts(self, device: str) -> dict[str, str]:
        """Platforms by the key of the part."""
        self._load()
        return self._known.get(device, {})

    def save(self, device: str, parts: dict[str, str]) -> None:
        """Replace what is known of a device; without parts, it is gone."""
        self._load()
        if self._known.get(device, {}) == parts:
            return
        self._known[device] = parts
        assert self._connection is not None
        try:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM discovered WHERE device = ?", (device,))
                rows = [(device, key, platform) for key, platform in parts.items()]
                self._connection.executemany("INSERT INTO discovered VALUES (?, ?, ?)", rows)
        except sqlite3.OperationalError:
            pass  # no room on the disk: a part that goes while it is full is taken back only in this run

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _load(self) -> None:
        if self._connection is None:
            self._connection = connect(self._path)
            for device, key, platform in self._connection.execute("SELECT * FROM discovered"):
                self._known.setdefault(device, {})[key] = platform
