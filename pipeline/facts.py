"""What workers say of their stages (engine, model), and which of it holds for a clip.

Workers of one group may differ: one fell back to another engine. A clip carries what those said that settled it, as a
number, because nearly all clips carry the same.
"""

Facts = dict[str, str]


class FactBook:
    """Number 0 stands for clips that no worker has settled anything of."""

    def __init__(self) -> None:
        self._said: list[dict[int, Facts]] = [{}]
        """Per number: what the worker said that settled the clip, by group."""
        self._joined: dict[tuple[int, int], int] = {}
        self._common: dict[int, Facts] = {}
        """By group: what all its workers say; nothing where they differ."""
        self._merged: dict[int, Facts] = {}

    def enter(self, group: int, facts: Facts) -> int:
        """The number for clips that only a worker of this group that says this has settled."""
        self._merged.clear()
        self._common[group] = facts if self._common.get(group, facts) == facts else {}
        return self._number({group: facts})

    def join(self, number: int, other: int) -> int:
        """The number for clips that both stand for; the other wins where they speak of the same group."""
        joined = self._joined.get((number, other))
        if joined is None:
            joined = self._joined[number, other] = self._number(self._said[number] | self._said[other])
        return joined

    def of(self, number: int) -> Facts:
        """All groups' facts in one. A group that did not settle the clip has a say if its workers agree."""
        merged = self._merged.get(number)
        if merged is None:
            said = self._common | self._said[number]
            merged = {name: text for group in sorted(said) for name, text in said[group].items()}
            self._merged[number] = merged
        return merged

    def _number(self, said: dict[int, Facts]) -> int:
        if said not in self._said:
            self._said.append(said)
        return self._said.index(said)
