"""`classify` with prompt templates that are weighted on the clips of a source as they arrive (--templates zpe)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.clip import Clip
from pipeline.stage import Fold, Outputs, Resources
from stages.classify import EMBEDDING_OF, Classify
from stages.words.label_vectors import SideBuilder
from stages.words.labels import LabelSet
from stages.words.reliability import signal_weight
from stages.words.template_stack import load_stacks, make_stack, save_stacks
from stages.words.templates import Found, template_file, templates_of, write_whole
from stages.words.text_cache import open_text_tower
from stages.words.word import default_labels, words_of
from stages.words.zpe import Running, blended, decode_state, encode_state

STACKS_FILE = "templates.npz"
"""The vectors of all words in every template, in the run's directory."""
STATES = "templates-{}.state"
"""The newest state of the fold, in the run's directory; one file per source."""
LEAST_SIGNAL = 0.5
"""A modality with a lower signal weight (silence, a black picture) does not count for the template weights."""


class ClassifyStream(Fold, Classify):
    """Gives the same as `Classify`. State: how decided each template was in the clips of the source so far."""

    def prepare(self, report: Callable[[str], None]) -> None:
        from engines.models.checkpoint import read_model

        Classify.prepare(self, report)
        spec = read_model(self.run.model, self.run.audio_model)
        modalities = [name for name in spec.towers() if name in self.run.modalities]
        words = words_of(self.run.labels or default_labels())
        builder = SideBuilder(spec, words, self.run, report, open_text_tower)
        save_stacks(self._directory / STACKS_FILE, {name: make_stack(builder, name) for name in modalities})

    def open(self, resources: Resources) -> None:
        Classify.open(self, resources)
        self._stacks = load_stacks(self._directory / STACKS_FILE)

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        """Update the template weights with this clip, then score the clip with them."""
        running = self._learnt(decode_state(state), clip)
        state = encode_state(running)
        write_whole(self._directory / STATES.format(clip.info.source_index), state)
        return state, self.answer(self._labels(running), clip)

    def _learnt(self, running: Mapping[str, Running], clip: Clip) -> dict[str, Running]:
        learnt = dict(running)
        for name, stack in self._stacks.items():
            embedding, side = clip.get(EMBEDDING_OF[name]), self.label_set.sides[name]
            signal = signal_weight(name, clip.get("signals") or {}, side.knows_stillness)
            if embedding is not None and signal >= LEAST_SIGNAL:
                before = running.get(name) or Running.start(len(embedding), len(stack.plain))
                usual = stack.usual if stack.usual.size else None
                learnt[name] = before.after(embedding, stack.plain, side.temperature, usual)
        return learnt

    def _labels(self, running: Mapping[str, Running]) -> LabelSet:
        sides = {
            name: self._stacks[name].side(self.label_set.sides[name], one.weights) for name, one in running.items()
        }
        return replace(self.label_set, sides=self.label_set.sides | sides)

    def conclude(self) -> dict[str, bytes]:
        """The template weights over the clips of all sources, as a file for --templates FILE."""
        from engines.models.checkpoint import read_model

        states = [decode_state(path.read_bytes()) for path in sorted(self._directory.glob(STATES.format("*")))]
        spec = read_model(self.run.model, self.run.audio_model)
        found: dict[str, Found] = {}
        for name in spec.towers():
            parts = [state[name] for state in states if name in state]
            if parts:
                clips = sum(part.clips for part in parts)
                scores = np.average([part.scores for part in parts], axis=0, weights=[part.clips for part in parts])
                texts = templates_of(self.run.templates, spec, name).texts
                found[name] = Found(texts, blended(scores, clips), scores, clips)
        return {".templates.json": template_file(spec.id, found)} if found else {}

    @property
    def _directory(self) -> Path:
        return Path(self.run.directory)
