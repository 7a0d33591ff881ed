"""What goes wrong in the thread that gives sources out is told, and a file that cannot be copied is labelled."""

from pathlib import Path
from typing import NoReturn

import pytest

from archive.compact import compact
from archive.copies import copy_rows
from archive.links import Links
from archive.local_store import LocalStore
from archive.run_claims import RunClaims
from archive.schema import Facts
from archive.shard import ShardError
from archive.supply import ArchiveSupply
from archive.tally import Tally
from archive.ticket import Ticket
from archive.verdict import Asked, Wanted
from pipeline.errors import PerceptError
from tests.archive.made import damage_rows, random_archive


class Odd(RunClaims):
    """Fails in a way that nobody has thought of."""

    def take(self, name: str) -> NoReturn:
        raise KeyError(name)


def test_a_failure_of_any_kind_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LocalStore(str(tmp_path))
    todo = [Wanted(str(tmp_path / "a.mp4"), "a.mp4")]
    supply = ArchiveSupply(store, Odd(store), Asked("", "", ""), Links(str(tmp_path)), todo, {}, Tally())
    supply.start()
    supply.finish()
    assert supply.is_over
    assert isinstance(supply.failure, PerceptError)
    assert str(supply.failure) == "sources are no longer claimed and copied, because of an error: KeyError: 'a.mp4'"
    assert "Traceback" in capsys.readouterr().err, "it is a bug"


def test_rows_in_a_damaged_file_of_many_are_not_copied(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3)
    compact(LocalStore(str(tmp_path)))
    damage_rows(tmp_path / "by-day/2026-01-01-1.parquet")
    with pytest.raises(ShardError, match=r"by-day/2026-01-01-1\.parquet: cannot be read"):
        copy_rows(
            LocalStore(str(tmp_path)),
            Facts(source="", name="videos/0/clip1.mp4"),
            Ticket(source="/data/b.mp4", name="b.mp4", path="/data/b.mp4"),
            "2026-01-02T00:00:00+00:00",
        )
    assert not (tmp_path / "b.mp4.parquet").exists()
