"""The blocks of docs/scores.md: how one record comes about, each number computed by the code that labels clips."""

import math
from typing import Any

import numpy as np

from manual.pages import Block
from manual.worked import LABELS, Worked, worked
from stages.words import reliability, scoring
from stages.words.contributions import BASE, contributions, sets, shapley_factors

SHOWN = 5
"""Background words in the table."""


def record() -> str:
    """The fields of the record that this page explains, laid out for reading."""
    clip = worked().clip.info
    times = f'"clip": {clip.index}, "start_s": {clip.start_ns / 1e9}, "end_s": {clip.end_ns / 1e9}'
    rows = ",\n            ".join(_row(row) for row in worked().labels)
    return f'```json\n{{{times},\n "labels": [{rows}]}}\n```'


def _row(row: dict[str, Any]) -> str:
    numbers = [f'"{key}": {row[key]:.3f}' for key in ("probability", "share", "base_log_odds")]
    head = f'{{"label": "{row["label"]}", {", ".join(numbers)},'
    evidence = [
        f'"{name}": {{' + ", ".join(f'"{key}": {value:.3f}' for key, value in one.items()) + "}"
        for name, one in row["evidence"].items()
    ]
    between = ",\n" + " " * 26
    return f'{head}\n             "evidence": {{{between.join(evidence)}}}}}'


def similarities() -> str:
    found = worked().scores.similarity
    return _table(["", *LABELS], [[name, *(f"{value:.3f}" for value in found[name])] for name in found])


def background() -> str:
    """The background words nearest to the picture, and how far each competes with the first two labels."""
    side, near = worked().label_set.sides["image"], worked().scores.background["image"]
    words = worked().label_set.background
    nearest = np.argsort(-near)[:SHOWN]
    rows = [[f"`{words[i]}`", f"{near[i]:.3f}", *(f"{side.kept[label, i]:.2f}" for label in (0, 1))] for i in nearest]
    head = ["background word", "similarity to the picture", *(f"competes with `{label}`" for label in LABELS[:2])]
    return f"The bundled model has {len(words)} of them. These are nearest to this picture:\n\n" + _table(head, rows)


def odds() -> str:
    """Log-odds of the first label from the picture, term by term."""
    work, side = worked(), worked().label_set.sides["image"]
    similarity, near = work.scores.similarity["image"][0], work.scores.background["image"]
    rivals = float(np.log(np.exp(near / side.temperature) @ side.kept[0]))
    logit, z = similarity / side.temperature, work.scores.alone["image"][0]
    return _steps(
        f"logit of the label       similarity / temperature = {similarity:.3f} / {side.temperature:g} = {logit:.3f}",
        f"logit of its rivals      log Σ competes · exp(similarity / temperature) = {rivals:.3f}",
        f"log-odds                 logit - rivals + bias = {logit:.3f} - {rivals:.3f} + {side.bias:g} = {z:.3f}",
        f"probability              1 / (1 + exp(-{z:.3f})) = {scoring.sigmoid(z):.3f}",
    )


def alone() -> str:
    """Probability of every label from every modality alone."""
    work = worked()
    rows = []
    for name, side in work.label_set.sides.items():
        found = [f"{value:.3f}" for value in scoring.sigmoid(work.scores.alone[name])]
        rows.append([name, f"{side.temperature:g}", f"{side.bias:g}", *found])
    return _table(["", "temperature", "bias", *LABELS], rows)


def weights() -> str:
    """Signal, peakedness and ceiling of each modality, and the weight they give."""
    work, rows = worked(), []
    for name, side in work.label_set.sides.items():
        signal = reliability.signal_weight(name, work.signals, side.knows_stillness)
        peaked = scoring.peakedness(work.scores.background[name], side.temperature)
        decided = reliability.UNDECIDED + (1 - reliability.UNDECIDED) * peaked
        cells = [_measured(work, name), *(f"{value:.3f}" for value in (signal, peaked, decided))]
        rows.append([name, *cells, f"{reliability.HIGHEST[name]:g}", f"{work.scores.weights[name]:.3f}"])
    head = ["", "measured", "signal", "peakedness", "decided", "ceiling", "weight"]
    return _table(head, rows)


def known() -> str:
    """How far every tower knows every label."""
    sides = worked().label_set.sides
    rows = [
        [name, *("1.00" if side.known is None else f"{side.known[place]:.2f}" for place in range(len(LABELS)))]
        for name, side in sides.items()
    ]
    return _table(["", *LABELS], rows)


