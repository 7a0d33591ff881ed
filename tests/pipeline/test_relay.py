"""What a stage or an engine warns of in a worker reaches the user, once."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from pipeline.bus import Bus, address
from pipeline.logs import LOGGER
from pipeline.messages import Note, Warned, decode_from_worker
from pipeline.relay import MOST_TEXTS, Relay
from tests.conftest import ROOT
from tests.media import make_video
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import Ran, run_fakes
from tests.tiny_models import make_tiny_clip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run with three workers that warn."""
    config = fake_config()
    config["groups"][0] |= {"workers": 3}
    config["stages"]["fake_model"]["class"] = "tests.pipeline.fakes:Warns"
    return run_fakes(
        tmp_path_factory.mktemp("warns"), "fake:clips=12", groups=config["groups"], stages=config["stages"]
    )


@pytest.mark.parametrize("text", ["prepared: set aside", "opened: next engine", "worked: in a thread ?"])
def test_what_several_workers_warn_of_is_told_once(ran: Ran, text: str) -> None:
    assert [(notice.text, notice.level) for notice in ran.told(text)] == [(text, "warning")]


def test_a_warning_costs_no_clip_and_is_not_told_again_at_the_end(ran: Ran) -> None:
    assert ran.account.results == 12
    assert ran.account.messages == ()
    assert ran.told("not worth telling") == []


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator["zmq.Socket[bytes]"]:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.RCVTIMEO, 5_000)
    router.bind(address(str(tmp_path)))
    yield router
    router.close()
    context.term()


def heard(router: "zmq.Socket[bytes]") -> object:
    return decode_from_worker(router.recv_multipart()[1])


def test_only_the_thread_that_owns_the_socket_sends(tmp_path: Path, supervisor: "zmq.Socket[bytes]") -> None:
    bus = Bus(str(tmp_path), 1)
    thread = threading.Thread(target=lambda: bus.post(Warned("from a thread")))
    thread.start()
    thread.join()
    assert not supervisor.poll(100), "another thread has used the socket"
    bus.send(Note("from its owner"))
    assert [heard(supervisor), heard(supervisor)] == [Warned("from a thread"), Note("from its owner")]
    bus.post(Warned("at once"))
    assert heard(supervisor) == Warned("at once")
    bus.close()


def test_a_stage_that_warns_of_every_clip_floods_nobody(
    tmp_path: Path, supervisor: "zmq.Socket[bytes]", capsys: pytest.CaptureFixture[str]
) -> None:
    bus = Bus(str(tmp_path), 1)
    relay = Relay(bus)
    for number in range(2 * MOST_TEXTS):
        for _ in range(2):
            relay.handle(logging.LogRecord("percept", logging.WARNING, "", 0, "clip %d", (number,), None))
    bus.send(Note("end"))
    told = list(iter(lambda: heard(supervisor), Note("end")))
    assert told == [Warned(f"clip {number}") for number in range(MOST_TEXTS)]
    assert f"clip {2 * MOST_TEXTS - 1}\n" in capsys.readouterr().err, "the worker's log has all"
    bus.close()


def test_nothing_is_attached_to_the_users_own_process(ran: Ran) -> None:
    assert not [handler for handler in LOGGER.handlers if isinstance(handler, Relay)]


def test_a_damaged_file_in_the_cache_is_told_by_the_run_that_finds_it(tmp_path: Path) -> None:
    model, film, cache = make_tiny_clip(tmp_path / "tiny-clip"), tmp_path / "film.mp4", tmp_path / "cache"
    make_video(film, seconds=2)
    arguments = [str(film), "--labels", "dog, rain", "--model", str(model), "--engine", "onnxruntime"]

    def run(name: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "commands.main", "run", *arguments, "-o", str(tmp_path / name)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "PERCEPT_CACHE": str(cache)},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return done.stderr

    assert "set aside" not in run("first.jsonl")
    for network in cache.glob("exports/*/network.onnx"):
        network.write_bytes(network.read_bytes()[:-1] + b"?")
    said = [line for line in run("second.jsonl").splitlines() if "set aside" in line]
    assert said
    assert len(said) == len(set(said))
    for line in said:
        assert line.startswith("percept: warning: ")
        assert "network.onnx is damaged; set aside, it will be built again" in line
