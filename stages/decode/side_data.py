"""Side data of frames. PyAV knows FFmpeg's kinds up to a point, and refuses all side data of a frame with a later one.

FFmpeg 8.1 attaches the Exif of a photo as kind 31, so that the orientation, which it attaches as well, would be lost.
"""

from typing import Any

from av.sidedata.sidedata import Type


def _unknown(kind: type[Type], value: object) -> Type:
    """A member for a kind that PyAV has no name for."""
    member: Any = object.__new__(kind)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member  # type: ignore[no-any-return]


def side_data_of(frame: Any, name: str) -> Any | None:
    """The side data of one kind, such as "DISPLAYMATRIX"; None if the frame has none."""
    if "_missing_" not in vars(Type):
        Type._missing_ = classmethod(_unknown)  # type: ignore[assignment]
    return frame.side_data.get(name)
