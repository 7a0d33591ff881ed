"""What was opened stays open until others need the room."""

from collections.abc import Iterator
from contextlib import contextmanager

from commands.kept import MOST, Kept


def test_what_was_used_longest_ago_gives_way() -> None:
    told = list[str]()

    @contextmanager
    def opening(name: str) -> Iterator[str]:
        told.append(f"open {name}")
        yield name
        told.append(f"close {name}")

    with Kept() as kept:
        for name in ("a", "b", "c", "a", "d"):
            assert kept.open([name], lambda name=name: opening(name)) == name  # type: ignore[misc]
        assert told == ["open a", "open b", "open c", "close b", "open d"]
        assert MOST == 3
    assert set(told[-3:]) == {"close a", "close c", "close d"}
