"""The streams of the sources of `percept check`."""

from commands.check.report import Section
from commands.progress import clock_text
from pipeline.clip import SourceInfo
from pipeline.logs import redact
from pipeline.plan import Plan
from pipeline.probe import probe


def sources_section(sources: list[str], plan: Plan) -> tuple[Section, list[str]]:
    """Open each source. Returns the streams of those that can be opened, and the errors of the others."""
    rows, errors = [], []
    for probed in probe(plan, sources):
        if probed.info is None:
            errors.append(probed.error)
        else:
            rows.append((f"{redact(probed.info.source)}:", redact(source_text(probed.info))))
    return Section("sources", tuple(rows)), errors


def source_text(info: SourceInfo) -> str:
    """`1280×720, 25 frames/s, sound 44100 Hz, 1:30`"""
    rate = f", {info.frame_rate_hz:g} frames/s" if info.frame_rate_hz else ""
    picture = f"{info.width}×{info.height}{rate}" if info.has_video else "no picture"
    sound = f"sound {info.sample_rate_hz} Hz" if info.has_audio else "no sound"
    length = clock_text(info.duration_ns / 1e9) if info.duration_ns else "length unknown"
    return "; ".join([f"{picture}, {sound}, {length}", *info.notes])
