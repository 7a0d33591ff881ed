"""Finds where a short recording is part of a long one: its sequence of vectors is laid along every source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from archive.search.example import Examples, Moment, Place
from archive.search.query import NOTHING
from archive.search.rows import Block, Rows, exact
from archive.search.scan import BLOCK_ROWS
from pipeline.arrays import Array

STEP_S = 0.25
"""Clips of the archive begin on a grid of their own. The excerpt is cut on grids that differ by this."""
MOST_PHASES = 40
MOST_CLIPS = 60
INSIDE = 0.5
"""Share of an excerpt that lies in a source at least."""
WHOLE = 0.9
"""A clip at the end that is shorter than this share of a clip is left out."""
SPACED_ROWS = 4096


@dataclass(frozen=True)
class Cut:
    """Clips of an excerpt, one per row of the archive. phase_s: where in the excerpt the first one begins."""

    phase_s: float
    vectors: tuple[Mapping[str, Array], ...]
    length_s: float
    """From the start of its first clip to the end of its last."""


@dataclass(frozen=True)
class Found:
    """An excerpt in a source. row: the first that it was compared with."""

    row: int
    rows: int
    start_s: float
    end_s: float
    """At most that of the source's last clip."""
    score: float
    """Mean cosine of its clips."""
    by_modality: Mapping[str, float] = field(default_factory=dict)
    """The same of those that both have."""


def sequences(examples: Examples, where: Place, spacing_s: float) -> list[Cut]:
    """The excerpt, cut on grids that differ by `STEP_S`; clips are `spacing_s` apart, as in the archive."""
    every = max(1, round(spacing_s / examples.clip_s))
    begin_s, least_s = where.start_s or 0.0, WHOLE * examples.clip_s
    moments = examples.moments(where.path, begin_s, where.end_s)
    ends_s = moments[-1].end_s
    found = [_cut(0.0, moments, every, least_s) or Cut(0.0, (moments[0].vectors,), ends_s - begin_s)]
    for phase_s in np.arange(STEP_S, every * examples.clip_s, STEP_S)[:MOST_PHASES].tolist():
        if begin_s + phase_s + least_s <= ends_s:
            moments = examples.moments(where.path, begin_s + phase_s, where.end_s)
            found += filter(None, [_cut(phase_s, moments, every, least_s)])
    return found


def _cut(phase_s: float, moments: Sequence[Moment], every: int, least_s: float) -> Cut | None:
    """Every so many of the clips that are long enough; None if there are none."""
    taken = [each for each in moments if each.end_s - each.start_s >= least_s][::every][:MOST_CLIPS]
    length_s = taken[-1].end_s - taken[0].start_s if taken else 0.0
    return Cut(phase_s, tuple(each.vectors for each in taken), length_s) if taken else None


def spacing_s(rows: Rows) -> float:
    """From one clip to the next, as most clips of the archive are; 0 if there are none."""
    start_s = rows.column("start_s")[:SPACED_ROWS]
    apart = np.diff(start_s)[np.diff(rows.segment_numbers(np.arange(len(start_s)))) == 0]
    return float(np.median(apart)) if len(apart) else 0.0


def find(
    rows: Rows, cut: Sequence[Cut], modalities: Sequence[str], allowed: Array | None, top: int
) -> list[Found]:  # fmt: skip
    """The `top` best places, best first. Two in the same source do not overlap.

    All of `cut` is an excerpt as long as the first of them.
    """
    length_s, start_s, stop_s = cut[0].length_s, rows.column("start_s"), _stops_s(rows)
    best, phase = np.full(len(rows), NOTHING, np.float32), np.zeros(len(rows), np.int16)
    for number, sequence in enumerate(cut):
        scores = _scores(rows, sequence, modalities)
        first_s = start_s - sequence.phase_s
        inside_s = np.minimum(first_s + length_s, stop_s) - np.maximum(first_s, 0.0)
        better = (scores > best) & (inside_s >= INSIDE * length_s)
        best[better], phase[better] = scores[better], number
    best[~rows.alive if allowed is None else ~(rows.alive & allowed)] = NOTHING
    found = list[Found]()
    while len(found) < top and len(best) and best[(row := int(best.argmax()))] > NOTHING:
        sequence = cut[phase[row]]
        count, first = len(sequence.vectors), float(start_s[row]) - sequence.phase_s
        until_s = min(first + length_s, float(stop_s[row]))
        found.append(
            Found(
                row, count, max(0.0, first), until_s, float(best[row]), _similarities(rows, sequence, modalities, row)
            )
        )
        segment = rows.segment_of(row)
        best[max(segment.first, row - count) : min(segment.stop, row + count + 1)] = NOTHING
    return found


def _stops_s(rows: Rows) -> Array:
    """The end of the last clip of the source that each row belongs to."""
    end_s = rows.column("end_s")
    lasts = np.array([end_s[each.first : each.stop].max(initial=0.0) for each in rows.catalog.segments])
    return np.repeat(lasts, [each.rows for each in rows.catalog.segments])


def _similarities(rows: Rows, sequence: Cut, modalities: Sequence[str], row: int) -> dict[str, float]:
    """Mean cosine of the sequence with the rows from `row` on, of each modality that both have."""
    found = dict[str, float]()
    for name in (name for name in modalities if rows.has(name)):
        places = [place for place, vectors in enumerate(sequence.vectors) if name in vectors]
        where = row + np.array(places, int)
        if places and not np.isnan(rows.column(f"{name}_log_sum")[where]).all():
            queries = np.stack([sequence.vectors[place][name] for place in places])
            found[name] = float((exact(rows, name, where) * queries).sum(axis=1).mean())
    return found


def _scores(rows: Rows, sequence: Cut, modalities: Sequence[str]) -> Array:
    """Mean cosine of the sequence with the rows from each row on, float32 "N"; less than nothing where it runs out."""
    length = len(sequence.vectors)
    total, parts = np.zeros(len(rows), np.float32), 0
    scratch: dict[str, torch.Tensor] = {}
    for name in modalities:
        places = [place for place, vectors in enumerate(sequence.vectors) if name in vectors]
        if not places or not rows.has(name):
            continue
        parts += len(places)
        queries = torch.from_numpy(np.stack([sequence.vectors[place][name] for place in places]).astype(np.float32))
        for first in range(0, len(rows), BLOCK_ROWS):
            where = slice(first, min(first + BLOCK_ROWS, len(rows)))
            for place, cosines in zip(places, Block(rows, where, scratch).cosines(name, queries).numpy(), strict=True):
                skipped = max(0, place - first)
                total[first - place + skipped : where.stop - place] += cosines[skipped:]
    if not parts:
        return np.full(len(rows), NOTHING, np.float32)
    numbers = rows.segment_numbers(np.arange(len(rows)))
    scores: Array = total / parts
    scores[max(0, len(rows) - length + 1) :] = NOTHING
    scores[: len(rows) - length + 1][numbers[: len(rows) - length + 1] != numbers[length - 1 :]] = NOTHING
    return scores
