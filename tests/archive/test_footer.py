"""Facts that are found quickly are those that Arrow finds, and what is odd is left to Arrow."""

from pathlib import Path

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


def test_a_footer_longer_than_the_tail_is_read_by_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_shard(tmp_path, "v/a.mp4", [clip_of("/v/a.mp4", 0)])
    monkeypatch.setattr(footer, "TAIL_BYTES", 100)
    assert quick(path) == facts_of(path, "a")


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
