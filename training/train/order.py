"""Which items a step sees: a function of seed and step alone, so that going on needs no memory."""

import torch
from torch import Tensor


class Order:
    """`items` in a new order each epoch, cut into batches that run over the end of one epoch into the next."""

    def __init__(self, items: int, batch: int, seed: int) -> None:
        self._items, self._batch, self._seed = items, batch, seed
        self._epoch, self._rows = -1, torch.empty(0, dtype=torch.int64)

    def rows(self, step: int) -> Tensor:
        """The items of step `step`, int64 "B", counted from 0."""
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
    """All that is random in a step (drop-out, augmentation) follows from seed and step."""
    torch.manual_seed(seed * 1_000_003 + step)  # CUDA's too
