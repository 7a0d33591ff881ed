"""Percept watches and listens: which words fit each clip of a video, and why.

    import percept

    for result in percept.run("talk.mp4", labels=["dog barking", "rain"]):
        print(result.start_s, result.labels[0].label if result.labels else result.error)

The command `percept run` does the work in a separate process, so this module is light and needs no
`if __name__ == "__main__"` guard.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline import errors as _errors
    from pipeline import result as _result

_HERE = Path(__file__).resolve().parent
HOME = _HERE if (_HERE / "pipeline").is_dir() else _HERE.parent
"""The folder of our other packages: this package if it is installed, the checkout otherwise."""
_GRACE_S = 5.0


def _ours(name: str) -> ModuleType:
    """Our module `pipeline.<name>`, under a private name: a program may have its own package `pipeline`."""
    found = sys.modules.get(f"pipeline.{name}")
    if found is not None and found.__file__ == str(HOME / "pipeline" / f"{name}.py"):
        return found
    private = f"_percept_{name}"
    if private not in sys.modules:
        spec = importlib.util.spec_from_file_location(private, HOME / "pipeline" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[private] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == private:
                value.__module__ = __name__  # for tracebacks and pickle, which find it here
    return sys.modules[private]


if not TYPE_CHECKING:
    _errors, _result = _ours("errors"), _ours("result")

ClipRecord = _result.ClipRecord
Label = _result.Label
Evidence = _result.Evidence
Track = _result.Track
Category = _result.Category
OpenSet = _result.OpenSet
PerceptError = _errors.PerceptError
ConfigError = _errors.ConfigError
SourceError = _errors.SourceError
ModelError = _errors.ModelError
OutputError = _errors.OutputError

__all__ = [
    "Category",
    "ClipRecord",
    "ConfigError",
    "Evidence",
    "Label",
    "ModelError",
    "OpenSet",
    "OutputError",
    "PerceptError",
    "SourceError",
    "Track",
    "run",
]

_BY_CODE: dict[int, type[_errors.PerceptError]] = {2: ConfigError, 3: SourceError, 4: ModelError}
_FINISHED = (0, 1)
_REFUSED = {
    "events": "events are written to a file; expected its name, such as events='events.csv', or .vtt, .srt, .jsonl",
    "resume": "an iterator cannot be resumed; use the command: percept run ... -o results.jsonl --resume",
}
"""Switches of the command line that do not apply here, and why."""


def run(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    labels: Sequence[str] | Mapping[str, Any] | str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    video: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Iterator[_result.ClipRecord]:
    """One record per clip, source by source in the given order, as soon as it is available.

    `options` are those of the command line, with underscores: `clip_seconds=4, top_k=3, model="path/to/model"`; see
    `percept run --help`. `settings` are `--set` pairs: `{"flow.short_side_px": 160}`. `video` writes (or replaces) the
    labelled video. Failed clips and sources are records with `error`.

    Without labels, a default vocabulary is used. "car|automobile" are synonyms; a mapping is a hierarchy, of names to
    lists or to further mappings: `{"animal": ["dog", "cat"], "vehicle": ["car|automobile"]}`.

    Leaving the loop, or closing the iterator, stops the run.

    Raises:
        ConfigError, SourceError, ModelError, PerceptError: at the first step of the iteration or at its end, with
            the message of the command line.
    """
    names = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    arguments = _arguments(config, settings, video, options)
    request: dict[str, Any] = {"sources": [os.fspath(name) for name in names]}
    if isinstance(labels, str):
        arguments.append(f"--labels={labels}")
    elif labels is not None:
        request["labels"] = list(_flat(labels))
    return _records(arguments, json.dumps(request).encode())


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


def _arguments(
    config: str | os.PathLike[str] | None,
    settings: Mapping[str, Any] | None,
    video: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> list[str]:
    arguments = ["run", "--request=-", "-o", "-", "-q", "--log-json"]
    arguments += [f"--config={os.fspath(config)}"] if config else []
    arguments += [f"--video={os.fspath(video)}", "--overwrite"] if video else []
    for key, value in (settings or {}).items():
        arguments.append(f"--set={key}={json.dumps(value)}")
    for name, value in options.items():
        if value is True and name in _REFUSED:
            raise ConfigError(f"{name}=True: {_REFUSED[name]}")
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif value is not None and value is not False:
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            arguments.append(f"{option}={text}")
    return arguments


def _records(arguments: list[str], request: bytes) -> Iterator[_result.ClipRecord]:
    with tempfile.TemporaryFile() as stderr:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "commands.main", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
        try:
            _send(child, request)
            assert child.stdout is not None
            for line in child.stdout:
                yield _result.decode_json(line)
            code = child.wait(timeout=60)
        finally:
            _stop(child)
        if code not in _FINISHED:
            raise _error(code, stderr)


def _send(child: subprocess.Popen[bytes], request: bytes) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        pass  # it has ended already; its exit code and its output say why


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child, politely at first. No process is left when this returns."""
    if child.stdout is not None:
        child.stdout.close()
    for ask in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        child.send_signal(ask)
        try:
            child.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            continue


def _error(code: int, stderr: IO[bytes]) -> _errors.PerceptError:
    stderr.seek(0)
    text = stderr.read().decode(errors="replace").strip()
    messages = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            messages.append("\n".join(filter(None, [entry["message"], entry.get("traceback")])))
        except (ValueError, KeyError, TypeError):
            continue
    ended = f"percept run ended with code {code}" if code >= 0 else f"percept run was killed by signal {-code}"
    return _BY_CODE.get(code, PerceptError)("\n".join(messages) or f"{ended}: {text[-2000:] or 'without a message'}")


def main() -> int:
    """The command `percept`. In its process, our packages come first on the path."""
    sys.path.insert(0, str(HOME))
    from commands.main import main as command

    return command()
