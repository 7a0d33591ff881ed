"""The process that labels an archive: `percept label`, with its log in a temporary file."""

import json
import math
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from percept import _child, _progress, _views

_ENDED = (0, 1, 3)
"""Exit codes of runs that came to their end, though sources may have failed."""


@dataclass(frozen=True)
class Measure:
    """Sources, clips or seconds, by what became of them."""

    labelled: float
    failed: float
    skipped: float
    """Done before, failed before, or in work elsewhere."""

    @property
    def total(self) -> float:
        return self.labelled + self.failed + self.skipped


@dataclass(frozen=True)
class Labelled:
    """What became of the sources of an archive."""

    archive: str
    sources: Measure
    clips: Measure
    seconds: Measure
    copied: int
    """Of the labelled sources: those whose content was labelled under another name."""
    elapsed_s: float


def labelled(
    sources: _child.Name | Sequence[_child.Name],
    output: _child.Name,
    labels: Sequence[str] | Mapping[str, Any] | str | None,
    options: Mapping[str, Any],
    repeated: Collection[str],
    config: _child.Name | None,
    settings: Mapping[str, Any] | None,
    progress: bool | None,
) -> Labelled:
    """Run the command to its end. `options` are those of the command by their names in Python; None is not given."""
    _, given, request = _child.order(sources, labels, options, repeated, config, settings)
    view = _views.view(progress)
    talk = ["--log-json", f"--progress-every={_child.PROGRESS_EVERY_S if view else math.inf}"]
    with tempfile.TemporaryFile() as log:
        child = _child.start(["label", "--request=-", f"--output={os.fspath(output)}", *talk, *given], log)
        try:
            assert child.stdout is not None
            _child.send(child, json.dumps(request).encode())
            with _progress.Shown(view, log) if view else _progress.Unshown(log) as shown:
                for _ in _child.lines(child, child.stdout, shown):
                    pass
            code = child.wait(timeout=60)
            found = [entry for entry in _progress.Log(log).read() if entry.get("message") == "account"]
            if code not in _ENDED or not found:
                raise _child.error(code, log, "label")
            return _labelled(os.fspath(output), found[-1])
        finally:
            _child.stop(child)


def _labelled(archive: str, account: Mapping[str, Any]) -> Labelled:
    sources, clips, seconds = (
        Measure(*(account[f"{name}_{part}"] for part in ("labelled", "failed", "skipped")))
        for name in ("sources", "clips", "seconds")
    )
    return Labelled(archive, sources, clips, seconds, account["copied"], account["elapsed_s"])
