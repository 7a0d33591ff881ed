"""`percept label --on`: the work in many child processes, on this machine or on those of a Ray cluster."""

import argparse
import logging
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from archive.batches import Batch, Task, order_of
from archive.dispatch import Dispatch, Executor, Tally
from archive.names import file_of
from archive.on_local import LocalExecutor
from archive.on_ray import RayExecutor
from archive.schema import Facts
from archive.shard import Shard, ShardError, encoded, facts_of
from commands.console import Console
from commands.options import Parser
from commands.progress import clock_text
from pipeline.logs import log
from pipeline.machine import core_count
from pipeline.result import ClipRecord

INTERRUPTED = 130


def add_on_options(parser: Parser) -> None:
    group = parser.add_argument_group("many processes, many machines")
    group.add_argument(
        "--on", metavar="WHERE", type=where,
        help="local:N: N processes that share the cores; ray: a Ray cluster of this machine; "
        "ray:ADDRESS: one that runs, such as ray:auto or ray:10.0.0.1:6379",
    )  # fmt: skip
    group.add_argument("--cores-per-child", metavar="N", type=int, default=0, help="cores of each process (default: 4)")
    group.add_argument(
        "--gpus-per-child", metavar="X", type=float, default=1.0,
        help="with --on ray and --device cuda, the share of a GPU that each process gets (default: 1)",
    )  # fmt: skip
    group.add_argument("--order", action="store_true", help=argparse.SUPPRESS)  # a batch on stdin


def where(text: str) -> tuple[str, str]:
    """`local:4`, `ray` or `ray:ADDRESS`: the kind and what follows."""
    kind, _, rest = text.partition(":")
    if kind == "ray" or (kind == "local" and re.fullmatch(r"[1-9]\d{0,2}", rest)):
        return kind, rest
    raise argparse.ArgumentTypeError(f"{text!r} is no place to run; expected local:N, ray or ray:ADDRESS")


def label_on(
    options: argparse.Namespace,
    arguments: list[str],
    names: Mapping[str, str],
    config: str,
    words: str,
    device: str,
    console: Console,
) -> int:
    """Label these sources, given with their names in the archive. Returns the exit code."""
    archive = Path(options.output)
    tasks = [Task(source, name, _size(source)) for source, name in names.items()]
    began_s = time.monotonic()

    def look(task: Task) -> Facts | None:
        path = archive / file_of(task.name)
        try:
            facts = facts_of(str(path), str(path))
        except (OSError, ShardError):
            return None
        return facts if (facts.config, facts.words) == (config, words) else None

    def give_up(task: Task, why: str) -> None:
        console.warn(f"{task.source}: {why}; it is given up")
        put_failed(archive, task, why, config, words)

    def show(tally: Tally) -> None:
        done, elapsed_s = tally.labelled + tally.failed, time.monotonic() - began_s
        left = f", {clock_text(elapsed_s / done * tally.left)} left" if done else ""
        text = f"{done} of {tally.sources} sources, {tally.failed} failed{left}"
        console.line(text, "progress", fields(tally, elapsed_s) | {"processes": executor.slots()})

    executor = executor_of(options, arguments, lambda batch: order_of(batch, config, words), device, console)
    before = {task.name: facts for task in tasks if (facts := look(task)) is not None}
    dispatch = Dispatch(executor, look, before=before, give_up=give_up, show=show, warn=console.warn)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally = dispatch.run(tasks)
    console.clear()
    report(tally, time.monotonic() - began_s, console)
    return INTERRUPTED if tally.interrupted else int(tally.failed > 0 or tally.clips_failed > 0)


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


def put_failed(archive: Path, task: Task, why: str, config: str, words: str) -> None:
    """A file with one row that says why a source has no clips."""
    shard = Shard({})
    shard.add(ClipRecord(source=task.source, epoch=0, clip=-1, start_s=0, end_s=0, error=f"{task.source}: {why}"))
    facts = Facts(
        source=task.source,
        name=task.name,
        config=config,
        words=words,
        clips=1,
        error=f"{task.source}: {why}",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path = archive / file_of(task.name)
    half = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(encoded(shard.table(facts)))
    half.replace(path)


def report(tally: Tally, elapsed_s: float, console: Console) -> None:
    if console.as_fields:
        log(logging.INFO, "account", **fields(tally, elapsed_s), interrupted=tally.interrupted)
        return
    pace = f", {tally.seconds / elapsed_s:.1f} times real time" if elapsed_s > 0 else ""
    console.say(f"{clock_text(round(tally.seconds))} of media in {elapsed_s:.1f} s{pace}")
    console.say(
        f"{tally.sources} sources = {tally.labelled} labelled + {tally.failed} failed + {tally.left} left; "
        f"{tally.clips_labelled} clips labelled, {tally.clips_failed} failed; {tally.deaths} processes died"
    )


def fields(tally: Tally, elapsed_s: float) -> dict[str, object]:
    return {
        "sources": tally.sources,
        "labelled": tally.labelled,
        "failed": tally.failed,
        "left": tally.left,
        "clips_labelled": tally.clips_labelled,
        "clips_failed": tally.clips_failed,
        "media_s": round(tally.seconds, 2),
        "processes_died": tally.deaths,
        "elapsed_s": round(elapsed_s, 2),
    }


def _size(source: str) -> int:
    try:
        return os.path.getsize(source)
    except OSError:
        return 0
