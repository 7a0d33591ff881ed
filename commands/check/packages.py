"""The packages that Percept needs and may use: versions, sizes, and what is missing with the command for it."""

import contextlib
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "percept-av"
EXTRAS = {
    "openvino": "the fastest engine on most CPUs",
    "tensorrt": "the fastest engine on NVIDIA GPUs",
    "tensorrt-rtx": "the same on GeForce and RTX GPUs",
    "quantize": "int8 networks: percept engine quantize",
    "parquet": "results as a table: -o x.parquet",
    "archive": "archives: percept label, search, relabel, report, export",
    "faiss": "quick searches of very large archives: percept search --approximate",
    "ocr": "what is written in pictures: percept run --text",
    "s3": "archives and sources in S3: s3://bucket/prefix",
    "ray": "labelling on many machines: percept label --on ray",
    "otio": "markers for editing programs: percept export --as otio",
    "pandas": "percept.to_pandas",
    "polars": "percept.to_polars",
    "decord": "a second reader of local files: --set decode.reader=decord",
}
"""What each extra is for; those for developers are not listed."""


@dataclass(frozen=True)
class Wanted:
    """A package that another one requires, such as numpy, "<2.5,>=2.0". extras: of that package."""

    name: str
    versions: str
    extras: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The installed version; "" if it is not installed."""
        found = installed(self.name)
        return version_of(found) if found else ""

    @property
    def fault(self) -> str:
        """What is wrong with it here; "" if it can be used."""
        from packaging.specifiers import SpecifierSet

        if not self.version:
            return "not installed"
        allowed = SpecifierSet(self.versions).contains(self.version, prereleases=True)
        return "" if allowed else f"{self.version}; expected {self.versions}"

    @property
    def command(self) -> str:
        return f"pip install '{self.name}{self.versions}'"


@cache
def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


@cache
def version_of(found: Distribution) -> str:
    return found.version


@cache
def requirements(found: Distribution) -> "tuple[Requirement, ...]":
    """All that a package may need."""
    from packaging.requirements import Requirement

    return tuple(Requirement(text) for text in found.requires or ())


def required(name: str = NAME, extras: tuple[str, ...] = ()) -> Iterator[Wanted]:
    """What an installed package with these extras needs here, by its own account; nothing if it is not installed."""
    found = installed(name)
    for need in requirements(found) if found else ():
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield Wanted(need.name, str(need.specifier), tuple(need.extras))


def broken() -> list[Wanted]:
    """The packages that Percept cannot do without, and that are missing or of another version."""
    return [each for each in required() if each.fault]


def missing_extras() -> list[str]:
    """The extras of which a package is not installed."""
    always = set(required())
    return [
        extra for extra in EXTRAS if any(not each.version for each in required(extras=(extra,)) if each not in always)
    ]


def with_dependencies() -> Iterator[Distribution]:
    """Percept and all that it needs, each once, as far as they are installed; of its extras none."""
    from packaging.utils import canonicalize_name

    waiting, seen = [Wanted(NAME, "")], set[tuple[str, tuple[str, ...]]]()
    names = set[str]()
    while waiting:
        now = waiting.pop()
        found, name = installed(now.name), canonicalize_name(now.name)
        if found is None or (name, now.extras) in seen:
            continue
        seen.add((name, now.extras))
        if name not in names:
            yield found
        names.add(name)
        waiting += required(now.name, now.extras)


def size_bytes(found: Distribution) -> int:
    """Bytes of the files that a package has installed, by its own list; of those without a size there, as they are."""
    total = 0
    for name, _, size in csv.reader((found.read_text("RECORD") or "").splitlines()):
        if size.isdigit():
            total += int(size)
        else:
            with contextlib.suppress(OSError):
                total += os.stat(str(found.locate_file(name))).st_size
    return total
