"""The items of each step: a function of seed and step only, so that resuming needs no state."""

import torch
from torch import Tensor


class Order:
    """`items` in a new order each epoch, cut into batches that may cross the end of an epoch."""

    def __init__(self, items: int, batch: int, seed: int) -> None:
        self._items, self._batch, self._seed = items, batch, seed
        self._epoch, self._rows = -1, torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """The items of step number `step`, counted from 0: int64 "B"."""
        first = step * self._batch
        places = range(first, first + self._batch)
        return torch.stack([self._row(place) for place in places])

    def _row(self, place: int) -> Tensor:
        epoch, within = divmod(place, self._items)
        if epoch != self._epoch:
            random = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._rows = epoch, torch.randperm(self._items, generator=random)
        return self._rows[within]


def start_step(seed: int, step: int) -> None:
    """Seed everything random in a step (dropout, augmentation) from seed and step."""
    torch.manual_seed(seed * 1_000_003 + step)  # seeds CUDA too
