"""Every error the project raises on purpose, in one tree.

A message reads `<where>: <what is wrong, with the value>; expected <what>. <What to do.>`
"""


class PerceptError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 5


class ConfigError(PerceptError):
    """Usage or configuration is wrong; nothing was started."""

    exit_code = 2


class SourceError(PerceptError):
    """A source cannot be opened or read."""

    exit_code = 3


class ModelError(PerceptError):
    """A model, a tower or an engine cannot be found, built or run."""

    exit_code = 4


class OutputError(PerceptError):
    """A result cannot be written: disk full, pipe closed, directory missing."""

    exit_code = 5
