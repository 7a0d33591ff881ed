"""`percept label --on`: the work in many child processes, on this machine or on those of a Ray cluster."""

import argparse
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from archive.batches import Batch, Task, order_of
from archive.claims import key_of
from archive.dispatch import Dispatch, Executor
from archive.index import known_file
from archive.names import file_of
from archive.on_local import LocalExecutor
from archive.on_ray import RayExecutor
from archive.plan import Work
from archive.schema import Facts
from archive.shard import Shard, encoded
from archive.store import Store, store_of
from archive.verdict import Asked, Known, misfit_of
from commands.console import Console
from commands.main import INTERRUPTED
from commands.progress import clock_text
from pipeline.machine import core_count
from pipeline.result import ClipRecord
from pipeline.status import Account


def label_on(
    options: argparse.Namespace,
    arguments: list[str],
    device: str,
    work: Work,
    known: Mapping[str, Known],
    asked: Asked,
    console: Console,
    on_failed: Callable[[Facts], None],
) -> Account:
    """Do the work in child processes. Its tally is brought up to date.

    on_failed: is told of a file that says that a source was given up.
    """
    store, tally = store_of(options.output), work.tally
    tasks = [Task(each.source, each.name, max(0, each.size)) for each in work.todo]
    began_s = time.monotonic()

    def look(task: Task) -> Facts | None:
        facts = known_file(store, task.name)
        return facts if isinstance(facts, Facts) and not misfit_of(facts, asked) else None

    def give_up(task: Task, why: str) -> Facts:
        console.warn(f"{task.source}: {why}; it is given up")
        facts = put_failed(store, task, why, asked)
        on_failed(facts)
        return facts

    def release(tasks: Sequence[Task]) -> None:
        for key in (key_of(task.name) for task in tasks):
            if (claim := store.read_claim(key)) is not None:
                store.drop(key, claim.text)

    def show() -> None:
        done, elapsed_s = tally.sources.labelled + tally.sources.failed, time.monotonic() - began_s
        left = f", {clock_text(elapsed_s / done * tally.left)} left" if done else ""
        text = f"{tally.sources.total:.0f} of {tally.wanted} sources, {tally.sources.failed:.0f} failed{left}"
        console.line(text, "progress", tally.fields() | {"processes": executor.slots()})

    executor = executor_of(
        options, arguments, lambda batch: order_of(batch, asked.config, asked.words), device, console
    )
    before = {name: facts for name, facts in known.items() if isinstance(facts, Facts)}
    dispatch = Dispatch(
        executor, tally, look, before=before, give_up=give_up, release=release, show=show, warn=console.warn
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    dispatch.run(tasks)
    console.clear()
    code = INTERRUPTED if dispatch.interrupted else int(tally.sources.failed > 0 or tally.clips.failed > 0)
    return Account(
        media_s=tally.seconds.labelled,
        elapsed_s=time.monotonic() - began_s,
        interrupted=dispatch.interrupted,
        exit_code=code,
        messages=(f"child processes that died: {dispatch.deaths}",) if dispatch.deaths else (),
    )


def executor_of(
    options: argparse.Namespace, arguments: list[str], order: Callable[[Batch], bytes], device: str, console: Console
) -> Executor:
    kind, rest = options.on
    given = ["label", *arguments, "--order", "--quiet"]
    if kind == "local":
        count = int(rest)
        return LocalExecutor(count, given, order, options.cores_per_child or max(1, core_count() // count))
    gpus = options.gpus_per_child if device.startswith("cuda") else 0.0
    ray = RayExecutor(rest, given, order, cores=options.cores_per_child, gpus=gpus, warn=console.warn)
    ray.open()
    return ray


def put_failed(store: Store, task: Task, why: str, asked: Asked) -> Facts:
    """A file with one row that says why a source has no clips."""
    error = f"{task.source}: {why}"
    shard = Shard({})
    shard.add(ClipRecord(source=task.source, epoch=0, clip=-1, start_s=0, end_s=0, error=error))
    facts = Facts(
        source=task.source,
        name=task.name,
        config=asked.config,
        settings=None if asked.settings is None else dict(asked.settings),
        model=asked.model,
        labels=asked.labels,
        words=asked.words,
        clips=1,
        error=error,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.put(file_of(task.name), encoded(shard.table(facts, asked.dims, asked.features)))
    return facts
