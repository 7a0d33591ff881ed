"""Conditions over labels and zones, judged clip by clip. `live.condition_text` reads them.

    glass breaking and not person
    dog barking for 30 s
    (car in drive or "rock and roll" > 0.6) and not person for 2 min
    glass breaking within 10 s and motion in hall

`not` binds first, then `for` and `within`, then `and`, then `or`: `not person for 2 min` is true after two minutes
without a person.

* `LABEL` is probable: at least at its threshold, and after that at least at 0.6 of it, as for its events.
* `LABEL > 0.6` (`>=`, `<`, `<=`) compares its probability, without hysteresis.
* `LABEL in ZONE`: a track with that label is in the zone; or the label is probable, and something moves in the zone.
* `motion in ZONE`: a track or motion is in the zone. `motion`: anywhere in the picture.
* `anything in ZONE`: a track is in the zone. `anything`: there is a track.
* `LABEL over LINE`, `LABEL over LINE in`, `… out`: a track with that label crosses the line in the clip, that way.
  `anything over LINE`: any track does.
* `LABEL stays in ZONE for 30 s`: one and the same track with that label has been in the zone for so long, and has not
  left it. `anything stays in ZONE for 30 s`: any track has.
* `X for 30 s` (`s`, `min`, `h`): X has been true without a break for so long.
* `X within 10 s`: X is true, or was so at some time in the last 10 s.

Of a clip without a result nothing is known, and truth has three values (Kleene's logic): `a and b` is false if one of
them is, even if the other is unknown. A clip that was dropped or failed does not break a `for`: its time goes on.
"""

from typing import Protocol

import msgspec

from live.condition_parts import (
    Anything,
    Compared,
    Crosses,
    Either,
    Every,
    Held,
    Leaf,
    Motion,
    Node,
    Not,
    Probable,
    Recent,
    Stays,
    show,
    walk,
)

Truth = bool | None
"""None: unknown."""
NEARLY_S = 1e-6


class Facts(Protocol):
    """What a condition asks of one clip."""

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...

    def probable(self, label: str) -> Truth:
        """Whether a label is probable, with hysteresis."""

    def probability(self, label: str) -> float | None: ...

    def moves(self, zone: str) -> Truth:
        """Whether a track or motion is in a zone; "": anywhere."""

    def tracked(self, label: str, zone: str) -> Truth:
        """Whether a track with this label ("": with any or none) is in a zone ("": anywhere)."""

    def crossed(self, label: str, line: str, way: str) -> Truth:
        """Whether a track with this label ("": with any or none) crossed a line, this way ("": either)."""

    def stays(self, label: str, zone: str, seconds: float) -> Truth:
        """Whether a track with this label ("": with any or none) has been in a zone for so long."""


class Memory(msgspec.Struct):
    """What the parts with a memory remember: for `for`, since when it is true; for `within`, until when it was."""

    at_s: list[float | None] = []


class Judge:
    """Judges one condition on clips in order."""

    def __init__(self, node: Node, memory: Memory | None = None) -> None:
        self.node = node
        self.memory = memory or Memory()
        self._count = sum(isinstance(each, Held | Recent) for each in walk(node))
        if len(self.memory.at_s) != self._count:
            self.forget()

    def forget(self) -> None:
        """What was true before counts no longer: after a long gap."""
        self.memory.at_s = [None] * self._count

    def judge(self, facts: Facts) -> tuple[Truth, dict[str, Truth]]:
        """Whether it is true of the next clip, and the truth of each of its parts, by their text."""
        parts: dict[str, Truth] = {}
        return _Round(facts, self.memory.at_s, parts).truth(self.node), parts


class _Round:
    """One clip's judgement. Parts with a memory are numbered in the order in which they are judged."""

    def __init__(self, facts: Facts, at_s: list[float | None], parts: dict[str, Truth]) -> None:
        self._facts, self._at_s, self._parts = facts, at_s, parts
        self._next = 0

    def truth(self, node: Node) -> Truth:
        match node:
            case Not(part):
                found = self.truth(part)
                return None if found is None else not found
            case Every(parts):
                return every([self.truth(each) for each in parts])
            case Either(parts):
                return either([self.truth(each) for each in parts])
            case Held() | Recent():
                number, self._next = self._next, self._next + 1
                truth = self._held(node, number) if isinstance(node, Held) else self._recent(node, number)
            case _:
                truth = self._leaf(node)
        self._parts[show(node)] = truth
        return truth

    def _held(self, node: Held, number: int) -> Truth:
        found = self.truth(node.part)
        since_s = self._at_s[number]
        if found is False:
            self._at_s[number] = None
            return False
        if found is True and since_s is None:
            since_s = self._at_s[number] = self._facts.start_s
        if since_s is None:
            return None
        long_enough = self._facts.end_s - since_s >= node.seconds - NEARLY_S
        return None if found is None and long_enough else long_enough

    def _recent(self, node: Recent, number: int) -> Truth:
        found = self.truth(node.part)
        if found:
            self._at_s[number] = self._facts.end_s
        until_s = self._at_s[number]
        if until_s is not None and self._facts.start_s - until_s < node.seconds - NEARLY_S:
            return True
        return found

    def _leaf(self, node: Leaf) -> Truth:
        match node:
            case Compared(label, sign, value):
                probability = self._facts.probability(label)
                return None if probability is None else compare(probability, sign, value)
            case Motion(zone):
                return self._facts.moves(zone)
            case Anything(zone):
                return self._facts.tracked("", zone)
            case Crosses(label, line, way):
                return self._facts.crossed(label, line, way)
            case Stays(label, zone, seconds):
                return self._facts.stays(label, zone, seconds - NEARLY_S)
            case Probable(label, ""):
                return self._facts.probable(label)
            case Probable(label, zone):
                both = every([self._facts.probable(label), self._facts.moves(zone)])
                return either([self._facts.tracked(label, zone), both])


def every(truths: list[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def either(truths: list[Truth]) -> Truth:
    return True if True in truths else None if None in truths else False


def compare(probability: float, sign: str, value: float) -> bool:
    if sign.startswith(">"):
        return probability > value or (sign == ">=" and probability == value)
    return probability < value or (sign == "<=" and probability == value)
