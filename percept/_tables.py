"""Records as tidy tables of pandas or polars."""

import os
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from percept import _records
from percept._reading import read
from percept._search import Hit

if TYPE_CHECKING:
    import pandas
    import polars

Records = Iterable[_records.ClipRecord] | _records.ClipRecord | Iterable[Hit] | str | os.PathLike[str]
What = Literal["labels", "tracks", "clips", "visits", "crossings", "hits"]

_CLIP: dict[str, type] = {"source": str, "epoch": int, "clip": int, "start_s": float, "end_s": float}
_MODALITIES = ("image", "motion", "audio")
_SCORES: dict[str, type] = {"label": str, "probability": float, "share": float}
_EVIDENCE: dict[str, type] = {f"{name}_probability": float for name in _MODALITIES}
_TROUBLE: dict[str, type] = {"error": str, "dropped": str, "gap": bool}
_BOX: dict[str, type] = {"time_s": float, "x0": float, "y0": float, "x1": float, "y1": float}
_STAY: dict[str, type] = {"since_s": float, "until_s": float, "dwell_s": float, "left": bool}
_ABOUT: dict[str, type] = {"width": int, "height": int, "tracks": int, "category": str, "none_of_these": bool}
COLUMNS: dict[str, dict[str, type]] = {
    "labels": _CLIP | _SCORES | _EVIDENCE | _TROUBLE,
    "tracks": _CLIP | {"track": int, "label": str, "probability": float, "movement": str, "speed": float} | _BOX,
    "visits": _CLIP | {"zone": str, "track": int, "label": str, **_STAY},
    "crossings": _CLIP | {"line": str, "track": int, "label": str, "time_s": float, "way": str},
    "clips": _CLIP | _SCORES | _ABOUT | _TROUBLE | {"model": str, "engine": str},
    "hits": {"source": str, "name": str, "start_s": float, "end_s": float, "best_s": float, "score": float}
    | {"scale": str, "clips": int, **{f"{name}_score": float for name in _MODALITIES}, "label": str},
}
"""Names and types of the columns of each table. Only text and floats can be missing, and `none_of_these`."""


def to_pandas(results: Records, what: What = "labels") -> "pandas.DataFrame":
    """Records as a tidy table of pandas.

        table = percept.to_pandas(percept.run("talk.mp4", labels=["dog barking", "rain"]))
        table.groupby("label")["probability"].max()

    Args:
        results: What `percept.run`, `percept.read` or `percept.search` gives, a list of records, one record, or the
            name of a file of results.
        what: Which table.
            "labels" has a row for each label of each clip: source, epoch, clip, start_s, end_s, label, probability,
            share, image_probability, motion_probability, audio_probability (of each modality alone, missing where the
            clip has none), error, dropped, gap. A clip without labels, such as a failed one or a gap, keeps one row.
            "tracks" has a row for each box of each track: source, epoch, clip, start_s, end_s, track (its id), label,
            probability, movement, speed, time_s, x0, y0, x1, y1 in pixels. Clips without tracks have no row.
            "clips" has a row for each clip: its best label with probability and share, width, height, tracks (how
            many), category, none_of_these, error, dropped, gap, model, engine.
            "visits" has a row for each track in a zone in each clip: zone, track, label, since_s, until_s, dwell_s,
            left. The last row of a visit, by source, zone, track and since_s, has its whole length.
            "crossings" has a row for each crossing of a line: line, track, label, time_s, way.
            "hits", the table of what `percept.search` gives, has a row for each hit: source, name, start_s, end_s,
            best_s, score, scale, clips, image_score, motion_score, audio_score, label (the best clip's best).

    Raises:
        ImportError: pandas is not installed; the message has the command.
    """
    pandas, what = _library("pandas"), _kind(results, what)
    columns = _table(results, what)
    types = COLUMNS[what]
    return pandas.DataFrame(
        {name: pandas.Series(values, dtype=_pandas_type(types[name], values)) for name, values in columns.items()}
    )


