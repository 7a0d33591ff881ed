"""Claims of runs: those of the dead are taken over, and all runs of an archive label in the same way."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from archive.claims import key_of
from archive.entries import CLAIMS
from archive.process import Process, this_process
from archive.run_claims import SHARED, RunClaims, RunHolder
from archive.store import store_of

NAME = "videos/a.mp4"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., RunClaims]:
    return lambda *more, **options: RunClaims(store_of(str(tmp_path)), *more, **options)


def of_another_machine(tmp_path: Path, key: str, age_s: float, terms: str = "") -> Path:
    """A claim of a process elsewhere, renewed a while ago."""
    path = tmp_path / CLAIMS / key
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = RunHolder("n", "elsewhere", 1, "t", Process("another machine", 1, "1"), terms)
    path.write_bytes(msgspec.json.encode(holder))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_process_is_dead_when_it_has_ended_or_its_number_is_that_of_another() -> None:
    here = this_process()
    assert not here.is_dead
    assert Process(here.where, here.pid, "1").is_dead
    assert not Process("another machine", here.pid, "1").is_dead
    assert not Process().is_dead


def test_the_claim_of_a_process_that_was_killed_is_taken_over_at_once(
    make: Callable[..., RunClaims], tmp_path: Path
) -> None:
    code = (
        "from archive.run_claims import RunClaims\nfrom archive.store import store_of\n"
        f"assert RunClaims(store_of({str(tmp_path)!r})).take({NAME!r})\nprint(flush=True)\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        assert not make().take(NAME)
        assert make().is_alive(NAME)
        holder.kill()
        holder.wait(timeout=30)
        assert make().is_alive(NAME) is False
        assert make().take(NAME)
        assert not make().take(NAME), "it is that of a living process now"


@pytest.mark.parametrize(("age_s", "is_alive"), [(0, True), (50, True), (80, None), (130, False)])
def test_whether_one_elsewhere_is_alive_is_known_when_it_is_renewed_or_expires(
    make: Callable[..., RunClaims], tmp_path: Path, age_s: float, is_alive: bool | None
) -> None:
    of_another_machine(tmp_path, key_of(NAME), age_s)
    assert make().is_alive(NAME) is is_alive
    assert make().take(NAME) is (is_alive is False)


def test_runs_agree_on_how_they_label(make: Callable[..., RunClaims], tmp_path: Path) -> None:
    one, same, other = make(terms="words 1"), make(terms="words 1"), make(terms="words 2")
    with one:
        assert one.agree() is None
        with same:
            assert same.agree() is None
            assert other.agree().pid == os.getpid()  # type: ignore[union-attr]
        assert other.agree() is not None, "the one that made it goes on"
    assert other.agree() is None


def test_the_shared_claim_outlives_the_run_that_made_it_but_not_all(
    make: Callable[..., RunClaims], tmp_path: Path
) -> None:
    one, same, other = make(terms="words 1"), make(terms="words 1"), make(terms="words 2")
    with same:
        with one:
            assert one.agree() is None
            assert same.agree() is None
        same.renew()
        assert other.agree() is not None
    assert other.agree() is None
    path = of_another_machine(tmp_path, SHARED, age_s=100, terms="words 1")
    assert make(terms="words 3").agree().host == "elsewhere"  # type: ignore[union-attr]
    os.utime(path, (0, 0))
    assert make(terms="words 3").agree() is None
