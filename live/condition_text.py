"""Reads conditions as people write them; `live.condition` says what they mean."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from live.condition_parts import (
    Anything,
    Compared,
    Crosses,
    Either,
    Every,
    Held,
    Motion,
    Node,
    Not,
    Probable,
    Recent,
    Stays,
    quoted,
)
from pipeline.config import did_you_mean
from pipeline.errors import ConfigError

LONGEST = 2_000
DEEPEST = 50
LONGEST_S = 86_400.0
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<sign>[<>]=?)|(?P<bracket>[()])|(?P<word>[^\s()<>"]+)|(?P<bad>\S))"""
)
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "min": 60.0, "minute": 60.0, "minutes": 60.0}
_SECONDS |= {"h": 3600.0, "hour": 3600.0, "hours": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([a-z]*)", re.IGNORECASE)
_JOINTS = ("and", "or", "not")


class ConditionError(ConfigError):
    """A condition cannot be read. The message shows the place."""


@dataclass(frozen=True)
class _Token:
    kind: str
    """word, quoted, sign, bracket, or end."""
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parse(
    text: str,
    labels: Collection[str],
    zones: Collection[str] = (),
    lines: Collection[str] = (),
    things: Collection[str] = (),
) -> Node:
    """The condition in a text.

    labels: names of the camera's labels, as in results. zones, lines: names of its zones and lines. things: what its
    tracks may be called besides; conditions on tracks have these names, too.

    Raises:
        ConditionError: shows the place with a caret, and says what was expected there.
    """
    return _Parser(text, labels, zones, lines, things).parse()


class _Parser:
    def __init__(
        self,
        text: str,
        labels: Collection[str],
        zones: Collection[str],
        lines: Collection[str],
        things: Collection[str],
    ) -> None:
        self._text = text
        self._labels = {name.casefold(): name for name in labels}
        self._things = {name.casefold(): name for name in things} | self._labels
        self._zones = {name.casefold(): name for name in zones}
        self._lines = {name.casefold(): name for name in lines}
        self._at = self._depth = 0
        self._tokens: list[_Token] = []

    def parse(self) -> Node:
        if len(self._text) > LONGEST:
            raise ConditionError(f"the condition has {len(self._text):,} characters; expected at most {LONGEST:,}")
        self._tokens = self._read_tokens()
        node = self._either()
        if self._now.kind != "end":
            self._fail(self._now, self._now, "expected and, or, for, within or the end here")
        return node

    # -- tokens

    def _read_tokens(self) -> list[_Token]:
        tokens, at = [], 0
        while match := _TOKEN.match(self._text, at):
            kind, at = str(match.lastgroup), match.end()
            token = _Token(kind, match.group(kind), match.start(kind), at)
            if kind == "bad":
                self._fail(token, token, 'a quote that is not closed; write such a label as "rock and roll"')
            tokens.append(token)
        return [*tokens, _Token("end", "", len(self._text.rstrip()), len(self._text.rstrip()))]

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._now
        self._at += token.kind != "end"
        return token

    def _takes(self, word: str) -> bool:
        """Take this word or bracket if it comes next."""
        found = self._now.kind in ("word", "bracket") and self._now.text.lower() == word
        self._at += found
        return found

    def _fail(self, first: _Token, last: _Token, what: str) -> NoReturn:
        mark = "^" + "~" * (last.end - first.start - 1)
        line = visible_space(self._text)
        raise ConditionError(f"{what}\n    {line}\n    {' ' * first.start}{mark}")

    # -- grammar, from what binds last to what binds first

    def _either(self) -> Node:
        parts = [self._every()]
        while self._takes("or"):
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _every(self) -> Node:
        parts = [self._timed()]
        while self._takes("and"):
            parts.append(self._timed())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _timed(self) -> Node:
        node = self._negated()
        while self._starts_time():
            is_for = self._take().is_word("for")
            seconds = self._duration()
            node = Held(node, seconds) if is_for else Recent(node, seconds)
        return node

    def _negated(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(self._now, self._now, f"more than {DEEPEST} levels of not and brackets")
        opened = self._now
        if self._takes("not"):
            node: Node = Not(self._negated())
        elif self._takes("("):
            node = self._either()
            if not self._takes(")"):
                self._fail(opened, opened, "a bracket that is not closed")
        else:
            node = self._term()
        self._depth -= 1
        return node

    # -- labels, zones and times

    def _term(self) -> Node:
        name = self._name_tokens()
        text, label = _name(name), self._things.get(_name(name).casefold(), "")
        if not label and text.lower() not in ("motion", "anything"):
            self._unknown_label(name)
        is_motion = not label and text.lower() == "motion"
        if self._now.is_word("over", "stays"):
            if is_motion:
                self._fail(self._now, self._now, "motion is no track; write anything in its place")
            return self._crosses(label) if self._take().is_word("over") else self._stays(label)
        zone = self._zone(self._run()) if self._takes("in") else ""
        if not label:
            return Motion(zone) if is_motion else Anything(zone)
        if not zone and label.casefold() not in self._labels:
            self._fail(
                name[0], name[-1], f"{label!r} is to be found, but is no label; say where: in a zone or over a line"
            )
        if self._now.kind != "sign":
            return Probable(label, zone)
        if zone:
            self._fail(
                self._now, self._now, f"a comparison of a label in a zone; join two parts: … and motion in {zone}"
            )
        return self._compared(label)

    def _name_tokens(self) -> list[_Token]:
        """The tokens of a label, motion or anything, up to `in`, `over` or `stays`, which may be words of a label."""
        run = self._run()
        if not run:
            self._fail(self._now, self._now, "expected a label, motion, anything, not or a bracket here")
        if run[0].kind == "quoted" or self._is_label(run):
            return run
        places = [at for at in range(1, len(run)) if run[at].is_word("in", "over", "stays")]
        known = [at for at in places if self._is_label(run[:at]) or _name(run[:at]).lower() in ("motion", "anything")]
        of_tracks = [at for at in places if not run[at].is_word("in")]
        at = known[-1] if known else of_tracks[0] if of_tracks else places[-1] if places else len(run)
        self._at -= len(run) - at
        return run[:at]

    def _crosses(self, label: str) -> Node:
        """What is behind `over`: a line, and perhaps a way."""
        run, way = self._run(), ""
        if len(run) > 1 and run[-1].is_word("in", "out"):
            way = run.pop().text.lower()
        elif self._now.is_word("in", "out"):  # behind quotes
            way = self._take().text.lower()
        return Crosses(label, self._place(run, "line", self._lines), way)

    def _stays(self, label: str) -> Node:
        """What is behind `stays`: in, a zone, for, a time."""
        if not self._takes("in"):
            self._fail(self._now, self._now, "expected in and the name of a zone here")
        zone = self._zone(self._run())
        if not (self._starts_time() and self._take().is_word("for")):
            self._fail(self._now, self._now, "expected for and a time here, such as for 30 s")
        return Stays(label, zone, self._duration())

    def _run(self) -> list[_Token]:
        """One token in quotes, or words up to the next joint."""
        if self._now.kind == "quoted":
            return [self._take()]
        run: list[_Token] = []
        while self._now.kind == "word" and not self._now.is_word(*_JOINTS) and not self._starts_time():
            run.append(self._take())
        return run

    def _is_label(self, run: list[_Token]) -> bool:
        return _name(run).casefold() in self._things

    def _zone(self, run: list[_Token]) -> str:
        return self._place(run, "zone", self._zones)

    def _place(self, run: list[_Token], kind: str, known: Mapping[str, str]) -> str:
        """The name of a zone or line, as the settings write it."""
        have = f"; known: {', '.join(known.values())}" if known else f"; the camera has no {kind}s"
        if not run:
            self._fail(self._now, self._now, f"expected the name of a {kind} here{have}")
        name = _name(run)
        if name.casefold() not in known:
            hint = did_you_mean(name, known.values()) or have
            self._fail(run[0], run[-1], f"no {kind} has the name {name!r}{hint}")
        return known[name.casefold()]

    def _unknown_label(self, run: list[_Token]) -> NoReturn:
        name = _name(run)
        joined = next((each for each in self._things.values() if each.casefold().startswith(f"{name} ".casefold())), "")
        if joined and quoted(joined) != joined:
            hint = f"; write {quoted(joined)} in quotes"
        else:
            hint = did_you_mean(name, self._things.values()) or "; add it to the camera's labels"
        self._fail(run[0], run[-1], f"{name!r} is not a label of the camera{hint}")

    def _compared(self, label: str) -> Node:
        sign = self._take().text
        number = self._take()
        try:
            value = float(number.text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            self._fail(number, number, "expected a probability from 0 to 1 here, such as 0.6")
        return Compared(label, sign, value)

    def _starts_time(self) -> bool:
        """Whether `for` or `within` and a number come next."""
        return self._now.is_word("for", "within") and bool(re.match(r"[\d.]", self._tokens[self._at + 1].text))

    def _duration(self) -> float:
        first = last = self._take()
        match = _DURATION.fullmatch(first.text)
        unit = match.group(2) if match else ""
        if match and not unit:
            last = self._take()
            unit = last.text
        if not match or unit.lower() not in _SECONDS:
            self._fail(first, last, "expected a time here, such as 30 s, 2 min or 1 h")
        seconds = float(match.group(1)) * _SECONDS[unit.lower()]
        if not 0 < seconds <= LONGEST_S:
            self._fail(first, last, "expected a time of more than 0 s, and at most 24 h")
        return seconds


def _name(run: list[_Token]) -> str:
    if run[0].kind == "quoted":
        return re.sub(r"\\(.)", r"\1", run[0].text[1:-1])
    return " ".join(token.text for token in run)


def visible_space(text: str) -> str:
    """The text on one line, every character in its place."""
    return "".join(character if character.isprintable() else " " for character in text)
