"""Where progress is shown: a bar in a notebook, or a line on stderr."""

import os
import sys
import time
from html import escape
from typing import Protocol, TextIO

_LINE_EVERY_S = 10.0
"""How often a line is written where it cannot be rewritten."""


class View(Protocol):
    """Where progress is shown."""

    def show(self, text: str, share: float | None, warning: str = "", last: bool = False) -> None: ...


def view(progress: bool | None) -> View | None:
    """By `progress=`: None means a bar in a notebook and nothing elsewhere."""
    if progress is not False and _in_notebook():
        return Notebook()
    return TextLine(sys.stderr) if progress else None


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class Notebook:
    """A bar in the output of a notebook's cell, updated in place."""

    EVERY_S = 0.3

    def __init__(self) -> None:
        self._id: str | None = None
        self._shown, self._shown_s = "", 0.0

    def show(self, text: str, share: float | None, warning: str = "", last: bool = False) -> None:
        from IPython.display import display, update_display

        html = progress_html(text, share, warning)
        if html == self._shown or not (last or time.monotonic() - self._shown_s >= self.EVERY_S):
            return
        self._shown, self._shown_s = html, time.monotonic()
        bundle = {"text/html": html, "text/plain": text}
        if self._id is None:
            self._id = f"percept-{os.urandom(8).hex()}"
            display(bundle, raw=True, display_id=self._id)
        else:
            update_display(bundle, raw=True, display_id=self._id)


class TextLine:
    """A line that is rewritten on a terminal; elsewhere a new line every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._rewrites = stream, stream.isatty()
        self._shown, self._shown_s = "", time.monotonic()

    def show(self, text: str, share: float | None, warning: str = "", last: bool = False) -> None:
        line = printable(" · ".join(filter(None, [f"{share:4.0%}" if share is not None else "", text, warning])))
        if self._rewrites:
            width = _columns(self._stream) - 1
            line = line if len(line) <= width else line[: max(0, width - 1)] + "…"
            end = "\n" if last else ""
            text = f"\r\x1b[K{line}{end}" if last or line != self._shown else ""
        else:
            text = f"{line}\n" if last or time.monotonic() - self._shown_s >= _LINE_EVERY_S else ""
        if text:
            self._shown, self._shown_s = line, time.monotonic()
            self._stream.write(text)
            self._stream.flush()


def progress_html(text: str, share: float | None, warning: str = "") -> str:
    """A bar with a text beneath. Without a share, the bar is empty."""
    width = 0.0 if share is None else 100 * min(1.0, max(0.0, share))
    note = f'<div><span style="color:#d97706">▲</span> {escape(warning)}</div>' if warning else ""
    return (
        '<div class="percept-progress" style="max-width:40em;font-size:13px;line-height:1.5">'
        f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{width:.0f}" '
        'style="height:6px;border-radius:3px;overflow:hidden;background:rgba(127,127,127,.25)">'
        f'<div style="height:100%;width:{width:.1f}%;background:#60a5fa"></div></div>'
        f'<div style="font-variant-numeric:tabular-nums">{escape(text)}</div>{note}</div>'
    )


def printable(text: str) -> str:
    """The text without characters that control a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
