"""How a run will go, as plain data: which group runs which stages, what crosses between them, how large a slot is."""

from typing import Any

import msgspec

from pipeline.arrays import Spec
from pipeline.config import Config
from pipeline.part import PartInfo
from pipeline.slots import Layout
from pipeline.stage import Budget, RunSettings
from pipeline.status import OutputSpec


class GroupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A group of stages as it will run."""

    index: int
    name: str
    stages: tuple[str, ...]
    needs: tuple[str, ...]
    """Arrays from outside the group that any of its stages takes."""
    gives: tuple[str, ...]
    parts: tuple[str, ...] = ()
    """Those of `gives` that go into the record of a clip."""
    essential: tuple[str, ...] = ()
    """Parts without which a clip is an error."""
    after: tuple[int, ...]
    """Groups that must have settled a clip before."""
    ordered: bool
    """Takes the clips of one source in index order, one at a time, because a stage in it is a fold."""
    workers: int
    threads: int
    preload: tuple[str, ...]
    batch: int = 1
    """Most clips that a worker runs together."""
    wait_ms: float = 0.0
    """How long the first of them may wait for the others."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that workers need to know, as plain data."""

    config: Config
    settings: RunSettings
    budget: Budget
    specs: dict[str, Spec]
    shared: frozenset[str]
    """Arrays and records that leave the group that settles them; the others never leave its process."""
    parts: tuple[PartInfo, ...]
    """What the record of a clip is made of, in the order of the stages."""
    layout: Layout
    slots: int
    groups: tuple[GroupPlan, ...]
    reader_options: dict[str, Any]
    decode_workers: int
    outputs: tuple[OutputSpec, ...] = ()

    @property
    def slot_arrays(self) -> frozenset[str]:
        return frozenset(self.layout.regions)
