"""Names that mean nearly the same as a phrase, as a model's text tower sees it."""

from collections.abc import Callable, Sequence

import msgspec

from archive.search.words import model_of
from engines.models.checkpoint import read_model
from pipeline.build import make_settings
from pipeline.config import Config
from stages.words.labels import build_label_set
from stages.words.near_synonyms import near_synonyms
from stages.words.word import clean_labels


def by_text_tower(
    config: Config, model: str, phrase: str, names: Sequence[str], report: Callable[[str], None] = lambda text: None
) -> tuple[str, ...]:
    """The near-synonyms of a phrase among the names, by the rules with which events of near-synonyms are merged.

    model: that of the log. A model that is neither given nor bundled has no say: its words would be another's.
    """
    name = model_of(model)
    if config.model.path == Config().model.path:
        if not name:
            return ()
        config = msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, path=name))
    settings = make_settings(config)
    texts = [phrase, *names]
    labels = build_label_set(
        read_model(settings.model, settings.audio_model), clean_labels(texts, "the question"), settings, report
    )
    found = near_synonyms(texts, range(len(texts)), labels.sides).get(phrase, ())
    return tuple(name for name in names if name in found)
