"""The plan of a run as plain data: groups, the arrays that cross between them, and the size of a slot."""

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
    """Arrays from outside the group that its stages use."""
    gives: tuple[str, ...]
    parts: tuple[str, ...] = ()
    """Those of `gives` that go into the record of a clip."""
    essential: tuple[str, ...] = ()
    """Parts without which a clip is an error."""
    after: tuple[int, ...]
    """Groups that must settle a clip first."""
    ordered: bool
    """It processes the clips of a source in order, because one of its stages is a fold."""
    workers: int
    threads: int
    preload: tuple[str, ...]
    opens_early: bool = False
    """One of its stages opens before all is prepared, so its workers start at once."""
    batch: int = 1
    """Largest number of clips that a worker runs in one batch."""
    wait_ms: float = 0.0
    """How long the first clip of a batch may wait for the others."""
    nice: int = 0
    latest: bool = False
    """In a watch, a clip that waits for it is superseded by a newer one of its source."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that workers need to know."""

    config: Config
    settings: RunSettings
    budget: Budget
    specs: dict[str, Spec]
    shared: frozenset[str]
    """Arrays and records that leave the group that settles them. The others stay in its process."""
    parts: tuple[PartInfo, ...]
    """The parts of a clip's record, in the order of the stages."""
    layout: Layout
    slots: int
    groups: tuple[GroupPlan, ...]
    reader_options: dict[str, Any]
    decode_workers: int
    placed: str = ""
    """What the numbers of processes rest on."""
    outputs: tuple[OutputSpec, ...] = ()
    roles: dict[str, str] = {}
    """Processes of other kinds: the function that runs one, "package.module:function", by role."""

    @property
    def slot_arrays(self) -> frozenset[str]:
        return frozenset(self.layout.regions)
