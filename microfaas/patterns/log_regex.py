"""CloudWatch's regular expressions, which stand between % in filter patterns. Pure.

Theory of operation. Python's `re` tries one way after the other, and `.*a.*a.*a` takes hours of a
long line; whoever may read a log could stop it. Engines that do not (RE2, in google-re2) have no
wheels for boxes with 32-bit ARM or musl, and CloudWatch's subset has no parentheses, so that an
expression is no more than alternatives, each a row of places with a set of characters, of which
some may be left out and some repeated. That is what the extended Shift-And of Navarro and Raffinot
("Fast and simple character classes and bounded gaps pattern matching", 2003) is for: the places
that a match may have come to are the bits of one number, and a character is a few operations on it,
whatever the expression. Before that, a text is looked through for what each match must have; and as
long as no match has begun, `re` finds the next character that begins one.

    ^ $ . [a-z] [^a-z] x? x* x+ x{3} x{3,} x{3,5} | \\. \\d \\D \\s \\S \\w \\W \\x2f

Letters and digits are ASCII's, as Java has it: any other character is of \\D, \\S and \\W.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from microfaas.patterns.faults import InvalidPattern

# In all alternatives, with repetitions written out.
PLACES_MAX = 1000
REGEXES_MAX = 2

_ASCII = frozenset(map(chr, range(128)))
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_SPACE = frozenset(" \t\n\x0b\f\r")
_DIGIT = frozenset(string.digits)
_PLAIN = frozenset(string.ascii_letters + string.digits + ":_#=@/;,-")
# What stands for itself between brackets.
_IN_BRACKETS = _PLAIN | frozenset("^$?{}|*+.")
_COUNTED = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_HEX = re.compile(r"x([0-9a-fA-F]{2})")


class _Set(NamedTuple):
    """Characters of ASCII; and whether all others are in it."""

    chars: frozenset[str]
    others: bool = False

    def inverted(self) -> _Set:
        return _Set(_ASCII - self.chars, not self.others)


class _Place(NamedTuple):
    set: _Set
    optional: bool = False
    repeats: bool = False


class _Alternative(NamedTuple):
    places: list[_Place]
    from_start: bool
    to_end: bool


_CLASSES: Mapping[str, _Set] = MappingProxyType(
    {
        "d": _Set(_DIGIT),
        "D": _Set(_DIGIT).inverted(),
        "s": _Set(_SPACE),
        "S": _Set(_SPACE).inverted(),
        "w": _Set(_WORD),
        "W": _Set(_WORD).inverted(),
    }
)
_ANY = _Set(frozenset("\n")).inverted()


class Regexes:
    """Compiles the expressions of one filter pattern, of which there may be so many."""

    def __init__(self) -> None:
        self._count = 0

    def compile(self, text: str) -> Callable[[str], bool]:
        """Whether the expression is found anywhere in a text. Raises InvalidPattern."""
        self._count += 1
        if self._count > REGEXES_MAX:
            raise InvalidPattern(f"there may be {REGEXES_MAX} regular expressions in a pattern")
        return compile_regex(text)


def compile_regex(text: str) -> Callable[[str], bool]:
    """Whether the expression is found anywhere in a text. Raises InvalidPattern."""
    alternatives = list(_Parser(text).alternatives())
    if sum(len(each.places) for each in alternatives) > PLACES_MAX:
        raise InvalidPattern(f"%{text}% is too long: repetitions make {PLACES_MAX} places at most")
    matches = _Machine(alternatives).matches
    needed = [_literal(each.places) for each in alternatives]
    if not all(needed):
        return matches
    return lambda found: any(part in found for part in needed) and matches(found)


def _literal(places: list[_Place]) -> str:
    """The longest text that is in every match."""
    runs = [""]
    for set_, optional, repeats in places:
        single = len(set_.chars) == 1 and not set_.others and not optional
        if single:
            runs[-1] += next(iter(set_.chars))
        if not single or repeats:
            runs.append("")
    return max(runs, key=len)


class _Machine:
    """Each alternative has a bit for its start, and one for each place that was matched last."""

    def __init__(self, alternatives: list[_Alternative]) -> None:
        self._masks = dict.fromkeys(_ASCII, 0)
        self._others = self._repeats = self._optional = 0
        # The bits before the rows of optional places, and those at their ends.
        self._before = self._last = 0
        self._first = self._starts = self._accepts = self._accepts_at_end = 0
        bit = 1
        for alternative in alternatives:
            bit = self._lay_out(alternative, bit) << 1
        # Where it stays as long as no match begins, and what finds a character that begins one.
        self._rest = _past(self._starts, self._optional, self._before, self._last)
        self._waking = self._search_of(self._rest << 1 | self._rest & self._repeats)

    def _lay_out(self, alternative: _Alternative, bit: int) -> int:
        """Its last bit."""
        self._first |= bit
        if not alternative.from_start:
            self._starts |= bit
        was_optional = False
        for set_, optional, repeats in alternative.places:
            if optional and not was_optional:
                self._before |= bit
            if was_optional and not optional:
                self._last |= bit
            bit <<= 1
            was_optional = optional
            for char in set_.chars:
                self._masks[char] |= bit
            self._others |= bit if set_.others else 0
            self._optional |= bit if optional else 0
            self._repeats |= bit if repeats else 0
        if was_optional:
            self._last |= bit
        if alternative.to_end:
            self._accepts_at_end |= bit
        else:
            self._accepts |= bit
        return bit

    def _search_of(self, reached: int) -> Callable[[str, int], re.Match[str] | None] | None:
        chars = "".join(map(re.escape, (c for c in _ASCII if self._masks[c] & reached)))
        others = "\x80-\U0010ffff" if self._others & reached else ""
        return re.compile(f"[{chars}{others}]").search if chars or others else None

    def matches(self, text: str) -> bool:
        mask_of, others = self._masks.get, self._others
        rest, waking = self._rest, self._waking
        starts, repeats, accepts = self._starts, self._repeats, self._accepts
        optional, before, last = self._optional, self._before, self._last
        size, end = len(text), len(text) - text.endswith("\n")
        state, at = _past(self._first, optional, before, last), 0
        if state & accepts or (not end and state & self._accepts_at_end):
            return True
        if rest & self._accepts_at_end:  # by nothing, at the end
            return True
        while at < size:
            if state == rest:
                found = waking(text, at) if waking is not None else None
                if found is None:
                    return False
                at = found.start()
            state = (state << 1 | state & repeats) & mask_of(text[at], others) | starts
            at += 1
            if optional:  # as `_past` has it
                full = state | last
                state |= optional & (~(full - before) ^ full)
            if state & accepts or (at >= end and state & self._accepts_at_end):
                return True
        return False


def _past(state: int, optional: int, before: int, last: int) -> int:
    """With all places that are reached by leaving optional ones out: in each row of them the bits
    above the lowest one that is set. The subtraction turns that one over, and nothing above it."""
    full = state | last
    return state | optional & (~(full - before) ^ full)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self) -> Iterator[_Alternative]:
        yield self._alternative()
        while self._takes("|"):
            yield self._alternative()

    def _alternative(self) -> _Alternative:
        from_start = self._takes("^")
        places: list[_Place] = []
        while self._at < len(self._text) and self._text[self._at] not in "|$":
            places += self._repeated(self._set())
            if len(places) > PLACES_MAX:
                self._refuse(f"repetitions make {PLACES_MAX} places at most")
        to_end = self._takes("$")
        if to_end and self._text[self._at :][:1] not in ("", "|"):
            self._refuse("$ stands at the end")
        return _Alternative(places, from_start, to_end)

    def _set(self) -> _Set:
        char = self._next()
        if char == ".":
            return _ANY
        if char == "[":
            return self._brackets()
        if char == "\\":
            return self._escaped()
        if char not in _PLAIN:
            self._misplaced(char)
        return _Set(frozenset(char))

    def _misplaced(self, char: str) -> NoReturn:
        if char == "^":
            self._refuse("^ stands at the beginning")
        if char in "?*+{":
            self._refuse(f"there is nothing for {char} to repeat")
        self._refuse(f"'{char}' may not stand there; \\s is a space, and \\ stands before symbols")

    def _escaped(self) -> _Set:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if match := _HEX.match(self._text, self._at - 1):
            code = int(match[1], 16)
            if code < len(_ASCII):
                self._at = match.end()
                return _Set(frozenset(chr(code)))
        if char not in _ASCII or char.isalnum():
            self._refuse(f"\\{char} is none of \\d \\D \\s \\S \\w \\W, \\x00 to \\x7f")
        return _Set(frozenset(char))

    def _brackets(self) -> _Set:
        inverted = self._takes("^")
        found = _Set(frozenset())
        while not self._takes("]"):
            part = self._in_brackets()
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 :][:1] != "]":
                self._at += 1
                part = self._range(part, self._in_brackets())
            found = _Set(found.chars | part.chars, found.others or part.others)
        if not found.chars:
            self._refuse("there is nothing between [ and ]")
        return found.inverted() if inverted else found

    def _in_brackets(self) -> _Set:
        char = self._next()
        if char == "\\":
            return self._escaped()
        if char not in _IN_BRACKETS:
            self._refuse(f"'{char}' may not stand between [ and ] without a \\")
        return _Set(frozenset(char))

    def _range(self, low: _Set, high: _Set) -> _Set:
        if len(low.chars) != 1 or len(high.chars) != 1 or low.others or high.others:
            self._refuse("a range is between two characters")
        first, last = ord(min(low.chars)), ord(min(high.chars))
        if first > last:
            self._refuse(f"{chr(first)}-{chr(last)} is the wrong way round")
        return _Set(frozenset(map(chr, range(first, last + 1))))

    def _repeated(self, set_: _Set) -> list[_Place]:
        """A set's places, as often as what follows it says."""
        once, maybe = _Place(set_), _Place(set_, optional=True)
        if self._takes("?"):
            found = [maybe]
        elif self._takes("*"):
            found = [_Place(set_, optional=True, repeats=True)]
        elif self._takes("+"):
            found = [_Place(set_, repeats=True)]
        elif self._text[self._at : self._at + 1] == "{":
            found = self._counted(once, maybe)
        else:
            return [once]
        if self._text[self._at : self._at + 1] in ("?", "*", "+", "{"):
            self._refuse(f"there is nothing for {self._text[self._at]} to repeat")
        return found

    def _counted(self, once: _Place, maybe: _Place) -> list[_Place]:
        match = _COUNTED.match(self._text, self._at)
        if match is None:
            self._refuse("between { and } there is how often, as in {3}, {3,} and {3,5}")
        self._at = match.end()
        least = int(match[1])
        most = int(match[3] or least)
        if most < least or most > PLACES_MAX:
            self._refuse(f"{match[0]} is not how often: up to {PLACES_MAX} times, the lesser first")
        found = [once] * least + [maybe] * (most - least)
        if match[2] and not match[3]:
            found.append(maybe._replace(repeats=True))
        return found

    def _next(self) -> str:
        if self._at == len(self._text):
            self._refuse("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _takes(self, char: str) -> bool:
        if self._text[self._at : self._at + 1] != char:
            return False
        self._at += 1
        return True

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidPattern(f"%{self._text}% is no regular expression here: {why}")
