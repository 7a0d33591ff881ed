"""The parts of a supervisor without processes: workers that exist on paper, and clips that pass through a ledger."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from pipeline.build import make_plan
from pipeline.clip import ClipInfo, SourceInfo
from pipeline.config import make_config
from pipeline.ledger import Ledger
from pipeline.messages import DoneClip, ToWorker
from pipeline.plan import Plan
from pipeline.processes import Processes, Role, Worker
from tests.pipeline.fakes import CLIP_NS, fake_config


@dataclass
class Crew:
    """Takes the place of `Processes`: spawning starts nothing."""

    workers: dict[int, Worker] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def spawn(self, role: Role, name: str, group: int = -1) -> Worker:
        id = next(self.ids)
        self.workers[id] = Worker(id, seat=id, role=role, group=group, name=name, ready=True)
        return self.workers[id]

    @property
    def processes(self) -> Processes:
        return cast(Processes, self)


@dataclass
class Post:
    """Takes the place of the bus: keeps what was sent, in order."""

    sent: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, worker: Worker, message: ToWorker) -> None:
        self.sent.append((worker.name, message))

    def take(self) -> list[tuple[str, Any]]:
        """Names of workers and the messages to them since the last call."""
        sent, self.sent = self.sent, []
        return sent


def fake_plan(**sections: Any) -> Plan:
    """The plan of the fakes: a group `model`, and a group `track` that is ordered."""
    return make_plan(make_config(fake_config(**sections)))


def clip_info(source: int, index: int) -> ClipInfo:
    return ClipInfo(f"s{source}", source, index, index * CLIP_NS, (index + 1) * CLIP_NS)


def open_source(ledger: Ledger, source: int) -> None:
    ledger.add_source(source, f"s{source}")
    ledger.opened(SourceInfo(f"s{source}", source))


def decode(ledger: Ledger, source: int, count: int) -> None:
    """The next `count` clips of a source arrive."""
    first = ledger.sources[source].received
    for index in range(first, first + count):
        assert ledger.decoded(clip_info(source, index), index, 0, {"frames": (2, 8, 8, 3)}, {"audio": "no_stream"})


def answer(source: int, index: int, **values: bytes) -> DoneClip:
    """The answer of a group that gave these values, packed."""
    return DoneClip(source, index, {}, values, {})
