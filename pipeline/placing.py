"""How many processes decode, and how many process clips: by what a clip costs, if that is known."""

from collections.abc import Iterable
from math import ceil

from pipeline.costs import Costs

USUAL_WORKERS = 8
CORES_PER_DECODER = 4
WORKER_BYTES = 500 << 20
"""Memory that a worker may need."""
ROUNDING = 0.1
"""Cores: a share that is above a whole number by less than this needs no process more."""


class Placing:
    """Of a run. memory_bytes: that can be had."""

    def __init__(self, cores: int, sources: int, memory_bytes: int, costs: Costs | None) -> None:
        self.cores = cores
        self.costs = costs
        self._sources = sources
        self._most = max(1, memory_bytes // WORKER_BYTES)

    @property
    def decoders(self) -> int:
        """As many as keep the workers busy, each with a source of its own."""
        wanted = self.cores // CORES_PER_DECODER if self.costs is None else self._cores_for(("decode",))
        return max(1, min(self._sources, wanted))

    def workers(self, stages: Iterable[str]) -> int:
        """Of a group with these stages."""
        usual = min(self.cores, USUAL_WORKERS)
        return usual if self.costs is None else max(usual, min(self._most, self._cores_for(stages)))

    def _cores_for(self, stages: Iterable[str]) -> int:
        """The cores that these stages keep busy while all keep step, rounded up."""
        assert self.costs is not None
        whole = sum(self.costs.ms.values())
        share = sum(self.costs.ms.get(name, 0.0) for name in stages) / whole if whole else 0.0
        return max(1, ceil(self.cores * share - ROUNDING))

    @property
    def text(self) -> str:
        """What it rests on."""
        if self.costs is None:
            return "nothing measured yet: after a run, by what its clips cost"
        decode_ms = self.costs.ms.get("decode", 0.0)
        others_ms = sum(self.costs.ms.values()) - decode_ms
        return f"by {self.costs.clips} clips: {decode_ms:.0f} ms to decode one, {others_ms:.0f} ms for the rest"
