"""Sources are opened in a process that can be killed, one after the other."""

import os
from pathlib import Path

import pytest

import pipeline.probe
from pipeline.build import make_plan
from pipeline.config import make_config
from pipeline.plan import Plan
from pipeline.probe import probe
from tests.media import make_sound
from tests.pipeline.fakes import CLIP_NS, fake_config

DEADLINES = {"open_s": 0.5}


@pytest.fixture
def plan() -> Plan:
    return make_plan(make_config(fake_config(deadlines=DEADLINES)))


def test_every_source_is_described_or_has_an_error_in_order(plan: Plan) -> None:
    sources = ["fake:clips=3", "fake:unopenable=1", "fake:nothing", "fake:clips=1"]
    found = list(probe(plan, sources))
    assert [each.source for each in found] == sources
    assert [each.info.duration_ns if each.info else None for each in found] == [3 * CLIP_NS, None, None, CLIP_NS]
    assert [each.error for each in found] == [
        "",
        "fake:unopenable=1: cannot be opened. Give a file that can.",
        "fake:nothing: IndexError: list index out of range",
        "",
    ]


def test_many_sources_are_given_to_several_processes(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.probe, "MOST_AT_ONCE", 2)
    sources = [f"fake:clips={count}" for count in (1, 2, 3)]
    found = list(probe(plan, sources))
    assert [each.info and each.info.duration_ns for each in found] == [CLIP_NS, 2 * CLIP_NS, 3 * CLIP_NS]


def test_a_reader_that_dies_costs_only_its_source(plan: Plan) -> None:
    found = list(probe(plan, ["fake:open_die=1", "fake:clips=2"]))
    assert [each.error for each in found] == ["fake:open_die=1: cannot be opened: its reader died", ""]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("fake:open_die=1", "cannot be opened: its reader died"),
        (
            "fake:open_hang=1",
            "cannot be opened: no answer within 0.5 s. Is it a pipe, or a server that is silent?",
        ),
    ],
    ids=["dies", "hangs"],
)
def test_a_source_that_fails_between_others_is_the_one_that_is_named(plan: Plan, bad: str, error: str) -> None:
    found = list(probe(plan, ["fake:clips=1", bad, "fake:clips=2"]))
    assert [each.error for each in found] == ["", f"{bad}: {error}", ""]
    assert [each.source for each in found] == ["fake:clips=1", bad, "fake:clips=2"]


def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, silent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real reader."""
    talk = make_sound(tmp_path / "talk.wav", 2.0)
    plan = make_plan(make_config({"modalities": ["audio"], "deadlines": DEADLINES}))
    found = probe(plan, [silent_url, str(talk)])
    monkeypatch.setattr(pipeline.probe, "_START_S", 1.0)  # no need to wait longer for the first process to start
    blocked = next(found)
    monkeypatch.undo()
    (open,) = found
    assert blocked.error.startswith(f"{silent_url}: cannot be opened: no answer within 0.5 s")
    assert open.info is not None
    assert open.info.has_audio


def test_nothing_is_started_for_no_sources(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *arguments, **options: pytest.fail("a process was started"))
    assert list(probe(plan, [])) == []


def test_the_process_ends_when_nobody_wants_the_rest(plan: Plan) -> None:
    found = probe(plan, ["fake:clips=1", "fake:open_hang=1"])
    next(found)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (child,) = (each for each in children if "pipeline.probe" in Path(f"/proc/{each}/cmdline").read_text())
    found.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{child}").exists()
