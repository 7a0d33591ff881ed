"""Tables as text, and the text of figures in them."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KB = 1 << 10


def table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """The rows as lines with aligned columns. The last column is not padded."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        yield "  ".join(cells).rstrip()


def size_text(size_bytes: float) -> str:
    """`12 kB`, `5.3 MB`, `1.2 GB`"""
    for unit, bytes_in in (("GB", KB**3), ("MB", KB**2)):
        if size_bytes >= bytes_in:
            return f"{size_bytes / bytes_in:.1f} {unit}"
    return f"{size_bytes / KB:.0f} kB"


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
