"""Draws an explanation as one picture: frames, spectrogram and flow where they speak for the label, and the sum."""

import re
from pathlib import Path

import cv2
import numpy as np

from evidence.colours import FAINT, INK, PAPER, RULE, SUPPORT, heat
from evidence.explaining import Explanation, Heard, Moved, Seen
from evidence.followed import box_at
from evidence.heat import percent
from evidence.told import sentences, signed, track_of
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.result import clock_text
from pipeline.sinks.lettering import Colour, Text
from pipeline.sinks.panel import NAMES

WIDTH, MARGIN, GAP = 1280, 36, 14
FRAMES = 4
DARK_PLACE = 0.38
"""Brightness of a place that has no part in the evidence."""
PANEL_PX = 210
ROW_PX = 34
TITLE, BODY, SMALL = Text(34), Text(19), Text(16)


def strip_png(why: Explanation) -> bytes:
    """`strip` as PNG."""
    _, coded = cv2.imencode(".png", np.ascontiguousarray(strip(why)[..., ::-1]))
    return bytes(coded.tobytes())


def strip(why: Explanation) -> Array:
    """uint8 "H 1280 3" RGB."""
    blocks = [_title(why)]
    seen, heard, moved = (None if name in why.why_not else why.maps.get(name) for name in ("image", "audio", "motion"))
    if isinstance(seen, Seen):
        blocks.append(_frames(seen, why))
        if seen.pixels is not None:
            blocks.append(_pixels(seen, seen.pixels))
    panels: list[tuple[str, str, Heard | Moved]] = []
    if isinstance(heard, Heard):
        panels.append((f"Sound {signed(why.added['audio'])}", "audio", heard))
    if isinstance(moved, Moved):
        panels.append((f"Motion {signed(why.added['motion'])}", "motion", moved))
    if panels:
        blocks.append(_side_by_side(panels))
    blocks += [_bars(why), _footer(why)]
    return np.vstack(blocks)


def _sheet(height: int) -> Array:
    return np.full((height, WIDTH, 3), PAPER, np.uint8)


def _title(why: Explanation) -> Array:
    sheet = _sheet(92)
    sheet[:6] = SUPPORT[max(why.shares, key=lambda name: why.shares[name])] if why.label.evidence else INK
    name = TITLE.fit(why.label.label, 620, 700)
    TITLE.draw(sheet, name, MARGIN, 62, INK, 700)
    TITLE.draw(sheet, f"{percent(why.label.probability)}", MARGIN + TITLE.width(name, 700) + 18, 62, FAINT, 400)
    when = "photo" if why.is_photo else f"{clock_text(why.start_s)}–{clock_text(why.end_s)}"
    where = BODY.fit(f"{Path(why.source).name} · {when}", 480)
    BODY.draw(sheet, where, WIDTH - MARGIN - BODY.width(where), 60, FAINT)
    return sheet


def _heading(sheet: Array, text: str, x: int, baseline: int, colour: Colour) -> None:
    cv2.rectangle(sheet, (x, baseline - 13), (x + 13, baseline), colour, -1)
    BODY.draw(sheet, text, x + 22, baseline, INK, 600)


def _frames(seen: Seen, why: Explanation) -> Array:
    count = min(FRAMES, len(seen.frames))
    chosen = np.linspace(0, len(seen.frames) - 1, count).round().astype(int)
    chosen[np.abs(chosen - seen.best).argmin()] = seen.best
    width = (WIDTH - 2 * MARGIN - (FRAMES - 1) * GAP) // FRAMES if count > 1 else 560
    height = round(width * seen.frames.shape[1] / seen.frames.shape[2])
    sheet = _sheet(34 + height + 38)
    _heading(sheet, f"Picture {signed(why.added['image'])}", MARGIN, 20, SUPPORT["image"])
    top, lies = seen.heat.values.max(), track_of(why, "image")
    for place, number in enumerate(chosen):
        x = MARGIN + place * (width + GAP)
        lit = lit_frame(seen, int(number), top, width, height)
        if lies is not None and (box := box_at(lies.track, float(seen.times_s[number]))) is not None:
            _outlined(lit, np.array(box) * width / why.size[0], str(lies.track.id))
        sheet[34 : 34 + height, x : x + width] = lit
        share = seen.heat.values[number].sum() / seen.heat.total
        SMALL.draw(sheet, f"{seen.times_s[number]:.2f} s · {percent(share)} of it", x, 34 + height + 22, FAINT)
    return sheet


