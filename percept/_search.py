"""`percept.search`: moments in an archive, found by the command `percept search` in a process of its own."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from percept import _child, _records, _views

Scale = Literal["probability", "similarity", "confidence"]


@dataclass(frozen=True)
class Hit:
    """A stretch of a source that fits."""

    source: str
    """As it was given when it was labelled."""
    name: str
    """In the archive."""
    start_s: float
    end_s: float
    best_s: float
    """Start of the best clip."""
    score: float
    """Of the best clip."""
    scale: Scale
    """What the score is: a calibrated probability for words; a cosine where an example or an aspect was asked for; for
    what is written alone, how sure the reader is."""
    clips: int
    by_modality: dict[str, float]
    """What picture, motion and sound of the best clip said."""
    labels: dict[str, float]
    """Names and probabilities of the best clip's labels, best first."""

    __module__ = "percept"

    def __str__(self) -> str:
        score = f"{100 * self.score:.0f} %" if self.scale == "probability" else f"{self.score:.3f}"
        when = f"{_records.clock_text(self.start_s)}–{_records.clock_text(self.end_s)}"
        return f"{_views.printable(self.name)} {when}: {score}"


def search(
    archive: str | os.PathLike[str],
    text: str = "",
    *,
    like: str | os.PathLike[str] = "",
    like_sound: str | os.PathLike[str] = "",
    minus: str = "",
    excerpt: str | os.PathLike[str] = "",
    modality: Sequence[str] | str = (),
    aspect: str = "",
    where: str = "",
    mix: float = 0.5,
    approximate: bool = False,
    top: int = 20,
    html: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    audio_model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Hit]:
    """Find moments in an archive that `percept.label` or `percept label` wrote. The best hit comes first.

        for hit in percept.search("labels/", "a dog barking at night", where="duration > 60"):
            print(hit)

        # videos/yard.mp4 3:12–3:18: 91 %

    The first search of an archive prepares it; later ones add what is new. `percept.to_pandas` and `percept.to_polars`
    make tables of hits.

    Args:
        archive: The folder of the archive, or s3://bucket/prefix.
        text: What to look for. 'text:"EXIT"' in it: only where this can be read, in an archive made with `text=True`.
        like: A moment ("clip.mp4@12s"), a stretch ("clip.mp4@12s-20s"), a photo or a sound as example.
        like_sound: The same, its sound alone.
        minus: What hits are not about.
        excerpt: A recording that is part of others: its places are found.
        modality: What is compared: "image", "motion", "audio". By default what the question has.
        aspect: Compare in one aspect: "place", "action", "thing", "sound", "light", "people", "style", or words that
            differ in it.
        where: Only clips for which this SQL condition is true, over source, name, start_s, end_s, duration, recorded,
            device, timecode and labels.
        mix: Share of the words in a question of words and an example.
        approximate: Look only at clips that an index names, for many millions of clips.
        top: Hits at most.
        html: Also write a page with thumbnails.
        model: The model that labelled the archive, if it is not the bundled one that the archive names.
        audio_model: Likewise, of its sound.
        settings: Single settings, as for `percept.run`.

    Raises:
        ConfigError, SourceError, ModelError: with the message of the command line.
    """
    names = {"like": like, "like_sound": like_sound, "excerpt": excerpt, "html": html, "model": model}
    options: dict[str, Any] = {name: os.fspath(value) if value else None for name, value in names.items()}
    options |= {"audio_model": os.fspath(audio_model) if audio_model else None, "modality": modality or None}
    options |= {"minus": minus or None, "aspect": aspect or None, "where": where or None, "mix": mix, "top": top}
    options |= {"approximate": approximate}
    _, given, _ = _child.order([], None, options, (), None, settings)
    found = _child.answer("search", [*given, "--", os.fspath(archive), text])
    return [_hit(json.loads(line)) for line in found.splitlines()]


def _hit(fields: dict[str, Any]) -> Hit:
    scale = next(name for name in get_args(Scale) if name in fields)
    labels = {each["label"]: each["probability"] for each in fields["labels"]}
    kept = {name: fields[name] for name in ("source", "name", "start_s", "end_s", "best_s", "clips", "by_modality")}
    return Hit(**kept, score=fields[scale], scale=scale, labels=labels)
