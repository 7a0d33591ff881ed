"""`percept watch` as a benchmark runs it: in a folder of its own, its results and its state read from outside."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from live.page.ctl import Control
from pipeline.errors import PerceptError

Line = dict[str, Any]


def toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML: tables in brackets, lists of tables in double brackets, everything else as JSON writes it."""
    plain = {key: value for key, value in settings.items() if not _is_table(value)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_value(each)}" for key, each in value.items())]
        elif _is_table(value):
            for table in value:
                lines += ["", f"[[{name}]]", *(f"{key} = {_value(each)}" for key, each in table.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def end_of(record: Line) -> float:
    """When a clip ended, by the camera's clock: Unix time in seconds."""
    began = datetime.datetime.fromisoformat(record["wall_time"]).timestamp()
    return float(began + record["end_s"] - record["start_s"])


class ResultFiles:
    """New lines of the results files in a state folder, in order.

    An output process that dies takes back what it had not kept, and its successor writes it again. Such lines may be
    seen twice; for an account, read the files once at the end, with a new object.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}

    def new(self) -> list[Line]:
        lines: list[Line] = []
        for path in sorted(self._folder.glob("*.jsonl"), key=_by_number):
            size = path.stat().st_size
            start = self._read[path.name] = min(self._read.get(path.name, 0), size)
            if size == start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path.name] = start + len(whole) + 1
                lines += [line for line in map(_parsed, whole.split(b"\n")) if line]
        return lines


def _parsed(text: bytes) -> Line:
    """A line; empty if reading began in the middle of one that was written again."""
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _by_number(path: Path) -> tuple[str, int]:
    """`2026-11-28-10.jsonl` comes after `2026-11-28-9.jsonl`."""
    day, _, number = path.stem.rpartition("-")
    return day, int(number) if number.isdigit() else 0


class Watched:
    """A running `percept watch`. A context manager: it is stopped at the end.

    settings: like `cameras.toml`, without `page`; the state is in `folder` unless they have a `directory`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.state = Path(settings.get("directory", folder / "state"))
        self._environment = os.environ | dict(environment or {})
        self._settings = {**settings, "directory": str(self.state), "page": {"port": -1}}
        self.results = ResultFiles(self.state / "results")
        self.lines: list[Line] = []
        """All records so far."""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "cameras.toml"
        config.write_text(toml(self._settings), encoding="utf-8")
        command = [sys.executable, "-m", "commands.main", "watch", str(config)]
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL, env=self._environment
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def messages(self) -> str:
        """What it has written to stderr."""
        return (self.folder / "stderr").read_text(errors="replace")

    def poll(self) -> list[tuple[float, Line]]:
        """New records, each with the time at which it was seen (Unix time).

        Raises:
            SystemExit: the watch has ended by itself.
        """
        new = self.results.new()
        now_s = time.time()
        self.lines += new
        if not new and not self.is_alive():
            raise SystemExit(f"percept watch ended by itself:\n{self.messages()[-3000:]}")
        return [(now_s, line) for line in new]

    def follow(self, seconds: float, every_s: float = 0.05) -> list[tuple[float, Line]]:
        """All records that come within some seconds."""
        until_s, seen = time.monotonic() + seconds, []
        while time.monotonic() < until_s:
            seen += self.poll()
            time.sleep(every_s)
        return seen

    def wait_for(self, cameras: Sequence[str], timeout_s: float) -> list[tuple[float, Line]]:
        """Records until each camera has a result.

        Raises:
            SystemExit: a camera has none in time.
        """
        missing, seen, until_s = set(cameras), [], time.monotonic() + timeout_s
        while missing:
            new = self.poll()
            seen += new
            missing -= {line["source"] for _, line in new if is_result(line)}
            if time.monotonic() > until_s:
                raise SystemExit(
                    f"no result of {', '.join(sorted(missing))} in {timeout_s:.0f} s:\n{self.messages()[-3000:]}"
                )
            time.sleep(0.05)
        return seen

    @property
    def control(self) -> Control:
        """What `percept watch ctl` asks."""
        return Control(self.state)

    def status(self) -> dict[str, Any]:
        """The state of the watch; empty while it does not answer."""
        with contextlib.suppress(PerceptError):
            return self.control.status()
        return {}

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The newest events of a kind, each as it is now, newest first."""
        return list(self.control.events(kind=kind, limit=200)["events"])

    def stop(self, timeout_s: float = 60.0) -> int:
        """Stop it as Ctrl-C does. Returns the exit code; -9 if it had to be killed."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            for each in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
                each.kill()
            code = self.process.wait(timeout=20)
        self.lines += self.results.new()
        return code


def is_result(line: Line) -> bool:
    return line["clip"] >= 0 and not line.get("error") and not line.get("dropped") and not line.get("gap")
