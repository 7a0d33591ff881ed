"""Fixtures shared by all tests."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.logs import LOGGER

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real media and ground truth next to the checkout; tests that need it are skipped without it."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real media: {path} is missing")
    return path


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server on this machine that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/live.mp4"


@pytest.fixture(autouse=True)
def unconfigured_logging() -> None:
    """The logger of a program that has not called `start_logging`, whatever an earlier test did with it."""
    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.NOTSET)
