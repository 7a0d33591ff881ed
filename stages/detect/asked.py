"""What a detector that is told in words what to find looks for: the things among the words of a run."""

from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.words.relations import things_to_find
from stages.words.things import is_activity, known
from stages.words.word import Word, default_labels, words_of


def asked_words(run: RunSettings) -> tuple[Word, ...]:
    """The words of `find`; and the things among the labels, unless tracks of what is found are wanted alone.

    Raises:
        ConfigError: there is none.
    """
    found = things_to_find(run.find)
    labels = () if found and run.follow == "found" else words_of(run.labels or default_labels())
    words = {word.name.casefold(): word for word in (*filter(_is_thing, labels), *found)}
    if not words:
        raise ConfigError(
            "--detector: no words to look for, because no label names a thing that a box can be around; say what to "
            "find, such as --find 'dog, red car'"
        )
    return tuple(words.values())


def _is_thing(word: Word) -> bool:
    """Whether all its names are things, as far as that is known without a model: of an unknown word it is believed."""
    return not any(is_activity(name) if (is_thing := known(name)) is None else not is_thing for name in word.names)
