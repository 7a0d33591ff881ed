"""`percept export` as a command: what it says, and how it ends."""

from pathlib import Path

import pytest

from commands.main import main
from tests.archive.made import clip_of, write_shard


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.mp4"):
        write_shard(tmp_path / "labels", f"videos/{name}", [clip_of(f"/v/{name}", 0, None, [("dog", 0.9)])])
    return tmp_path / "labels"


def test_files_are_written_and_counted(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(archive), "--as", "vtt", "-o", str(tmp_path / "out")]) == 0
    assert f"wrote 2 files to {tmp_path / 'out'}: 2 events" in capsys.readouterr().err
    assert (tmp_path / "out" / "videos" / "a.mp4.vtt").read_text().endswith("\ndog\n")
    assert main(["export", str(archive), "--as", "vtt", "-o", str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_only_named_sources_are_written(archive: Path, tmp_path: Path) -> None:
    assert main(["export", str(archive), "--as", "csv", "-o", str(tmp_path / "out"), "--source", "b.mp4"]) == 0
    assert [path.name for path in (tmp_path / "out").rglob("*.csv")] == ["b.mp4.csv"]


def test_a_damaged_file_is_told_and_ends_with_1(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archive / "videos" / "b.mp4.parquet").write_bytes(b"PAR1")
    assert main(["export", str(archive), "--as", "mot", "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "videos/b.mp4.parquet: is no whole Parquet file" in said
    assert "wrote 1 file" in said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone", "--as", "vtt", "-o", "out"], "gone: no such folder; expected an archive"),
        (
            ["empty", "--as", "vtt", "-o", "out"],
            "empty: has no file of an archive. Make one: percept label videos/ -o empty",
        ),
        (["labels", "--as", "vtx", "-o", "out"], "invalid choice: 'vtx'"),
        (["labels", "--as", "vtt"], "required: -o/--output"),
        (["labels", "--as", "vtt", "-o", "out", "--min-probability", "7"], "is not a probability"),
        (["labels", "--as", "vtt", "-o", "labels/videos/a.mp4.parquet"], "is a file; expected a folder"),
    ],
)
def test_mistakes_are_told(
    archive: Path, arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(archive.parent)
    Path("empty").mkdir()
    assert main(["export", *arguments]) == 2
    assert text in capsys.readouterr().err
