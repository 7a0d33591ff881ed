"""The table of readers."""

import importlib

from pipeline.errors import ConfigError
from stages.text.reader import TextReader

READERS = {"rapidocr": "stages.text.on_rapidocr:RapidOcr"}
"""Name, and the class that reads. A reader of your own is given as "package.module:Class"."""


def make_reader(name: str) -> TextReader:
    """Raises: ConfigError: there is no such reader."""
    module, colon, kind = READERS.get(name, name).partition(":")
    try:
        if not colon:
            raise ImportError("it is in no table")
        reader = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        text = f"stages.text.reader: {name!r} cannot be used ({error}); expected {', '.join(READERS)}, or module:Class"
        raise ConfigError(text) from None
    if not (isinstance(reader, type) and issubclass(reader, TextReader)):
        text = f"stages.text.reader: {name!r} is no reader; expected a class derived from stages.text.reader.TextReader"
        raise ConfigError(text)
    return reader()
