"""The process that does the work: `percept run`, with its results on stdout and its log in a temporary file."""

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import IO, Any

from percept import _progress, _records, _views
from percept._home import HOME

Name = str | os.PathLike[str]

_BY_CODE: dict[int, type[_records.PerceptError]] = {
    2: _records.ConfigError,
    3: _records.SourceError,
    4: _records.ModelError,
}
_FINISHED = (0, 1)
_GRACE_S = 5.0
_TICK_S = 0.25
"""How often progress is shown, and the process looked after, while no result arrives."""
PROGRESS_EVERY_S = 0.5


class Run(Iterator[_records.ClipRecord]):
    """The records of a run, for one loop. The run starts with the first step, and stops when the loop is left.

    `close()` stops it at once, and so does the end of a `with` block. A run that nobody refers to is closed.
    """

    __module__ = "percept"

    def __init__(self, names: Sequence[str], steps: Generator[_records.ClipRecord, None, None]) -> None:
        self._names, self._steps = names, steps

    def __next__(self) -> _records.ClipRecord:
        return next(self._steps)

    def close(self) -> None:
        """Stop the run. No process of it is left when this returns."""
        self._steps.close()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        more = f" and {len(self._names) - 1} more" if len(self._names) > 1 else ""
        first = _views.printable(self._names[0]) if self._names else "nothing"
        return f"<percept.run of {first}{more}: a loop over it gives a record per clip>"


def records(
    sources: Name | Sequence[Name],
    labels: Sequence[str] | Mapping[str, Any] | str | None,
    options: Mapping[str, Any],
    repeated: Collection[str],
    config: Name | None,
    settings: Mapping[str, Any] | None,
    progress: bool | None,
) -> Run:
    """The records of a run. `options` are those of the command by their names in Python; None is not given.

    The values of `repeated` may be lists, one option for each item. The process starts with the first step.
    """
    names, given, request = order(sources, labels, options, repeated, config, settings)
    stretch = _progress.seconds(options.get("start"), 0.0), _progress.seconds(options.get("end"), math.inf)
    return Run(names, _run(given, json.dumps(request).encode(), progress, stretch))


def order(
    sources: Name | Sequence[Name],
    labels: Sequence[str] | Mapping[str, Any] | str | None,
    options: Mapping[str, Any],
    repeated: Collection[str],
    config: Name | None,
    settings: Mapping[str, Any] | None,
) -> tuple[list[str], list[str], dict[str, Any]]:
    """The names of the sources, and what a command is given: its arguments, and its request on stdin."""
    names = [os.fspath(name) for name in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    request: dict[str, Any] = {"sources": names}
    given = list(arguments(options, repeated))
    given += [f"--config={os.fspath(config)}"] if config is not None else []
    given += [f"--set={key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    if isinstance(labels, str):
        given.append(f"--labels={labels}")
    elif labels is not None:
        request["labels"] = list(_flat(labels))
    return names, given, request


def _flat(labels: Sequence[str] | Mapping[str, Any] | str) -> Iterator[str]:
    """Labels with their parents: "animal > dog"."""
    if isinstance(labels, str):
        yield labels
    elif isinstance(labels, Mapping):
        for parent, below in labels.items():
            yield from (f"{parent} > {label}" for label in _flat(below)) if below else (parent,)
    else:
        for label in labels:
            yield from _flat(label)


def arguments(options: Mapping[str, Any], repeated: Collection[str]) -> Iterator[str]:
    if options.get("events") is True:
        raise _records.ConfigError(
            "events=True: events are written to a file; expected its name, such as events='events.csv', or .vtt, .srt, "
            ".jsonl"
        )
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        many = isinstance(value, Sequence) and not isinstance(value, str)
        for each in value if many and name in repeated else [value]:
            if each is True:
                yield option
            elif each is not None and each is not False:
                yield f"{option}={_text(each)}"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _run(
    arguments: list[str], request: bytes, progress: bool | None, stretch: tuple[float, float]
) -> Generator[_records.ClipRecord, None, None]:
    view = _views.view(progress)
    talk = ["--log-json", f"--progress-every={PROGRESS_EVERY_S if view else math.inf}"]
    with tempfile.TemporaryFile() as log:
        child = start(["run", "--request=-", "-o", "-", *talk, *arguments], log)
        try:
            assert child.stdout is not None
            send(child, request)
            with _progress.Shown(view, log, *stretch) if view else _progress.Unshown(log) as shown:
                for line in lines(child, child.stdout, shown):
                    record = _records.decode_json(line)
                    shown.add(record)
                    yield record
                code = child.wait(timeout=60)
                if code not in _FINISHED:
                    raise error(code, log)
        finally:
            stop(child)


def start(
    arguments: Sequence[str], log: IO[bytes], stdin: int = subprocess.PIPE, module: str = "commands.main"
) -> subprocess.Popen[bytes]:
    """The command `percept` with these arguments, in a session of its own: results on stdout, log lines in `log`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=log,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))},
        start_new_session=True,
    )


def answer(verb: str, arguments: Sequence[str]) -> bytes:
    """What the command of this name prints as JSON.

    Raises:
        PerceptError: it failed; of the kind that its exit code tells, with its message.
    """
    with tempfile.TemporaryFile() as log:
        child = start([verb, "--json", "--log-json", *arguments], log, subprocess.DEVNULL)
        try:
            found = child.communicate()[0]
            if child.returncode:
                raise error(child.returncode, log, verb)
            return found
        finally:
            stop(child)


def send(child: subprocess.Popen[bytes], request: bytes) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        pass  # it has ended already; its exit code and its output say why


def lines(
    child: subprocess.Popen[bytes], out: IO[bytes], shown: "_progress.Shown | _progress.Unshown"
) -> Iterator[bytes]:
    """Whole lines as they arrive, until the output or the process ends. Progress is shown while none arrives."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        while True:
            has_ended = child.poll() is not None  # before the look: what it has written is then there
            ready = selector.select(0 if has_ended else _TICK_S)
            shown.update(waits=not ready)
            if not ready and not has_ended:
                continue
            read = os.read(out.fileno(), 1 << 20) if ready else b""
            if not read:
                return
            *whole, pending = (pending + read).split(b"\n")
            yield from whole


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the child, politely at first. No process is left when this returns or is interrupted."""
    try:
        if child.stdout is not None:
            child.stdout.close()
        for ask in (signal.SIGINT, signal.SIGTERM):
            if child.poll() is not None:
                return
            child.send_signal(ask)
            try:
                child.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(timeout=_GRACE_S)


def error(code: int, log: IO[bytes], verb: str = "run") -> _records.PerceptError:
    """Why the command failed, by its exit code and its log."""
    entries = list(_progress.Log(log).read())
    errors = [entry for entry in entries if entry.get("level") == "error"]
    messages = ["\n".join(filter(None, [each.get("message"), each.get("traceback")])) for each in errors]
    ended = f"percept {verb} ended with code {code}" if code >= 0 else f"percept {verb} was killed by signal {-code}"
    text = "\n".join(filter(None, messages)) or f"{ended}: {_progress.Log(log).tail() or 'without a message'}"
    return error_of(code, text)


def error_of(code: int, text: str) -> _records.PerceptError:
    """The error of the kind that an exit code tells."""
    return _BY_CODE.get(code, _records.PerceptError)(text)
