"""Speed, load time and memory of an engine. Each engine runs in its own process, so that its memory is measured alone.

    python -P -m engines.building.bench < requests > answers

One JSON object per line in both directions; output of libraries goes to standard error. The child exits at the end of
its input.
"""

import contextlib
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engines.backends.backend import Order, Report
from engines.backends.table import Candidate, EngineSettings, backend
from engines.building import building
from engines.building.choice import Choice, build_all, networks, order_for
from engines.cache.cache import Cache, key_of
from engines.engine import Engine
from engines.gate.golden import golden
from engines.models.checkpoint import read_model
from engines.models.network import network
from pipeline.arrays import Array
from pipeline.errors import ModelError

ROUNDS, MOST_ROUNDS = 3, 9
"""How often each batch size is timed, alternating with the others; the median counts. After `ROUNDS`, further rounds
follow only while the times of some batch size disagree."""
AGREE = 0.05
"""The rounds agree if the fastest is at most this much faster than the slowest, relative to the median."""


class Open(msgspec.Struct, frozen=True, tag=True):
    """Load this engine."""

    backend: str
    order: Order
    exported: str
    built: str


class Time(msgspec.Struct, frozen=True, tag=True):
    """Run batches of this size for this many seconds."""

    batch: int
    seconds: float


class Opened(msgspec.Struct, frozen=True, tag=True):
    name: str
    load_s: float
    """Includes the import of its libraries."""


class Timed(msgspec.Struct, frozen=True, tag=True):
    items_per_s: float
    memory_bytes: int
    """Growth of the process since before the engine was loaded."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    text: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An engine and its figures; if there are none, `choice.reason` explains why."""

    choice: Choice
    load_s: float = 0.0
    memory_bytes: int = 0
    items_per_s: dict[int, float] = {}
    """By batch size."""


T = TypeVar("T", Opened, Timed)


def time_all(
    model: str,
    audio_model: str,
    modalities: Sequence[str],
    run: EngineSettings,
    report: Report,
    batches: Sequence[int],
    seconds: float,
) -> Iterator[Row]:
    """Time every engine that is available here for every network of a model, building it first if necessary.

    seconds: at most, per engine and batch size. A third of it suffices if the rounds agree.
    """
    directories = {towers: tower.directory for towers, tower in networks(read_model(model, audio_model), modalities)}
    for choice in build_all(model, audio_model, modalities, run, report):
        if choice.reason:
            yield Row(choice=choice)
            continue
        backend_name, _, precision = choice.engine.partition("-")
        candidate = Candidate(backend_name, precision, choice.device)
        order = order_for(choice.network, directories[choice.towers], candidate, run.cache_directory, run.threads)
        report(f"timing {choice.network} with {choice.engine}")
        try:
            yield _timed(choice, order, backend_name, batches, seconds)
        except ModelError as error:
            yield Row(choice=msgspec.structs.replace(choice, reason=str(error), is_usable=False))


def _timed(choice: Choice, order: Order, backend_name: str, batches: Sequence[int], seconds: float) -> Row:
    with Timing(order, backend_name) as timing:
        opened = timing.open()
        rounds: list[dict[int, Timed]] = []
        while len(rounds) < ROUNDS or (len(rounds) < MOST_ROUNDS and not agree(rounds)):
            rounds.append({batch: timing.time(batch, seconds / MOST_ROUNDS) for batch in batches})
    rates = {batch: statistics.median(each[batch].items_per_s for each in rounds) for batch in batches}
    memory = max(timed.memory_bytes for timed in rounds[-1].values())
    return Row(choice=choice, load_s=opened.load_s, memory_bytes=memory, items_per_s=rates)


def agree(rounds: Sequence[dict[int, Timed]]) -> bool:
    """Whether the rates of every batch size are nearly the same in all rounds."""
    by_size = ([each[batch].items_per_s for each in rounds] for batch in rounds[0])
    return all(max(rates) - min(rates) <= AGREE * statistics.median(rates) for rates in by_size)


