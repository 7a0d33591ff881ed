"""Weights of prompt templates from unlabelled clips, all at once, for `percept labels weigh`."""

from collections.abc import Callable, Mapping

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.words.label_vectors import SideBuilder, center_of
from stages.words.template_stack import unit, usual_embedding
from stages.words.templates import Found, templates_of
from stages.words.text_cache import OpenTower, open_text_tower
from stages.words.word import words_of
from stages.words.zpe import selected_weights, softmax_weights, template_scores

METHODS: dict[str, Callable[[Array], Array]] = {"softmax": softmax_weights, "select": selected_weights}

Report = Callable[[str], None]


def weigh(
    spec: ModelSpec,
    run: RunSettings,
    seen: Mapping[str, Array],
    method: str,
    report: Report,
    open_tower: OpenTower = open_text_tower,
) -> dict[str, Found]:
    """The weights of the run's templates by modality, from embeddings "N D" of clips (`seen`).

    Words are the background vocabulary and the run's labels, if there are any.
    """
    builder = SideBuilder(spec, words_of(run.labels), run, report, open_tower)
    found: dict[str, Found] = {}
    for modality, embeddings in seen.items():
        templates = templates_of(run.templates, spec, modality)
        stack = builder.background_stack(modality, templates)
        if run.labels:
            stack = np.concatenate([stack, builder.label_stack(modality, templates)], axis=1)
        center, usual = center_of(spec, modality), usual_embedding(spec, modality)
        plain = unit(stack if center is None else stack - center)
        temperature = spec.towers()[modality].temperature
        scores = template_scores(embeddings, plain, temperature, usual if usual.size else None)
        found[modality] = Found(templates.texts, METHODS[method](scores), scores, len(embeddings))
    return found
