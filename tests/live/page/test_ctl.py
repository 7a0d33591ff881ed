"""The client of the Unix socket."""

from pathlib import Path

import pytest

from live.page.ctl import Control, Refusal
from pipeline.errors import PerceptError
from pipeline.result import Label
from tests.live.page.conftest import start
from tests.live.page.fake_watch import FakeWatch, event
from tests.live.page.test_app import until


@pytest.fixture(scope="module")
def control(watch: FakeWatch) -> Control:
    return Control(watch.directory)


def test_a_watch_is_asked_and_changed_without_a_token(watch: FakeWatch, control: Control) -> None:
    watch.say("drive", [Label("delivery van", 0.9, 0.9)])
    assert until(lambda: control.status()["account"]["results"]) == 1
    assert control.settings()["settings"]["cameras"][0]["name"] == "front-door"
    assert control.camera("drive")["camera"]["url"] == "***"
    watch.say_events([event("e", "drive", "delivery van")])
    assert [found["id"] for found in control.events(camera="drive", limit=5)["events"]] == ["e"]
    before = len(watch.asked)
    assert control.change("drive", {"labels": ["cat"]}) == {"ok": True, "version": 2}
    control.add({"name": "barn", "url": "rtsp://barn/1"})
    control.remove("front-door")
    control.save()
    control.test_alert()
    assert [command["do"] for command in watch.asked[before:]] == ["change", "add", "remove", "save", "test_alert"]
    watch.answer = lambda command: {"ok": True, "clips": []}
    assert control.preview("drive", ["cat"])["clips"] == []


def test_a_refusal_is_an_error_with_the_sentence(control: Control) -> None:
    with pytest.raises(Refusal, match="no camera of this name") as caught:
        control.change("no body?", {"labels": ["cat"]})
    assert caught.value.status == 404


def test_without_a_page_the_socket_is_there(tmp_path: Path) -> None:
    """However deep the state folder is."""
    watch = start(tmp_path, tmp_path / ("x" * 120), port=-1)
    try:
        assert watch.wait().address == ""
        assert until(lambda: Control(watch.directory).status()["version"]) == 1
        watch.restart()
        assert until(lambda: Control(watch.directory).status()["version"]) == 1
    finally:
        watch.close()
    with pytest.raises(PerceptError, match="no watch is running there"):
        Control(watch.directory).status()
    with pytest.raises(PerceptError, match="no watch is running there"):
        Control(tmp_path / "none").status()
