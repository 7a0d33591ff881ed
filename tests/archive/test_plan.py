"""What is to be done with a source, and which archives are left alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from archive.plan import plan_work
from archive.schema import ARCHIVE_VERSION, Facts, Fingerprint
from archive.settings import settings_of
from archive.tally import account_lines
from archive.verdict import Asked, Damaged, Foreign, Known, Wanted, misfit_of, verdict_of
from pipeline.config import Config
from pipeline.errors import ConfigError

ASKED = Asked(config="c", words="w", model="m@1")
WANTED = Wanted("/v/a.mp4", "v/a.mp4", 10, 5)
FACTS = Facts(
    source="/v/a.mp4", name="v/a.mp4", config="c", words="w", model="m@1", fingerprint=Fingerprint(10, 5, "h"), clips=3,
    labelled=2, failed=1, seconds=4, failed_seconds=2,
)  # fmt: skip


def facts(**changed: Any) -> Facts:
    return msgspec.structs.replace(FACTS, **changed)


@pytest.mark.parametrize(
    ("known", "asked", "verdict"),
    [
        (None, ASKED, "new"),
        (FACTS, ASKED, "done"),
        (Damaged("cut"), ASKED, "damaged"),
        (Foreign("of others"), ASKED, "foreign"),
        (facts(fingerprint=Fingerprint(11, 5, "h")), ASKED, "changed"),
        (facts(fingerprint=None), ASKED, "changed"),
        (facts(fingerprint=Fingerprint(10, 4, "h")), ASKED, "unsure"),
        (facts(fingerprint=Fingerprint(10, 5, "h", True)), replace(ASKED, whole=True), "unsure"),
        (FACTS, replace(ASKED, whole=True), "done"),
        (facts(error="broken"), ASKED, "failed"),
        (facts(error="broken"), replace(ASKED, retry_failed=True), "again"),
        (FACTS, replace(ASKED, retry_failed=True), "again"),
        (facts(failed=0), replace(ASKED, retry_failed=True), "done"),
        (facts(words="x"), ASKED, "misfit"),
        (facts(words="x"), replace(ASKED, redo=True), "again"),
    ],
)
def test_verdicts(known: Known | None, asked: Asked, verdict: str) -> None:
    assert verdict_of(WANTED, known, asked) == verdict


def test_in_what_a_file_differs_the_gravest_first() -> None:
    assert misfit_of(FACTS, ASKED) == ""
    assert misfit_of(facts(words="x"), ASKED) == "words"
    assert misfit_of(facts(words="x", config="x"), ASKED) == "config"
    assert misfit_of(facts(config="x", model="m@2"), ASKED) == "model"
    assert misfit_of(facts(version=ARCHIVE_VERSION + 1, model="m@2"), ASKED) == "version"
    assert misfit_of(facts(model=""), ASKED) == ""


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"words": "x"}, r"labels/: 2 files \(such as v/a.mp4\) have been labelled with other words.*percept relabel"),
        ({"config": "x"}, "labelled with other settings"),
        ({"model": "m@0"}, "labelled by the model m@0, not by m@1"),
        ({"version": 99}, f"written in version 99 of the archive's format, not {ARCHIVE_VERSION}"),
    ],
)
def test_a_misfit_anywhere_in_the_archive_is_refused_with_a_remedy(changed: dict[str, Any], text: str) -> None:
    known: dict[str, Known] = {"v/a.mp4": facts(**changed), "v/b.mp4": facts(**changed)}
    with pytest.raises(ConfigError, match=text) as error:
        plan_work([], known, ASKED, "labels/")
    assert "--redo" in str(error.value)


def settings(**clips: Any) -> dict[str, Any]:
    """As they come back from a file."""
    config = msgspec.convert({"clips": clips, "modalities": ["image", "audio"]}, Config)
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings_of(config)))
    return found


def test_settings_that_differ_are_named_as_far_as_files_tell() -> None:
    def refused(before: dict[str, Any] | None, now: dict[str, Any] | None) -> str:
        known: dict[str, Known] = {"v/a.mp4": facts(config="x", settings=before)}
        with pytest.raises(ConfigError) as error:
            plan_work([], known, replace(ASKED, settings=now), "labels/")
        return str(error.value).partition("labelled with other settings")[2].partition(". Give")[0]

    assert settings() == {"modalities": ["image", "audio"]}
    assert refused(settings(fps=4.0), settings(fps=6.0, shots=True)) == (
        ": clips.fps was 4.0, is 6.0; clips.shots was false, is true"
    )
    assert refused(settings(), settings(end_s=3.0)) == ": clips.end_s was not set, is 3.0"
    assert refused({}, settings()).startswith(': modalities was ["image", "motion", "audio"], is ["image", "audio"]')
    assert (
        refused(settings(), settings())
        == refused(None, settings())
        == refused(settings(), None)
        == ", or by an earlier percept"
    )
    many = refused({}, {f"stages.a.{number}": number for number in range(8)})
    assert many.count(" was ") == 5
    assert many.endswith("; 3 more")


def test_redo_needs_all_sources_that_were_labelled_otherwise() -> None:
    known: dict[str, Known] = {"v/a.mp4": facts(words="x"), "v/b.mp4": facts(words="x")}
    asked = replace(ASKED, redo=True)
    with pytest.raises(ConfigError, match=r"1 file \(such as v/b.mp4\) has been labelled otherwise.*name all sources"):
        plan_work([WANTED], known, asked, "labels/")
    work = plan_work([WANTED, Wanted("/v/b.mp4", "v/b.mp4", 10, 5)], known, asked, "labels/")
    assert [each.name for each in work.todo] == ["v/a.mp4", "v/b.mp4"]


def test_a_file_that_is_not_ours_is_not_overwritten() -> None:
    known: dict[str, Known] = {"v/a.mp4": Foreign("v/a.mp4: is not a file of an archive")}
    for asked in (ASKED, replace(ASKED, redo=True)):
        with pytest.raises(ConfigError, match="Move it out of labels/"):
            plan_work([WANTED], known, asked, "labels/")
    assert plan_work([], known, ASKED, "labels/").todo == []


def test_two_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "v").mkdir(parents=True)
        (tmp_path / name / "v" / "a.mp4").write_text(name)
    wanted = Wanted(str(tmp_path / "other/v/a.mp4"), "v/a.mp4", 5, 1)
    known: dict[str, Known] = {"v/a.mp4": facts(source=str(tmp_path / "one/v/a.mp4"))}
    with pytest.raises(ConfigError, match=r"one/v/a.mp4, and .*other/v/a.mp4 is another file"):
        plan_work([wanted], known, ASKED, "labels/")
    (tmp_path / "one/v/a.mp4").unlink()
    assert plan_work([wanted], known, ASKED, "labels/").todo == [wanted], "it was moved"


def test_the_account_of_what_is_skipped_and_left_adds_up() -> None:
    wanted = [replace(WANTED, name=f"v/{name}.mp4") for name in "abc"]
    known: dict[str, Known] = {"v/a.mp4": FACTS, "v/b.mp4": facts(error="broken", labelled=0, failed=0, seconds=0)}
    tally = plan_work(wanted, known, ASKED, "labels/").tally
    assert account_lines(tally) == [
        "3 sources = 0 labelled + 0 failed + 2 skipped (1 done before, "
        "1 failed before; --retry-failed tries them again)"
        " + 1 left",
        "3 clips = 0 labelled + 0 failed + 3 skipped",
        "8.0 seconds = 0.0 labelled + 0.0 failed + 8.0 skipped",
    ]
    tally.add(facts(same_as="v/x.mp4", name="v/c.mp4"))
    assert account_lines(tally)[0].startswith("3 sources = 1 labelled (1 of them copied from the same content) + 0")
    assert "left" not in account_lines(tally)[0]


def test_a_source_that_changes_after_it_was_counted_is_counted_once() -> None:
    broken, whole = facts(error="broken", labelled=0, failed=0, seconds=0), facts()
    known: dict[str, Known] = {WANTED.name: broken}
    tally = plan_work([WANTED, replace(WANTED, name="v/c.mp4")], known, ASKED, "labels/", follows=True).tally
    tally.add(facts(name="v/c.mp4", error="half there", labelled=0, failed=1, seconds=0))
    for each in (whole, facts(name="v/c.mp4")):
        tally.again(each.name)
        tally.wanted += 1
        tally.add(each)
    assert account_lines(tally)[0] == "2 sources = 2 labelled + 0 failed + 0 skipped"
    assert account_lines(tally)[1] == "6 clips = 4 labelled + 2 failed + 0 skipped"
    assert tally.reasons.failed_before == 0
