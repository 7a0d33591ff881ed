"""`percept cache`: what Percept keeps on this machine besides the files you ask for, and how to remove it."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from commands.columns import folder_bytes, size_text, table
from commands.console import Console
from commands.engine.options import cache_of, make_store_parser
from commands.options import Parser
from engines.cache.store import is_building
from pipeline.logs import log

KEPT = {
    "engines": "networks compiled for this machine; made again in about a minute",
    "exports": "networks as ONNX, from which engines are built; made again with them",
    "networks": "networks of an earlier version; no longer used",
    "text-vectors": "vectors of labels and prompts; made again when a run needs them",
    "features": "clips that eval, train, adapt and calibrate have encoded; made again from the clips",
    "costs": "what clips have cost in earlier runs; measured again by the next one",
    "digests": "checksums of models and engines; read again when a run needs them",
    "decoders": "whether this GPU decodes films as software does; found out again when a run asks for it",
    "timing": "TensorRT's timings of kernels; made again with the engines",
}
"""Every folder that Percept makes in its cache, and what losing it costs."""


class Place(msgspec.Struct, frozen=True):
    """A folder of the cache that exists."""

    name: str
    path: str
    size_bytes: int
    about: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The cache, and the folder of downloads, which belongs to the hub's library and may be shared with others."""

    path: str
    places: list[Place]
    downloads: str
    downloads_bytes: int

    @property
    def size_bytes(self) -> int:
        return sum(place.size_bytes for place in self.places)


def make_parser() -> Parser:
    parser = make_store_parser(
        "cache",
        "Show every place in which Percept keeps something between runs, besides the files you ask for; with\n"
        "--clear, remove it. Results do not depend on it: whatever is missing is made again.",
    )
    parser.add_argument(
        "--clear", nargs="*", choices=tuple(KEPT), metavar="WHAT", help=f"remove all of it, or WHAT: {', '.join(KEPT)}"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    Console.of(options)
    found = contents(cache_of(options))
    if options.clear is not None:
        return clear(found, options.clear or list(KEPT))
    if options.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    for line in lines(found):
        print(line)
    return 0


def contents(cache: str) -> Contents:
    folders = [(name, Path(cache, name), about) for name, about in KEPT.items()]
    places = [Place(name, str(path), folder_bytes(path), about) for name, path, about in folders if path.is_dir()]
    hub = downloads_folder()
    return Contents(path=cache, places=places, downloads=str(hub), downloads_bytes=folder_bytes(hub))


def downloads_folder() -> Path:
    """Where `huggingface_hub` keeps what it downloads, found as it does, without importing it."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(base, "huggingface")).expanduser() / "hub"


def lines(found: Contents) -> Iterator[str]:
    if found.places:
        yield from table([(place.name, size_text(place.size_bytes), place.about) for place in found.places])
        yield f"{size_text(found.size_bytes)} in {found.path}"
        yield "To remove it: percept cache --clear. To remove only what is no longer used: percept engine clean"
    else:
        yield f"nothing in {found.path} yet"
    if found.downloads_bytes:
        yield ""
        yield f"{size_text(found.downloads_bytes)} in {found.downloads}"
        yield "models from the hub, which other programs may use too. To remove some: hf cache ls; hf cache rm MODEL"


def clear(found: Contents, names: list[str]) -> int:
    """Remove these folders of the cache, but nothing else in it. Returns exit code 1 if something is left."""
    if {"engines", "exports"} & set(names) and is_building(found.path):
        log(logging.ERROR, f"{found.path}: an engine is being built. Nothing was removed; try again when it is done")
        return 1
    chosen = [place for place in found.places if place.name in names]
    for place in chosen:
        shutil.rmtree(place.path, ignore_errors=True)
    left = [place for place in chosen if Path(place.path).exists()]
    for place in left:
        log(logging.ERROR, f"{place.path}: cannot be removed. Is it yours, and can its disk be written?")
    freed = sum(place.size_bytes - folder_bytes(Path(place.path)) for place in chosen)
    print(f"freed {size_text(freed)} in {found.path}")
    with suppress(OSError):  # it has something else in it, or was never made
        Path(found.path).rmdir()
    return int(bool(left))
