"""Where a model that is derived from another may be written."""

from pathlib import Path

from engines.models.checkpoint import BUNDLED
from pipeline.errors import ConfigError


def output_directory(given: str, model: str) -> Path:
    """A new directory, or the model's own.

    Raises:
        ConfigError: something else is there.
    """
    directory = Path(given).expanduser().resolve()
    if directory.is_relative_to(BUNDLED):
        raise ConfigError(f"-o {given}: bundled models stay as they are; expected another directory")
    if directory == Path(model):
        return directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"-o {given}: is there already; expected a new directory, or that of MODEL to go on with it")
    return directory
