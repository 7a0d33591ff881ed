"""The rules of a camera: their conditions, and what these remember."""

import math
from collections.abc import Collection

import msgspec

from live.condition import Facts, Judge, Memory, Truth
from live.condition_text import parse
from live.settings import Camera, Rule
from live.targets import things


class Judged(msgspec.Struct):
    """What a rule remembers, for as long as its condition is the same."""

    when: str
    memory: Memory


class Rules:
    """memories: by name of the rule; they are updated in place.

    Raises: ConditionError: a condition cannot be read.
    """

    def __init__(self, camera: Camera, labels: Collection[str], memories: dict[str, Judged]) -> None:
        self._camera = camera
        self._rules = {rule.name: rule for rule in camera.rules}
        self._judges: dict[str, Judge] = {}
        for name in memories.keys() - self._rules.keys():
            del memories[name]
        for rule in camera.rules:
            before = memories.get(rule.name)
            memory = before.memory if before and before.when == rule.when else Memory()
            self._judges[rule.name] = Judge(
                parse(rule.when, labels, camera.zones, camera.lines, things(camera)), memory
            )
            memories[rule.name] = Judged(rule.when, memory)

    def has(self, name: str, when: str) -> bool:
        """Whether there is a rule of this name with this condition."""
        return name in self._rules and self._rules[name].when == when

    def judge(self, rule: Rule, facts: Facts) -> tuple[Truth, dict[str, Truth]]:
        """Whether a rule is true of the next clip, and the truth of the parts of its condition by their text."""
        return self._judges[rule.name].judge(facts)

    def hold_s(self, name: str) -> float:
        own = self._rules[name].hold_s
        return self._camera.hold_s if own is None else own

    def forget(self, seconds: float = math.inf) -> None:
        """After a gap of so long, conditions with a shorter hold time begin anew."""
        for name, judge in self._judges.items():
            if seconds > self.hold_s(name):
                judge.forget()
