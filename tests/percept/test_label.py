"""`percept.label` in a process of its own."""

from pathlib import Path

import pytest

import percept
from tests.commands.fake_archive import FakeArchive


def test_an_archive_is_labelled_and_accounted_for(tmp_path: Path) -> None:
    archive = FakeArchive(tmp_path)
    archive.add("a", "clips=3")
    archive.add("b", "clips=1,unopenable=1")
    done = percept.label(archive.videos, archive.labels, ["anything"], config=archive.config)
    assert (done.sources.labelled, done.sources.failed, done.sources.skipped) == (1, 1, 0)
    assert (done.clips.total, done.seconds.labelled, done.archive) == (3, 6.0, str(archive.labels))
    assert archive.facts("a").labels == ("anything",)
    with pytest.raises(percept.ConfigError, match="percept relabel"):
        percept.label(archive.videos, archive.labels, ["else"], config=archive.config)
