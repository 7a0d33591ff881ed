"""Writes the files of a report: a page for people, tables and JSON for programs."""

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError, OutputError
from training.data.example import Example
from training.evaluate.answers import VIEWS, Answered
from training.evaluate.confusion import confusion_matrix
from training.evaluate.page import page
from training.evaluate.picture import draw_confusion, png
from training.evaluate.report import Report

FILES = ("report.html", "metrics.json", "predictions.csv", "labels.csv", "confusion.png")


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raises:
    ConfigError: it already contains a report, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"-o {folder}: is a file; expected a folder for the report")
    here = [name for name in FILES if (folder / name).exists()]
    if here and not overwrite:
        raise ConfigError(f"-o {folder}: already contains {', '.join(here)}. Choose another folder, or use --overwrite")


def write_report(report: Report, answers: Sequence[Answered], names: Sequence[str], folder: Path) -> None:
    """Write every file of `FILES`.

    Raises:
        OutputError: the folder cannot be written.
    """
    picture = png(draw_confusion(confusion_matrix(answers, report.view, len(names)), names))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "confusion.png").write_bytes(picture)
        metrics = msgspec.json.format(msgspec.json.encode(report), indent=1)
        (folder / "metrics.json").write_bytes(metrics + b"\n")
        _write_predictions(answers, report, names, folder / "predictions.csv")
        _write_labels(report, folder / "labels.csv")
        (folder / "report.html").write_text(page(report, picture), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"-o {folder}: {error}; expected a writable folder") from error


def _write_predictions(answers: Sequence[Answered], report: Report, names: Sequence[str], path: Path) -> None:
    """Write one row per example, including failed ones. Ranks count from 1."""
    views = [view.view for view in report.views]
    columns = ["file", "start_s", "end_s", "label", "answer", "right", "probability", "share", "label_probability"]
    columns += ["top5", *(f"{view}_{what}" for view in views for what in ("answer", "rank")), "error"]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        for answered in answers:
            table.writerow(_row(answered, report.view, names))
        for failure in report.failures:
            table.writerow({"file": _safe(failure.path), "label": _safe(failure.label), "error": failure.reason})


def _row(answered: Answered, view: str, names: Sequence[str]) -> dict[str, object]:
    example, answer = answered.example, answered.views[view]
    row: dict[str, object] = {
        **_where(example),
        "label": _safe(names[answered.right]),
        "answer": _safe(names[answer.best]),
        "right": int(answer.rank == 0),
        "probability": f"{answer.probability:.4f}",
        "share": f"{answer.share:.4f}",
        "label_probability": f"{answer.right_probability:.4f}",
        "top5": _safe("; ".join(names[index] for index in answer.top)),
    }
    for name in VIEWS:
        if name in answered.views:
            row |= {
                f"{name}_answer": _safe(names[answered.views[name].best]),
                f"{name}_rank": answered.views[name].rank + 1,
            }
    return row


def _where(example: Example) -> dict[str, object]:
    end = "" if example.end_s is None else f"{example.end_s:g}"
    return {"file": _safe(example.path), "start_s": f"{example.start_s:g}", "end_s": end}


def _safe(text: str) -> str:
    """The text with characters that UTF-8 cannot encode replaced, for file names that are not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _write_labels(report: Report, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["label", "side", "examples", "top1", "top1_low", "top1_high", "top5", "taken_for"])
        for of in report.labels:
            taken_for = "; ".join(f"{name} {count}" for name, count in of.taken_for)
            figures = [f"{value:.4f}" for value in (of.top1.share, of.top1.low, of.top1.high, of.top5.share)]
            table.writerow([of.label, of.side, of.count, *figures, taken_for])
