"""What in a config decides the rows of an archive."""

import json
from hashlib import blake2b

import msgspec

from archive.schema import ARCHIVE_VERSION
from pipeline.config import Config
from pipeline.result import SCHEMA_VERSION

LEFT_OUT = ("queue", "deadlines", "groups", "sinks", "labels", "video", "events")
"""Parts of a config that change no row, and the labels, which have a hash of their own."""


def config_hash(config: Config) -> str:
    """16 hex digits: the same for configs that give the same rows for the same labels."""
    tree = {name: value for name, value in msgspec.to_builtins(config).items() if name not in LEFT_OUT}
    text = json.dumps([ARCHIVE_VERSION, SCHEMA_VERSION, tree], sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()
