"""What one decoder of a stream tells another that goes on in its place: nothing is lost, and nothing comes twice."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any


class Handover:
    """The packets of a stream from a key frame on, as far back as another decoder needs them for what is still owed.

    Pictures have times that are all different, and are given in the order of these times.
    """

    def __init__(self, under_way: bool = False) -> None:
        """under_way: pictures shown before the first key frame lack references, and are not given."""
        self.size = 0
        """Bytes that are held."""
        self.last: int | None = None
        """When the latest picture that was given is shown, in ticks."""
        self._groups: deque[list[Any]] = deque()
        """Each begins with a key frame, but for the first."""
        self._owed: dict[int, Any] = {}
        """Packets whose pictures have not been given, by time."""
        self._under_way = under_way

    def sent(self, packet: Any) -> str:
        """A packet goes to a decoder. Returns why its picture will not come in order, or "" if it will."""
        ticks = packet.pts
        if packet.is_keyframe or not self._groups:
            self._groups.append([])
            self._forget()
        self._groups[-1].append(packet)
        self.size += packet.size
        if ticks is None:
            return "a picture has no time"
        if ticks < (self.first.pts or 0):
            return "" if self._under_way else "pictures are shown before the first key frame"
        if ticks in self._owed or (self.last is not None and ticks <= self.last):
            return "a picture has the time of another, or comes late"
        self._owed[ticks] = packet
        return ""

    def owed(self, ticks: int | None) -> Any | None:
        """The packet of a picture that has not been given yet; None if there is none."""
        return None if ticks is None else self._owed.get(ticks)

    def gave(self, ticks: int) -> None:
        self.last = ticks
        self._owed.pop(ticks, None)

    @property
    def earliest(self) -> int | None:
        """When the first picture that is owed is shown."""
        return min(self._owed, default=None)

    @property
    def first(self) -> Any:
        """The packet with which everything began, as long as it is held."""
        return self._groups[0][0]

    def is_past(self, ticks: int | None) -> bool:
        """Whether the picture of a time is not to be given any more."""
        begin = self.last if self.last is not None else self.first.pts - 1
        return ticks is not None and ticks not in self._owed and ticks <= begin

    def copy(self) -> "Handover":
        other = Handover(self._under_way)
        other.size, other.last = self.size, self.last
        other._groups, other._owed = deque(map(list, self._groups)), dict(self._owed)
        return other

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._groups)

    def _forget(self) -> None:
        """Forget what neither the pictures that are owed nor those that they refer to need.

        A picture shown before a key frame and sent after it refers to the group before.
        """
        while len(self._groups) > 2 and not any(self._is_owed(group) for group in (self._groups[0], self._groups[1])):
            self.size -= sum(packet.size for packet in self._groups.popleft())

    def _is_owed(self, group: Iterable[Any]) -> bool:
        return any(packet.pts in self._owed for packet in group)