def to_polars(results: Records, what: What = "labels") -> "polars.DataFrame":
    """Records as a tidy table of polars; the same tables as those of `to_pandas`.

        percept.to_polars("talk.jsonl").filter(polars.col("probability") > 0.5)

    Raises:
        ImportError: polars is not installed; the message has the command.
    """
    polars, what = _library("polars"), _kind(results, what)
    kinds = {str: polars.String, int: polars.Int64, float: polars.Float64, bool: polars.Boolean}
    columns = _table(results, what)
    return polars.DataFrame(columns, schema={name: kinds[kind] for name, kind in COLUMNS[what].items()})


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"{name} is not installed. Run: pip install 'percept-av[{name}]'", name=name) from None


def _pandas_type(kind: type, values: list[Any]) -> Any:
    if kind is bool and None in values:
        return "boolean"
    return {int: "int64", float: "float64", bool: "bool", str: "string"}[kind]


def _kind(results: Records, what: What) -> What:
    """Which table: hits have one of their own."""
    return "hits" if isinstance(results, list) and results and isinstance(results[0], Hit) else what


def _table(results: Records, what: str) -> dict[str, list[Any]]:
    """The columns of a table."""
    if what not in COLUMNS:
        raise ValueError(f"what is {what!r}; expected {', '.join(COLUMNS)}")
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS[what]}
    for record in _each(results):
        for row in _hit_rows(record) if isinstance(record, Hit) else _ROWS[what](record):
            for name, values in columns.items():
                values.append(row.get(name))
    return columns


def _each(results: Records) -> Iterable[_records.ClipRecord | Hit]:
    if isinstance(results, str | os.PathLike):
        return read(results)
    return [results] if isinstance(results, _records.ClipRecord) else results


def _clip(record: _records.ClipRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _CLIP}


def _label_rows(record: _records.ClipRecord) -> Iterator[dict[str, Any]]:
    clip = _clip(record) | {name: getattr(record, name) for name in _TROUBLE}
    for label in record.labels or []:
        evidence = {f"{name}_probability": each.probability for name, each in label.evidence.items()}
        yield clip | {"label": label.label, "probability": label.probability, "share": label.share} | evidence
    if not record.labels:
        yield clip


def _track_rows(record: _records.ClipRecord) -> Iterator[dict[str, Any]]:
    for track in record.tracks or []:
        of_track = _clip(record) | {"track": track.id, "label": track.label, "probability": track.probability}
        if track.movement is not None:
            of_track |= {"movement": track.movement.word, "speed": track.movement.speed}
        for box in track.boxes:
            yield of_track | dict(zip(_BOX, box, strict=True))


def _visit_rows(record: _records.ClipRecord) -> Iterator[dict[str, Any]]:
    for zone in record.zones or []:
        for visit in zone.visits:
            fields = {name: getattr(visit, name) for name in ("track", "label", *_STAY)}
            yield _clip(record) | {"zone": zone.zone} | fields


def _crossing_rows(record: _records.ClipRecord) -> Iterator[dict[str, Any]]:
    for each in record.crossings or []:
        yield _clip(record) | {name: getattr(each, name) for name in ("line", "track", "label", "time_s", "way")}


def _clip_rows(record: _records.ClipRecord) -> Iterator[dict[str, Any]]:
    best = next(_label_rows(record))
    about = {
        "width": record.width,
        "height": record.height,
        "tracks": len(record.tracks or []),
        "category": record.category.label if record.category else None,
        "none_of_these": record.open_set.none_of_these if record.open_set else None,
        "model": record.model or None,
        "engine": record.engine or None,
    }
    yield best | about


def _hit_rows(hit: Hit) -> Iterator[dict[str, Any]]:
    scores = {f"{name}_score": value for name, value in hit.by_modality.items()}
    yield vars(hit) | scores | {"label": next(iter(hit.labels), None)}


_ROWS: dict[str, Callable[[_records.ClipRecord], Iterator[dict[str, Any]]]] = {
    "labels": _label_rows,
    "tracks": _track_rows,
    "clips": _clip_rows,
    "visits": _visit_rows,
    "crossings": _crossing_rows,
}
