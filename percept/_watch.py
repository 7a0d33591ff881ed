"""`percept.watch`: live cameras as a loop, or an asynchronous one."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from typing import Any, Literal

from percept import _child, _progress, _records

Name = str | os.PathLike[str]


class Watch(Iterator[_records.ClipRecord], AsyncIterator[_records.ClipRecord]):
    """The records of a watch, for one loop: `for` or `async for`. The watch starts with the first step.

    `close()` stops it, from any thread, and so does the end of a `with` or `async with` block, or of the loop's task.
    """

    __module__ = "percept"

    def __init__(self, names: Sequence[str], arguments: list[str], request: bytes, state: str | None) -> None:
        self._names = names
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._stepping = threading.Lock()
        self._steps = self._run(arguments, request, state)

    def __next__(self) -> _records.ClipRecord:
        with self._stepping:
            return next(self._steps)

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> _records.ClipRecord:
        try:
            record = await asyncio.to_thread(self._next_or_none)
        except asyncio.CancelledError:
            self.close()
            raise
        if record is None:
            raise StopAsyncIteration
        return record

    def _next_or_none(self) -> _records.ClipRecord | None:
        with self._stepping:
            return next(self._steps, None)

    def close(self) -> None:
        """Stop the watch. No process of it is left when this returns."""
        self._is_closed = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)  # a step that waits in another thread ends with the process
        with self._stepping:
            self._steps.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        more = f" and {len(self._names) - 1} more" if len(self._names) > 1 else ""
        return f"<percept.watch of {len(self._names)} camera{'s' * bool(more)}: a loop over it gives a record per clip>"

    def _run(
        self, arguments: list[str], request: bytes, state: str | None
    ) -> Generator[_records.ClipRecord, None, None]:
        with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory(prefix="percept-watch-") as own:
            talk = ["--request=-", "--format=jsonl", f"--state={state or own}", "--log-json"]
            self._child = child = _child.start(["watch", *talk, *arguments], log)
            seen: dict[str, tuple[int, float]] = {}
            try:
                assert child.stdout is not None
                _child.send(child, request)
                with _progress.Unshown(log) as shown:
                    for line in _child.lines(child, child.stdout, shown):
                        record = _records.decode_json(line)
                        place = record.epoch, record.end_s
                        if place > seen.get(record.source, (-1, 0.0)):  # the output process may tell a record again
                            seen[record.source] = place
                            yield record
                code = child.wait(timeout=60)
                if code and not self._is_closed:
                    raise _child.error(code, log, "watch")
            finally:
                _child.stop(child)


def watch(
    sources: Name | Sequence[Name],
    labels: Sequence[str] | str | None = None,
    *,
    realtime: bool = False,
    loop: bool = False,
    clip_seconds: float | None = None,
    fps: float | None = None,
    top_k: int | None = None,
    modalities: Sequence[str] | str | None = None,
    min_probability: float | str | None = None,
    find: str | None = None,
    zone: str | Sequence[str] | None = None,
    line: str | Sequence[str] | None = None,
    model: Name | None = None,
    audio_model: Name | None = None,
    engine: str | None = None,
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] | None = None,
    device: str | None = None,
    state: Name | None = None,
    port: int | None = None,
    config: Name | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Watch:
    """Watch live cameras: one record per clip, as soon as it is there, until the loop is left.

        for result in percept.watch("rtsp://cam/1", labels=["dog barking", "person"]):
            print(result.wall_time, result.labels)

        async for result in percept.watch("cameras.toml"):
            ...

    A camera that is lost is tried again; meanwhile there is a record with `gap`. `result.source` is the camera's name.

    Args:
        sources: A camera's URL (rtsp, http, udp, srt), a device ("/dev/video0"), a file with `realtime`, or a list of
            these; or the TOML file that describes cameras, which the command `percept watch` takes too.
        labels: Words to look for; for cameras that do not say their own. None: the everyday vocabulary.
        realtime: Play files at their own pace, like cameras.
        loop: And again from the start when they end.
        clip_seconds: Length of a clip (2).
        fps: Frames per second that are analysed (8).
        top_k: Labels per clip in results (5).
        modalities: Which of image, motion, audio to use.
        min_probability: An event begins at this probability (0.5).
        find, zone, line: As for `percept.run`; for cameras that do not say their own.
        model, audio_model, engine, precision, device: As for `percept.run`.
        state: Folder in which events, snapshots and results are kept; None: they are not.
        port: Port of the web page; None: there is no page.
        config: Settings of the networks from a TOML file.
        settings: Single settings, {"detect.crops_per_clip": 0}.

    Raises:
        ConfigError, ModelError: at the first step, if something is wrong with the options or the model.
    """
    names = [os.fspath(name) for name in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    options = {
        "realtime": realtime,
        "loop": loop,
        "clip-seconds": clip_seconds,
        "fps": fps,
        "top-k": top_k,
        "modalities": modalities,
        "min-probability": min_probability,
        "find": find,
        "zone": zone,
        "line": line,
        "model": model,
        "audio-model": audio_model,
        "engine": engine,
        "precision": precision,
        "device": device,
        "port": -1 if port is None else port,
        "config": config,
    }
    arguments = list(_child.arguments(options, ("zone", "line")))
    arguments += [f"--set={key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    request: dict[str, Any] = {"sources": names}
    if isinstance(labels, str):
        arguments.append(f"--labels={labels}")
    elif labels is not None:
        request["labels"] = list(labels)
    return Watch(names, arguments, json.dumps(request).encode(), None if state is None else os.fspath(state))


__all__ = ["Watch", "watch"]
