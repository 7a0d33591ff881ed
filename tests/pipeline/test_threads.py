"""How many threads the libraries of a process may start."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_library_that_was_imported_is_limited() -> None:
    code = "import cv2; from pipeline.threads import limit_threads; cv2.setNumThreads(7); limit_threads(2)"
    assert run_python(f"{code}; print(cv2.getNumThreads())") == "2"


def test_a_library_that_was_not_imported_stays_so() -> None:
    code = "import sys; from pipeline.threads import limit_threads; limit_threads(2)"
    assert run_python(f"{code}; print(sorted({{'torch', 'cv2', 'numpy'}} & set(sys.modules)))") == "[]"