class Timing:
    """Runs an engine in its own process. It must have been built, but need not have passed its gate."""

    def __init__(self, order: Order, name: str, timeout_s: float = 600.0) -> None:
        self._order = order
        self._backend = name
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Timing":
        command = [sys.executable, "-P", "-m", "engines.building.bench"]
        paths = os.pathsep.join(filter(None, sys.path))
        environment = os.environ | {"PYTHONPATH": paths}
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._child is not None
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._child.wait(10.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def open(self) -> Opened:
        """Raises: ModelError: it cannot be loaded, or its process died."""
        exported, built = _files(self._order, self._backend)
        return self._ask(Open(self._backend, self._order, exported, built), Opened)

    def time(self, batch: int, seconds: float) -> Timed:
        """Raises: ModelError: it cannot be run, or its process died."""
        return self._ask(Time(batch, seconds), Timed)

    def _ask(self, request: Open | Time, kind: type[T]) -> T:
        assert self._child is not None, "use it in a with block"
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        name = f"{self._backend}-{self._order.precision}"
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(msgspec.json.encode(request) + b"\n")
            self._child.stdin.flush()
        line = _line_before(self._child.stdout, self._timeout_s)
        if not line:
            self._child.kill()
            raise ModelError(f"{name}: its process ended, or did not answer within {self._timeout_s:.0f} s")
        answer = msgspec.json.decode(line, type=Opened | Timed | Failed)
        if isinstance(answer, Failed):
            raise ModelError(f"{name}: {answer.text}")
        assert isinstance(answer, kind)
        return answer


def _files(order: Order, name: str) -> tuple[str, str]:
    """The ONNX file and the build directory; each is "" if it does not exist."""
    chosen = backend(name)
    graph = chosen.graph(order.precision)
    exported = Cache(order.cache_directory).find(key_of(building.export_facts(order, graph))) if graph else None
    if Candidate(name, order.precision, order.device) == building.REFERENCE:
        return "", ""
    built = Cache(order.cache_directory, "engines").find(key_of(building.engine_facts(order, chosen)))
    return str(exported / "network.onnx") if exported else "", str(built or "")


def _line_before(pipe: Any, timeout_s: float) -> bytes:
    """The next line, or b"" at the end of the pipe or after the timeout."""
    ready, _, _ = select.select([pipe], [], [], timeout_s)
    return bytes(pipe.readline()) if ready else b""


def main() -> None:
    """The child process: answers on the real standard output, which nothing else may write to."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    before, engine, order = resident_bytes(), None, None
    feeds: dict[int, dict[str, Array]] = {}
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Open | Time)
        answer: Opened | Timed | Failed
        try:
            if isinstance(request, Open):
                order = request.order
                engine, answer = _open(request)
            else:
                assert engine is not None, "nothing is open"
                assert order is not None
                if request.batch not in feeds:
                    feeds[request.batch] = golden(order.inputs, request.batch, network(order.network).level)
                rate = _items_per_s(engine, feeds[request.batch], request)
                of_feeds = sum(array.nbytes for each in feeds.values() for array in each.values())
                answer = Timed(rate, resident_bytes() - before - of_feeds)
        except Exception as error:
            answer = Failed(f"{type(error).__name__}: {error}")
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def _open(request: Open) -> tuple[Engine, Opened]:
    began = time.monotonic()
    chosen = backend(request.backend)
    exported = Path(request.exported) if request.exported else None
    engine = chosen.make(request.order, exported, Path(request.built))
    engine.open()
    return engine, Opened(engine.name, time.monotonic() - began)


def _items_per_s(engine: Engine, feeds: Mapping[str, Array], request: Time) -> float:
    engine.run(feeds)
    runs, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < request.seconds or not runs:
        engine.run(feeds)
        runs += 1
    return runs * request.batch / passed


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
