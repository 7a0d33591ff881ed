"""Plays a file from a second on, with a player of the machine."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

from archive.links import path_of
from pipeline.errors import ConfigError, SourceError

PLAYERS: Mapping[str, Callable[[str, float], list[str]]] = {
    "mpv": lambda path, start_s: [f"--start={start_s:.3f}", "--", path],
    "ffplay": lambda path, start_s: ["-loglevel", "error", "-autoexit", "-ss", f"{start_s:.3f}", "-i", path],
    "vlc": lambda path, start_s: [f"--start-time={start_s:.3f}", "--", path],
}
"""By name, the best first."""


def command_for(source: str, start_s: float) -> list[str]:
    """The command that plays a source from `start_s` on.

    Raises: SourceError: it is no file here. ConfigError: no player is installed.
    """
    path = os.path.abspath(path_of(source))  # so that no name is read as an option
    if not os.path.isfile(path):
        raise SourceError(f"{source}: is not a file on this machine, so it cannot be played")
    for name, arguments in PLAYERS.items():
        if program := shutil.which(name):
            return [program, *arguments(path, start_s)]
    raise ConfigError(
        f"--play: found none of {', '.join(PLAYERS)}. Install one, such as mpv, or open {path} at {start_s:.1f} s."
    )


def play(source: str, start_s: float) -> int:
    """Play until the player is closed; its exit code."""
    return subprocess.run(command_for(source, start_s), stdin=subprocess.DEVNULL, check=False).returncode
