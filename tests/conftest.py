"""Fixtures shared by all tests."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline import machine
from pipeline.logs import LOGGER

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: threads of one would wait for those of others
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real media and ground truth next to the checkout; tests that need it are skipped without it."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real media: {path} is missing")
    return path


@pytest.fixture(scope="session")
def between_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def exports() -> Path:
    """The exported networks of this machine. The bundled ones are there; who needs another first exports it for all."""
    folder = machine.cache_directory() / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def cache_without_engines(tmp_path: Path, exports: Path) -> Path:
    """A cache in which no engine is built yet; the networks that other tests exported are there."""
    cache = tmp_path / "cache_without_engines"
    cache.mkdir()
    (cache / "exports").symlink_to(exports)
    return cache


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server on this machine that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/live.mp4"


@pytest.fixture(autouse=True)
def no_signal_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has pid 0 until its fork is known, and a signal to process 0 ends the whole test run without a word."""
    kill = os.kill

    def checked(pid: int, number: int) -> None:
        assert pid > 0, f"signal {number} to process {pid} would go to all processes of this test run"
        kill(pid, number)

    monkeypatch.setattr(os, "kill", checked)


@pytest.fixture(autouse=True)
def unconfigured_logging() -> None:
    """The logger of a program that has not called `start_logging`, whatever an earlier test did with it."""
    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.NOTSET)
