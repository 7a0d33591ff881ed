"""Explanations for the page of `percept view --explain`: the best label of each clip, as `percept explain` says."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pages.recording import Strongest
from pages.source import PageSource
from pipeline.config import Config
from pipeline.errors import PerceptError
from pipeline.result import clip_seconds
from stages.text.phrases import phrase_of

WIDTH_PX, JPEG_QUALITY = 960, 80
OTHER = 0.05
"""Difference of probabilities from which the results come from other settings."""

Report = Callable[[str], None]


def explain_clips(sources: Sequence[PageSource], config: Config, report: Report, most: int) -> int:
    """Put the explanations into the sources, of the clips whose label is most probable. Returns how many there are.

    What cannot be explained has the reason in its place.

    Raises: ConfigError, ModelError: the model cannot be used.
    """
    from evidence.explaining import explaining

    clips = [
        (source, each) for source in sources if source.path for each in source.recording.strongest() if is_seen(each)
    ]
    chosen = sorted(clips, key=lambda clip: -clip[1].probability)[:most]
    if not chosen:
        return 0
    words = config.labels.words or list(dict.fromkeys(each.label for _, each in chosen))
    clips_options = msgspec.structs.replace(config.clips, seconds=_seconds(config, chosen))
    labels = msgspec.structs.replace(config.labels, words=words)
    with explaining(msgspec.structs.replace(config, labels=labels, clips=clips_options), report) as explainer:
        for number, (source, each) in enumerate(chosen, 1):
            report(f"explaining {number} of {len(chosen)}")
            source.explanations.append(_told(explainer, source, each))
    return len(chosen)


def is_seen(strongest: Strongest) -> bool:
    """Whether a label is one that is seen or heard, and not read."""
    return not phrase_of(strongest.label)


def _seconds(config: Config, chosen: Sequence[tuple[PageSource, Strongest]]) -> float:
    """The length of the clips of the results, as the longest of them tells."""
    longest = max((each for _, each in chosen), key=lambda each: each.end_s - each.start_s)
    return clip_seconds(longest.start_s, longest.end_s, config.clips.seconds)


def _told(explainer: Any, source: PageSource, each: Strongest) -> list[Any]:
    """A row of the page: clip, label, sentences and picture."""
    from evidence.strip import strip
    from evidence.told import sentences

    tracks = source.recording.tracks(each.start_s, each.end_s)
    try:
        why = explainer.at(source.path, (each.start_s + each.end_s) / 2, each.label, tracks)
    except PerceptError as error:
        return [each.clip, each.label, [f"It could not be explained: {error}"], ""]
    told = list(sentences(why))
    if abs(why.label.probability - each.probability) > OTHER:
        told.append(
            f"The results say {each.probability:.2f}: they were made with other settings. Give percept view the same."
        )
    return [each.clip, each.label, told, _jpeg(strip(why))]


def _jpeg(picture: Any) -> str:
    """A picture uint8 "H W 3" RGB as a data URI."""
    import cv2
    import numpy as np

    height = round(picture.shape[0] * WIDTH_PX / picture.shape[1])
    small = cv2.resize(picture, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), quality)
    return f"data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}"
