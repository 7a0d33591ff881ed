"""The picture of an answer: boxes on the frame, and the phrase below it with what each part scored."""

import cv2
import numpy as np

from evidence.colours import FAINT, INK, PAPER, RULE, word_colour
from evidence.finding.answer import Answer, Box, Finding, Part
from evidence.overlay import BRIGHT, LUMA
from pipeline.arrays import Array
from pipeline.sinks.lettering import DARK, WHITE, Colour, Text

WIDTH_PX, HEIGHT_PX = 960, 720
BODY, SMALL = Text(20), Text(16)
MARGIN, ROW_PX = 24, 30
BAR_PX = 160


def found_picture(found: Finding, most: int) -> Array:
    """uint8 "h w 3" RGB."""
    frame = found.picture.frame
    scale = min(WIDTH_PX / frame.shape[1], HEIGHT_PX / frame.shape[0])
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    picture = np.full((size[1], WIDTH_PX, 3), PAPER, np.uint8)
    picture[:, : size[0]] = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_CUBIC)
    whole = size[0] / found.picture.width, size[1] / found.picture.height
    told = found.told[:most]
    for rank in range(len(told) - 1, 0, -1):
        _box(picture, told[rank].box, whole, (220, 220, 220), f"or {told[rank].score:.2f}", 1)
    if told:
        for number, part in _things(told[0])[::-1]:
            name = (
                f"{found.phrase.read(part.span)} {told[0].score:.2f}"
                if number == found.phrase.asked
                else found.phrase.read(part.span)
            )
            _box(picture, part.box, whole, word_colour(number), name, 4 if number == found.phrase.asked else 2)
    return np.vstack([picture, _legend(found, told[0] if told else None)])


def _things(answer: Answer) -> list[tuple[int, Part]]:
    return [(part.thing, part) for part in answer.parts if part.kind == "thing"]


def _box(picture: Array, box: Box, scale: tuple[float, float], colour: Colour, name: str, thick_px: int) -> None:
    (x0, y0), (x1, y1) = ((round(x * scale[0]), round(y * scale[1])) for x, y in (box[:2], box[2:]))
    cv2.rectangle(picture, (x0, y0), (x1, y1), (255, 255, 255), thick_px + 2, cv2.LINE_AA)
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thick_px, cv2.LINE_AA)
    name = BODY.fit(name, picture.shape[1] // 2, 600)
    width = BODY.width(name, 600) + 16
    x, y = int(np.clip(x0, 0, picture.shape[1] - width)), int(np.clip(y0 - 28, 0, picture.shape[0] - 28))
    cv2.rectangle(picture, (x, y), (x + width, y + 28), colour, -1)
    BODY.draw(picture, name, x + 8, y + 21, DARK if np.dot(colour, LUMA) > BRIGHT else WHITE, 600)


def _legend(found: Finding, answer: Answer | None) -> Array:
    """The phrase, and a bar for each part."""
    parts = () if answer is None else answer.parts
    sheet = np.full((64 + ROW_PX * max(1, len(parts)) + 14, WIDTH_PX, 3), PAPER, np.uint8)
    BODY.draw(sheet, BODY.fit(found.phrase.text, WIDTH_PX - 2 * MARGIN, 600), MARGIN, 34, INK, 600)
    cv2.line(sheet, (MARGIN, 48), (WIDTH_PX - MARGIN, 48), RULE, 1)
    if answer is None:
        near = f": the best box has {found.answers[0].score:.2f}, less than {found.least:.2f}" if found.answers else ""
        BODY.draw(sheet, f"not there{near}", MARGIN, 84, INK)
    for row, part in enumerate(parts):
        y = 84 + ROW_PX * row
        left = MARGIN + 330
        cv2.rectangle(sheet, (MARGIN, y - 13), (MARGIN + 12, y - 1), word_colour(part.thing), -1)
        text = found.phrase.read(part.span) if part.kind == "thing" else f"{found.phrase.read(part.span)} ({part.kind})"
        BODY.draw(sheet, BODY.fit(text, 280), MARGIN + 24, y, INK)
        if part.score is None:
            SMALL.draw(sheet, SMALL.fit(f"not measured: {part.note}", WIDTH_PX - MARGIN - left), left, y, FAINT)
            continue
        cv2.rectangle(sheet, (left, y - 14), (left + BAR_PX, y), RULE, -1)
        cv2.rectangle(
            sheet, (left, y - 14), (left + max(2, round(BAR_PX * part.score)), y), word_colour(part.thing), -1
        )
        BODY.draw(sheet, f"{part.score:.2f}", left + BAR_PX + 12, y, INK)
        SMALL.draw(sheet, SMALL.fit(part.note, WIDTH_PX - MARGIN - left - BAR_PX - 70), left + BAR_PX + 66, y, FAINT)
    return sheet
