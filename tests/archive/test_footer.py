"""Facts that are found quickly are those that Arrow finds, and what is odd is left to Arrow."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from archive import footer
from archive.footer import quick_facts_of
from archive.schema import Facts
from archive.shard import ForeignError, ShardError, facts_of
from tests.archive.made import clip_of, random_archive, write_shard


def quick(path: Path) -> Facts:
    with path.open("rb") as file:
        return quick_facts_of(file, path.name)


@pytest.mark.parametrize("labels", [(), ("dog",), tuple(f"label {number} é\x18" for number in range(500))])
def test_they_are_those_that_arrow_finds(
    tmp_path: Path, labels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "percept.archive\x18\x05"
    path = write_shard(tmp_path, "v/a.mp4", [clip_of(odd, 0, labels=[(odd, 0.5)])], labels=labels)
    expected = facts_of(path, "a")
    monkeypatch.setattr(footer, "facts_of", None)
    assert quick(path) == expected
    assert expected.labels == labels


def test_a_footer_longer_than_the_tail_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_shard(tmp_path, "v/a.mp4", [clip_of("/v/a.mp4", 0)])
    expected = facts_of(path, "a")
    monkeypatch.setattr(footer, "TAIL_BYTES", 100)
    monkeypatch.setattr(footer, "facts_of", None)
    assert quick(path) == expected


class Remote(io.BytesIO):
    """A file of which each read is a request, but at its end."""

    requests = 0

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.requests += count > 0
        return count


def test_a_file_in_s3_costs_one_request(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "v/a.mp4", [clip_of("/v/a.mp4", 0)], labels=tuple(map(str, range(1000))))
    remote = Remote(path.read_bytes())
    assert quick_facts_of(io.BufferedReader(remote, 1 << 20), "a") == facts_of(path, "a")
    assert remote.requests == 1


def test_what_is_damaged_or_of_others_is_refused_as_before(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=1)
    path = tmp_path / "videos/0/clip0.mp4.parquet"
    whole = path.read_bytes()
    for cut in (whole[:-9], whole[:100], whole[-100:], b"", b"PAR1"):
        path.write_bytes(cut)
        with pytest.raises(ShardError, match="is no whole Parquet file"):
            quick(path)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    with pytest.raises(ForeignError, match="percept label did not write it"):
        quick(path)
    path.write_bytes(whole.replace(b'"name":', b'"nome":'))
    with pytest.raises(ForeignError, match="another version of percept"):
        quick(path)
