"""Children on this machine."""

import os
import time
from collections.abc import Callable, Sequence

from archive.batches import Batch
from archive.child import POLL_S, Child
from archive.dispatch import Ended


class LocalExecutor:
    """`count` children at a time, each with its share of the cores."""

    def __init__(self, count: int, arguments: Sequence[str], order: Callable[[Batch], bytes], cores: int) -> None:
        """order: what a child reads on its stdin. cores: of each child."""
        self._count, self._arguments, self._order, self._cores = count, tuple(arguments), order, cores
        self._children: dict[Child, Batch] = {}

    def slots(self) -> int:
        return self._count

    def room(self) -> int:
        return self._count - len(self._children)

    def start(self, batch: Batch) -> None:
        child = Child(self._arguments, self._order(batch), os.getcwd(), self._cores, {})
        self._children[child] = batch

    def ended(self, timeout_s: float) -> list[Ended]:
        until_s = time.monotonic() + timeout_s
        while not (found := self._collect()) and self._children and time.monotonic() < until_s:
            time.sleep(POLL_S)
        return found

    def _collect(self) -> list[Ended]:
        found = []
        for child, batch in list(self._children.items()):
            if (code := child.wait(0)) is not None:
                found.append(Ended(batch, code, child.said()))
                del self._children[child]
                child.close()
        return found

    def interrupt(self) -> None:
        for child in self._children:
            child.interrupt()

    def close(self) -> None:
        while self._children:
            self._children.popitem()[0].close()
