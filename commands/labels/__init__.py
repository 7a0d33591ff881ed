"""`percept labels`: are these words good for this model, and which prompts suit it; one action per file in `words/`."""

from importlib import import_module

from commands.actions import Actions

ACTIONS = Actions(
    verb="labels",
    about="Words and the sentences they are put into, before a run is made with them.",
    does={
        "lint": "words that a model confuses, cuts or cannot read, and words that win everywhere",
        "weigh": "how much each prompt template should count, from unlabelled clips",
    },
)


def main(arguments: list[str]) -> int:
    action = ACTIONS.asked(arguments)
    code: int = import_module(f"commands.labels.{action}").main(arguments[1:]) if action else 0
    return code
