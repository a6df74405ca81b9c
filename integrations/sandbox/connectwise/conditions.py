"""What does a `conditions` parameter say? Text to tree, by the grammar of the vendor's developer guide.

conditions  := all ("or" all)*            all := one ("and" one)*
one         := "(" conditions ")" | path operator value
operator    := = != < <= > >= | [not] contains | [not] like | [not] in
value       := "text" | 'text' | 12 | -1.5 | True | False | null | [2026-02-01T10:00:00Z] | ( value, ... )
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

MOST_NESTING = 50


class BadConditions(ValueError):
    """The text is not a condition."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A date-time literal, in the form in which records keep theirs but without the Z, so that text sorts right."""

    text: str


Value = str | int | float | bool | Moment | None


@dataclass(frozen=True, slots=True)
class Comparison:
    path: str
    operator: str
    value: Value | tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple["Node", ...]


Node = Comparison | Both | Either


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens_where(string: str) -> re.Pattern[str]:
    return re.compile(
        rf"""\s*(?:
          (?P<string>{string})
        | (?P<moment>\[[^\]]*\])
        | (?P<operator><=|>=|!=|<>|=|<|>)
        | (?P<number>-?\d+(?:\.\d+)?(?![\w/]))
        | (?P<word>[A-Za-z_][\w]*(?:/[\w]+)*)
        | (?P<mark>[(),])
        )""",
        re.VERBOSE | re.DOTALL,
    )


_PLAIN = _tokens_where(r""""[^"]*"|'[^']*'""")
_ESCAPING = _tokens_where(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_WORD_OPERATORS = ("contains", "like", "in")


def parsed(text: str, *, escapes: bool = False) -> Node:
    """`escapes`: whether a backslash inside a string protects what follows; sources disagree, so it is a switch."""
    return _Parser(list(_tokens(text, escapes=escapes))).whole()


def _tokens(text: str, *, escapes: bool) -> Iterator[_Token]:
    pattern = _ESCAPING if escapes else _PLAIN
    position, end = 0, len(text.rstrip())
    while position < end:
        found = pattern.match(text, position)
        if not found or not found.lastgroup:
            raise BadConditions(f"cannot read {text[position : position + 20]!r}")
        value = found.group(found.lastgroup)
        if found.lastgroup == "string" and escapes:
            value = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        yield _Token(found.lastgroup, value)
        position = found.end()


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._any()
        if self._position < len(self._tokens):
            raise BadConditions(f"unexpected {self._tokens[self._position].text!r}")
        return node

    def _any(self) -> Node:
        parts = [self._all()]
        while self._takes("word", "or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Node:
        parts = [self._one()]
        while self._takes("word", "and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _one(self) -> Node:
        if not self._takes("mark", "("):
            return self._comparison()
        self._depth += 1
        if self._depth > MOST_NESTING:
            raise BadConditions("too many parentheses")
        node = self._any()
        self._must_take(")")
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        path = self._next("a field")
        if path.kind != "word":
            raise BadConditions(f"expected a field, found {path.text!r}")
        operator = self._next("an operator")
        if operator.kind == "operator":
            return Comparison(path.text, operator.text.replace("<>", "!="), self._value())
        negated = operator.text.lower() == "not"
        if negated:
            operator = self._next("an operator")
        word = operator.text.lower()
        if operator.kind != "word" or word not in _WORD_OPERATORS:
            raise BadConditions(f"expected an operator, found {operator.text!r}")
        return Comparison(path.text, word, self._values() if word == "in" else self._value(), negated)

    def _values(self) -> tuple[Value, ...]:
        self._must_take("(")
        values = [self._value()]
        while self._takes("mark", ","):
            values.append(self._value())
        self._must_take(")")
        return tuple(values)

    def _value(self) -> Value:
        token = self._next("a value")
        if token.kind == "string":
            return token.text[1:-1]
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "moment":
            return moment(token.text[1:-1])
        words: dict[str, Value] = {"true": True, "false": False, "null": None}
        if token.kind == "word" and token.text.lower() in words:
            return words[token.text.lower()]
        raise BadConditions(f"expected a value, found {token.text!r}")

    def _next(self, wanted: str) -> _Token:
        if self._position >= len(self._tokens):
            raise BadConditions(f"expected {wanted} at the end")
        self._position += 1
        return self._tokens[self._position - 1]

    def _takes(self, kind: str, text: str) -> bool:
        if self._position < len(self._tokens):
            token = self._tokens[self._position]
            if token.kind == kind and token.text.lower() == text:
                self._position += 1
                return True
        return False

    def _must_take(self, mark: str) -> None:
        if not self._takes("mark", mark):
            raise BadConditions(f"expected {mark!r}")


def moment(text: str) -> Moment:
    try:
        parsed_at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadConditions(f"{text!r} is not a date-time") from error
    at = parsed_at.replace(tzinfo=UTC) if parsed_at.tzinfo is None else parsed_at.astimezone(UTC)
    return Moment(at.replace(tzinfo=None).isoformat())
