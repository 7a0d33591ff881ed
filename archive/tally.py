"""The account of a run over an archive, which adds up: all that was wanted is labelled, failed, skipped or left."""

from dataclasses import dataclass, field

import msgspec

from archive.schema import Facts


@dataclass
class Measure:
    """Sources, clips or seconds, by what became of them."""

    labelled: float = 0
    failed: float = 0
    skipped: float = 0
    """Done before, failed before, or in work elsewhere."""

    @property
    def total(self) -> float:
        return self.labelled + self.failed + self.skipped


class Reasons(msgspec.Struct, kw_only=True):
    """Why sources were skipped, and how many labelled ones were copies."""

    done_before: int = 0
    failed_before: int = 0
    elsewhere: int = 0
    """Claimed by another process, or done by it in the meantime."""
    copied: int = 0
    """Of the labelled ones: the same content was labelled under another name."""


@dataclass
class Tally:
    """Counts what files of the archive say, not what was meant to be in them."""

    wanted: int = 0
    sources: Measure = field(default_factory=Measure)
    clips: Measure = field(default_factory=Measure)
    seconds: Measure = field(default_factory=Measure)
    reasons: Reasons = field(default_factory=Reasons)
    follows: bool = False
    """Whether sources may change after they were counted, and be counted again."""
    _last: dict[str, tuple[Facts, bool]] = field(default_factory=dict)
    """Where it follows, what was counted of each source, by name: what its file said, and whether it was skipped."""

    @property
    def left(self) -> int:
        """Sources that the run did not come to."""
        return self.wanted - int(self.sources.total)

    def add(self, facts: Facts) -> None:
        """A source whose file was written by this run."""
        self._add(facts, 1)
        if self.follows:
            self._last[facts.name] = facts, False

    def again(self, name: str) -> None:
        """A source is wanted once more, as it has changed: what was counted of it before does not count."""
        if (last := self._last.pop(name, None)) is None:
            return
        facts, is_skipped = last
        (self._skip if is_skipped else self._add)(facts, -1)
        self.wanted -= 1

    def _add(self, facts: Facts, times: int) -> None:
        if facts.error:
            self.sources.failed += times
        else:
            self.sources.labelled += times
        self.clips.labelled += times * facts.labelled
        self.clips.failed += times * facts.failed
        self.seconds.labelled += times * facts.seconds
        self.seconds.failed += times * facts.failed_seconds
        self.reasons.copied += times * bool(facts.same_as)

    def skip(self, facts: Facts | None, elsewhere: bool = False) -> None:
        """A source that needed nothing. facts: those of its file, if it has one."""
        self._skip(facts, 1, elsewhere)
        if self.follows and facts is not None and not elsewhere:
            self._last[facts.name] = facts, True

    def _skip(self, facts: Facts | None, times: int, elsewhere: bool = False) -> None:
        self.sources.skipped += times
        if elsewhere:
            self.reasons.elsewhere += times
        elif facts is not None and facts.error:
            self.reasons.failed_before += times
        else:
            self.reasons.done_before += times
        if facts is not None:
            self.clips.skipped += times * (facts.labelled + facts.failed)
            self.seconds.skipped += times * (facts.seconds + facts.failed_seconds)

    def fields(self) -> dict[str, object]:
        """As one flat record, such as `clips_labelled`."""
        measures = {"sources": self.sources, "clips": self.clips, "seconds": self.seconds}
        flat: dict[str, object] = {}
        for name, measure in measures.items():
            values = {"": measure.total, **vars(measure)}
            for part, value in values.items():
                flat[f"{name}_{part}" if part else name] = round(value, 3) if name == "seconds" else int(value)
        return {**flat, "sources_left": self.left, **msgspec.structs.asdict(self.reasons)}


def account_lines(tally: Tally) -> list[str]:
    """`12 sources = 9 labelled + 1 failed + 2 skipped (2 done before)`, and the same of clips and seconds."""
    reasons, sources = tally.reasons, tally.sources
    why = [
        f"{count} {text}"
        for count, text in (
            (reasons.done_before, "done before"),
            (reasons.failed_before, "failed before; --retry-failed tries them again"),
            (reasons.elsewhere, "in work elsewhere"),
        )
        if count
    ]
    copies = f" ({reasons.copied} of them copied from the same content)" if reasons.copied else ""
    skipped = f"{sources.skipped:.0f} skipped" + (f" ({', '.join(why)})" if why else "")
    left = f" + {tally.left} left" if tally.left else ""
    lines = [
        f"{tally.wanted} sources = {sources.labelled:.0f} labelled{copies} + {sources.failed:.0f} failed"
        f" + {skipped}{left}"
    ]
    for name, measure, digits in (("clips", tally.clips, 0), ("seconds", tally.seconds, 1)):
        parts = [f"{value:.{digits}f}" for value in (measure.labelled, measure.failed, measure.skipped)]
        total = f"{sum(map(float, parts)):.{digits}f}"
        lines.append(f"{total} {name} = {parts[0]} labelled + {parts[1]} failed + {parts[2]} skipped")
    return lines
