"""Which rows have a value? Looked up by both pretend PSAs, so that 50,000 tickets need no looking through."""

from bisect import bisect_left, insort
from typing import Any


class Index:
    """Which rows have this value, one that begins with it, or one from it on? Texts without regard to case."""

    def __init__(self) -> None:
        self._ids: dict[Any, set[int]] = {}
        self._keys: list[Any] = []

    def add(self, value: Any, row_id: int) -> None:
        key = _folded(value)
        if key not in self._ids:
            self._ids[key] = set()
            insort(self._keys, key)
        self._ids[key].add(row_id)

    def remove(self, value: Any, row_id: int) -> None:
        key = _folded(value)
        self._ids[key].discard(row_id)
        if not self._ids[key]:
            del self._ids[key]
            del self._keys[bisect_left(self._keys, key)]

    def copy(self) -> "Index":
        twin = Index()
        twin._ids = {key: set(ids) for key, ids in self._ids.items()}
        twin._keys = list(self._keys)
        return twin

    def equal(self, value: Any) -> set[int]:
        return self._ids.get(_folded(value), set())

    def beginning(self, prefix: str) -> set[int]:
        folded = prefix.casefold()
        found: set[int] = set()
        for position in range(bisect_left(self._keys, folded), len(self._keys)):
            if not self._keys[position].startswith(folded):
                break
            found |= self._ids[self._keys[position]]
        return found

    def since(self, value: Any) -> set[int] | None:
        """None when that is most of the rows, and looking at all is no slower."""
        first = bisect_left(self._keys, _folded(value))
        if first * 2 < len(self._keys):
            return None
        return {row_id for key in self._keys[first:] for row_id in self._ids[key]}


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
