"""Events as sentences for a terminal."""

from datetime import datetime

from live.event import LiveEvent
from pipeline.logs import visible


def sentence(event: LiveEvent) -> str:
    """`door: dog barking 87 % at 14:03:22 (for 6 s)`, in local time; without its length while it goes on"""
    clock = f"{datetime.fromisoformat(event.start).astimezone():%H:%M:%S}"
    what = event.name
    if event.kind == "label":
        what += f" {event.peak:.0%}".replace("%", " %")
    elif event.kind != "rule":
        what = event.name.replace("_", " ") + (f" ({event.text})" if event.text else "")
    where = f"{event.camera}: " if event.camera else ""
    length = f" (for {duration(event.duration_s)})" if event.state == "closed" else ""
    return visible(f"{where}{what} at {clock}{length}")


def duration(seconds: float) -> str:
    """`6 s`, `2 min 5 s`, `1 h 3 min`"""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
