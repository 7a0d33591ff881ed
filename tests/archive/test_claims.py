"""Claims: one holder at a time, until it ends or has long said nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.claims import CLAIM_OF_ALL, Claims, Holder, key_of
from archive.store import CLAIMS, LocalStore

NAME = "videos/a.mp4"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Claims]:
    return lambda **options: Claims(LocalStore(str(tmp_path)), **options)


def of_another_machine(tmp_path: Path, key: str, age_s: float, **more: str) -> Path:
    """A claim of a process elsewhere, renewed a while ago."""
    path = tmp_path / CLAIMS / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vars(Holder("elsewhere", "another machine", 1, "1")) | more))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_source_has_one_holder(make: Callable[..., Claims]) -> None:
    one, other = make(), make()
    assert one.take(NAME)
    assert not other.take(NAME)
    assert other.holder_of(NAME).holder == Holder.here()  # type: ignore[union-attr]
    one.release(NAME)
    assert other.take(NAME)
    other.stop()
    assert one.holder_of(NAME) is None


def test_a_claim_expires_when_it_is_not_renewed(make: Callable[..., Claims], tmp_path: Path) -> None:
    of_another_machine(tmp_path, key_of(NAME), age_s=100)
    assert not make().take(NAME)
    assert make(expires_s=90).take(NAME)


def test_the_claim_of_a_process_that_is_dead_is_taken_over_at_once(make: Callable[..., Claims], tmp_path: Path) -> None:
    code = (
        "import os\nfrom archive.claims import Claims\nfrom archive.store import LocalStore\n"
        f"assert Claims(LocalStore({str(tmp_path)!r})).take({NAME!r})\nprint(flush=True)\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        assert not make().take(NAME), "it is alive"
        holder.kill()
        holder.wait(timeout=30)
        assert make().take(NAME)


def test_held_claims_are_renewed_and_others_tidied_away(make: Callable[..., Claims], tmp_path: Path) -> None:
    stale = of_another_machine(tmp_path, key_of("b"), age_s=1000)
    fresh = of_another_machine(tmp_path, key_of("c"), age_s=1)
    claims = make(beat_s=0.05)
    claims.take(NAME)
    path = tmp_path / CLAIMS / key_of(NAME)
    os.utime(path, (0, 0))
    claims.start()
    until_s = time.monotonic() + 30
    while path.stat().st_mtime < 1:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    claims.stop()
    assert (path.exists(), stale.exists(), fresh.exists()) == (False, False, True)


def test_runs_agree_on_how_they_label(make: Callable[..., Claims], tmp_path: Path) -> None:
    one, same, other = make(), make(), make()
    assert one.agree("words 1") is None
    assert same.agree("words 1") is None
    assert other.agree("words 2").holder == Holder.here()  # type: ignore[union-attr]
    one.stop()
    assert other.agree("words 2") is None
    other.stop()
    of_another_machine(tmp_path, CLAIM_OF_ALL, age_s=1000, terms="words 1")
    assert make().agree("words 3") is None
