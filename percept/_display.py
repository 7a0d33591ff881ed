"""A record as HTML, for notebooks: a picture of the clip's middle with its tracks, and a bar per label and modality.

Colours come from where it is shown, so that it is readable on light and dark pages. All text is escaped.
"""

from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from percept._records import ClipRecord, Label, Track

COLOURS = {"image": "#60a5fa", "motion": "#4ade80", "audio": "#fb923c"}
"""By modality, the same as in the labelled video."""
NAMES = {"image": "picture", "motion": "motion", "audio": "sound"}
MAX_LABELS = 8
MAX_TRACKS = 12
MAX_TEXT = 120
DIM_UNDER = 0.3
"""Labels less probable than this are dimmed."""

STYLE = """
.percept-clip{display:flex;flex-wrap:wrap;gap:12px 18px;align-items:flex-start;max-width:760px;margin:4px 0 10px;
 font:13px/1.4 system-ui,sans-serif;color:inherit}
.percept-clip *{box-sizing:border-box}
.percept-clip figure{position:relative;margin:0;flex:none;line-height:0;border-radius:4px;overflow:hidden}
.percept-clip figure img{display:block;margin:0;max-width:240px;border-radius:0}
.percept-clip figure svg{position:absolute;inset:0;width:100%;height:100%}
.percept-clip .body{flex:1 1 300px;min-width:0}
.percept-clip .head{display:flex;justify-content:space-between;gap:12px;margin-bottom:4px}
.percept-clip .head b{overflow-wrap:anywhere}
.percept-clip .row{display:grid;grid-template-columns:minmax(0,11em) 1fr 3.2em;gap:10px;align-items:center;
 padding:2px 0}
.percept-clip .row>:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.percept-clip .dim>:not(.bars){opacity:.62}
.percept-clip .number{text-align:right;font-variant-numeric:tabular-nums;font-weight:600;white-space:nowrap}
.percept-clip .bars{display:grid;gap:1px}
.percept-clip .bars i{display:block;height:4px;border-radius:2px;background:rgba(127,127,127,.22);overflow:hidden}
.percept-clip .bars i i{height:100%;background:var(--c);border-radius:0}
.percept-clip .more{margin-top:5px;overflow-wrap:anywhere}
.percept-clip .legend span{margin-right:14px;white-space:nowrap}
.percept-clip .legend span::before{content:"";display:inline-block;width:9px;height:9px;border-radius:2px;
 background:var(--c);margin-right:5px}
.percept-clip .bad{border-left:3px solid #dc5050;padding-left:8px;overflow-wrap:anywhere}
"""


def clip_html(record: "ClipRecord") -> str:
    """The record for a notebook."""
    body = "".join(_body(record))
    return f'<style>{STYLE}</style><div class="percept-clip">{_figure(record)}<div class="body">{body}</div></div>'


def _body(record: "ClipRecord") -> Iterator[str]:
    name = record.source.rstrip("/").rpartition("/")[2] or record.source
    times = f"{_clock(record.start_s)}–{_clock(record.end_s)}"
    yield f'<div class="head"><b title="{_text(record.source, 1000)}">{_text(name)}</b><span>{times}</span></div>'
    if not record.is_result:
        yield f'<div class="bad">{_problem(record)}</div>'
        return
    labels = (record.labels or [])[:MAX_LABELS]
    modalities = [name for name in COLOURS if any(name in label.evidence for label in labels)]
    yield from (_row(label, modalities) for label in labels)
    if not labels:
        yield "<div>no label</div>"
    yield from _notes(record)
    if modalities:
        legend = "".join(f'<span style="--c:{COLOURS[name]}">{NAMES[name]}</span>' for name in modalities)
        yield f'<div class="more legend">{legend}</div>'


