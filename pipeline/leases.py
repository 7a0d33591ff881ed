"""Leases ready clips to the workers of their group that have credit."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.ledger import Entry, Ledger
from pipeline.messages import Done, Hello, Stop, ToWorker, Work, WorkClip
from pipeline.plan import GroupPlan, Plan
from pipeline.processes import Processes, Worker


@dataclass
class _Credit:
    """Clips that a worker takes at a time, and how many more it takes now."""

    room: int
    left: int
    is_retiring: bool = False
    """It takes no more clips, because another worker takes its place."""

    @property
    def is_idle(self) -> bool:
        return self.left == self.room


@dataclass
class _Batches:
    """How many clips a group ran, and in how many batches."""

    clips: int = 0
    batches: int = 0


class Leases:
    """Who works on which clips. `send` delivers a message to a worker."""

    def __init__(
        self, plan: Plan, ledger: Ledger, processes: Processes, send: Callable[[Worker, ToWorker], None]
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._processes = processes
        self._send = send
        self._credits: dict[int, _Credit] = {}
        """By worker."""
        self._needs = [frozenset(group.needs) for group in plan.groups]
        self._batches = [_Batches() for _ in plan.groups]
        self.took_ns: Counter[str] = Counter()
        """How long each stage has worked, in all its workers."""
        self.most_bytes: dict[str, int] = {}
        """The most that the arrays of each stage took for one clip."""

    def introduce(self, worker: Worker, hello: Hello) -> None:
        """A worker of a group is ready."""
        self._credits[worker.id] = _Credit(hello.credit, hello.credit)
        self._ledger.introduce(worker.id, worker.group, hello.facts)

    def done(self, worker: Worker, done: Done) -> None:
        credit = self._credits[worker.id]
        credit.left += len(done.clips)
        self.took_ns.update(done.took_ns)
        for stage, size in done.most_bytes.items():
            self.most_bytes[stage] = max(size, self.most_bytes.get(stage, 0))
        if done.batches:
            self._batches[worker.group].clips += len(done.clips)
            self._batches[worker.group].batches += done.batches
        for clip in done.clips:
            self._ledger.done(worker.id, worker.group, clip)
        if credit.is_retiring and credit.is_idle:
            self._dismiss(worker)

    def retire(self, worker: Worker) -> None:
        """Lease no more clips to this worker, and let it exit when it has done those that it has."""
        credit = self._credits[worker.id]
        credit.is_retiring = True
        if credit.is_idle:
            self._dismiss(worker)

    def is_retiring(self, worker: Worker) -> bool:
        credit = self._credits.get(worker.id)
        return credit is not None and credit.is_retiring

    def _dismiss(self, worker: Worker) -> None:
        worker.expect_exit()
        self._send(worker, Stop())

    def died(self, worker: Worker, cause: str) -> list[Entry]:
        """Return the clips of a dead worker to the queue. Returns the clips that are given up."""
        self._credits.pop(worker.id, None)
        return self._ledger.died(worker.id, cause)

    def has_work(self, worker: Worker) -> bool:
        credit = self._credits.get(worker.id)
        return credit is not None and not credit.is_idle

    def lease(self) -> None:
        """Lease the ready clips in equal shares to the workers that have credit, those with the most credit first."""
        for group in self._plan.groups:
            queue = self._ledger.ready[group.index]
            if not queue:
                continue
            workers = [worker for worker in self._processes.workers.values() if self._takes(worker, group.index)]
            workers.sort(key=lambda worker: -self._credits[worker.id].left)
            for served, worker in enumerate(workers):
                credit = self._credits[worker.id]
                fair = credit.left if group.ordered else -(-len(queue) // (len(workers) - served))
                entries = self._ledger.lease(group.index, worker.id, min(credit.left, max(1, fair)))
                if entries:
                    credit.left -= len(entries)
                    self._send(worker, self._work(entries, group))

    def _takes(self, worker: Worker, group: int) -> bool:
        if worker.group != group or worker.is_hung:
            return False
        credit = self._credits.get(worker.id)
        return credit is not None and credit.left > 0 and not credit.is_retiring

    def _work(self, entries: list[Entry], group: GroupPlan) -> Work:
        """A suspect clip does not wait for others. In a run of clips of one source, the first carries the state."""
        waits = group.batch > 1 and group.index not in entries[0].suspect_in
        until_ns = time.monotonic_ns() + round(group.wait_ms * 1e6) if waits else 0
        clips: list[WorkClip] = []
        for entry in entries:
            follows = group.ordered and clips and clips[-1].info.source_index == entry.info.source_index
            state = None if follows else self._ledger.state_for(entry, group.index)
            clips.append(self._work_clip(entry, group.index, state))
        return Work(clips, until_ns)

    def _work_clip(self, entry: Entry, group: int, state: bytes | None) -> WorkClip:
        needs = self._needs[group]
        return WorkClip(
            entry.info,
            entry.slot,
            entry.generation,
            {name: shape for name, shape in entry.shapes.items() if name in needs},
            {name: data for name, data in entry.values.items() if name in needs},
            entry.absent,
            state,
        )

    def slowest(self) -> str:
        """The group with the most waiting clips, or "decode" if none wait: a starved group is not slow."""
        held = [index for leases in self._ledger.leases.values() for _, index in leases]
        depth = {
            group.name: len(self._ledger.ready[group.index]) + held.count(group.index) for group in self._plan.groups
        }
        depth["decode"] = 1
        return max(depth, key=lambda name: depth[name])

    def mean_batches(self) -> dict[str, float]:
        """Clips per batch, by name of the groups that ran batches."""
        runs = zip(self._plan.groups, self._batches, strict=True)
        return {group.name: run.clips / run.batches for group, run in runs if run.batches}
