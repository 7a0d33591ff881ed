"""One source of a page: what its media are, whether they fit the results, and its data."""

import os
from typing import Any

from pages.media import Media, link, probe
from pages.moments import MOST, choose
from pages.recording import Recording
from pages.thumbnails import BUDGET_BYTES, poster, thumbnails, within_budget
from pipeline.media import is_url

ALIKE = 0.03
"""Widths over heights that differ by less are the same shape."""
LONGER_S = 1.0
"""Results may end this much later than the video."""
SHORTER_S = 10.0
"""Results may end this much earlier than a video that was named: the last clip may be long."""


class PageSource:
    """The recording of a source, and the media that the page plays for it.

    path: the media file; None if it was not found. is_given: the user named the file, so it may be the wrong one.
    preview: a copy that a browser plays, made by then.
    """

    def __init__(self, recording: Recording, path: str | None, is_given: bool = False) -> None:
        self.recording = recording
        self._is_given = is_given
        self.path = path
        self.media: Media | None = None
        self.preview = ""
        self.preview_start_s = 0.0
        self.warnings: list[str] = []
        self.explanations: list[list[Any]] = []
        """Rows of clip, label, sentences and a picture as a data URI; "" if there is none."""
        if path is not None:
            try:
                self.media = probe(path)
            except (OSError, ValueError) as error:
                self.warnings.append(f"{path} cannot be opened ({error}); the page has no pictures of it")

    @property
    def kind(self) -> str:
        """ "video", "sound", "still", or "none" without media."""
        return self.media.kind if self.media else "none"

    @property
    def needs_preview(self) -> bool:
        return self.media is not None and bool(self.media.obstacle)

    def failed(self, error: Exception) -> None:
        """No preview could be made."""
        assert self.media is not None
        why = str(error).removeprefix(f"{self.path}: ")
        self.warnings.append(
            f"a browser may not play it because of {self.media.obstacle}, and no preview could be made ({why})"
        )

    def tree(self, page: str, budget_bytes: int = BUDGET_BYTES) -> dict[str, Any]:
        """Everything the page needs, as plain data. `page`: the path it is written to; the budget is for pictures."""
        self._compare()
        tree = self.recording.tree()
        shown = self.preview or self.path or ""
        tree["media"] = {
            "kind": self.kind,
            "url": link(shown, page) if self.media and self.media.kind != "still" else "",
            "name": os.path.basename(shown),
            "start": round(self.preview_start_s * 1000) if self.preview else 0,
            "preview": bool(self.preview),
        }
        tree["poster"], tree["thumbnails"] = self._pictures(budget_bytes)
        tree["warnings"], tree["why"] = self.warnings, self.explanations
        return tree

    def _pictures(self, budget_bytes: int) -> tuple[str, list[list[Any]]]:
        """The poster of a still picture, and the contact sheet: time, label, probability and picture."""
        media = self.media
        if media is None or media.kind == "sound" or not media.width:
            return "", []
        path = self.preview or media.path
        size = media.width, media.height
        try:
            if media.kind == "still":
                return poster(path, size, budget_bytes), []
            moments = choose(self.recording.best_moments(), most=max(4, MOST * budget_bytes // BUDGET_BYTES))
            offset_s = self.preview_start_s if self.preview else 0.0
            times_s = [each.time_s - offset_s for each in moments]
            found = within_budget(list(thumbnails(path, times_s, size)), budget_bytes)
        except (OSError, ValueError) as error:
            self.warnings.append(f"no thumbnails could be made ({error})")
            return "", []
        rows = zip(moments, found, strict=True)
        return "", [
            [round(each.time_s * 1000), each.label, round(each.probability * 1000), uri] for each, uri in rows if uri
        ]

    def _compare(self) -> None:
        recording, media = self.recording, self.media
        if media is None:
            if not self.warnings:
                self.warnings.append(_missing(recording.source))
            return
        longer_s = recording.end_s - media.duration_s
        if media.duration_s and (longer_s > LONGER_S or (self._is_given and longer_s < -SHORTER_S)):
            self.warnings.append(
                f"the results end at {recording.end_s:.1f} s, but {os.path.basename(media.path)} ends at "
                f"{media.duration_s:.1f} s: is it the right file?"
            )
        if all(recording.size) and media.width and media.height:
            (width, height), known = (media.width, media.height), recording.size
            if abs(width * known[1] / (height * known[0]) - 1) > ALIKE:
                self.warnings.append(
                    f"the results are of {known[0]}×{known[1]} pixels, but {os.path.basename(media.path)} has "
                    f"{width}×{height}: is it the right file?"
                )


def _missing(source: str) -> str:
    why = "is not a file on this machine" if is_url(source) else "was not found"
    return f"{source} {why}, so the page shows no video. Say where it is with: percept view RESULTS --video FILE"
