"""The ledger of a watch: each source for itself, the newest clip wins, and answers are reused while nothing changes."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from pipeline.admission import Admission, Place
from pipeline.clip import ClipInfo, Missed
from pipeline.lateness import Lateness
from pipeline.ledger import DONE, READY, Entry, Ledger, Source
from pipeline.messages import Finished, SourceDone, SourceStarted, Values
from pipeline.plan import GroupPlan

SUPERSEDED = "superseded"
LATE = "late"
NOTHING_TO_REUSE = "nothing_to_reuse"
MOST_AGE_NS = 2_900_000_000
"""Where the newest clip wins, results should be no older; see `lateness`. To read and write them takes more."""
LEAST_WAIT_NS = 1_000_000_000
RECENT = 30
"""Clips per source whose kept arrays stay at hand."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a clip was answered, for clips after it that show the same."""

    index: int
    labels_version: int
    parts: Values
    absent: dict[str, str]
    facts: int
    kept: Values


@dataclass(frozen=True, slots=True)
class Recent:
    """The kept arrays of one clip that came out."""

    info: ClipInfo
    kept: Values


@dataclass(slots=True)
class Camera:
    """What is known about a live source beyond its clips."""

    every: bool = False
    """Its clips wait for their turn; none is superseded."""
    reference: int = -1
    """The newest clip that was decoded in full."""
    answer: Answer | None = None
    reusing: dict[int, list[Entry]] = field(default_factory=dict)
    """Clips that wait for an answer, by the clip whose answer it is."""
    recent: deque[Recent] = field(default_factory=lambda: deque(maxlen=RECENT))
    drops: dict[str, int] = field(default_factory=dict)
    results: int = 0
    errors: int = 0
    reused: int = 0


