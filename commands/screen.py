"""A terminal: lines that scroll, and a few live lines below them.

A thread of its own writes, so that nobody waits for a terminal that is slow or stopped with Ctrl-S.
"""

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

Lines = Callable[[int], Sequence["Text"]]
"""Makes lines for a terminal of so many columns."""
_WAIT_S = 1.0
_CLOSING_S = 30.0


class Screen:
    """`print` adds lines, `show` replaces the live ones. The thread starts with the first of them; `close` ends it.

    It may be used again after `close`. What is left when the process exits is written then.
    """

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        self._stream, self._width = stream, width
        self._items: queue.SimpleQueue[tuple[str, Lines | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def print(self, lines: Lines) -> None:
        """Add lines above the live ones."""
        self._put("print", lines)

    def show(self, lines: Lines) -> None:
        """Replace the live lines. None of them is wrapped."""
        self._put("show", lines)

    def close(self) -> None:
        """Remove the live lines and write what is left."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            atexit.unregister(self.close)
            self._items.put(("close", None))
            thread.join(_CLOSING_S)

    def _put(self, what: str, lines: Lines | None) -> None:
        if self._thread is None:
            if hasattr(self._stream, "reconfigure"):
                self._stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows another
            self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        self._items.put((what, lines))

    def _run(self) -> None:
        from rich.console import Console

        console = Console(
            file=self._stream, width=self._width, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        writer = _Writer(console)
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone: there is nobody to tell
            while writer.write(self._taken()):
                pass

    def _taken(self) -> list[tuple[str, Lines | None]]:
        """Everything that waits, once something does."""
        items: list[tuple[str, Lines | None]] = []
        with contextlib.suppress(queue.Empty):
            items.append(self._items.get(timeout=_WAIT_S))
            while True:
                items.append(self._items.get_nowait())
        return items


class _Writer:
    """What the thread does."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._live: Live | None = None

    def write(self, items: Sequence[tuple[str, Lines | None]]) -> bool:
        """Whether more may come. Of several live areas only the last is shown."""
        from rich.text import Text

        width = self._console.width
        printed = [line for what, lines in items if what == "print" and lines for line in lines(width)]
        if printed:
            self._console.print(Text("\n").join(printed))
        areas = [lines for what, lines in items if what != "print"]
        if areas:
            self._show(areas[-1], width)
        return not any(what == "close" for what, _ in items)

    def _show(self, lines: Lines | None, width: int) -> None:
        from rich.console import Group
        from rich.live import Live

        if lines is None:
            if self._live is not None:
                self._live.stop()
                self._live = None
            return
        shown: list[Any] = [cut(line, width - 1) for line in lines(width - 1)]
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            self._console.show_cursor(True)  # `kill -9` must not leave a terminal without one
        self._live.update(Group(*shown), refresh=True)


def cut(line: "Text", width: int) -> "Text":
    """A line of at most so many columns, counted as terminals do, with `…` where something is missing."""
    line = line.copy()
    line.no_wrap = True
    line.truncate(max(1, width), overflow="ellipsis")
    return line
