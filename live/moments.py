"""The events of one camera: of its labels and of its rules, told when they begin and when they are over.

An event of a label begins when the label's probability reaches its threshold, and goes on while it stays at 0.6 of
that. It is over when the label has been away for longer than the hold time; so two events that are no further apart are
one. An event of a rule goes on while its condition is true, likewise, and is told once it has lasted for `min_s`.
Events begin in the active time of the schedule alone; they may end outside it.

* A label that means nearly the same as that of an event which goes on becomes part of it.
* Clips whose answers are reused count like others.
* Of a dropped clip, and of one with an error, nothing is known: it ends no event and counts for no hold time. After a
  minute without a result all events are over, at the end of their last probable clip.
* A gap counts for the hold time. After it, a label must reach its threshold again.

Times in events are UTC; lengths are of the clips' own clock, which is monotonic.
"""

import math
from collections.abc import Callable

import msgspec

from live.budget import Threshold
from live.clip_facts import ClipFacts
from live.condition import Truth
from live.event import LiveEvent
from live.rules import Judged, Rules
from live.running import Running, begin, wall_time
from live.schedule import is_active
from live.seen import NEARLY_S, Seen
from live.settings import Camera, Rule
from live.targets import targets
from live.thresholds import Thresholds
from pipeline.result import ClipRecord

LONGEST_UNKNOWN_S = 60.0
"""After so long without a result, no event goes on."""
QUIET_S = 10.0
"""Results may be so late without an event being over."""
JOIN_S = 0.05


class _State(msgspec.Struct, kw_only=True):
    """Everything that a new output process needs to go on."""

    seen: Seen = msgspec.field(default_factory=Seen)
    labels_version: int = 0
    unknown_s: float = 0.0
    """For how long there has been no result."""
    lasting: set[str] = set()
    """The labels that were probable in the last result."""
    labels: dict[str, Running] = {}
    rules: dict[str, Running] = {}
    judged: dict[str, Judged] = {}
    past: bytes = b""
    """What the budget has learned."""


IsOver = Callable[[Running, float], bool]
"""Of an event and its hold time."""
_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_State).decode


