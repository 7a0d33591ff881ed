"""Tests in this folder need an NVIDIA GPU; without one they are skipped."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def gpu() -> str:
    """The first GPU."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    return "cuda:0"
