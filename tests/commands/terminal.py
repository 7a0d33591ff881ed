"""A real pseudo-terminal: runs a command in it, sends keys, and keeps what the screen shows."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path

from tests.pipeline.runs import ROOT

_ESCAPE = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """Just enough of a terminal: text, new lines, carriage return, cursor up, and erasing a line."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self._row = self._column = 0

    def feed(self, data: bytes) -> None:
        position = 0
        for match in _ESCAPE.finditer(data):
            self._write(data[position : match.start()].decode(errors="replace"))
            if match[2] == b"A":
                self._row = max(0, self._row - int(match[1] or 1))
            elif match[2] == b"K":
                self.lines[self._row] = ""
            position = match.end()
        self._write(data[position:].decode(errors="replace"))

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif character == "\r":
                self._column = 0
            else:
                line = self.lines[self._row].ljust(self._column)
                self.lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
                self._column += 1


class Run:
    """`percept run` in a terminal of so many columns. `keys`: text on the screen -> what is typed once it is there."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80, keys: str = "", after: str = "", **more: str):
        self.data = b""
        self.code = self._run(folder, arguments, columns, keys, after, more)
        screen = Screen()
        screen.feed(self.data)
        self.lines = [line.rstrip() for line in screen.lines]

    def _run(
        self, folder: Path, arguments: tuple[str, ...], columns: int, keys: str, after: str, more: dict[str, str]
    ) -> int:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
            environment |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | more
            command = [sys.executable, "-P", "-m", "commands.main", "run", *arguments]
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        waiting, until_s = list(keys), time.monotonic() + 90
        while time.monotonic() < until_s:
            if waiting and after.encode() in self.data:
                os.write(terminal, waiting.pop(0).encode())
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            self.data += part
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