def _outlined(picture: Array, box: Array, name: str) -> None:
    """Draw the box of a track, with its number, as the page does. box: x0 y0 x1 y1 in pixels of the picture."""
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    cv2.rectangle(picture, (x0, y0), (x1, y1), (0, 0, 0), 4, cv2.LINE_AA)
    cv2.rectangle(picture, (x0, y0), (x1, y1), (255, 255, 255), 2, cv2.LINE_AA)
    left, top = max(0, x0), max(0, y0)
    cv2.rectangle(picture, (left, top), (left + SMALL.width(name) + 10, top + 20), (255, 255, 255), -1)
    SMALL.draw(picture, name, left + 5, top + 16, INK, 600)


def _pixels(seen: Seen, pixels: Array) -> Array:
    """The frame with most of the evidence, as the network looks at it: large, and the relevance of its pixels."""
    height = 300
    rows, columns = seen.window
    square = seen.frames[seen.best][rows, columns]
    width = round(height * square.shape[1] / square.shape[0])
    sheet = _sheet(34 + height + 20)
    _heading(sheet, f"The same in pixels, at {seen.times_s[seen.best]:.2f} s", MARGIN, 20, SUPPORT["image"])
    cells = seen.heat.values[seen.best]
    soft = cv2.GaussianBlur(pixels, (0, 0), 1.5)
    shown = (
        cv2.resize(np.ascontiguousarray(square), (width, height), interpolation=cv2.INTER_CUBIC),
        lit(
            square,
            cv2.resize((cells / cells.max()).astype(np.float32), square.shape[1::-1]),
            width,
            height,
            SUPPORT["image"],
        ),
        cv2.resize(heat(np.sqrt(soft / max(float(np.quantile(soft, 0.998)), 1e-12))), (width, height)),
    )
    for place, picture in enumerate(shown):
        x = MARGIN + place * (width + GAP)
        sheet[34 : 34 + height, x : x + width] = picture
    x = MARGIN + len(shown) * (width + GAP) + 8
    for line, text in enumerate(wrapped(_ABOUT_PIXELS, WIDTH - MARGIN - x, SMALL)):
        SMALL.draw(sheet, text, x, 52 + 24 * line, FAINT)
    return sheet


_ABOUT_PIXELS = (
    "Left: what the network looks at. Middle: the evidence by cell. Right: the same evidence, handed back layer by "
    "layer to the pixels that made those cells active. Trust the cells for where, the pixels for what."
)


