"""The charts of the report, as self-contained HTML and SVG."""

from collections.abc import Iterator
from html import escape

from training.evaluate.calibration import Bin, Calibration
from training.evaluate.figures import Mean
from training.intervals import Share

SIDE_PX = 250
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 58, 22, 12, 84
COUNTS_PX = 44
"""Distance from the bottom of the diagram to the bottom of the bars below it, which are up to 28 px high."""


def percent(value: float) -> str:
    """`63%`, `0.4%`"""
    return f"{value:.1%}" if 0 < value < 0.0995 or 0.9905 <= value < 1 else f"{value:.0%}"


def interval(figure: Share | Mean) -> str:
    """`63% <small>53–72%</small>`"""
    return (
        f"<b>{percent(figure.share if isinstance(figure, Share) else figure.value)}</b> <small>{span(figure)}</small>"
    )


def span(figure: Share | Mean | Calibration) -> str:
    return f"{percent(figure.low).rstrip('%')}–{percent(figure.high)}"


def bar(figure: Share | Mean, tone: str = "") -> str:
    """A bar for the value, with its interval as a whisker."""
    value = figure.share if isinstance(figure, Share) else figure.value
    return (
        f'<div class="bar {tone}"><i style="width:{100 * value:.1f}%"></i>'
        f'<u style="left:{100 * figure.low:.1f}%;width:{100 * (figure.high - figure.low):.1f}%"></u></div>'
    )


def reliability_diagram(of: Calibration, confidence: str) -> str:
    """Accuracy against confidence: a dot per bin, sized by its count, with its interval. Below, a bar per bin's count.

    Above the diagonal the model is underconfident, below it overconfident.
    """
    width, height = LEFT_PX + SIDE_PX + RIGHT_PX, TOP_PX + SIDE_PX + BOTTOM_PX
    most = max(each.count for each in of.bins)
    parts = [
        *_frame(),
        *(shape for each in of.bins for shape in _dot(each, most)),
        *(_column(each, most) for each in of.bins),
        _text(LEFT_PX + SIDE_PX / 2, height - 4, confidence, "middle"),
        f'<text transform="translate(12 {TOP_PX + SIDE_PX / 2}) rotate(-90)" text-anchor="middle">accuracy</text>',
    ]
    title = f"accuracy against {confidence}"
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _frame() -> Iterator[str]:
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _at(tick, tick)
        yield f'<path class="grid" d="M{LEFT_PX} {y}H{LEFT_PX + SIDE_PX}M{x} {TOP_PX}V{TOP_PX + SIDE_PX}"/>'
        yield _text(LEFT_PX - 6, y + 4, f"{tick:.0%}", "end")
        yield _text(x, TOP_PX + SIDE_PX + COUNTS_PX + 16, f"{tick:.0%}", "middle")
    x0, y0 = _at(0, 0)
    x1, y1 = _at(1, 1)
    yield f'<path class="true" d="M{x0} {y0}L{x1} {y1}"/>'


def _dot(of: Bin, most: int) -> Iterator[str]:
    x, y = _at(of.confidence, of.right.share)
    _, low = _at(0, of.right.low)
    _, high = _at(0, of.right.high)
    text = f"mean {of.confidence:.0%}, {of.right.hits} of {of.count} right"
    yield f'<path class="whisker" d="M{x} {low}V{high}"/>'
    radius = 3 + 5 * (of.count / most) ** 0.5
    yield f'<circle cx="{x}" cy="{y}" r="{radius:.1f}"><title>{text}</title></circle>'


def _column(of: Bin, most: int) -> str:
    """The number of answers in a bin, as a bar under the diagram."""
    left, top = _at(of.low, 0)
    right, _ = _at(of.high, 0)
    height = 28 * of.count / most
    return (
        f'<rect class="count" x="{left + 0.5:.1f}" y="{top + COUNTS_PX - height:.1f}" width="{right - left - 1:.1f}" '
        f'height="{height:.1f}"><title>{of.count} answers</title></rect>'
    )


def _at(x: float, y: float) -> tuple[float, float]:
    return round(LEFT_PX + SIDE_PX * x, 1), round(TOP_PX + SIDE_PX * (1 - y), 1)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
