"""How is a query asked for and answered? Filter, wanted fields, pages of 500 and the address of the next one.

Autotask REST v1.0, `/{Entity}/query`: the next page of a GET is got with GET and carries the search; that of a POST
has to be POSTed again with the same body.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote

from integrations.sandbox.autotask.answers import Refused, unknown_field
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.fields import Shape
from integrations.sandbox.autotask.filters import Filter, candidates, lowest_id
from integrations.sandbox.autotask.store import Record

LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """One query as it came; `search` is its text when it came by GET, `paging` that of a later page."""

    body: Mapping[str, Any]
    url: str
    search: str | None = None
    paging: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    records: list[Record]
    names: tuple[str, ...] | None
    details: Record


class Query:
    def __init__(self, desk: Desk, shape: Shape, asked: Asked) -> None:
        self._desk = desk
        self._shape = shape
        self._asked = asked
        self._given = {str(name).lower(): value for name, value in asked.body.items()}
        self._filter = Filter(self._given.get("filter"), shape, desk.store, desk.switches)

    def count(self) -> int:
        return sum(1 for _ in self._matching(-1))

    def page(self) -> Page:
        size = self._size()
        names = self._wanted_names()
        after, before = self._place()
        if before is not None:
            found = [row for row in self._matching(-1) if row["id"] < before][-size:]
            return Page(found, names, self._details(found, size, more=True, first=False))
        found = list(islice(self._matching(after), size + 1))
        full = len(found) == size and self._desk.switches.empty_last_page
        more = len(found) > size or full
        return Page(found[:size], names, self._details(found[:size], size, more=more, first=after < 0))

    def _matching(self, after: int) -> Iterator[Record]:
        """Rows in the order of their ids."""
        table = self._desk.store.table(self._shape.entity)
        after = max(after, lowest_id(self._filter.node))
        ids = candidates(self._filter.node, table)
        if ids is None:
            rows = table.after(after)
        else:
            rows = (table.rows[one] for one in sorted(ids) if one > after and one in table.rows)
        test, entity = self._filter.test, self._shape.entity
        return (row for row in rows if test(row) and self._desk.sees(entity, row))

    def _size(self) -> int:
        size = self._given.get("maxrecords")
        if size is None:
            return LARGEST_PAGE
        if isinstance(size, str) and size.isdigit():
            size = int(size)
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_PAGE:
            raise Refused(f"MaxRecords must be between 1 and {LARGEST_PAGE}.")
        return size

    def _wanted_names(self) -> tuple[str, ...] | None:
        raw = self._given.get("includefields")
        if not raw:
            return None
        if not isinstance(raw, list):
            raise Refused("IncludeFields must be a list of field names.")
        names = []
        for name in raw:
            field = self._shape.by_lower.get(str(name).lower())
            is_udfs = self._shape.has_udfs and str(name).lower() == "userdefinedfields"
            if field is None and not is_udfs:
                raise unknown_field(str(name), self._shape.singular)
            names.append(field.name if field else "userDefinedFields")
        return tuple(dict.fromkeys(names))

    def _place(self) -> tuple[int, int | None]:
        """After which id to begin, or before which one to end."""
        if self._asked.paging is None:
            return -1, None
        try:
            paging = json.loads(self._asked.paging)
            following, previous = int(paging["nextIds"][0]), int(paging["previousIds"][0])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Refused("The paging token is not valid.") from error
        return (following, None) if following >= 0 else (-1, previous)

    def _details(self, rows: list[Record], size: int, *, more: bool, first: bool) -> Record:
        following = self._link("next", size, -1, rows[-1]["id"]) if more and rows else None
        previous = self._link("prev", size, rows[0]["id"], -1) if rows and not first else None
        details: Record = {"count": len(rows), "requestCount": size}
        return {**details, "prevPageUrl": previous, "nextPageUrl": following}

    def _link(self, word: str, size: int, previous: int, following: int) -> str:
        paging = {"pageSize": size, "previousIds": [previous], "nextIds": [following]}
        link = f"{self._asked.url}/{word}?paging={quote(json.dumps(paging, separators=(',', ':')))}"
        return link if self._asked.search is None else f"{link}&search={quote(self._asked.search)}"