def head() -> str:
    """The fusion head's part in the picture's log-odds of the first label."""
    work = worked()
    assert work.label_set.head_share is not None
    frozen, fused, part = work.scores.alone["image"][0], work.head["image"][0], work.label_set.head_share[0]
    z = work.scores.log_odds["image"][0]
    return _steps(
        f"from the picture alone      {frozen:.3f}",
        f"from the fusion head        {fused:.3f}",
        f"share of the head           {part:g}",
        f"log-odds = {frozen:.3f} + {part:g} · ({fused:.3f} - {frozen:.3f}) = {z:.3f}",
        f"probability = 1 / (1 + exp(-{z:.3f})) = {scoring.sigmoid(z):.4f}",
    )


def pooled() -> str:
    """The noisy-or over modalities for the first label."""
    work = worked()
    rows, product = [], []
    for name, z in work.scores.log_odds.items():
        weight, p = work.scores.weights[name], float(scoring.sigmoid(z[0]))
        rows.append([name, f"{weight:.4f}", f"{p:.4f}", f"{1 - weight * p:.4f}"])
        product.append(f"{1 - weight * p:.4f}")
    total = float(scoring.sigmoid(work.scores.pooled[0]))
    table = _table(["", "weight", f"probability of `{LABELS[0]}`", "1 - weight · probability"], rows)
    return f"{table}\n\n" + _steps(f"probability = 1 - {' · '.join(product)} = {total:.3f}")


def added() -> str:
    """What every modality adds to the base, for all labels."""
    work = worked()
    base, found = contributions(work.scores.log_odds, work.scores.weights)
    total = base + np.sum(list(found.values()), axis=0)
    rows = [["base", *[f"{base:.3f}"] * len(LABELS)]]
    rows += [[name, *(f"{value:+.3f}" for value in values)] for name, values in found.items()]
    rows += [["sum", *(f"{value:.3f}" for value in total)]]
    rows += [["probability = 1 / (1 + exp(-sum))", *(f"{value:.3f}" for value in scoring.sigmoid(total))]]
    return _table(["", *LABELS], rows)


def orders() -> str:
    """The picture's contribution to the first label, from what every set of modalities makes of it."""
    odds, trust = worked().scores.log_odds, worked().scores.weights
    places = sets(len(odds))
    values, rows = [], []
    for said in places:
        spoken = {name: z[:1] if has else np.array([BASE]) for (name, z), has in zip(odds.items(), said, strict=True)}
        values.append(float(scoring.pool(spoken, trust)[0]))
        doubts = [f"{1 - trust[name] * float(scoring.sigmoid(z[0])):.4f}" for name, z in spoken.items()]
        who = ", ".join(name for name, has in zip(odds, said, strict=True) if has) or "none"
        rows.append([who, " · ".join(doubts), f"{values[-1]:.3f}"])
    terms = []
    for others in np.flatnonzero(~places[:, 0]):
        once = round(abs(shapley_factors(places)[others, 0]) * math.factorial(len(odds)))
        terms.append(f"{once}/6 · ({values[others + 1]:.3f} - {values[others]:.3f})".replace("- -", "+ "))
    total = float(shapley_factors(places)[:, 0] @ values)
    head = ["who has spoken", "1 - weight · probability of each", "log-odds"]
    return f"{_table(head, rows)}\n\n" + _steps(f"contribution = {' + '.join(terms)}", f"             = {total:.3f}")


def share() -> str:
    """The softmax over the labels of the run."""
    z = worked().scores.pooled
    e = np.exp(z)
    rows = [[label, f"{p:.4f}", f"{value:.3f}", f"{power:.3f}", f"{power / e.sum():.3f}"]
            for label, p, value, power in zip(LABELS, scoring.sigmoid(z), z, e, strict=True)]  # fmt: skip
    return _table(
        ["", "probability p", "log-odds z = log(p / (1 - p))", "exp(z)", f"share = exp(z) / {e.sum():.3f}"], rows
    )


def _measured(work: Worked, name: str) -> str:
    of = work.signals
    texts = {
        "image": f"contrast {of['image']['contrast']:.3f}, speed {of['motion']['energy']:.3f}",
        "motion": f"contrast {of['image']['contrast']:.3f}",
        "audio": f"{of['audio']['normalised_dbfs']:.1f} dBFS",
    }
    return texts[name]


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def _steps(*lines: str) -> str:
    return "\n".join(["```text", *lines, "```"])


BLOCKS: dict[str, Block] = {
    made.__name__: made
    for made in (record, similarities, background, odds, known, alone, weights, head, pooled, added, orders, share)
}  # fmt: skip
