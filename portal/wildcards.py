"""Patterns that people type: `?` is any one character, `*` any number of them (asked by searches).

A lookup for text columns: `filter(summary__wildcards="*backup?")`. Capitals do not matter: on PostgreSQL for all
letters, on SQLite for those of ASCII, which is what its LIKE compares.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Lookup, TextField

ESCAPED = str.maketrans({"\\": "\\\\", "%": r"\%", "_": r"\_", "?": "_", "*": "%"})


def like(pattern: str) -> str:
    """The pattern as SQL's LIKE has it, with a backslash as escape."""
    return pattern.translate(ESCAPED)


def matches(pattern: str, text: str) -> bool:
    """The same answer in Python."""
    expression = "".join({"?": ".", "*": ".*"}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL) is not None


if TYPE_CHECKING:
    Base = Lookup[Any]
else:
    Base = Lookup


class Wildcards(Base):
    """`column LIKE pattern`, the pattern in people's wildcards."""

    lookup_name = "wildcards"
    operator = "LIKE"

    def get_prep_lookup(self) -> str:
        return like(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, parameters = self.process_lhs(compiler, connection)
        pattern, more = self.process_rhs(compiler, connection)
        return f"{column} {self.operator} {pattern} ESCAPE '\\'", [*parameters, *more]

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        column, parameters = self.process_lhs(compiler, connection)
        pattern, more = self.process_rhs(compiler, connection)
        return f"{column} ILIKE {pattern} ESCAPE '\\'", [*parameters, *more]


CharField.register_lookup(Wildcards)
TextField.register_lookup(Wildcards)
