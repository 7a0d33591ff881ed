"""Sources that come while a run goes on: opened as decoders are free, told to sinks first, reported when written."""

from collections import deque
from pathlib import Path

from pipeline.config import make_config
from pipeline.result import ClipRecord
from pipeline.run import run
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import Account, OutputSpec
from pipeline.supply import NoSupply, Supplied
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import check_balance


class Log(Sink):
    """Writes down the calls that it gets."""

    Options = SinkOptions

    def open(self) -> None:
        self._note("open")

    def _note(self, text: str) -> None:
        with Path(self.spec.path).open("a") as file:
            file.write(text + "\n")

    def source_supplied(self, source: str, ticket: bytes) -> None:
        self._note(f"supplied {source} {ticket.decode()}")

    def write(self, record: ClipRecord) -> None:
        self._note(f"clip {record.source} {record.clip}")

    def source_ended(self, source_index: int, clips: int) -> None:
        self._note(f"ended {source_index} {clips}")

    def close(self, complete: bool) -> None:
        self._note("close")


class OneByOne:
    """Gives the next source only when all of the one before is written, with what the sink had written by then."""

    def __init__(self, log: Path, *sources: str) -> None:
        self.log, self.todo, self.is_waiting = log, deque(sources), False
        self.seen: list[tuple[str, str]] = []

    def next(self) -> Supplied | None:
        if self.is_waiting or not self.todo:
            return None
        self.is_waiting = True
        return Supplied(self.todo.popleft(), f"ticket-{len(self.todo)}".encode())

    @property
    def is_over(self) -> bool:
        return not self.todo and not self.is_waiting

    def written(self, source: str) -> None:
        self.seen.append((source, self.log.read_text().splitlines()[-1]))
        self.is_waiting = False

    def close(self) -> None:
        self.todo.clear()


def supplied_run(tmp_path: Path, supply: OneByOne) -> Account:
    spec = OutputSpec(kind="log", sink="tests.pipeline.test_supply:Log", path=str(supply.log))
    account = run(make_config(fake_config()), [], [spec], supply=supply, supplied=len(supply.todo))
    check_balance(account)
    return account


def test_the_next_source_is_asked_for_when_a_decoder_is_free(tmp_path: Path) -> None:
    supply = OneByOne(tmp_path / "log", "fake:clips=2", "fake:clips=3")
    account = supplied_run(tmp_path, supply)
    assert (account.exit_code, account.sources, account.results) == (0, 2, 5)
    assert supply.seen == [("fake:clips=2", "ended 0 2"), ("fake:clips=3", "ended 1 3")]
    assert supply.log.read_text().splitlines() == [
        "open",
        "supplied fake:clips=2 ticket-1",
        "clip fake:clips=2 0",
        "clip fake:clips=2 1",
        "ended 0 2",
        "supplied fake:clips=3 ticket-0",
        *(f"clip fake:clips=3 {clip}" for clip in range(3)),
        "ended 1 3",
        "close",
    ]


def test_a_source_that_cannot_be_opened_is_reported_as_written_too(tmp_path: Path) -> None:
    supply = OneByOne(tmp_path / "log", "fake:clips=1,unopenable=1", "fake:clips=1")
    account = supplied_run(tmp_path, supply)
    assert (account.exit_code, account.sources, account.sources_failed) == (1, 2, 1)
    assert [source for source, _ in supply.seen] == ["fake:clips=1,unopenable=1", "fake:clips=1"]


def test_nothing_comes_by_default() -> None:
    assert NoSupply().next() is None
    assert NoSupply().is_over
