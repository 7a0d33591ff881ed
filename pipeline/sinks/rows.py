"""A clip as a row of a table for people: when, which labels fit, and which objects move."""

from collections import Counter
from pathlib import PurePath

from pipeline.logs import redact, visible
from pipeline.result import ClipRecord
from pipeline.status import EventOptions, Row

SHOWN_LABELS = 6
BETWEEN = "  ·  "
NOTHING = "–"


def row_of(record: ClipRecord, events: EventOptions) -> Row:
    """The row of a record. Labels are shown from the value on at which an event may last."""
    found = [(label.label, float(getattr(label, events.measure))) for label in record.labels or ()]
    found = [(name, value) for name, value in found if value >= events.leave_at]
    names = Counter(track.label or "" for track in record.tracks or ())
    state = "error" if record.error is not None else "dropped" if record.dropped is not None else "gap"
    return Row(
        source=record.source,
        start_s=record.start_s,
        end_s=record.end_s,
        labels=tuple(sorted(found, key=lambda pair: -pair[1])[:SHOWN_LABELS]),
        sure=events.enter,
        tracks=tuple(sorted(names.items(), key=lambda pair: (not pair[0], -pair[1], pair[0]))),
        state="result" if record.is_result else state,  # type: ignore[arg-type]
        text=record.error or record.dropped or "",
    )


def plain_row(row: Row) -> str:
    """`0:00–0:02  dog barking 75 %  ·  rain 41 %  ·  tracks: 2 × dog`"""
    return f"{time_text(row):>9}  {BETWEEN.join(items(row))}"


def items(row: Row) -> list[str]:
    """What is said about the clip, one text for each label, then one for all tracks."""
    if row.state != "result":
        return [problem_text(row)]
    texts = [f"{visible(name)} {percent(value)}" for name, value in row.labels] or [NOTHING]
    return [*texts, tracks_text(row)] if row.tracks else texts


def problem_text(row: Row) -> str:
    """`error: no frame could be decoded`, without the name of the source, under whose heading it stands."""
    why = visible(row.text.removeprefix(f"{row.source}: "))
    return {"gap": "no media"}.get(row.state) or f"{row.state}: {why}"


def tracks_text(row: Row) -> str:
    return "tracks: " + ", ".join(_counted(visible(name), count) for name, count in row.tracks)


def _counted(name: str, count: int) -> str:
    """Words have plurals of their own in every language, so `2 × dog`."""
    if not name:
        return f"{count} unnamed"
    return name if count == 1 else f"{count} × {name}"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def time_text(row: Row) -> str:
    """`0:00–0:02`; with tenths where a clip does not begin and end at full seconds; "" for a source that failed."""
    if row.end_s <= row.start_s:
        return ""
    tenths = any(abs(each - round(each)) >= 0.05 for each in (row.start_s, row.end_s))
    return "–".join(_clock(each, tenths) for each in (row.start_s, row.end_s))


def _clock(seconds: float, tenths: bool) -> str:
    whole, tenth = divmod(round(max(0.0, seconds) * 10), 10) if tenths else (round(max(0.0, seconds)), 0)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02}"
    text = f"{whole // 3600}:{minutes:>02}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"
    return f"{text}.{tenth}" if tenths else text


class Headings:
    """Which rows begin another source, if there are several."""

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._current = ""

    def before(self, row: Row) -> str:
        """The heading that is due before a row; "" if none."""
        if self._sources < 2 or row.source == self._current:
            return ""
        self._current = row.source
        return short_name(row.source)


def short_name(source: str) -> str:
    """The file name of a source, fit for a terminal; the whole URL of a stream, without secrets."""
    return visible(redact(source) if "://" in source else PurePath(source).name)
