"""How is a list asked for and answered? Conditions, order, pages, Link headers and thinned records.

ConnectWise REST 2026.4 and its developer guide: pages of 25, at most 1000; numbered pages, or forward-only ones after
an id, which always name a next page.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from integrations.sandbox.connectwise.answers import bad_request
from integrations.sandbox.connectwise.conditions import BadConditions
from integrations.sandbox.connectwise.matching import Column, Test, candidates, column, condition_test
from integrations.sandbox.connectwise.settings import Switches
from integrations.sandbox.connectwise.shapes import Field, Shape
from integrations.sandbox.connectwise.store import Record, Table

DEFAULT_PAGE = 25
LARGEST_PAGE = 1000
_CUSTOM_FIELD = Shape(
    "customField", {name: Field(name, "any") for name in ("id", "caption", "type", "value")}
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller wants of a list; `query` by lower-case names."""

    query: Mapping[str, str]
    raw_query: str
    url: str
    forward_only: bool = False

    def number(self, name: str, default: int) -> int:
        text = self.query.get(name, "").strip()
        if not text:
            return default
        if not text.isdigit():
            raise bad_request(f"{name} is not a number")
        return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    records: list[Record]
    link: str | None = None


class Listing:
    """One table's rows, possibly of one parent, as a shape describes them; only those that `sees` lets through."""

    def __init__(
        self,
        table: Table,
        shape: Shape,
        switches: Switches,
        parent: int | None,
        sees: Test | None = None,
    ) -> None:
        self._table = table
        self._shape = shape
        self._switches = switches
        self._parent = parent
        self._sees = sees

    def count(self, wish: Wish) -> int:
        return sum(1 for _ in self._matching(wish))

    def page(self, wish: Wish) -> Page:
        size = self._size(wish)
        if wish.forward_only:
            return self._page_after(wish, size)
        number = max(wish.number("page", 1), 1)
        if self._is_whole_table(wish):
            ids = self._table.ids
            chosen = [self._table.rows[row_id] for row_id in ids[(number - 1) * size : number * size]]
            return Page(chosen, self._links(wish, number, size, len(ids)))
        found = self._ordered(wish)
        return Page(found[(number - 1) * size : number * size], self._links(wish, number, size, len(found)))

    def _is_whole_table(self, wish: Wish) -> bool:
        asks = self._conditions(wish) or wish.query.get("orderby")
        return not asks and self._parent is None and self._sees is None

    def _page_after(self, wish: Wish, size: int) -> Page:
        after = wish.number("pageid", 0)
        records = list(islice(self._matching(wish, after), size))
        last = records[-1]["id"] if records else after
        return Page(
            records, f'<{_with(wish, "pageId", last)}>; rel="next"' if self._switches.page_links else None
        )

    def _size(self, wish: Wish) -> int:
        size = wish.number("pagesize", DEFAULT_PAGE)
        if size > LARGEST_PAGE and self._switches.large_page_size == "reject":
            raise bad_request(f"pageSize may be {LARGEST_PAGE} at most")
        return min(size or DEFAULT_PAGE, LARGEST_PAGE)

    def _conditions(self, wish: Wish) -> list[str]:
        names = ("conditions", "childconditions", "customfieldconditions")
        return [name for name in names if wish.query.get(name, "").strip()]

    def _matching(self, wish: Wish, after: int = 0) -> Iterator[Record]:
        """Rows in the order of their ids."""
        tests, ids = self._tests(wish)
        for record in self._rows(ids, after):
            if all(test(record) for test in tests):
                yield record

    def _tests(self, wish: Wish) -> tuple[list[Test], Iterable[int] | None]:
        tests: list[Test] = [self._sees] if self._sees else []
        ids: Iterable[int] | None = None
        how = self._switches.comparing
        try:
            for name in self._conditions(wish):
                if name == "customfieldconditions":
                    tests.append(_any_custom_field(condition_test(wish.query[name], _CUSTOM_FIELD, how)[1]))
                    continue
                node, test = condition_test(wish.query[name], self._shape, how)
                tests.append(test)
                ids = candidates(node, self._table) if name == "conditions" else ids
        except BadConditions as error:
            raise bad_request(lecture(str(error))) from error
        return tests, ids

    def _rows(self, ids: Iterable[int] | None, after: int) -> Iterator[Record]:
        if ids is not None:
            rows = self._table.rows
            chosen = [rows[row_id] for row_id in sorted(set(ids)) if row_id in rows and row_id > after]
            if self._parent is not None:
                chosen = [one for one in chosen if self._table.parent_of(one) == self._parent]
            return iter(chosen)
        if self._parent is not None:
            return (one for one in self._table.under(self._parent) if one["id"] > after)
        return self._table.after(after)

    def _ordered(self, wish: Wish) -> list[Record]:
        found = list(self._matching(wish))
        for path, descending in reversed(list(_orders(wish.query.get("orderby", "")))):
            try:
                where = column(self._shape, path)
            except BadConditions as error:
                raise bad_request(str(error)) from error
            found.sort(key=_sort_key(where), reverse=descending)
        return found

    def _links(self, wish: Wish, number: int, size: int, total: int) -> str | None:
        last = max(-(-total // size), 1)
        if last == 1 or not self._switches.page_links:
            return None
        wanted = [("next", number + 1), ("last", last)] if number < last else []
        wanted += [("first", 1), ("prev", min(number - 1, last))] if number > 1 else []
        return ", ".join(f'<{_with(wish, "page", page)}>; rel="{name}"' for name, page in wanted)


def lecture(problem: str) -> str:
    return (
        f"Conditions are not valid: {problem}. String values take single or double quotes, "
        "DateTime values square brackets, booleans are True or False."
    )


def thinned(record: Record, fields: str) -> Record:
    """Only the wanted fields, `fields=id,status/id,_info/lastUpdated`; unknown ones are simply not there."""
    result: Record = {}
    for path in fields.split(","):
        _copy_path(record, result, path.strip().split("/"))
    return result


def _copy_path(source: Record, target: Record, keys: list[str]) -> None:
    key = next((name for name in source if name.lower() == keys[0].lower()), None)
    if key is None:
        return
    value = source[key]
    if len(keys) == 1:
        target[key] = value
    elif isinstance(value, dict):
        _copy_path(value, target.setdefault(key, {}), keys[1:])
    elif isinstance(value, list):
        parts = target.setdefault(key, [{} for _ in value])
        for one, part in zip(value, parts, strict=True):
            if isinstance(one, dict):
                _copy_path(one, part, keys[1:])


def _any_custom_field(test: Test) -> Test:
    return lambda record: any(isinstance(one, dict) and test(one) for one in record.get("customFields", ()))


def _orders(text: str) -> Iterator[tuple[str, bool]]:
    for part in text.split(","):
        words = part.split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise bad_request(f"orderBy: cannot read {part.strip()!r}")
        yield words[0], len(words) == 2 and words[1].lower() == "desc"


def _sort_key(where: Column) -> Callable[[Record], tuple[int, Any]]:
    """Records without a value come first, then numbers, then texts without regard to case."""

    def key(record: Record) -> tuple[int, Any]:
        value = where.values(record)[0]
        if value is None:
            return (0, 0)
        if isinstance(value, (int, float)):
            return (1, value)
        return (2, str(value).casefold())

    return key


def _with(wish: Wish, name: str, value: int) -> str:
    """The caller's URL with one parameter set, which comes last: one client reads it with a regular expression."""
    kept = [
        part for part in wish.raw_query.split("&") if part and part.partition("=")[0].lower() != name.lower()
    ]
    return f"{wish.url}?{'&'.join([*kept, f'{name}={value}'])}"
