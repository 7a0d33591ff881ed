"""A session keeps one process with its networks for many calls."""

from collections.abc import Iterator

import pytest

import percept
from tests.evidence.test_explaining import SAMPLE

FAST = {"model.engine": "torch", "model.device": "cpu"}


@pytest.fixture(scope="module")
def session() -> Iterator[percept.Session]:
    with percept.Session() as opened:
        yield opened


def process(session: percept.Session) -> int:
    assert session._child is not None
    return session._child._process.pid


def test_one_process_answers_for_several_labels_and_after_an_error(session: percept.Session) -> None:
    first = percept.explain(SAMPLE, 4.5, "rain", settings=FAST, session=session)
    pid = process(session)
    other = percept.explain(SAMPLE, 4.5, "sheep bleating", settings=FAST, session=session)
    with pytest.raises(percept.SourceError, match="has nothing at 450 s"):
        percept.explain(SAMPLE, 450, "rain", settings=FAST, session=session)
    again = percept.explain(SAMPLE, 4.5, "rain", settings=FAST, session=session)
    assert [first.label, other.label] == ["rain", "sheep bleating"]
    assert max(other.shares, key=lambda name: other.shares[name]) == "image"
    assert again == first
    assert process(session) == pid


def test_names_of_files_begin_in_the_folder_of_the_call(
    session: percept.Session, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("here")
    (folder / "own.txt").write_text("no film")
    monkeypatch.chdir(folder)
    with pytest.raises(percept.SourceError, match=r"own\.txt: (?!no such file)"):
        percept.explain("own.txt", 0.0, "rain", settings=FAST, session=session)


def test_a_call_after_the_process_has_died_starts_another(session: percept.Session) -> None:
    with pytest.raises(percept.ConfigError, match="--most 0"):
        percept.find(SAMPLE, "sheep", most=0, session=session)
    assert session._child is not None
    session._child._process.kill()
    with pytest.raises(percept.PerceptError, match="percept find was killed by signal 9"):
        percept.find(SAMPLE, "sheep", most=0, session=session)
    with pytest.raises(percept.ConfigError, match="--most 0"):
        percept.find(SAMPLE, "sheep", most=0, session=session)


def test_a_closed_session_has_no_process() -> None:
    session = percept.Session()
    session.close()
    with pytest.raises(percept.ConfigError, match="--most 0"):
        percept.find(SAMPLE, "sheep", most=0, session=session)
    assert session._child is not None
    child = session._child._process
    session.close()
    assert child.returncode == 0
    assert repr(session) == "<percept.Session: not open>"
