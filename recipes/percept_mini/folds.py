"""Which photos and recordings are for reporting only, by a rule that depends on nothing but their names.

Every recipe trains, fits and chooses on the others, and every figure of `benchmarks` is measured on these.
"""

import hashlib
from pathlib import PurePath

REPORTED_IN = 3
"""One name in so many is for reporting."""
CHECKED_IN = 10
"""One in so many of the others is for choices: it is not trained on either."""


def is_reported(file_name: str) -> bool:
    """Whether a photo is only for reporting, by the SHA-256 of its file name without folders."""
    return _number(PurePath(file_name).name) % REPORTED_IN == 0


def is_checked(file_name: str) -> bool:
    """Whether a photo is for choices: neither trained on nor reported."""
    number = _number(PurePath(file_name).name)
    return number % REPORTED_IN != 0 and number // REPORTED_IN % CHECKED_IN == 0


def recording(file_name: str) -> str:
    """The recording that a sound file was cut from: what stands before the first "-", as in 57320-0-0-21.opus."""
    return PurePath(file_name).stem.split("-")[0]


def is_reported_sound(file_name: str) -> bool:
    """Whether a sound is only for reporting, by the SHA-256 of its recording: all cuts of it are, or none."""
    return _number(recording(file_name)) % REPORTED_IN == 0


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
