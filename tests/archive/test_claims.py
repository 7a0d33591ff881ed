"""Claims between processes: one has a source, and a dead one's is taken over by one of many."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from itertools import chain
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from archive.claims import Claims, key_of
from archive.entries import CLAIMS
from archive.store import store_of

forked = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with forked.Pool(6) as made:
        yield made


def take_all(folder: str, names: list[str], expiry_s: float) -> list[str]:
    claims = Claims(store_of(folder), expiry_s)
    return [name for name in names if claims.take(name)]


def age(folder: Path, seconds: float) -> None:
    """Make all claims look older."""
    for path in (folder / CLAIMS).iterdir():
        then_ns = path.stat().st_mtime_ns - int(seconds * 1e9)
        os.utime(path, ns=(then_ns, then_ns))


def race(pool: Pool, folder: Path, names: list[str]) -> list[str]:
    """What six processes that all want the same sources get, together."""
    return sorted(chain(*pool.starmap(take_all, [(str(folder), names, 60)] * 6)))


def test_each_source_is_claimed_by_one_of_many_processes(tmp_path: Path, pool: Pool) -> None:
    names = [f"v/{number}.mp4" for number in range(100, 200)]
    assert race(pool, tmp_path, names) == names


def test_an_expired_claim_is_taken_over_exactly_once(tmp_path: Path, pool: Pool) -> None:
    names = [f"v/{number}.mp4" for number in range(100, 200)]
    assert take_all(str(tmp_path), names, 60) == names
    assert race(pool, tmp_path, names) == [], "they are fresh"
    age(tmp_path, 100)
    assert race(pool, tmp_path, names) == names


def test_clocks_of_machines_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert take_all(str(tmp_path), ["a"], 60) == ["a"]
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert take_all(str(tmp_path), ["a"], 60) == []
    monkeypatch.setattr(time, "time", lambda: 0.0)
    age(tmp_path, 100)
    assert take_all(str(tmp_path), ["a"], 60) == ["a"]


def hold(folder: str, ready: Event) -> None:
    with Claims(store_of(folder), 0.8) as claims:
        assert claims.take("a")
        ready.set()
        time.sleep(60)


def test_a_living_holder_keeps_its_claim_and_a_killed_one_loses_it(tmp_path: Path) -> None:
    ready = forked.Event()
    holder = forked.Process(target=hold, args=(str(tmp_path), ready))
    holder.start()
    assert ready.wait(30)
    other = Claims(store_of(str(tmp_path)), 30)
    found = other.holder("a")
    assert found is not None
    assert (found.name, found.pid) == ("a", holder.pid)
    key = key_of("a")
    stamps = set()
    until_s = time.monotonic() + 30
    while len(stamps) < 4 and time.monotonic() < until_s:
        stamps.add((tmp_path / CLAIMS / key).stat().st_mtime_ns)
        assert not other.take("a")
        time.sleep(0.05)
    assert len(stamps) == 4, "it is renewed"
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join(30)
    impatient = Claims(store_of(str(tmp_path)), 0.8)
    while not impatient.take("a"):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert impatient.holder("a").pid == os.getpid()  # type: ignore[union-attr]


def test_who_was_taken_for_dead_learns_of_it_and_takes_nothing_away(tmp_path: Path) -> None:
    one, other = (Claims(store_of(str(tmp_path)), 60) for _ in range(2))
    assert one.take("a")
    assert one.take("b")
    age(tmp_path, 100)
    assert other.take("a")
    assert one.is_held("a"), "as far as it knows"
    assert one.renew() == ["a"]
    assert not one.is_held("a")
    assert one.is_held("b")
    one.release("a")
    assert not one.take("a"), "the other's claim is still there"
    assert other.renew() == []
    other.release("a")
    assert other.holder("a") is None
    assert one.take("a")


def test_at_the_end_claims_are_released(tmp_path: Path) -> None:
    with Claims(store_of(str(tmp_path)), 60) as claims:
        assert claims.take("a")
        assert claims.take("b")
    assert take_all(str(tmp_path), ["a", "b"], 60) == ["a", "b"]


def test_a_claim_whose_writer_died_over_it_expires(tmp_path: Path) -> None:
    (tmp_path / CLAIMS).mkdir(parents=True)
    (tmp_path / CLAIMS / key_of("a")).write_bytes(b"")
    assert take_all(str(tmp_path), ["a"], 60) == []
    assert Claims(store_of(str(tmp_path)), 60).holder("a") is None
    age(tmp_path, 100)
    assert take_all(str(tmp_path), ["a"], 60) == ["a"]
