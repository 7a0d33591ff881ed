"""The words of a map as people write them: "dog|cat; grass; sky"."""

from stages.words.word import clean_labels, parse_labels

BETWEEN = ";"


def parse_phrases(text: str) -> tuple[str, ...]:
    """The words to look for, each with its synonyms: split at ";", or as `parse_labels` does where there is none.

    Raises:
        ConfigError: there is no word, or one is too long.
    """
    return clean_labels(text.split(BETWEEN), "--labels") if BETWEEN in text else parse_labels(text)
