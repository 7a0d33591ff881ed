"""Sources of an archive, in folders and in S3, with names that hold everywhere."""

import json
import os
from pathlib import Path

import pytest

from commands.archive_sources import find_wanted
from pipeline.errors import ConfigError
from tests.commands.fake_archive import FakeArchive

BUCKET = "archive-test"


def test_names_begin_with_the_folder_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("videos/a.mp4", "videos/2024/b.mp4", "other/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)

    def named(*given: str) -> list[str]:
        return [each.name for each in find_wanted(given, recursive=True)]

    assert named("videos") == named(f"{tmp_path}/videos/") == ["videos/a.mp4", "videos/2024/b.mp4"]
    assert named("videos/**/*.mp4") == ["videos/2024/b.mp4", "videos/a.mp4"]
    assert named("other/c.mp4") == ["other/c.mp4"]
    monkeypatch.chdir(tmp_path / "videos")
    assert named(".") == ["videos/a.mp4", "videos/2024/b.mp4"]


def test_a_name_that_leads_nowhere_is_refused_but_not_one_in_a_list(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_text("here")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/gone.mp4\n{tmp_path}/there.mp4\n")
    with pytest.raises(ConfigError, match=r"typo: no such file or folder"):
        find_wanted([str(tmp_path / "typo")], recursive=False)
    assert [each.size for each in find_wanted([str(tmp_path / "list.txt")], recursive=False)] == [-1, 4]
    assert find_wanted([str(tmp_path / "typo")], recursive=False, may_be_empty=True, is_silent=True) == []


def test_secrets_of_addresses_are_in_no_name() -> None:
    (wanted,) = find_wanted(["https://me:hidden@host/a/b.mp4"], recursive=False)
    assert wanted.source == "https://me:hidden@host/a/b.mp4"
    assert "hidden" not in wanted.name


@pytest.mark.slow
def test_from_s3_into_s3(tmp_path: Path) -> None:
    pytest.importorskip("moto")
    from pipeline import s3
    from tests.archive.s3_server import s3_server, using

    archive = FakeArchive(tmp_path)
    with s3_server() as address, using(address):
        s3.client().create_bucket(Bucket=BUCKET)
        for name, content in (("a", "same"), ("b", "same"), ("c", "other")):
            key = f"films/videos/{name},clips=2,end=.mp4"
            s3.client().put_object(Bucket=BUCKET, Key=key, Body=content.encode())
        place = {"sources": f"s3://{BUCKET}/films", "output": f"s3://{BUCKET}/labels"}
        code, said = archive.label(**place)
        assert code == 0, said
        (found,) = (line for line in map(json.loads, said.splitlines()) if line["message"] == "account")
        assert (found["sources_labelled"], found["copied"], found["clips"]) == (3, 1, 6)
        code, said = archive.label(**place)
        assert code == 0
        assert '"done_before": 3' in said
        listed = s3.client().list_objects_v2(Bucket=BUCKET, Prefix="labels/")["Contents"]
        keys = {each["Key"] for each in listed}
        shards = {f"labels/films/videos/{name},clips=2,end=.mp4.parquet" for name in "abc"}
        assert shards <= keys
        assert {key for key in keys - shards if "/claims/" in key} == set()
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said
