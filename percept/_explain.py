"""`percept.explain`: why a clip got a label, by the command `percept explain` in a process of its own."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percept import _child, _records
from percept._session import Session, session_of

USUAL_MODEL, USUAL_CLIP_S = "percept-mini", 2.0


@dataclass(frozen=True)
class Why:
    """Why a clip got a label. A notebook shows its picture."""

    source: str
    start_s: float
    end_s: float
    label: str
    probability: float
    base_log_odds: float
    contributions: dict[str, float]
    """What each modality adds to the log-odds: with `base_log_odds`, they sum to those of `probability`."""
    shares: dict[str, float]
    """The share of each modality in what speaks for the label."""
    spots: dict[str, dict[str, float]]
    """By modality, the parts of its map that are named ("in the upper left"), and the share of each."""
    no_map: dict[str, str]
    """Modalities without a map, and why."""
    sentences: tuple[str, str]
    picture: bytes
    """PNG."""

    __module__ = "percept"

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def _repr_png_(self) -> bytes:
        return self.picture


def explain(
    source: str | os.PathLike[str],
    at: float,
    label: str = "",
    *,
    pixels: bool = False,
    results: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    audio_model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    session: Session | None = None,
) -> Why:
    """Say why the clip at a moment has a label.

        why = percept.explain("talk.mp4", 4.5, "rain")
        print(why)
        open("why.png", "wb").write(why.picture)

    Args:
        source: A film, a photo or a sound.
        at: The moment, in seconds: that of a record is its `start_s`.
        label: The label; by default the most probable one of the usual words.
        pixels: Also show one frame's evidence in its pixels, which takes longer.
        results: Results of a run on the source: the sentence names the track of the clip that the evidence lies on.
        model: As for `percept.run`.
        audio_model: As for `percept.run`.
        settings: Single settings, as for `percept.run`.
        session: Keeps the networks open for further calls.

    Raises:
        ConfigError, SourceError, ModelError: with the message of the command line.
    """
    options: dict[str, Any] = {"label": label or None, "pixels": pixels, "at": at}
    paths = {"model": model, "audio_model": audio_model, "results": results}
    options |= {name: os.fspath(each) for name, each in paths.items() if each}
    _, given, _ = _child.order([], None, options, (), None, settings)
    with tempfile.TemporaryDirectory(prefix="percept-") as folder, session_of(session) as opened:
        path = Path(folder, "why.png")
        found = opened._answer("explain", ["-o", str(path), *given, "--", os.fspath(source)])
        return _why(json.loads(found), path.read_bytes())


def explain_record(
    record: Any,
    label: str = "",
    *,
    source: str | os.PathLike[str] | None = None,
    pixels: bool = False,
    model: str | os.PathLike[str] | None = None,
    audio_model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    session: Session | None = None,
) -> Why:
    """`ClipRecord.explain`."""
    if not record.labels:
        raise _records.ConfigError(f"{record!r} has no label that could be explained")
    if not model and record.model and record.model.partition("@")[0] != USUAL_MODEL:
        raise _records.ConfigError(f"{record!r} was labelled by {record.model}; give it: explain(model=...)")
    path = os.fspath(source or record.source)
    if "://" not in path and not os.path.exists(path):
        raise _records.SourceError(f"{path}: is not here any more. Say where the file is: explain(source=...)")
    length_s = _records.clip_seconds(record.start_s, record.end_s, USUAL_CLIP_S)
    more = {} if length_s == USUAL_CLIP_S else {"clips.seconds": length_s}
    with tempfile.TemporaryDirectory(prefix="percept-") as folder:
        results = Path(folder, "record.jsonl")
        results.write_text(json.dumps(record.to_dict() | {"source": path}) + "\n")
        return explain(
            path,
            (record.start_s + record.end_s) / 2,
            label or record.labels[0].label,
            pixels=pixels,
            results=results if record.tracks else None,
            model=model,
            audio_model=audio_model,
            settings=more | dict(settings or {}),
            session=session,
        )


def _why(told: dict[str, Any], picture: bytes) -> Why:
    parts = told["modalities"]
    first, second = told["sentences"]
    kept = {name: told[name] for name in ("source", "start_s", "end_s", "label", "probability", "base_log_odds")}
    return Why(
        **kept,
        contributions={name: part["contribution"] for name, part in parts.items()},
        shares={name: part["share"] for name, part in parts.items()},
        spots={name: {spot["where"]: spot["share"] for spot in part["spots"]} for name, part in parts.items()},
        no_map={name: part["no_map"] for name, part in parts.items() if "no_map" in part},
        sentences=(first, second),
        picture=picture,
    )
