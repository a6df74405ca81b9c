"""CSV files that people upload (asked by cross-references and usage): encodings, separators, headings, bad lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from integrations.mappingsheet import Problem, Unreadable, rows_of_text
from portal.sheets import line_of, plain

__all__ = ["Line", "Problem", "Sheet", "Unreadable", "line_of"]


class Line(dict[str, str]):
    """One line: each known column's trimmed cell, empty when it has none. `number` counts from 1, with the heading."""

    number: int


@dataclass(frozen=True)
class Sheet:
    """A file that was read, column by name."""

    columns: Mapping[str, int]
    known: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str] | str]]

    @classmethod
    def of(cls, content: bytes, *, needed: Sequence[str], known: Sequence[str]) -> Sheet:
        """Raises Unreadable when the file is no CSV, or a column that is needed is not there, or there twice."""
        heading, rows = rows_of_text(content)
        names = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in heading]
        doubled = [name for name in known if names.count(name) > 1]
        if doubled:
            raise Unreadable(f"The heading has the column {doubled[0]} more than once.")
        missing = [name for name in needed if name not in names]
        if missing:
            raise Unreadable(f"The heading lacks {' and '.join(missing)}; it needs {', '.join(needed)}.")
        return cls({name: names.index(name) for name in known if name in names}, known, rows)

    def lines(self, problems: list[Problem]) -> Iterator[Line]:
        """The lines that can be read; the others are added to `problems`."""
        for number, cells in self.rows:
            if isinstance(cells, str):
                problems.append(Problem(number, column="", text=cells))
                continue
            line = Line()
            line.number = number
            for name in self.known:
                at = self.columns.get(name, -1)
                line[name] = plain(cells[at]).strip() if 0 <= at < len(cells) else ""
            yield line
