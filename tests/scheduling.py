"""The priority of the tests' own process, which an encoder changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Give the thread its scheduling back afterwards.

    SVT-AV1 makes a thread that opens an encoder real-time if the user is root (libSvtAv1Enc 4.1 in PyAV 18.1.0), and
    with it every process that is started from it later: with two of them nothing else of the machine runs.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)
