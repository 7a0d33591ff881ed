"""Whatever children die, every source is labelled, failed or left, and none twice."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.batches import LEAST_BYTES, Batch, Task
from archive.dispatch import DEATHS_ALONE, Dispatch, Ended
from archive.schema import Facts
from archive.tally import Tally
from pipeline.errors import ConfigError, ModelError


class Cluster:
    """Children that label sources one after another, and die when told to. It is an executor."""

    def __init__(self, deadly: Sequence[str] = (), deaths: Sequence[int] = (), code: int | None = 0) -> None:
        """deadly: sources that kill. deaths: after so many sources, the next child dies. code: of the others."""
        self.archive: dict[str, Facts] = {}
        self.made: list[str] = []
        self.released: list[str] = []
        self.alone = Counter[str]()
        """Deaths of children that had only this source."""
        self._deadly, self._deaths, self._code = set(deadly), list(deaths), code
        self._begun: list[Batch] = []
        self.closed = False

    def slots(self) -> int:
        return 2

    def room(self) -> int:
        return 2 - len(self._begun)

    def start(self, batch: Batch) -> None:
        self._begun.append(batch)

    def ended(self, timeout_s: float) -> list[Ended]:
        return [self._run(self._begun.pop(0))]

    def _run(self, batch: Batch) -> Ended:
        lives = self._deaths.pop() if self._deaths else 10**6
        for task in batch.tasks:
            if lives == 0 or task.name in self._deadly:
                self.alone.update([task.name] if len(batch.tasks) == 1 else [])
                return Ended(batch, random.choice((None, -9, 4)), "gone")
            if self._code == 0 and task.name not in self.archive:
                self.made.append(task.name)
                self.archive[task.name] = facts_of(task)
            lives -= 1
        return Ended(batch, self._code, "line\nlast")

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def look(self, task: Task) -> Facts | None:
        return self.archive.get(task.name)

    def dispatch(self, before: Mapping[str, Facts] | None = None) -> Dispatch:
        def give_up(task: Task, why: str) -> Facts:
            self.archive[task.name] = facts_of(task, error=why)
            return self.archive[task.name]

        def release(tasks: Sequence[Task]) -> None:
            self.released += [task.name for task in tasks]

        return Dispatch(
            self, Tally(wanted=len(TASKS)), self.look, before=before or {}, give_up=give_up, release=release
        )


def facts_of(task: Task, error: str = "", tries: int = 1) -> Facts:
    counts = {"clips": 1, "failed": 0} if error else {"clips": 3, "labelled": 2, "failed": 1, "seconds": 4.0}
    return Facts(source=task.source, name=task.name, error=error, tries=tries, **counts)


TASKS = [Task(f"/v/{number}", f"v/{number}", LEAST_BYTES) for number in range(40)]
NAMES = sorted(task.name for task in TASKS)


@given(st.lists(st.integers(1, 6), max_size=30))
def test_children_that_die_at_random_cost_nothing(deaths: list[int]) -> None:
    cluster = Cluster(deaths=deaths)
    dispatch = cluster.dispatch()
    dispatch.run(TASKS)
    tally = dispatch.tally
    assert sorted(cluster.made) == NAMES
    assert (tally.sources.labelled, tally.sources.failed, tally.left) == (len(TASKS), 0, 0)
    assert (tally.clips.labelled, tally.clips.failed) == (80, 40)
    assert tally.seconds.labelled == 160.0
    assert cluster.closed


def test_a_source_that_kills_costs_only_itself() -> None:
    cluster = Cluster(deadly=["v/7", "v/30"])
    dispatch = cluster.dispatch()
    dispatch.run(TASKS)
    tally = dispatch.tally
    assert sorted(cluster.made) == sorted(set(NAMES) - {"v/7", "v/30"})
    assert (tally.sources.labelled, tally.sources.failed, tally.left) == (len(TASKS) - 2, 2, 0)
    assert cluster.alone == Counter({"v/7": DEATHS_ALONE, "v/30": DEATHS_ALONE})
    assert cluster.archive["v/7"].error
    assert {"v/7", "v/30"} <= set(cluster.released)


def test_children_that_all_die_stop_the_run() -> None:
    cluster = Cluster(deadly=NAMES)
    with pytest.raises(ModelError, match="children die before any source is done"):
        cluster.dispatch().run(TASKS)
    assert cluster.closed


def test_a_refused_order_stops_the_run_and_says_why() -> None:
    cluster = Cluster(code=2)
    with pytest.raises(ConfigError, match="refused its batch: line\nlast"):
        cluster.dispatch().run(TASKS)
    assert cluster.closed


def test_what_was_there_before_does_not_count_as_done() -> None:
    """A child that leaves sources to another run has labelled none, and old facts are no success."""
    cluster = Cluster(code=1)
    cluster.archive["v/3"] = facts_of(TASKS[3], error="broken")
    dispatch = cluster.dispatch({"v/3": cluster.archive["v/3"]})
    dispatch.run(TASKS)
    tally = dispatch.tally
    assert (tally.sources.labelled, tally.sources.failed, tally.left) == (0, 0, len(TASKS))
    assert tally.left == len(TASKS) - tally.sources.total


def test_ctrl_c_leaves_the_rest_and_the_account_adds_up() -> None:
    class Interrupted(Cluster):
        calls = 0

        def ended(self, timeout_s: float) -> list[Ended]:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().ended(timeout_s)

    cluster = Interrupted()
    dispatch = cluster.dispatch()
    dispatch.run(TASKS)
    tally = dispatch.tally
    assert dispatch.interrupted
    assert 0 < tally.sources.labelled < len(TASKS)
    assert tally.left == len(TASKS) - tally.sources.total
    assert cluster.closed
