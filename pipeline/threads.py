"""How many threads the libraries of a process may start."""

import sys


def limit_threads(threads: int) -> None:
    """Give every library that was imported its share of the cores and no more."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
