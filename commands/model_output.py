"""The directory that a derived model is written to."""

from pathlib import Path

from engines.models.checkpoint import BUNDLED
from pipeline.errors import ConfigError


def output_directory(given: str, model: str) -> Path:
    """A new directory, or the model's own.

    Raises:
        ConfigError: the directory already exists, or is that of a bundled model.
    """
    directory = Path(given).expanduser().resolve()
    if directory.is_relative_to(BUNDLED):
        raise ConfigError(f"-o {given}: bundled models cannot be changed; expected another directory")
    if directory == Path(model):
        return directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"-o {given}: already exists; expected a new directory, or that of MODEL to update it")
    return directory
