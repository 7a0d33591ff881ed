"""Newest wins: which clip of a live source is worked on, which one waits, and which one that makes superfluous.

Per place, which is one source in one group of stages, at most one clip is in work and one waits. No clocks, sockets or
processes.
"""

Place = tuple[int, int]
"""A source and a group, by their numbers."""


class Admission:
    """Says which clip is superseded. A clip in work never is."""

    def __init__(self) -> None:
        self._waiting: dict[Place, int] = {}
        self._working: dict[Place, int] = {}

    def arrive(self, place: Place, index: int) -> int | None:
        """A clip waits from now on. Returns the one that it supersedes: the older of the two that would wait."""
        before = self._waiting.get(place)
        self._waiting[place] = index if before is None else max(before, index)
        return None if before is None else min(before, index)

    def may_begin(self, place: Place) -> bool:
        """Whether no clip is in work there."""
        return place not in self._working

    def begin(self, place: Place, index: int) -> None:
        """The waiting clip is worked on."""
        assert self._waiting.pop(place) == index, f"clip {index} of {place} does not wait"
        assert place not in self._working, f"clip {self._working[place]} of {place} is in work"
        self._working[place] = index

    def give_back(self, place: Place, index: int) -> int | None:
        """A clip in work waits again, because its process died. Returns the clip that is superseded by that."""
        assert self._working.pop(place) == index, f"clip {index} of {place} is not in work"
        return self.arrive(place, index)

    def leave(self, place: Place, index: int) -> None:
        """A clip is settled, or given up elsewhere. It need not be here."""
        for clips in (self._working, self._waiting):
            if clips.get(place) == index:
                del clips[place]