class Moments:
    """The events of one camera. Records come in order; what was seen already is passed over."""

    def __init__(self, camera: Camera) -> None:
        self._state = _State()
        self._added: frozenset[str] = frozenset()
        """Labels that records up to `_added_after` were not asked for."""
        self._added_after = 0
        self._set(camera)

    def _set(self, camera: Camera) -> None:
        self._camera = camera
        self._targets = targets(camera)
        self._thresholds = Thresholds(camera, self._targets, self._state.past)
        self._rules = Rules(camera, self._targets, self._state.judged)

    # -- the life of a camera

    def add(self, record: ClipRecord) -> list[LiveEvent]:
        """The events that begin or are over with this record."""
        state = self._state
        told = self._close_removed()
        if state.seen.has(record):
            return told
        told += self._between(record)
        if record.gap:
            told += self._away(record.end_s - record.start_s)
        elif not record.is_result or record.labels is None:
            told += self._unknown(record.end_s - record.start_s)
        else:
            state.unknown_s = 0.0
            state.labels_version = max(state.labels_version, record.labels_version)
            told += self._result(record)
        state.seen.note(record)
        return told

    def configure(self, camera: Camera) -> list[LiveEvent]:
        """Watch for what the new settings say, from the next record on. The events of what was removed are over."""
        before = set(self._targets)
        self._state.past = self.past()
        self._set(camera)
        version = max(1, self._state.labels_version)
        if added := frozenset(self._targets) - before:
            self._added = added | (self._added if version == self._added_after else frozenset())
            self._added_after = version
        return self._close_removed()

    def quiet(self, waited_s: float) -> list[LiveEvent]:
        """Close what is over while no record comes, as of a lost camera: `waited_s` have passed since the last one."""
        return self._close_if(lambda event, hold_s: event.away_s + waited_s > hold_s + QUIET_S)

    def stop(self) -> list[LiveEvent]:
        """The camera is no longer watched: all its events are over."""
        return self._close_if(lambda event, hold_s: True)

    def thresholds(self) -> dict[str, Threshold]:
        """The threshold of each label as it is now."""
        return self._thresholds.all()

    def begin_watch(self) -> list[LiveEvent]:
        """A new watch begins, whose clips count from 0: all events are over, and what the budget has learned stays."""
        told = self.stop()
        self._state = _State(past=self.past())
        self._set(self._camera)
        return told

    def state(self, with_past: bool = True) -> bytes:
        """Everything that a new `Moments` needs to go on where this one is. with_past: also what `past` returns."""
        return _encode(msgspec.structs.replace(self._state, past=self.past() if with_past else b""))

    def past(self) -> bytes:
        """What the budget has learned: large, and no harm if it is a minute old."""
        return self._thresholds.pack()

    def restore(self, state: bytes, past: bytes = b"") -> None:
        """Go on from there. Raises: msgspec.DecodeError, ValueError: it is not such a state."""
        self._state = _decode(state)
        self._state.past = past or self._state.past
        self._set(self._camera)

    # -- records

    def _between(self, record: ClipRecord) -> list[LiveEvent]:
        """What is missing between the last record and this one: clips that are not known, or a gap."""
        seen = self._state.seen
        missing_s = seen.missing_s(record)
        if missing_s <= JOIN_S:
            return []
        return self._unknown(missing_s) if record.epoch == seen.epoch else self._away(missing_s)

    def _unknown(self, seconds: float) -> list[LiveEvent]:
        self._state.unknown_s += seconds
        if self._state.unknown_s <= LONGEST_UNKNOWN_S:
            return []
        self._forget()
        return self.stop()

    def _away(self, seconds: float) -> list[LiveEvent]:
        """A stretch in which nothing is true."""
        self._forget(seconds)
        for event in [*self._state.labels.values(), *self._state.rules.values()]:
            event.away_s += seconds
        return self._close_over()

    def _forget(self, seconds: float = math.inf) -> None:
        """What was true before so long a break counts no longer."""
        self._state.lasting.clear()
        self._thresholds.interrupt(seconds)
        self._rules.forget(seconds)

    def _result(self, record: ClipRecord) -> list[LiveEvent]:
        not_asked = self._added if record.labels_version <= self._added_after else frozenset[str]()
        thresholds = {name: each.value for name, each in self._thresholds.all().items()}
        facts = ClipFacts(self._camera, record, thresholds, self._state.lasting, not_asked)
        may_begin = is_active(self._camera.schedule, wall_time(record))
        for event in self._state.labels.values():
            event.away_s += record.end_s - record.start_s
        told = self._label_events(record, facts, thresholds, may_begin)
        for rule in self._camera.rules:
            told += self._rule_event(rule, record, facts, may_begin)
        self._state.lasting = set(facts.probable_labels)
        self._thresholds.add(facts.labels, record.end_s - record.start_s)
        return told + self._close_over()

    # -- labels

    def _label_events(
        self, record: ClipRecord, facts: ClipFacts, thresholds: dict[str, float], may_begin: bool
    ) -> list[LiveEvent]:
        probable = {name: of for name, of in facts.probable_labels.items() if self._makes_events(name)}
        told = []
        for name in sorted(probable, key=lambda name: (name not in self._state.labels, -probable[name], name)):
            event = self._event_of(name, facts)
            if event is None:
                if not may_begin:
                    continue
                text = self._thresholds.text(name)
                event = begin(record, "label", name, threshold=thresholds[name], text=text)
                self._state.labels[name] = event
            if name != event.name:
                event.also[name] = max(probable[name], event.also.get(name, 0.0))
        for event in self._state.labels.values():
            present = [probable[name] for name in event.names if name in probable]
            if present:
                event.extend(record, max(present))
                if event.name in facts.labels:
                    event.weigh(facts.labels[event.name])
                told += self._told(event)
        return told

    def _event_of(self, name: str, facts: ClipFacts) -> Running | None:
        """The event that a label belongs to: its own, or one whose label means nearly the same."""
        events = self._state.labels
        if name in events:
            return events[name]
        near = set(facts.labels[name].near)
        near |= {other for other, label in facts.labels.items() if name in label.near}
        for event in events.values():
            if name in event.also or (event.name in near and event.name in facts.probable_labels):
                return event
        return None

    def _makes_events(self, name: str) -> bool:
        return name in self._targets and self._targets[name].events

    # -- rules

    def _rule_event(self, rule: Rule, record: ClipRecord, facts: ClipFacts, may_begin: bool) -> list[LiveEvent]:
        truth, parts = self._rules.judge(rule, facts)
        event = self._state.rules.get(rule.name)
        if event is not None and not truth:
            length_s = record.end_s - record.start_s
            event.away_s += length_s if truth is False else 0.0
            event.unknown_s += length_s if truth is None else 0.0
        if not truth or (event is None and not may_begin):
            return []
        if event is None:
            event = self._state.rules[rule.name] = begin(record, "rule", rule.name, text=rule.when)
        event.extend(record, _probability(parts, facts))
        event.evidence = dict(parts)
        return self._told(event) if event.duration_s >= rule.min_s - NEARLY_S else []

    # -- telling and closing

    def _close_removed(self) -> list[LiveEvent]:
        """Close the events of labels and rules that are no longer watched for, or are others now."""
        state = self._state
        state.lasting &= set(self._targets)
        gone = [state.labels.pop(name) for name in list(state.labels) if not self._makes_events(name)]
        others = [name for name, event in state.rules.items() if not self._rules.has(name, event.text)]
        gone += [state.rules.pop(name) for name in others]
        return [told for event in gone for told in _closed(event)]

    @staticmethod
    def _told(event: Running) -> list[LiveEvent]:
        if event.told:
            return []
        event.told = True
        return [event.event("open")]

    def _close_over(self) -> list[LiveEvent]:
        return self._close_if(
            lambda event, hold_s: (
                event.away_s > (hold_s + NEARLY_S if hold_s else 0.0) or event.unknown_s > LONGEST_UNKNOWN_S
            )
        )

    def _close_if(self, is_over: IsOver) -> list[LiveEvent]:
        closed = []
        for events in (self._state.labels, self._state.rules):
            for name, event in list(events.items()):
                if is_over(event, self._hold_s(event)):
                    closed += _closed(events.pop(name))
        return closed

    def _hold_s(self, event: Running) -> float:
        if event.kind == "rule":
            return self._rules.hold_s(event.name)
        return self._targets[event.name].hold_s


def _closed(event: Running) -> list[LiveEvent]:
    return [event.event("closed")] if event.told else []


def _probability(parts: dict[str, Truth], facts: ClipFacts) -> float:
    """Of a rule's event: the largest probability among the labels that make it true."""
    return max(
        (facts.probability(name) or 0.0 for name, truth in parts.items() if truth and name in facts.labels), default=0.0
    )