def lit_frame(seen: Seen, number: int, top: float, width: int, height: int) -> Array:
    """A frame of the map in colour where the evidence is, dark and grey elsewhere, in `width` x `height` pixels."""
    frame = seen.frames[number]
    field = np.zeros(frame.shape[:2], np.float32)
    rows, columns = seen.window
    size = columns.stop - columns.start, rows.stop - rows.start
    cells = cv2.resize(seen.heat.values[number].astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    field[rows, columns] = cv2.GaussianBlur(cells, (0, 0), max(size) / 60)
    return lit(frame, field / top, width, height, SUPPORT["image"])


def lit(picture: Array, field: Array, width: int, height: int, colour: Colour) -> Array:
    """A picture uint8 "H W 3": in colour where a field "H W" is 1, dark and grey where it is 0, a line at one half."""
    field = np.clip(cv2.resize(field.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    drawn = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = drawn.mean(axis=2, keepdims=True)
    light = np.sqrt(field)[..., None]
    mixed = (grey + (drawn - grey) * light) * (DARK_PLACE + (1 - DARK_PLACE) * light)
    shown = np.ascontiguousarray(np.clip(mixed, 0, 255).astype(np.uint8))
    contours, _ = cv2.findContours((field >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, contours, -1, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.drawContours(shown, contours, -1, colour, 2, cv2.LINE_AA)
    return shown


def _side_by_side(panels: list[tuple[str, str, Heard | Moved]]) -> Array:
    sheet = _sheet(34 + PANEL_PX + 44)
    room = (WIDTH - 2 * MARGIN - (len(panels) - 1) * 2 * GAP) // len(panels)
    for place, (title, modality, part) in enumerate(panels):
        x = MARGIN + place * (room + 2 * GAP)
        _heading(sheet, title, x, 20, SUPPORT[modality])
        _spectrogram(sheet, part, x, room) if isinstance(part, Heard) else _flow(sheet, part, x, room)
    return sheet


def _spectrogram(sheet: Array, part: Heard, x: int, room: int) -> None:
    """Log-mel with time to the right and high frequencies at the top, with both axes."""
    axis = 62
    width, left = room - axis, x + axis
    seconds = part.heat.values.shape[2] * part.column_s
    log_mel = part.log_mel[: round(seconds / part.bin_s)].T[::-1]
    low, high = np.percentile(log_mel, (5, 99.5))
    loud = np.clip((log_mel - low) / max(float(high - low), 1e-6), 0, 1)
    coloured = cv2.applyColorMap((loud * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]
    field = part.heat.values[0][::-1] / part.heat.values.max()
    big = cv2.resize(field.astype(np.float32), (width, PANEL_PX), interpolation=cv2.INTER_LINEAR)
    stretched = cv2.resize(np.ascontiguousarray(coloured), (width, PANEL_PX), interpolation=cv2.INTER_LINEAR)
    sheet[34 : 34 + PANEL_PX, left : left + width] = lit(stretched, big, width, PANEL_PX, SUPPORT["audio"])
    for row, hz in enumerate(part.edges_hz):
        y = 34 + PANEL_PX - round(row * PANEL_PX / (len(part.edges_hz) - 1))
        text = f"{hz / 1000:.1f}" + (" kHz" if row == len(part.edges_hz) - 1 else "")
        baseline = int(np.clip(y + 6, 34 + 12, 34 + PANEL_PX))
        SMALL.draw(sheet, text, left - 8 - SMALL.width(text), baseline, FAINT)
    step = next(
        each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600) if seconds / each <= max(4, room // 140)
    )
    for tick in np.arange(0, seconds + 1e-6, step):
        text, at = f"{part.start_s + tick:g} s", left + round(tick / seconds * width)
        cv2.line(sheet, (at, 34 + PANEL_PX), (at, 34 + PANEL_PX + 5), RULE, 1)
        begin = int(np.clip(at - SMALL.width(text) // 2, left, left + width - SMALL.width(text)))
        SMALL.draw(sheet, text, begin, 34 + PANEL_PX + 24, FAINT)


def _flow(sheet: Array, part: Moved, x: int, room: int) -> None:
    """As many of the flow's pictures as fit, in the colours of a wheel of directions."""
    pairs, height, width = part.flow.shape[:3]
    wide = round(PANEL_PX * width / height)
    count = max(1, min((room + GAP) // (wide + GAP), len(part.heat.values), 4))
    wide = min(wide, room)
    chosen = np.linspace(0, len(part.heat.values) - 1, count).round().astype(int)
    top = part.heat.values.max()
    fastest = max(float(np.percentile(np.hypot(part.flow[..., 0], part.flow[..., 1]), 99)), 1e-3)
    for place, number in enumerate(chosen):
        pair = min(pairs - 1, int((number + 0.5) * pairs / len(part.heat.values)))
        field = cv2.resize((part.heat.values[number] / top).astype(np.float32), (width, height))
        drawn = lit(flow_colours(part.flow[pair], fastest), field, wide, PANEL_PX, SUPPORT["motion"])
        left = x + place * (wide + GAP)
        sheet[34 : 34 + PANEL_PX, left : left + wide] = drawn
    text = f"colour: direction; white: still; full colour: {fastest:.2f} short sides a second"
    SMALL.draw(sheet, SMALL.fit(text, room), x, 34 + PANEL_PX + 24, FAINT)


def flow_colours(flow: Array, fastest: float) -> Array:
    """Flow "h w 2" as colours uint8 "h w 3": hue is direction, from white for stillness to full colour."""
    hue = ((np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1.0) * 180
    speed = np.clip(np.hypot(flow[..., 0], flow[..., 1]) / fastest, 0, 1) * 255
    wheel = np.stack([hue, speed, np.full_like(hue, 245)], axis=-1).astype(np.uint8)
    coloured: Array = cv2.cvtColor(wheel, cv2.COLOR_HSV2RGB)
    return coloured


def _bars(why: Explanation) -> Array:
    """A waterfall in log-odds: where it begins, what each modality adds, where it ends."""
    base = why.label.base_log_odds or 0.0
    rows: list[tuple[str, float, float, Colour, str]] = [
        ("to begin with", 0.0, base, FAINT, "a word that is not there")
    ]
    level = base
    for name in MODALITIES:
        if name in why.added:
            rows.append((NAMES[name], level, level + why.added[name], SUPPORT[name], why.why_not.get(name, "")))
            level += why.added[name]
        else:
            rows.append((NAMES[name], level, level, SUPPORT[name], why.why_not.get(name, "")))
    rows.append(("together", 0.0, level, INK, f"log-odds, which is {100 * why.label.probability:.1f} %"))
    sheet = _sheet(44 + ROW_PX * len(rows) + 12)
    cv2.line(sheet, (MARGIN, 6), (WIDTH - MARGIN, 6), RULE, 1)
    BODY.draw(sheet, "What each adds, in log-odds (Shapley values)", MARGIN, 32, INK, 600)
    left, right = MARGIN + 150, MARGIN + 700
    ends = [0.0, *(end for _, _, end, _, _ in rows)]
    low, high = min(ends), max(ends)
    scale = (right - left) / max(high - low, 1e-6)
    zero = left + round(-low * scale)
    cv2.line(sheet, (zero, 44), (zero, 44 + ROW_PX * len(rows)), RULE, 2)
    for number, (told, begin, end, colour, note) in enumerate(rows):
        y = 44 + ROW_PX * number
        weight = 600 if told == "together" else 400
        BODY.draw(sheet, told, MARGIN, y + 23, INK, weight)
        at = sorted((left + round((begin - low) * scale), left + round((end - low) * scale)))
        cv2.rectangle(sheet, (at[0], y + 8), (max(at[1], at[0] + 2), y + 26), colour, -1)
        value = signed(end) if told == "together" else signed(end - begin) if end != begin else "–"
        BODY.draw(sheet, value, right + 86 - BODY.width(value, weight), y + 23, INK, weight)
        SMALL.draw(sheet, SMALL.fit(note, WIDTH - MARGIN - right - 110), right + 110, y + 23, FAINT)
    return sheet


def _footer(why: Explanation) -> Array:
    lines = [line for sentence in sentences(why) for line in wrapped(sentence, WIDTH - 2 * MARGIN)]
    sheet = _sheet(28 + 28 * len(lines) + 22)
    cv2.line(sheet, (MARGIN, 2), (WIDTH - MARGIN, 2), RULE, 1)
    for number, line in enumerate(lines):
        BODY.draw(sheet, line, MARGIN, 34 + 28 * number, INK)
    return sheet


def wrapped(text: str, width: int, letters: Text = BODY) -> list[str]:
    """As few lines of at most `width` pixels as possible, about equally long."""
    lines = _filled(text, width, letters)
    for less in range(width, width // 2, -20):
        if len(_filled(text, less, letters)) > len(lines):
            break
        lines = _filled(text, less, letters)
    return lines


def _filled(text: str, width: int, letters: Text) -> list[str]:
    lines = [""]
    for word in re.split(r"\s+(?!%)", text):  # "59 %" stays together
        longer = f"{lines[-1]} {word}".strip()
        if letters.width(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
