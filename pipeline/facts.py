"""The facts that workers report about their stages (engine, model), and which facts apply to a clip.

Workers of one group may differ, because one fell back to another engine. A clip refers by number to the facts of the
workers that settled it, since nearly all clips share the same facts.
"""

Facts = dict[str, str]


class FactBook:
    """Numbers sets of facts. Number 0 is for clips that no worker has settled anything for."""

    def __init__(self) -> None:
        self._sets: list[dict[int, Facts]] = [{}]
        """Per number: the facts by group, from the workers that settled the clip."""
        self._joined: dict[tuple[int, int], int] = {}
        self._common: dict[int, Facts] = {}
        """By group: the facts on which all its workers agree; empty if they differ."""
        self._merged: dict[int, Facts] = {}

    def enter(self, group: int, facts: Facts) -> int:
        """The number for clips that only a worker of this group, with these facts, has settled."""
        self._merged.clear()
        self._common[group] = facts if self._common.get(group, facts) == facts else {}
        return self._number({group: facts})

    def join(self, number: int, other: int) -> int:
        """The number for the facts of both; `other` wins for a group that is in both."""
        joined = self._joined.get((number, other))
        if joined is None:
            joined = self._joined[number, other] = self._number(self._sets[number] | self._sets[other])
        return joined

    def of(self, number: int) -> Facts:
        """The facts of all groups. A group that did not settle the clip contributes if its workers agree."""
        merged = self._merged.get(number)
        if merged is None:
            facts = self._common | self._sets[number]
            merged = {name: text for group in sorted(facts) for name, text in facts[group].items()}
            self._merged[number] = merged
        return merged

    def _number(self, facts: dict[int, Facts]) -> int:
        if facts not in self._sets:
            self._sets.append(facts)
        return self._sets.index(facts)
