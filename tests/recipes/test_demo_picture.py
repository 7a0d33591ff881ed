"""The picture of the README is what the labelled video looks like today."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_picture_of_the_readme_is_up_to_date(tmp_path: Path) -> None:
    made = tmp_path / "demo.jpg"
    subprocess.run([sys.executable, "-m", "recipes.demo_picture", "-o", str(made)], cwd=ROOT, check=True, timeout=150)
    new, old = (cv2.imread(str(path)).astype(int) for path in (made, ROOT / "docs" / "demo.jpg"))
    assert new.shape == old.shape, "run: python -m recipes.demo_picture"
    # other engines round scores differently, which changes a few digits
    assert (np.abs(new - old).max(axis=2) > 60).mean() < 0.004, "run: python -m recipes.demo_picture"
