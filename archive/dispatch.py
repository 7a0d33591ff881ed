"""Labels batches of sources in many child processes, here or elsewhere, and says what became of every source."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from archive.batches import Batch, Task, again, batches_of
from archive.child import STOP_S
from archive.schema import Facts
from archive.tally import Tally
from pipeline.errors import ConfigError, ModelError

TICK_S = 1.0
LOOKS = 16
FINISHED = (0, 1, 3)
"""Exit codes of a child that went through its batch; 1 and 3: some or all of its sources could not be read."""
REFUSED = 2
DEATHS_ALONE = 3
"""After so many, a source that is alone in its batch has failed."""
BARREN_PER_SLOT = 10
"""The run stops after so many deaths for each child with no source settled in between. A batch of 50 in which one
source kills has fewer."""


class Ended(msgspec.Struct, frozen=True):
    """A child that ended."""

    batch: Batch
    code: int | None
    """None: lost, with its machine or its worker."""
    said: str = ""


class Executor(Protocol):
    """Where children run."""

    def slots(self) -> int:
        """How many children run at a time. It may grow and shrink."""

    def room(self) -> int:
        """How many more batches it takes now."""

    def start(self, batch: Batch) -> None:
        """Begin with a batch as soon as there is a place for it."""

    def ended(self, timeout_s: float) -> list[Ended]:
        """Those that ended since the last call. If there are none, it waits for one."""

    def interrupt(self) -> None:
        """Let children finish the clips they are at. What has not begun does not begin."""

    def close(self) -> None:
        """Kill what still runs."""


class Dispatch:
    """One run over batches. All that it knows of a source's fate, it reads in the archive.

    look: the facts of a source in the archive; None if it has none of this config and these words.
    before: those that were there before and are to be replaced, by name.
    give_up: is told of a source on which children died, and why. It returns the facts of the file that says so.
    release: is told of sources whose child died, and takes back what it had claimed.
    """

    def __init__(
        self,
        executor: Executor,
        tally: Tally,
        look: Callable[[Task], Facts | None],
        *,
        before: Mapping[str, Facts],
        give_up: Callable[[Task, str], Facts],
        release: Callable[[Sequence[Task]], None] = lambda tasks: None,
        show: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._executor, self._look, self._before = executor, look, before
        self._give_up, self._release, self._show, self._warn = give_up, release, show, warn
        self._waiting = deque[Batch]()
        self._running = self._barren = 0
        self.tally = tally
        self.deaths = 0
        """Of children."""
        self.interrupted = False

    def run(self, tasks: Sequence[Task]) -> None:
        """Label all of them. The first Ctrl-C lets children finish their clips, the second kills them.

        Raises:
            ConfigError: a child refused its order.
            ModelError: children die wherever they start.
        """
        self._waiting.extend(batches_of(tasks, self._executor.slots()))
        try:
            self._work()
        except KeyboardInterrupt:
            self._drain()
        finally:
            self._executor.close()

    def _work(self) -> None:
        while self._waiting or self._running:
            while self._waiting and self._executor.room() > 0:
                self._executor.start(self._waiting.popleft())
                self._running += 1
            self._hear()

    def _hear(self) -> None:
        for ended in self._executor.ended(TICK_S):
            self._running -= 1
            self._settle(ended)
        self._show()

    def _drain(self) -> None:
        self.interrupted = True
        self._waiting.clear()
        until_s = time.monotonic() + STOP_S
        try:
            self._executor.interrupt()
            while self._running and time.monotonic() < until_s:
                self._hear()
        except KeyboardInterrupt:
            self._warn("interrupted again: what was not finished will be done by the next run")

    def _settle(self, ended: Ended) -> None:
        with ThreadPoolExecutor(LOOKS) as pool:  # each waits for a disk or a network most of the time
            found = list(pool.map(self._look, ended.batch.tasks))
        left = [task for task, facts in zip(ended.batch.tasks, found, strict=True) if not self._is_settled(task, facts)]
        if ended.code in FINISHED or self.interrupted:
            return
        if ended.code == REFUSED:
            raise ConfigError(f"a child process refused its batch: {ended.said}")
        self._release(left)
        self._warn(f"a child process {_fate(ended)}; {len(left)} of its {len(ended.batch.tasks)} sources are left")
        self.deaths += 1
        self._barren = 0 if len(left) < len(ended.batch.tasks) else self._barren + 1
        if self._barren >= BARREN_PER_SLOT * max(1, self._executor.slots()):
            raise ModelError(f"children die before any source is done; the last {_fate(ended)}")
        for batch in again(ended.batch, left):
            if len(batch.tasks) == 1 and batch.deaths >= DEATHS_ALONE:
                self._fail(batch.tasks[0], _fate(ended))
            else:
                self._waiting.append(batch)

    def _is_settled(self, task: Task, facts: Facts | None) -> bool:
        before = self._before.get(task.name)
        if facts is None or (before is not None and (facts.made, facts.tries) == (before.made, before.tries)):
            return False
        self.tally.add(facts)
        return True

    def _fail(self, task: Task, why: str) -> None:
        self._barren = 0
        self.tally.add(self._give_up(task, f"its process {why}"))


def _fate(ended: Ended) -> str:
    said = f": {ended.said.splitlines()[-1]}" if ended.said else ""
    if ended.code is None:
        return f"was lost with its worker{said}"
    if ended.code < 0:
        return f"was killed by signal {-ended.code}{said}"
    return f"ended with code {ended.code}{said}"
