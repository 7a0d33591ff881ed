"""Runs a config over sources: plan, private directory, supervisor, signals, account."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.build import film_source, make_plan, make_stages
from pipeline.config import Config
from pipeline.costs import remember_costs
from pipeline.errors import OutputError, PerceptError, Problems
from pipeline.plan import Plan
from pipeline.sinks.done import read_done
from pipeline.sinks.file import without_secrets
from pipeline.sinks.kinds import resolved, sink_class
from pipeline.status import Account, Notice, OutputSpec, Row, Status
from pipeline.supervisor import Supervisor
from pipeline.supply import Supply
from pipeline.zygote import PLAN_FILE


def run(
    config: Config,
    sources: Sequence[str],
    outputs: Sequence[OutputSpec],
    *,
    on_status: Callable[[Status], None] = lambda status: None,
    on_notice: Callable[[Notice], None] = lambda notice: None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
    on_complete: Callable[[Account], None] = lambda account: None,
    supply: Supply | None = None,
    supplied: int = 0,
) -> Account:
    """Label every clip of every source, in the given order, and write the outputs.

    supply: gives the sources that come after the listed ones. supplied: about how many it will give.

    `on_complete` is called once, when nothing more will be written. Engines may still be built after that.

    Raises:
        ConfigError, ModelError: something is wrong; nothing was started.
    """
    problems = Problems()
    with problems.collected():
        plan = make_plan(config, len(sources) + supplied)
    for spec in outputs:
        with problems.collected():
            sink_class(resolved(spec, config.sinks))
    problems.raise_all()
    starts, complete = _resume(list(sources), outputs)
    with private_directory() as directory:
        plan = place(plan, directory, outputs)

        def conclude(account: Account) -> None:
            _conclude(plan, outputs)
            remember_costs(Path(plan.settings.cache_directory), plan.config, account)
            on_complete(account)

        supervisor = Supervisor(
            plan, sources, starts, frozenset(complete), on_status, on_notice, on_rows, conclude, supply
        )
        with signals_of(supervisor):
            return supervisor.run()


def prepare(config: Config, on_notice: Callable[[Notice], None] = lambda notice: None) -> Account:
    """Build engines and fill caches ahead of time: a run without sources."""
    return run(config, [], [], on_notice=on_notice)


def place(plan: Plan, directory: str, outputs: Sequence[OutputSpec] = ()) -> Plan:
    """The plan with its outputs and the run's private directory, in which every worker finds it."""
    settings = msgspec.structs.replace(plan.settings, directory=directory)
    film = film_source(plan.reader_options)
    resolved_outputs = tuple(msgspec.structs.replace(resolved(spec, plan.config.sinks), film=film) for spec in outputs)
    plan = msgspec.structs.replace(plan, settings=settings, outputs=resolved_outputs)
    Path(directory, PLAN_FILE).write_bytes(msgspec.msgpack.encode(plan))
    return plan


@contextlib.contextmanager
def private_directory() -> Iterator[str]:
    """A new directory with mode 0700, whose path is short enough for the address of a socket."""
    base = tempfile.gettempdir()
    if len(base) > 60:
        base = "/tmp"
    with tempfile.TemporaryDirectory(prefix="percept-", dir=base, ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o700)
        yield directory


def _conclude(plan: Plan, outputs: Sequence[OutputSpec]) -> None:
    """Write the files that stages have at the end, next to the JSON lines: results.jsonl.templates.json.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = [output.path for output in outputs if output.kind == "jsonl" and output.path != "-"]
    files = [Path(path) for path in paths if not path.startswith("/dev/")]
    if not files:
        return
    for stage in make_stages(plan.config, plan.settings, plan.budget).values():
        for ending, content in stage.conclude().items():
            for file in files:
                _write(file.with_name(file.name + ending), content)


def _write(path: Path, content: bytes) -> None:
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        half.write_bytes(content)
        half.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror}; expected a file that can be written next to the results"
        ) from error


def _resume(sources: list[str], outputs: Sequence[OutputSpec]) -> tuple[dict[int, int], set[int]]:
    """The state of an earlier run: the next clip of each source, and the complete sources."""
    starts: dict[int, int] = {}
    complete: set[int] = set()
    for output in outputs:
        if output.kind == "jsonl" and output.resume:
            done = read_done(output.path)
            for index, source in enumerate(map(without_secrets, sources)):
                if source in done:
                    starts[index] = done[source].next_clip
                    if done[source].complete:
                        complete.add(index)
    return starts, complete


@contextlib.contextmanager
def signals_of(supervisor: Supervisor) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM interrupt the run. Only the main thread can install signal handlers."""
    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: supervisor.interrupt())
    except ValueError:
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["PerceptError", "place", "prepare", "private_directory", "run", "signals_of"]
