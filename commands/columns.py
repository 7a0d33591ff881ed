"""Tables as text, and the text of figures in them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """The rows as lines with aligned columns. The last column is not padded."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        yield "  ".join(cells).rstrip()


def size_text(size_bytes: float) -> str:
    """`830 bytes`, `1.2 kB`, `83 kB`, `3.4 MB`, `2.0 GB`: a kB has 1000 bytes."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} bytes"
    for unit, bytes_in in (("kB", 1e3), ("MB", 1e6)):
        if size_bytes < 1000 * bytes_in:
            return f"{size_bytes / bytes_in:.{1 if size_bytes < 10 * bytes_in else 0}f} {unit}"
    return f"{size_bytes / 1e9:.1f} GB"


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder; 0 without one. Links are not followed, so that nothing counts twice."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def when_text(time_s: float) -> str:
    """`2026-11-20 14:03`, local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_s))


def gate_text(report: Any) -> str:
    """`passed: centred cosine 0.9921, top-1 98 %`, or why it failed or is pending."""
    if report is None:
        return ""
    if report.passed:
        return f"passed: {report.text}"
    return str(report.text) if report.is_pending else f"failed, not used: {report.text}"


def figures_text(figures: Any) -> str:
    """The differences between an engine and the reference at one batch size."""
    top1 = "" if figures.top1 is None else f", top-1 {100 * figures.top1:.0f} %"
    return (
        f"max abs {figures.max_abs:.2g}, mean abs {figures.mean_abs:.2g}, cosine {figures.cosine:.5f}, "
        f"centred cosine {figures.centred_cosine:.4f}{top1}"
    )


def share_text(share: Mapping[str, Any]) -> str:
    """`63.0  [53.2, 71.8]  63/100`, in percent: a `training.intervals.Share` as a table."""
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['share']:.1f}  [{low:.1f}, {high:.1f}]  {share['hits']}/{share['count']}"
