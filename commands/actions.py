"""Verbs with actions, such as `percept engine list`."""

import difflib
from dataclasses import dataclass

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Actions:
    """The actions of a verb.

    about: a sentence for the help. does: what each action does. example: an example command, or "".
    """

    verb: str
    about: str
    does: dict[str, str]
    example: str = ""

    def requested(self, arguments: list[str]) -> str:
        """The requested action, or "" if help was requested (and printed).

        Raises:
            ConfigError: the action does not exist.
        """
        action = arguments[0] if arguments else "--help"
        if action in ("-h", "--help"):
            print(self.usage())
            return ""
        if action not in self.does:
            close = difflib.get_close_matches(action, self.does, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            known = ", ".join(self.does)
            raise ConfigError(f"percept {self.verb} {action}: unknown action{hint}; expected one of: {known}")
        return action

    def usage(self) -> str:
        width = max(map(len, self.does)) + 1
        actions = [f"  {name:{width}} {text}" for name, text in self.does.items()]
        examples = [f"  {self.example}"] if self.example else []
        lines = [f"usage: percept {self.verb} ACTION ...", "", self.about, "", *actions, "", *examples]
        return "\n".join([*lines, f"  percept {self.verb} ACTION --help     options of an action"])
