"""The page process of a test: the real one, with events from a JSON file instead of the history."""

import sys
from pathlib import Path

import msgspec

from live.event import LiveEvent
from live.page.process import serve_page


class FilePast:
    """Events of `events.json` in the state folder, read anew at every question."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "events.json"

    def events(
        self, camera: str | None = None, kind: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[LiveEvent]:
        found = self._all()
        if before is not None:
            known = {event.id: event.start for event in found}
            if before not in known and "T" not in before:
                raise ValueError(f"{before!r} is neither the id of an event nor a time")
            found = [event for event in found if event.start < known.get(before, before)]
        wanted = [event for event in found if camera in (None, event.camera) and kind in (None, event.kind)]
        return wanted[:limit]

    def event(self, id: str) -> LiveEvent | None:
        return next((event for event in self._all() if event.id == id), None)

    def _all(self) -> list[LiveEvent]:
        found = msgspec.json.decode(self._path.read_bytes(), type=list[LiveEvent])
        return sorted(found, key=lambda event: event.start, reverse=True)


if __name__ == "__main__":
    serve_page(int(sys.argv[2]), sys.argv[1], (), FilePast)
