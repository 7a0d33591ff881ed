"""The report as one self-contained HTML page."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from training.data.example import counted
from training.evaluate.answers import FUSED, POOLED
from training.evaluate.charts import bar, interval, percent, reliability_diagram, span
from training.evaluate.figures import LabelFigures, Sides, Together, ViewFigures
from training.evaluate.page_style import STYLE
from training.evaluate.report import Report

NAMES = {
    "image": "picture alone",
    "motion": "motion alone",
    "audio": "sound alone",
    POOLED: "all modalities",
    FUSED: "all modalities, with the fusion head",
    "any": "any modality",
}
OPEN_UP_TO = 60
"""A longer table of labels is collapsed."""


def page(report: Report, confusion_png: bytes) -> str:
    """The whole page, with the picture `confusion_png` embedded."""
    picture = base64.b64encode(confusion_png).decode()
    sections = [
        _head(report),
        _cards(report),
        _views(report.views),
        _sides(report.sides, len(report.about.novel)),
        _together(report.together, report.view),
        _calibration(report),
        _confusions(report, picture),
        _labels(report.labels),
        _failures(report),
        _made(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(report.about.data)}: accuracy of {_text(report.about.model)}</title>"
        f"<style>{STYLE}</style></head>\n<body><main>\n{''.join(sections)}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    about = report.about
    split = f", split {_text(about.split)}" if about.split else ""
    examples = f"{counted(report.views[-1].count, 'example')} of {counted(len(report.labels), 'label')}{split}"
    return (
        f"<header><h1>{_text(about.data)}</h1><p>Accuracy of <b>{_text(about.model)}</b> on {examples}, with "
        f"{about.labels:,} labels to choose from. {about.date}</p></header>\n"
    )


def _cards(report: Report) -> str:
    view = next(view for view in report.views if view.view == report.view)
    cards = [
        ("top-1 accuracy", percent(view.top1.share), span(view.top1)),
        ("top-5 accuracy", percent(view.top5.share), span(view.top5)),
        ("calibration error of probability", percent(report.probability.error), span(report.probability)),
        ("calibration error of share", percent(report.share.error), span(report.share)),
    ]
    made = "".join(f"<li><span>{name}</span><b>{value}</b><small>{low}</small></li>" for name, value, low in cards)
    guess1, guess5 = percent(1 / report.about.labels), percent(min(1.0, 5 / report.about.labels))
    return (
        f'<ul class="cards">{made}</ul><p class="aside">These figures are for {NAMES[report.view]}. Small numbers are '
        f"95 % intervals. Guessing has a top-1 accuracy of {guess1} and a top-5 accuracy of {guess5}.</p>\n"
    )


def _views(views: Sequence[ViewFigures]) -> str:
    rows = [
        (
            NAMES[view.view],
            f"{view.count:,}",
            interval(view.top1) + bar(view.top1),
            interval(view.top5) + bar(view.top5, "pale"),
            interval(view.mean_per_label),
            interval(view.cosine_top1) if view.cosine_top1 else "",
        )
        for view in views
    ]
    heads = ("", "examples", "top-1", "top-5", "top-1, mean over labels", "top-1 by cosine alone")
    note = (
        "<i>Mean over labels</i> gives every label the same weight. <i>By cosine alone</i> is the ranking used in "
        "papers; Percept also compares each label with a background vocabulary."
    )
    return _section("By modality", _table(heads, rows) + f'<p class="aside">{note}</p>')


def _sides(sides: Sequence[Sides], novel: int) -> str:
    if not sides:
        return ""
    rows = [
        (
            NAMES[side.view],
            interval(side.base),
            interval(side.novel),
            interval(side.harmonic_mean),
            interval(side.base_among_all),
            interval(side.novel_among_all),
            interval(side.harmonic_mean_among_all),
        )
        for side in sides
    ]
    heads = ("", "base", "novel", "harmonic mean", "base, all labels", "novel, all labels", "harmonic mean, all labels")
    note = (
        f"Top-1 accuracy. Novel: {counted(novel, 'label')}. In the first three columns, an example is compared with "
        "the labels of its own side only, as in CoCoOp and ViFi-CLIP; in the other columns, with all labels."
    )
    return _section("Base and novel labels", _table(heads, rows) + f'<p class="aside">{note}</p>')


def _together(found: Sequence[Together], view: str) -> str:
    if not found:
        return ""
    rows = [(NAMES[of.modality], f"{of.count:,}", interval(of.lost), interval(of.gained)) for of in found]
    heads = ("", "examples", "right alone, wrong together", "wrong alone, right together")
    note = (
        f"Examples with at least two modalities. Together means {NAMES[view]}. The first column is modality confusion: "
        "examples that other modalities make wrong. It should be small, and the second column larger."
    )
    return _section("Effect of combining modalities", _table(heads, rows) + f'<p class="aside">{note}</p>')


def _calibration(report: Report) -> str:
    parts = []
    for name, of, meaning in (
        ("probability", report.probability, "that the label is seen or heard, independent of the other labels"),
        ("share", report.share, "of the label among all labels, for labels that exclude each other"),
    ):
        verdict = "overconfident" if of.mean_confidence > of.right.high else "no significant bias"
        verdict = "underconfident" if of.mean_confidence < of.right.low else verdict
        parts.append(
            f"<figure>{reliability_diagram(of, name)}<figcaption><b>{name}</b> {meaning}.<br>Mean "
            f"{percent(of.mean_confidence)}, accuracy {percent(of.right.share)}: {verdict}.<br>Expected calibration "
            f"error <b>{percent(of.error)}</b> <small>{span(of)}</small>; {percent(of.by_chance)} by chance alone."
            "</figcaption></figure>"
        )
    note = (
        "Each dot is a bin of answers with similar values. On the diagonal they are accurate; below it the model is "
        "overconfident, above it underconfident. The bars show the number of answers in each bin."
    )
    body = f'<div class="pair">{"".join(parts)}</div><p class="aside">{note}</p>'
    return _section("Calibration: can the numbers be trusted?", body)


def _confusions(report: Report, picture: str) -> str:
    rows = [(_text(of.label), _text(of.taken_for), f"{of.times} of {of.of}") for of in report.confused]
    table = (
        _table(("label", "was mistaken for", "examples"), rows) if rows else "<p>No label was mistaken for another.</p>"
    )
    image = f'<img class="confusion" alt="confusion matrix" src="data:image/png;base64,{picture}">'
    return _section("Confusions", image + f"<details><summary>Most frequent</summary>{table}</details>")


def _labels(labels: Sequence[LabelFigures]) -> str:
    sides = any(of.side for of in labels)
    rows = [
        (
            _text(of.label),
            *([of.side] if sides else []),
            f"{of.count:,}",
            interval(of.top1) + bar(of.top1),
            interval(of.top5),
            _text(", ".join(f"{name} {count}" for name, count in of.taken_for[:3])),
        )
        for of in labels
    ]
    heads = (
        "label",
        *(["side"] if sides else []),
        "examples",
        "top-1",
        "top-5",
        "mistaken for",
    )
    table = _table(heads, rows)
    if len(rows) > OPEN_UP_TO:
        table = _table(heads, rows[:10]) + f"<details><summary>All {len(rows)} labels</summary>{table}</details>"
    return _section("Accuracy by label, worst first", table)


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    rows = [(_text(of.path), _text(of.label), _text(of.reason)) for of in report.failures]
    table = _table(("file", "label", "reason"), rows)
    note = f"<p>{counted(len(rows), 'example')} could not be scored. The figures above are without failed examples.</p>"
    return _section(
        "Failed", note + f"<details{' open' if len(rows) <= 20 else ''}><summary>List</summary>{table}</details>"
    )


def _made(report: Report) -> str:
    about = report.about
    lines: list[tuple[str, Any]] = [
        ("command", f"<code>{_text(about.command)}</code>"),
        ("data", f"{_text(about.path)} ({about.layout}{', split ' + _text(about.split) if about.split else ''})"),
        ("model", f"{_text(about.model)} at {_text(about.model_path)}"),
        *((_text(name), _text(text)) for name, text in about.engine.items() if name != "model"),
        ("clips", f"{about.clip_s:g} s, {about.frames_per_s:g} frames per second; {', '.join(about.modalities)}"),
        ("seed", about.seed),
        ("versions", _text(", ".join(f"{name} {version}" for name, version in about.versions.items()))),
        ("machine", _text(about.machine)),
        ("duration", f"{about.took_s:.0f} s"),
    ]
    notes = "".join(f"<li>{_text(note)}</li>" for note in about.notes)
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in lines)
    return _section("How this report was made", f"<ul>{notes}</ul><dl>{rows}</dl>")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(text: str) -> str:
    """The text escaped for HTML. It may be a file name that is not UTF-8."""
    return escape(text.encode("utf-8", "replace").decode())
