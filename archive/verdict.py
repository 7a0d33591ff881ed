"""What is to be done with a source, told by what its file in the archive says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archive.schema import ARCHIVE_VERSION, Facts

Verdict = Literal["new", "changed", "damaged", "again", "unsure", "done", "failed", "misfit", "foreign"]
"""new, changed, damaged, again: it is labelled. unsure: only its time has changed, so its content decides. done: its
file fits. failed: it has failed before. misfit: it was labelled otherwise. foreign: the file is not one of ours."""
TODO: frozenset[Verdict] = frozenset(("new", "changed", "damaged", "again", "unsure"))


@dataclass(frozen=True)
class Wanted:
    """A source that is to be in the archive."""

    source: str
    """A path, in which bytes that are not UTF-8 are escaped as Python does it; or a URL."""
    name: str
    """In the archive."""
    size: int = -1
    """In bytes; -1 if it is no file, or is gone."""
    mtime_ns: int = 0


@dataclass(frozen=True)
class Asked:
    """How all sources of an archive are to be labelled."""

    config: str
    words: str
    model: str
    labels: tuple[str, ...] = ()
    dims: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Values of each vector that the model gives."""
    features: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Values of the features of each modality, if they are asked for."""
    settings: Mapping[str, Any] | None = field(default=None, compare=False)
    """As those of `Facts`."""
    whole: bool = False
    """Compare and keep hashes of whole files, and trust no time."""
    redo: bool = False
    """Label again what was labelled otherwise."""
    retry_failed: bool = False


@dataclass(frozen=True)
class Damaged:
    """A file that is not whole."""

    text: str


@dataclass(frozen=True)
class Foreign:
    """A file that `percept label` did not write, or a version of it that kept other facts."""

    text: str


Known = Facts | Damaged | Foreign
"""What is known of a file of the archive."""


def misfit_of(facts: Facts, asked: Asked) -> Literal["", "version", "model", "config", "words"]:
    """In what a file differs from what is asked for; "" if it fits."""
    if facts.version != ARCHIVE_VERSION:
        return "version"
    if facts.model and facts.model != asked.model:
        return "model"
    if facts.config != asked.config:
        return "config"
    return "words" if facts.words != asked.words else ""


def verdict_of(wanted: Wanted, known: Known | None, asked: Asked) -> Verdict:
    if known is None:
        return "new"
    if isinstance(known, Damaged):
        return "damaged"
    if isinstance(known, Foreign):
        return "foreign"
    if misfit_of(known, asked):
        return "again" if asked.redo else "misfit"
    if wanted.size >= 0 and (known.fingerprint is None or known.fingerprint.size != wanted.size):
        return "changed"
    if asked.retry_failed and (known.error or known.failed):
        return "again"
    if wanted.size >= 0 and known.fingerprint is not None:
        is_untouched = known.fingerprint.mtime_ns == wanted.mtime_ns
        if not is_untouched or (asked.whole and known.fingerprint.whole):
            return "unsure"
    return "failed" if known.error else "done"
