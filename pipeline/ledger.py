"""The ledger of clips: who holds each clip, what is settled, and its outcome. No sockets, processes or clocks.

Every clip that enters gets exactly one outcome, and `clips in = results + errors + drops + in flight` always holds.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pipeline.clip import MODALITIES, ClipInfo, Gap, LiveFacts, SourceInfo
from pipeline.facts import FactBook, Facts
from pipeline.messages import DoneClip, Finished, Shapes, SourceDone, SourceStarted, SourceSupplied, Values
from pipeline.plan import GroupPlan

WAITING, READY, LEASED, DONE = range(4)
SAME_FAULT_LIMIT = 3
"""If this many first clips fail in the same way and none succeeds, the model or the config is at fault."""

Key = tuple[int, int]


@dataclass(slots=True, eq=False)
class Entry:
    """One clip in the ledger."""

    info: ClipInfo
    slot: int
    generation: int
    shapes: Shapes
    values: Values
    absent: dict[str, str]
    missing: list[int]
    """Per group: how many groups must still settle the clip first."""
    status: list[int]
    undone: int
    slot_readers: int
    """Number of groups that still have to read or write the slot."""
    slot_users: int = 0
    """Number of live workers that may use the slot now. Without readers and users, the slot is free."""
    failed: dict[str, str] = field(default_factory=dict)
    tries: int = 1
    suspect_in: frozenset[int] = frozenset()
    """Groups in which a process died while it held the clip. There the clip is leased alone."""
    outcome: Literal["", "result", "error", "drop"] = ""
    error: str | None = None
    facts: int = 0
    """Number of the facts of the workers that settled it, in the fact book."""
    same: list["Entry"] = field(default_factory=list)
    """Clips that wait for its answers, as they show the same."""

    @property
    def key(self) -> Key:
        return self.info.source_index, self.info.index


@dataclass(slots=True)
class Source:
    """One source in the ledger: its clips by index, and how far they are decoded and given out."""

    index: int
    name: str
    info: SourceInfo | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    gaps: deque[Gap] = field(default_factory=deque)
    """Gaps that are found and not given out yet."""
    last_gap: tuple[int, int] = (-1, -1)
    """Index and epoch of the newest gap. A restarted decoder reports it again."""
    received: int = 0
    """Clips [0, received) arrived from decode, or were given up."""
    given: int = 0
    """Clips [0, given) went to the sinks."""
    started: bool = False
    ended: bool = False
    cut: bool = False
    """It was closed before its end; the rest is left for another run."""
    failure: str | None = None
    cursor: dict[int, int] = field(default_factory=dict)
    """Per ordered group: the next clip for its fold."""
    state: dict[int, bytes] = field(default_factory=dict)
    kept: dict[int, Entry] = field(default_factory=dict)
    """Clips whose answers may hold for later ones, by place."""
    first_index: int = 0
    ticket: bytes = b""
    """What sinks are told of it first; empty once they were."""


@dataclass
class Counts:
    clips_in: int = 0
    results: int = 0
    errors: int = 0
    drops: int = 0
    reused: int = 0
    """Results that are those of an earlier clip."""
    gaps: int = 0
    sources_failed: int = 0
    deaths: int = 0

    @property
    def in_flight(self) -> int:
        return self.clips_in - self.results - self.errors - self.drops


class Ledger:
    """The clips of a run. `release(slot)` is called when nobody needs a slot any more."""

    def __init__(
        self,
        groups: tuple[GroupPlan, ...],
        slot_arrays: frozenset[str],
        release: Callable[[int], None],
        tries: int = 3,
    ) -> None:
        self.groups = groups
        self.counts = Counts()
        self.sources: dict[int, Source] = {}
        self.open_sources = 0
        """Number of sources from which more clips may arrive."""
        self.ready: list[deque[Entry]] = [deque() for _ in groups]
        self.leases: dict[int, dict[tuple[Key, int], Entry]] = {}
        self.fault: str | None = None
        """Set when the first clips all failed for the same reason."""
        self.facts = FactBook()
        self._facts_of: dict[int, int] = {}
        """By worker."""
        self._release = release
        self._tries = tries
        self._ordered = [group.index for group in groups if group.ordered]
        self._after = [[later.index for later in groups if group.index in later.after] for group in groups]
        self._missing = [len(group.after) for group in groups]
        self._uses_slot = [bool(slot_arrays & {*group.needs, *group.gives}) for group in groups]
        self._slot_readers = sum(self._uses_slot)
        self._parts = [part for group in groups for part in group.parts]
        self._essential = {part for group in groups for part in group.essential}
        self._same_fault: tuple[str, int] = ("", 0)
        self._home = {stage: group.index for group in groups for stage in group.stages}
        self._proven: set[int] = set()
        """Groups that have settled a clip without a failure: a failure in them is the fault of the clip."""
        self._emit_source = 0
        self._decided = 0

    # -- sources and decode ---------------------------------------------------------------------------------------

    def add_source(self, index: int, name: str, first_index: int = 0, ticket: bytes = b"") -> None:
        """`first_index`: an earlier run has done the clips before it. `ticket`: what sinks are told of it first."""
        source = Source(index, name, received=first_index, given=first_index, first_index=first_index, ticket=ticket)
        source.cursor = dict.fromkeys(self._ordered, first_index)
        source.state = dict.fromkeys(self._ordered, b"")
        self.sources[index] = source
        self.open_sources += 1

    def opened(self, info: SourceInfo) -> bool:
        """Returns whether the source is opened for the first time; a restarted decoder opens it again."""
        source = self.sources[info.source_index]
        is_news, source.info = source.info is None, info
        return is_news

    def decoded(self, info: ClipInfo, slot: int, generation: int, shapes: Shapes, absent: dict[str, str]) -> bool:
        """Add a clip. Returns False if it is not the next one of its source, as after the restart of a decoder."""
        source = self.sources[info.source_index]
        if info.index != source.received or source.ended:
            return False
        entry = Entry(
            info,
            slot,
            generation,
            shapes,
            {},
            absent,
            missing=self._missing.copy(),
            status=[WAITING] * len(self.groups),
            undone=len(self.groups),
            slot_readers=self._slot_readers,
        )
        source.received += 1
        source.entries[info.index] = entry
        if info.kept_in >= 0:
            source.kept[info.kept_in] = entry
        self.counts.clips_in += 1
        self._free_slot(entry)
        for group, missing in enumerate(entry.missing):
            if not missing:
                self._make_ready(source, entry, group)
        if not self.groups:
            self._finish(source, entry)
        return True

    def reused(self, info: ClipInfo) -> None:
        """Add a clip without media that shows what an earlier one shows. Only ordered groups see it."""
        source = self.sources[info.source_index]
        if info.index != source.received or source.ended or info.reuse is None:
            return
        ordered = [group.index in self._ordered for group in self.groups]
        status = [WAITING if is_ordered else DONE for is_ordered in ordered]
        entry = Entry(info, -1, 0, {}, {}, {}, [1] * len(ordered), status, sum(ordered), 0)
        source.received += 1
        source.entries[info.index] = entry
        self.counts.clips_in += 1
        kept = source.kept[info.reuse.place]
        if kept.outcome:
            self._answer_as(source, entry, kept)
        else:
            kept.same.append(entry)

    def gap(self, gap: Gap) -> bool:
        """Add a gap. Returns whether it is new."""
        source = self.sources[gap.source_index]
        place = (gap.next_index, gap.epoch)
        if gap.next_index >= source.given and place > source.last_gap and not source.ended:
            source.last_gap = place
            source.gaps.append(gap)
            self.counts.gaps += 1
            return True
        return False

    def undecodable(self, info: ClipInfo, error: str) -> None:
        """Add a clip that cannot be decoded, as an error, so that the source can continue after it."""
        source = self.sources[info.source_index]
        entry = Entry(info, -1, 0, {}, {}, {}, [], [DONE] * len(self.groups), 0, 0)
        source.received = info.index + 1
        source.entries[info.index] = entry
        self.counts.clips_in += 1
        self._fail(source, entry, error)

    def ended(self, index: int, failure: str | None = None, cut: bool = False) -> None:
        """No more clips will arrive from this source: it has ended, was cut, or could not be read (`failure`)."""
        source = self.sources[index]
        if not source.ended:
            source.ended = True
            self.open_sources -= 1
            source.cut = cut
            source.failure = failure
            if failure is not None:
                self.counts.sources_failed += 1

    # -- leases ---------------------------------------------------------------------------------------------------

    def introduce(self, worker: int, group: int, facts: Facts) -> None:
        """A worker is ready. Its facts apply to the clips that it will settle."""
        self._facts_of[worker] = self.facts.enter(group, facts)

    def lease(self, group: int, worker: int, room: int) -> list[Entry]:
        """Lease up to `room` clips that are ready for this group to a worker."""
        queue, held = self.ready[group], self.leases.setdefault(worker, {})
        leased: list[Entry] = []
        if any(group in entry.suspect_in for entry in held.values()):
            return leased
        while queue and len(leased) < room:
            entry = queue[0]
            if entry.status[group] != READY or entry.outcome:
                queue.popleft()
                continue
            suspect = group in entry.suspect_in
            if suspect and held:
                break
            queue.popleft()
            self._hold(entry, group, held, leased)
            if suspect:
                break
            if self.groups[group].ordered:
                self._lease_run(entry, group, held, leased, room)
        return leased

    def _lease_run(
        self, entry: Entry, group: int, held: dict[tuple[Key, int], Entry], leased: list[Entry], room: int
    ) -> None:
        """Lease the clips that follow `entry` in an ordered source and wait only for it."""
        source = self.sources[entry.info.source_index]
        index = entry.info.index + 1
        while len(leased) < room:
            follower = source.entries.get(index)
            if follower is None or follower.outcome or follower.missing[group] or group in follower.suspect_in:
                return
            self._hold(follower, group, held, leased)
            index += 1

    def _hold(self, entry: Entry, group: int, held: dict[tuple[Key, int], Entry], leased: list[Entry]) -> None:
        entry.status[group] = LEASED
        entry.slot_users += self._uses_slot[group]
        held[entry.key, group] = entry
        leased.append(entry)

    def state_for(self, entry: Entry, group: int) -> bytes:
        return self.sources[entry.info.source_index].state.get(group, b"")

    def done(self, worker: int, group: int, done: DoneClip) -> bool:
        """A group has settled its arrays for a clip. Returns False for a late answer without a lease."""
        key = (done.source_index, done.index)
        entry = self.leases.get(worker, {}).pop((key, group), None)
        if entry is None:
            return False
        source = self.sources[done.source_index]
        entry.shapes.update(done.shapes)
        entry.values.update(done.values)
        entry.absent.update(done.absent)
        entry.failed.update(done.failed)
        entry.facts = self.facts.join(entry.facts, self._facts_of.get(worker, 0))
        if entry.suspect_in:
            entry.suspect_in -= {group}
        if not done.failed:
            self._proven.add(group)
        if done.state is not None:
            source.state[group] = done.state
        self._settle(source, entry, group)
        return True

    def died(self, worker: int, cause: str) -> list[Entry]:
        """A worker has exited: return its clips to the queue. Returns the clips that are given up.

        A death counts as a try only for a clip that was alone in the process.
        """
        held = self.leases.pop(worker, {})
        self._facts_of.pop(worker, None)
        self.counts.deaths += 1
        alone = len(held) == 1
        given_up = []
        for (_, group), entry in sorted(held.items(), key=lambda item: item[0], reverse=True):
            source = self.sources[entry.info.source_index]
            entry.suspect_in |= {group}
            entry.status[group] = WAITING
            entry.slot_users -= self._uses_slot[group]
            if entry.outcome:  # given up in another group
                self._free_slot(entry)
                if group in source.cursor:
                    self._advance(source, group)
                continue
            if alone:
                entry.tries += 1
            if entry.tries > self._tries:
                entry.tries = self._tries
                self._fail(source, entry, f"{self.groups[group].name}: {cause}; given up after {self._tries} tries")
                self._blame(cause, group)
                given_up.append(entry)
            elif group in source.cursor:
                self._advance(source, group)
            else:
                entry.status[group] = READY
                self.ready[group].appendleft(entry)
        return given_up

    # -- settling -------------------------------------------------------------------------------------------------

    def _settle(self, source: Source, entry: Entry, group: int) -> None:
        entry.status[group] = DONE
        entry.undone -= 1
        if self._uses_slot[group]:
            entry.slot_users -= 1
            entry.slot_readers -= 1
            self._free_slot(entry)
        if not entry.outcome:
            for later in self._after[group]:
                entry.missing[later] -= 1
                if not entry.missing[later]:
                    self._make_ready(source, entry, later)
            if not entry.undone:
                self._finish(source, entry)
        if group in source.cursor:
            self._advance(source, group)

    def _make_ready(self, source: Source, entry: Entry, group: int) -> None:
        if group in source.cursor:
            self._advance(source, group)
        else:
            entry.status[group] = READY
            self.ready[group].append(entry)

    def _advance(self, source: Source, group: int) -> None:
        """Move the cursor of an ordered group past decided clips, and make the clip that it stops at ready.

        A clip that was given up elsewhere also stops it while this group works on it: states are committed in order.
        """
        while True:
            entry = source.entries.get(source.cursor[group])
            if entry is None or (entry.outcome and entry.status[group] == LEASED):
                return
            if not entry.outcome and entry.status[group] != DONE:
                if entry.status[group] == WAITING and not entry.missing[group]:
                    entry.status[group] = READY
                    self.ready[group].append(entry)
                return
            source.cursor[group] += 1

    def _finish(self, source: Source, entry: Entry) -> None:
        if not self._essential <= entry.values.keys():
            self._fail(source, entry, _why_nothing(entry))
            for stage, text in list(entry.failed.items())[:1]:
                self._blame(text, self._home.get(stage, -1))
            return
        entry.outcome = "result"
        self._decided += 1
        self.counts.results += 1
        self.counts.reused += entry.info.reuse is not None
        self._same_fault = ("", -1)
        self._pass_answers(source, entry)

    def _fail(self, source: Source, entry: Entry, error: str) -> None:
        entry.outcome, entry.error = "error", error
        self.counts.errors += 1
        self._decided += 1
        entry.slot_readers = 0
        self._free_slot(entry)
        for group in self._ordered:
            self._advance(source, group)
        self._pass_answers(source, entry)

    def _pass_answers(self, source: Source, entry: Entry) -> None:
        """Settle the clips that waited for the answers of this one."""
        same, entry.same = entry.same, []
        for each in same:
            self._answer_as(source, each, entry)

    def _answer_as(self, source: Source, entry: Entry, kept: Entry) -> None:
        """Give a clip the answers of another, but for those that depend on the order. These are still to be found."""
        if kept.error is not None:
            self._fail(source, entry, kept.error)
            return
        found_anew = {name for group in self._ordered for name in self.groups[group].gives}
        stages = {stage for group in self._ordered for stage in self.groups[group].stages}
        entry.values = {name: value for name, value in kept.values.items() if name not in found_anew}
        entry.absent = {name: why for name, why in kept.absent.items() if name not in found_anew}
        entry.failed = {name: text for name, text in kept.failed.items() if name not in stages}
        entry.facts = kept.facts
        entry.missing = [0] * len(self.groups)
        for group in self._ordered:
            self._advance(source, group)
        if not entry.undone:
            self._finish(source, entry)

    def _free_slot(self, entry: Entry) -> None:
        """Free the slot if nobody uses it or will use it."""
        if entry.slot >= 0 and entry.slot_readers <= 0 and not entry.slot_users:
            self._release(entry.slot)
            entry.slot, entry.shapes = -1, {}

    def _blame(self, cause: str, group: int) -> None:
        text, count = self._same_fault
        if count < 0 or group in self._proven:
            return
        kind = re.sub(r"\d+", "#", cause)  # clips, times and addresses differ
        self._same_fault = (kind, count + 1 if kind == text else 1)
        if self._same_fault[1] >= SAME_FAULT_LIMIT:
            self.fault = cause

    # -- giving out -----------------------------------------------------------------------------------------------

    def waiting(self) -> int:
        """Number of decided clips whose turn has not come."""
        return self._decided

    def head_source(self) -> int:
        """The source whose clips are given out now."""
        return self._emit_source

    def emit(self) -> Iterator[Finished | SourceSupplied | SourceStarted | SourceDone]:
        """What can go to the sinks now: sources in the given order, clips in index order."""
        while (source := self.sources.get(self._emit_source)) is not None:
            if source.ticket:
                yield SourceSupplied(source.index, source.name, source.ticket)
                source.ticket = b""
            yield from self._emit_clips(source)
            if not source.ended or source.entries or source.gaps:
                return
            if source.failure is not None:
                info = ClipInfo(source.name, source.index, -1, 0, 0)
                yield Finished(info, error=source.failure)
            if not source.cut:
                yield SourceDone(source.index, source.given - source.first_index)
            source.state.clear()  # it adds up over ten thousand sources
            self._emit_source += 1

    def _emit_clips(self, source: Source) -> Iterator[Finished | SourceStarted]:
        if source.info is not None and not source.started:
            source.started = True
            yield SourceStarted(source.info)
        while True:
            while source.gaps and source.gaps[0].next_index <= source.given:
                gap = source.gaps.popleft()
                live = LiveFacts(wall_ns=gap.wall_ns, captured_ns=0) if gap.wall_ns else None
                info = ClipInfo(source.name, source.index, -1, gap.start_ns, gap.end_ns, gap.epoch, live=live)
                yield Finished(info, gap=True)
            entry = source.entries.get(source.given)
            if entry is None or not entry.outcome or (entry.outcome == "error" and self._in_order_somewhere(entry)):
                if source.ended and source.given >= source.received:
                    source.gaps.clear()
                return
            del source.entries[source.given]
            source.given += 1
            self._decided -= 1
            yield self._finished(entry)

    def _finished(self, entry: Entry) -> Finished:
        return Finished(
            entry.info,
            parts={name: entry.values[name] for name in self._parts if name in entry.values},
            absent=entry.absent,
            failed=entry.failed,
            tries=entry.tries,
            error=entry.error if entry.outcome == "error" else None,
            dropped=entry.error if entry.outcome == "drop" else None,
            facts=entry.facts,
        )

    def _in_order_somewhere(self, entry: Entry) -> bool:
        """Whether an ordered group still works on it, so that its place in the source must be kept."""
        return any(entry.status[group] == LEASED for group in self._ordered)


def _why_nothing(entry: Entry) -> str:
    """Why no modality is left."""
    if entry.failed:
        return "; ".join(f"{stage}: {text}" for stage, text in entry.failed.items())
    lost = {name: entry.absent[f"{name}_embedding"] for name in MODALITIES if f"{name}_embedding" in entry.absent}
    reasons = ", ".join(f"{name} {why}" for name, why in (lost or entry.absent).items()) or "nothing was settled"
    return f"no modality is left to label this clip ({reasons})"
