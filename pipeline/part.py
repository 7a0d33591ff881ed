"""The named parts that stages add to the record of a clip: labels, tracks, or whatever a stage of yours declares.

    def gives(self) -> dict[str, Spec]:
        return {"brightness": Part(type=Reading, doc="Mean grey level of the clip, and whether it is dark.")}

A part is checked against its type where it is made. It travels as plain data and becomes a field of the record.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Spec
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Part(Spec):
    """A record that a stage gives and that becomes a field of the result.

    type: any type that msgspec can describe: a `msgspec.Struct`, `list[...]`, `float | None`. None is left out.
    doc: one line for the documentation and the JSON schema.
    essential: a clip without it has no result but an error.
    """

    dtype: str = field(default="record", init=False)
    in_message: bool = field(default=True, init=False)
    type: Any
    doc: str
    essential: bool = False


class PartInfo(msgspec.Struct, frozen=True):
    """A part as plain data, for processes that never import the stage."""

    name: str
    stage: str
    doc: str
    essential: bool
    schema: dict[str, Any]
    """JSON schema of its values, with `$defs`."""


def part_info(name: str, stage: str, part: Part) -> PartInfo:
    """Raises: ConfigError: the type cannot be described in JSON."""
    try:
        schema = msgspec.json.schema(part.type)
    except (TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"stages.{stage}: the type of part {name!r} cannot be written as JSON ({reason}); expected a "
            "msgspec.Struct, or lists, dicts, strings and numbers"
        ) from error
    return PartInfo(name, stage, part.doc, part.essential, schema)


def plain(name: str, part: Part, value: Any) -> Any:
    """The value as dicts, lists, strings and numbers, checked against the part's type. NumPy values are converted.

    Raises:
        TypeError, msgspec.ValidationError: it is of another type; the message names the part and the place in it.
    """
    data = msgspec.to_builtins(value, enc_hook=_numpy_value, str_keys=True)
    try:
        msgspec.convert(data, part.type)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"part {name!r}: {error}") from None
    return data


def _numpy_value(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be part of a result; expected what JSON can hold")
