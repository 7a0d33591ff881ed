"""All errors that the project raises on purpose, in one tree.

A message reads `<where>: <what is wrong, with the value>; expected <what>. <What to do.>`
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PerceptError(Exception):
    """Base class; the command line exits with `exit_code`."""

    exit_code = 5


class ConfigError(PerceptError):
    """The usage or the configuration is wrong; nothing was started."""

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


class ReaderGone(OutputError):
    """Whoever reads our stdout has seen enough, as in `percept run ... | head -1`. It ends quietly, as by SIGPIPE."""

    exit_code = 141


class Problems:
    """Collects errors, so that everything that is wrong is reported at once.

    problems = Problems()
    with problems.collected():
        config = load_config(path)
    problems.raise_all()
    """

    def __init__(self) -> None:
        self._found: dict[str, PerceptError] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: PerceptError) -> None:
        """Add an error; a line that is already there is not repeated."""
        for line in str(error).splitlines():
            self._found.setdefault(line, error)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect an error that the block raises, and continue after the block."""
        try:
            yield
        except PerceptError as error:
            self.add(error)

    def raise_all(self) -> None:
        """Raises: PerceptError: a line per problem; a ConfigError if the problems are of different classes."""
        kinds = {type(error) for error in self._found.values()}
        if kinds:
            raise (kinds.pop() if len(kinds) == 1 else ConfigError)("\n".join(self._found))