class LiveLedger(Ledger):
    """The clips of live sources.

    In groups of which the plan says `latest`, a clip that waits is superseded by a newer one of its source. What these
    groups give is then absent, other groups still see the clip, and its outcome is a drop that has their parts.

    wake: called with a source whose next clip must be decoded in full, because there is nothing to reuse.
    keep: arrays that stay at hand for the last clips.
    clock_ns: the monotonic clock by which clips were captured.
    """

    def __init__(
        self,
        groups: tuple[GroupPlan, ...],
        slot_arrays: frozenset[str],
        release: Callable[[int], None],
        tries: int,
        wake: Callable[[int], None],
        keep: tuple[str, ...] = (),
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(groups, slot_arrays, release, tries)
        self._clock_ns = clock_ns
        self.lateness = Lateness(MOST_AGE_NS, LEAST_WAIT_NS)
        self.cameras: dict[int, Camera] = {}
        self._admission = Admission()
        self._latest = {group.index for group in groups if group.latest}
        self._wake = wake
        self._keep = keep
        self._folded = {part for group in groups if group.ordered for part in group.parts}
        self._turn = 0
        self._turns: dict[Place, int] = {}
        """When a clip of a source was last leased to a group. Whose turn was longest ago comes first, and before all
        others whoever has reused an answer since: it asks for little, and what it asks about is a change."""
        self._over: set[int] = set()
        """Sources that have come to their end."""

    def add_camera(self, index: int, name: str, every: bool) -> None:
        self.add_source(index, name)
        self.cameras[index] = Camera(every)

    # -- clips that come in -----------------------------------------------------------------------------------------

    def decoded(
        self, info: ClipInfo, slot: int, generation: int, shapes: dict[str, tuple[int, ...]], absent: dict[str, str]
    ) -> bool:
        if not super().decoded(info, slot, generation, shapes, absent):
            return False
        self.cameras[info.source_index].reference = info.index
        return True

    def reused(self, info: ClipInfo) -> None:
        """Add a clip that shows what the newest fully decoded one shows."""
        source, camera = self.sources[info.source_index], self.cameras[info.source_index]
        if info.index != source.received or source.ended:
            return
        entry = self._enter(source, info)
        for group in self._latest:
            self._turns.pop((info.source_index, group), None)
        if camera.answer is not None and camera.answer.index == camera.reference:
            self._reuse(source, entry, camera.answer)
        elif camera.reference in source.entries and not source.entries[camera.reference].outcome:
            camera.reusing.setdefault(camera.reference, []).append(entry)
        else:
            self._drop(source, entry, NOTHING_TO_REUSE)
            self._wake(source.index)

    def missed(self, missed: Missed) -> None:
        """Add a clip that could not be given out by its decoder."""
        source = self.sources[missed.info.source_index]
        if missed.info.index == source.received and not source.ended:
            self._drop(source, self._enter(source, missed.info), missed.reason)
            if missed.reason != LATE:  # one that was not decoded is nobody's reference
                self.cameras[source.index].reference = missed.info.index  # its decoder takes it for answered
                self._wake(source.index)

    def _enter(self, source: Source, info: ClipInfo) -> Entry:
        """A clip that no group works on."""
        count = len(self.groups)
        entry = Entry(info, -1, 0, {}, {}, {}, [1] * count, [DONE] * count, 0, 0)
        source.received += 1
        source.entries[info.index] = entry
        self.counts.clips_in += 1
        return entry

    # -- newest wins ------------------------------------------------------------------------------------------------

    def _make_ready(self, source: Source, entry: Entry, group: int) -> None:
        if entry.error is not None and group in self._latest:
            self._pass_over(source, entry, group, entry.error)
            return
        super()._make_ready(source, entry, group)
        if self._is_chosen(source, group):
            superseded = self._admission.arrive((source.index, group), entry.info.index)
            self._supersede(source, superseded, group)

    def lease(self, group: int, worker: int, room: int) -> list[Entry]:
        if group not in self._latest:
            return super().lease(group, worker, room)
        waiting = sorted(self.ready[group], key=lambda entry: self._turns.get((entry.info.source_index, group), -1))
        held_back = [entry for entry in waiting if not self._admission.may_begin((entry.info.source_index, group))]
        self.ready[group] = deque(entry for entry in waiting if entry not in held_back)
        leased = super().lease(group, worker, room)
        self.ready[group].extend(held_back)
        for entry in leased:
            place = entry.info.source_index, group
            self._turn += 1
            self._turns[place] = self._turn
            self.lateness.begin((*entry.key, group), self._clock_ns())
            if self._is_chosen(self.sources[entry.info.source_index], group):
                self._admission.begin(place, entry.info.index)
        return leased

    def died(self, worker: int, cause: str) -> list[Entry]:
        held = dict(self.leases.get(worker, {}))
        given_up = super().died(worker, cause)
        for ((source_index, index), group), entry in held.items():
            source = self.sources[source_index]
            if self._is_chosen(source, group) and entry.status[group] == READY:
                superseded = self._admission.give_back((source_index, group), index)
                self._supersede(source, superseded, group)
        return given_up

    def _is_chosen(self, source: Source, group: int) -> bool:
        """Whether the newest clip of the source wins in this group."""
        return group in self._latest and not self.cameras[source.index].every

    def leave_out(self) -> None:
        """Leave out clips that wait where the newest wins and would come out too late.

        The first answer of a camera may be late: it is better than none.
        """
        for group in self._latest:
            captured_ns = self._clock_ns() - self.lateness.longest_wait_ns(group)
            for entry in list(self.ready[group]):
                source, live = self.sources[entry.info.source_index], entry.info.live
                is_late = live is not None and live.captured_ns < captured_ns
                if is_late and self._is_chosen(source, group) and self.cameras[source.index].answer is not None:
                    self.ready[group].remove(entry)
                    self._pass_over(source, entry, group, LATE)

    def _supersede(self, source: Source, index: int | None, group: int) -> None:
        if index is not None:
            entry = source.entries[index]
            self.ready[group].remove(entry)
            self._pass_over(source, entry, group, SUPERSEDED)

    def _pass_over(self, source: Source, entry: Entry, group: int, reason: str) -> None:
        """Settle what a group gives as absent. Later groups of which the newest clip wins do without the clip too."""
        entry.absent.update(dict.fromkeys(self.groups[group].gives, SUPERSEDED))
        entry.error = reason
        entry.slot_users += self._uses_slot[group]  # as if it had been leased
        self._settle(source, entry, group)

    # -- outcomes ---------------------------------------------------------------------------------------------------

    def _settle(self, source: Source, entry: Entry, group: int) -> None:
        self._admission.leave((source.index, group), entry.info.index)
        super()._settle(source, entry, group)

    def _finish(self, source: Source, entry: Entry) -> None:
        if entry.error is not None:
            self._drop(source, entry, entry.error)
        else:
            super()._finish(source, entry)
        camera = self.cameras[source.index]
        is_result = entry.outcome == "result"
        self.lateness.end(*entry.key, range(len(self.groups)), self._clock_ns() if is_result else None)
        if is_result:
            answer = self._answer(entry)
            camera.results += 1
            camera.recent.append(Recent(entry.info, answer.kept))
            if camera.answer is None or camera.answer.index < answer.index:
                camera.answer = answer
            for each in camera.reusing.pop(entry.info.index, ()):
                self._reuse(source, each, answer)
        else:
            self._nothing_to_reuse(source, camera, entry)

    def _fail(self, source: Source, entry: Entry, error: str) -> None:
        for group in range(len(self.groups)):
            self._admission.leave((source.index, group), entry.info.index)
        self.lateness.end(*entry.key, range(len(self.groups)), None)
        super()._fail(source, entry, error)
        camera = self.cameras[source.index]
        camera.errors += 1
        self._nothing_to_reuse(source, camera, entry)

    def _drop(self, source: Source, entry: Entry, reason: str) -> None:
        entry.outcome, entry.error = "drop", reason
        self.counts.drops += 1
        self._decided += 1
        drops = self.cameras[source.index].drops
        drops[reason] = drops.get(reason, 0) + 1
        for group in self._ordered:
            self._advance(source, group)

    def _answer(self, entry: Entry) -> Answer:
        parts = {name: entry.values[name] for name in self._parts if name in entry.values and name not in self._folded}
        kept = {name: entry.values[name] for name in self._keep if name in entry.values}
        version = entry.info.labels_version
        return Answer(entry.info.index, version, parts, dict(entry.absent), entry.facts, kept)

    def _nothing_to_reuse(self, source: Source, camera: Camera, entry: Entry) -> None:
        """Drop the clips that waited for the answer of this one, which has none."""
        waiting = camera.reusing.pop(entry.info.index, [])
        for each in waiting:
            self._drop(source, each, NOTHING_TO_REUSE)
        if waiting or entry.info.index == camera.reference:
            self._wake(source.index)

    def _reuse(self, source: Source, entry: Entry, answer: Answer) -> None:
        camera = self.cameras[source.index]
        entry.info = msgspec.structs.replace(entry.info, labels_version=answer.labels_version)
        entry.values, entry.absent, entry.facts = answer.parts, answer.absent, answer.facts
        entry.outcome = "result"
        self._decided += 1
        self.counts.results += 1
        camera.results += 1
        camera.reused += 1
        camera.recent.append(Recent(entry.info, answer.kept))
        for group in self._ordered:
            self._advance(source, group)

    # -- giving out -------------------------------------------------------------------------------------------------

    def emit(self) -> Iterator[Finished | SourceStarted | SourceDone]:
        """What can go to the sinks now: of every source, clips in index order. No source waits for another."""
        for index in list(self.sources):
            source = self.sources[index]
            if index in self._over:
                continue
            yield from self._emit_clips(source)
            if source.ended and not source.entries and not source.gaps:
                self._over.add(index)
                source.state.clear()
                self.cameras[index].recent.clear()
                self.cameras[index].answer = None
                yield SourceDone(index, source.given)
