"""The sources of a command line: files, URLs and globs."""

import glob
import os
import re

from pipeline.errors import ConfigError
from pipeline.sinks.file import printable


def find_sources(given: list[str]) -> list[str]:
    """The sources in the given order, each once, with globs expanded.

    Raises: ConfigError: a glob that matches nothing, a folder, a name that is not UTF-8: all of them at once.
    """
    found: list[str] = []
    problems = []
    for text in given:
        if is_url(text):
            found.append(text)
        elif os.path.isdir(text):
            problems.append(f"{text}: is a folder. Name its files: '{os.path.join(text, '*.mp4')}'")
        elif not os.path.lexists(text) and glob.has_magic(text):
            matches = [name for name in sorted(glob.glob(text, recursive=True)) if not os.path.isdir(name)]
            found += matches
            problems += [] if matches else [f"{text}: matches no file (in {os.getcwd()})"]
        elif text == "-":
            problems.append("-: video cannot be read from stdin. Write it to a file first.")
        else:
            found.append(text)
    for name in found:
        if printable(name) != name:
            problems.append(
                f"{printable(name)}: the name is not UTF-8 and cannot be written in results. Rename the file."
            )
    if problems:
        raise ConfigError("\n".join(problems))
    return list(dict.fromkeys(found))


def is_url(text: str) -> bool:
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text) is not None
