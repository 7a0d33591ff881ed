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

    @property
    def left(self) -> int:
        """Sources that the run did not come to."""
        return self.wanted - int(self.sources.total)

    def add(self, facts: Facts) -> None:
        """A source whose file was written by this run."""
        if facts.error:
            self.sources.failed += 1
        else:
            self.sources.labelled += 1
        self.clips.labelled += facts.labelled
        self.clips.failed += facts.failed
        self.seconds.labelled += facts.seconds
        self.seconds.failed += facts.failed_seconds
        self.reasons.copied += bool(facts.same_as)

    def skip(self, facts: Facts | None, elsewhere: bool = False) -> None:
        """A source that needed nothing. facts: those of its file, if it has one."""
        self.sources.skipped += 1
        if elsewhere:
            self.reasons.elsewhere += 1
        elif facts is not None and facts.error:
            self.reasons.failed_before += 1
        else:
            self.reasons.done_before += 1
        if facts is not None:
            self.clips.skipped += facts.labelled + facts.failed
            self.seconds.skipped += facts.seconds + facts.failed_seconds

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
