"""Fixtures shared by all tests."""

import logging
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


@pytest.fixture(autouse=True)
def unconfigured_logging() -> None:
    """The logger of a program that has not called `start_logging`, whatever an earlier test did with it."""
    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.NOTSET)
