"""A warning that a stage or an engine logs in a worker reaches the user, once."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from engines.cache.cache import Cache
from pipeline.bus import Bus
from pipeline.logs import LOGGER
from pipeline.messages import Warned
from pipeline.relay import MOST_TEXTS, Relay
from tests.pipeline.fakes import FakeModel, fake_config
from tests.pipeline.runs import Ran, run_fakes


def run_with(folder: Path, stage: str, **sections: object) -> Ran:
    """A run with three workers of this stage."""
    config = fake_config(**sections)
    config["groups"][0] |= {"workers": 3}
    config["stages"]["fake_model"]["class"] = stage
    return run_fakes(folder, "fake:clips=12", **config)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run with three workers that warn."""
    return run_with(tmp_path_factory.mktemp("warns"), "tests.pipeline.fakes:Warns")


@pytest.mark.parametrize("text", ["prepared: set aside", "opened: next engine", "worked: in a thread ?"])
def test_a_warning_of_several_workers_is_reported_once(ran: Ran, text: str) -> None:
    assert [(notice.text, notice.level) for notice in ran.notices_with(text)] == [(text, "warning")]


def test_a_warning_costs_no_clip_and_is_not_repeated_at_the_end(ran: Ran) -> None:
    assert ran.account.results == 12
    assert ran.account.messages == ()
    assert ran.notices_with("only in the log") == []


def test_nothing_is_attached_to_the_users_own_process(ran: Ran) -> None:
    assert not [handler for handler in LOGGER.handlers if isinstance(handler, Relay)]


class PostedBus:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[Warned] = []

    def post(self, message: Warned) -> None:
        self.posted.append(message)


def test_a_stage_that_warns_about_every_clip_floods_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    bus = PostedBus()
    relay = Relay(cast(Bus, bus))
    for number in range(2 * MOST_TEXTS):
        for _ in range(2):
            relay.handle(logging.LogRecord("percept", logging.WARNING, "", 0, "clip %d", (number,), None))
    assert bus.posted == [Warned(f"clip {number}") for number in range(MOST_TEXTS)]
    assert f"clip {2 * MOST_TEXTS - 1}\n" in capsys.readouterr().err, "the worker's log has all"


class OpensTheCache(FakeModel):
    """Reads the cache of engines, as a real stage does."""

    def prepare(self, report: Callable[[str], None]) -> None:
        assert Cache(self.run.cache_directory).find("key") is None


def test_the_run_that_finds_a_damaged_file_in_the_engine_cache_reports_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entry = cache.put("key", {}, lambda into: (into / "network.onnx").write_bytes(b"network") and None)
    (entry / "network.onnx").write_bytes(b"netwark")
    ran = run_with(tmp_path, f"{__name__}:OpensTheCache", model={"cache_directory": str(tmp_path)})
    text = f"{entry}: network.onnx is damaged; set aside, it will be rebuilt"
    assert [(notice.text, notice.level) for notice in ran.notices_with("damaged")] == [(text, "warning")]
    assert ran.account.results == 12