def _row(label: "Label", modalities: list[str]) -> str:
    said = [_said(label, name) for name in modalities]
    bars = "".join(
        f'<i><i style="--c:{COLOURS[name]};width:{_percent(label, name):.1f}%"></i></i>' for name in modalities
    )
    dim = "" if label.probability >= DIM_UNDER else " dim"
    text = _text(label.label)
    spoken = ", ".join(said)
    return (
        f'<div class="row{dim}" title="{text}: {label.probability:.0%} ({spoken})"><span>{text}</span>'
        f'<span class="bars" role="img" aria-label="{spoken}">{bars}</span>'
        f'<span class="number">{label.probability * 100:.0f} %</span></div>'
    )


def _said(label: "Label", modality: str) -> str:
    """What it says alone and, in log-odds, what it adds: `picture 98% (+5.1)`"""
    evidence = label.evidence.get(modality)
    if evidence is None:
        return f"{NAMES[modality]} –"
    added = "" if evidence.contribution is None else f" ({evidence.contribution:+.1f})"
    return f"{NAMES[modality]} {evidence.probability:.0%}{added}"


def _percent(label: "Label", modality: str) -> float:
    evidence = label.evidence.get(modality)
    return 100 * min(1.0, max(0.0, evidence.probability)) if evidence else 0.0


def _notes(record: "ClipRecord") -> Iterator[str]:
    if record.category:
        path = " › ".join(_text(each) for each in record.category.path)
        yield f'<div class="more">category: {path}</div>'
    if record.open_set and record.open_set.none_of_these:
        yield '<div class="more">none of these labels fits</div>'
    if record.tracks:
        shown = ", ".join(_track(track) for track in record.tracks[:MAX_TRACKS])
        rest = len(record.tracks) - MAX_TRACKS
        yield f'<div class="more">tracks: {shown}{f" and {rest} more" if rest > 0 else ""}</div>'
    absent = [f"no {NAMES[name]} ({_text(why)})" for name, why in record.absent.items() if name in NAMES]
    failed = [f"{_text(name)} failed: {_text(why)}" for name, why in record.failed.items()]
    if absent or failed:
        yield f'<div class="more">{"; ".join(absent + failed)}</div>'


def _track(track: "Track") -> str:
    named = f" {_text(track.label)} {(track.probability or 0.0) * 100:.0f} %" if track.label else ""
    return f"#{track.id}{named}"


def _problem(record: "ClipRecord") -> str:
    if record.gap:
        return "gap: a stretch without media"
    if record.error is not None:
        return _text(f"error: {record.error}", 1000)
    return _text(f"dropped: {record.dropped}", 1000)


def _figure(record: "ClipRecord") -> str:
    from percept._thumbnail import thumbnail

    found = thumbnail(record) if record.is_result else None
    if found is None:
        return ""
    picture, width, height = found
    size = f'width="{width}" height="{height}"'
    data = f"data:image/jpeg;base64,{b64encode(picture).decode()}"
    return f'<figure><img {size} alt="the middle of the clip" src="{data}">{_boxes(record)}</figure>'


def _boxes(record: "ClipRecord") -> str:
    """The boxes at the middle of the clip, as a drawing over the picture."""
    if not (record.tracks and record.width > 0 and record.height > 0):
        return ""
    middle_s = (record.start_s + record.end_s) / 2
    drawn = []
    for track in record.tracks[:MAX_TRACKS]:
        nearest = min(track.boxes, key=lambda box: abs(box[0] - middle_s), default=None)
        if nearest is not None and abs(nearest[0] - middle_s) <= 0.5:
            _, x0, y0, x1, y1 = nearest
            drawn.append(f'<rect x="{x0:.0f}" y="{y0:.0f}" width="{x1 - x0:.0f}" height="{y1 - y0:.0f}"/>')
    line_px = max(1.0, record.width / 160)
    return (
        f'<svg viewBox="0 0 {record.width} {record.height}" fill="none" stroke="#fff" stroke-width="{line_px:.1f}" '
        f'style="filter:drop-shadow(0 0 1px #000)" aria-hidden="true">{"".join(drawn)}</svg>'
        if drawn
        else ""
    )


def _text(text: str, longest: int = MAX_TEXT) -> str:
    return escape(text if len(text) <= longest else text[: longest - 1] + "…")


def _clock(seconds: float) -> str:
    from percept._home import ours

    return str(ours("result").clock_text(seconds))
