"""The parts of a condition, and the text of a condition that is made of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_RESERVED = {"and", "or", "not", "motion", "anything", "for", "within", "in", "over", "stays"}


@dataclass(frozen=True)
class Probable:
    label: str
    zone: str = ""


@dataclass(frozen=True)
class Compared:
    label: str
    sign: str
    """>, >=, < or <="""
    value: float


@dataclass(frozen=True)
class Motion:
    zone: str = ""


@dataclass(frozen=True)
class Anything:
    zone: str = ""


@dataclass(frozen=True)
class Crosses:
    """A track crosses a line in the clip."""

    label: str
    """"": whatever it is."""
    line: str
    way: str = ""
    """in, out; "": either."""


@dataclass(frozen=True)
class Stays:
    """One and the same track has been in a zone for so long."""

    label: str
    zone: str
    seconds: float


@dataclass(frozen=True)
class Not:
    part: "Node"


@dataclass(frozen=True)
class Every:
    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Either:
    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Held:
    """True without a break for so long."""

    part: "Node"
    seconds: float


@dataclass(frozen=True)
class Recent:
    """True now, or at some time in the last seconds."""

    part: "Node"
    seconds: float


Leaf = Probable | Compared | Motion | Anything | Crosses | Stays
Node = Leaf | Not | Every | Either | Held | Recent


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    if isinstance(node, Not | Held | Recent):
        yield from walk(node.part)
    elif isinstance(node, Every | Either):
        for part in node.parts:
            yield from walk(part)


def labels_of(node: Node) -> set[str]:
    """The labels that a condition asks for."""
    return {each.label for each in walk(node) if isinstance(each, Probable | Compared | Crosses | Stays) and each.label}


def zones_of(node: Node) -> set[str]:
    """The zones that it asks for."""
    return {each.zone for each in walk(node) if isinstance(each, Probable | Motion | Anything | Stays) and each.zone}


def show(node: Node) -> str:
    """The condition as text, which reads back as the same condition."""
    match node:
        case Probable(label, zone):
            return quoted(label) + (f" in {quoted(zone)}" if zone else "")
        case Compared(label, sign, value):
            return f"{quoted(label)} {sign} {value:.15g}"
        case Motion(zone) | Anything(zone):
            word = "motion" if isinstance(node, Motion) else "anything"
            return word + (f" in {quoted(zone)}" if zone else "")
        case Crosses(label, line, way):
            return f"{_tracked(label)} over {quoted(line)}" + (f" {way}" if way else "")
        case Stays(label, zone, seconds):
            return f"{_tracked(label)} stays in {quoted(zone)} for {seconds:.15g} s"
        case Not(part):
            return f"not {_inside(part, Every | Either | Held | Recent)}"
        case Held(part, seconds) | Recent(part, seconds):
            word = "for" if isinstance(node, Held) else "within"
            return f"{_inside(part, Every | Either)} {word} {seconds:.15g} s"
        case Every(parts):
            return " and ".join(_inside(each, Every | Either) for each in parts)
        case Either(parts):
            return " or ".join(_inside(each, Either) for each in parts)


def _inside(node: Node, bracketed: object) -> str:
    text = show(node)
    return f"({text})" if isinstance(node, bracketed) else text  # type: ignore[arg-type]


def _tracked(label: str) -> str:
    return quoted(label) if label else "anything"


def quoted(name: str) -> str:
    """A label or zone as it stands in a condition: in quotes where it must."""
    words = name.lower().split(" ")
    plain = all(re.fullmatch(r'[^\s()<>"]+', word) for word in words)
    if plain and not _RESERVED.intersection(words):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
