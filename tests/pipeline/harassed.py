"""Runs whose processes are killed or stopped on purpose."""

import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.build import make_plan
from pipeline.config import Config, make_config
from pipeline.processes import Worker
from pipeline.run import place, private_directory
from pipeline.status import Account, OutputSpec
from pipeline.supervisor import Supervisor
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import Ran, check_balance, read_records


class Harassed(Supervisor):
    """A supervisor that calls `harass(self)` after every step."""

    harass: Any = None

    def _step(self) -> None:
        super()._step()
        self.harass(self)


def harassed_run(tmp_path: Path, harass: Any, *sources: str, **sections: Any) -> tuple[Ran, Harassed]:
    """A run of the fakes, harassed."""
    return harassed_run_of(make_config(fake_config(**sections)), tmp_path, harass, *sources)


def harassed_run_of(config: Config, tmp_path: Path, harass: Any, *sources: str) -> tuple[Ran, Harassed]:
    path, notices = tmp_path / "harassed.jsonl", []
    with private_directory() as directory:
        plan = place(make_plan(config, len(sources)), directory, [OutputSpec(path=str(path), sources=sources)])
        supervisor = Harassed(plan, list(sources), on_notice=notices.append)
        supervisor.harass = harass
        account: Account = supervisor.run()
    check_balance(account)
    return Ran(account, read_records(path), notices), supervisor


class Killer:
    """Kills a random ready worker after every `every_clips` clips, and one kill in five is of a fork server.

    All kinds of worker (decode, and each group) are killed equally often. least_ready: workers that must be ready.
    """

    def __init__(self, seed: int, kills: int, every_clips: int, least_ready: int = 4) -> None:
        self.chance = random.Random(seed)
        self.left = kills
        self.every_clips = every_clips
        self.next_clip = every_clips
        self.least_ready = least_ready
        self.killed: Counter[str] = Counter()
        """By kind of process."""

    def __call__(self, supervisor: Supervisor) -> None:
        processes = supervisor.processes
        ready = [
            worker
            for worker in processes.workers.values()
            if worker.ready and worker.pid and worker.role in ("group", "decode")
        ]
        if not self.left or supervisor.ledger.counts.results < self.next_clip or len(ready) < self.least_ready:
            return
        self.left -= 1
        self.next_clip += self.every_clips
        if self.left % 5 == 2:
            kind = ("light", "heavy")[self.left // 5 % 2]
            pid = processes._servers[kind].process.pid
        else:
            victim = min(ready, key=lambda worker: (self.killed[_kind(worker)], self.chance.random()))
            kind, pid = _kind(victim), victim.pid
        self.killed[kind] += 1
        os.kill(pid, signal.SIGKILL)


def _kind(worker: Worker) -> str:
    return worker.role if worker.role == "decode" else f"group {worker.group}"


def assert_nothing_leaked(supervisor: Supervisor) -> None:
    """Every slot is free, no worker is left, and none holds a clip."""
    feed = supervisor.feed
    assert sorted(feed._free) == list(range(supervisor.slots.count))
    assert not supervisor.processes.workers
    assert not any(supervisor.ledger.leases.values())
