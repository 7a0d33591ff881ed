"""One picture per event: that of the clip in which it was most probable."""

import os
import re
import shutil
from pathlib import Path

from live.event import LiveEvent
from pipeline.result import ClipRecord


class Snapshots:
    """Copies pictures of clips to the state folder while they are there: a camera keeps those of its newest clips.

    cameras: folder with a folder of pictures per camera. media: where snapshots and films are kept.
    """

    def __init__(self, cameras: Path, media: Path) -> None:
        self._cameras, self._media = cameras, media
        self._best: dict[str, tuple[LiveEvent, float]] = {}
        """Open events with a snapshot, and how probable they were in its clip."""

    def take(self, event: LiveEvent, record: ClipRecord | None) -> str:
        """Keep a picture of an event that begins. Returns its name in `media`, "" if there is none."""
        clips = [event.first_clip] if record is None else [record.clip, event.first_clip]
        name = media_name(event, ".jpg")
        if not any(clip >= 0 and self._copy(event.camera, clip, name) for clip in clips):
            return ""
        self._best[event.id] = event, event.peak
        return name

    def look(self, record: ClipRecord) -> None:
        """Replace the pictures of open events that this clip shows better."""
        probabilities = {each.label: each.probability for each in record.labels or ()}
        for event, best in list(self._best.values()):
            found = probabilities.get(event.name, 0.0)
            if event.camera == record.source and event.kind == "label" and found > best:
                self._best[event.id] = event, found
                self._copy(event.camera, record.clip, media_name(event, ".jpg"))

    def resume(self, event: LiveEvent) -> None:
        """An open event of this run that an earlier process of it has begun."""
        if event.snapshot:
            self._best[event.id] = event, event.peak

    def over(self, event: str) -> None:
        self._best.pop(event, None)

    def _copy(self, camera: str, clip: int, name: str) -> bool:
        """Copy a picture whole or not at all. A missing picture or a full disk is no error."""
        source, target = self._cameras / camera / f"clip-{clip}.jpg", self._media / name
        part = target.with_name(f".{target.name}.part")
        try:
            make_day(target.parent)
            shutil.copyfile(source, part)
            os.replace(part, target)
        except OSError:
            part.unlink(missing_ok=True)
            return False
        return True


def make_day(day: Path) -> None:
    """Make a folder in `media`, and that, but not the state folder: if it is gone, it is for the next watch to make.

    Raises: OSError
    """
    for folder in (day.parent, day):
        folder.mkdir(mode=0o700, exist_ok=True)


def media_name(event: LiveEvent, suffix: str) -> str:
    """`2026-01-31/door-20260131T120000Z-1a2b3c.jpg`, relative to `media`"""
    return f"{event.start[:10]}/{re.sub(r'[^A-Za-z0-9._-]', '_', event.id)}{suffix}"
