"""Which entity and which action does a path mean? Without regard to case, with or without a trailing slash."""

from dataclasses import dataclass

from integrations.sandbox.autotask.entities import ENTITIES, Entity

_WRITES = {"C": ("POST", "create"), "U": ("PATCH", "patch")}
_RIGHT_OF = {"create": "create", "patch": "update", "put": "update", "delete": "delete"}
_PAGES = ("query/next", "query/prev")


@dataclass(frozen=True, slots=True)
class Route:
    """`action`: get, query, count, page, children, create, patch, put, delete, about, fields or udfs.

    `below_parent`: the first id of the path is the parent's.
    """

    entity: Entity
    action: str
    below_parent: bool = False

    @property
    def right(self) -> str:
        return _RIGHT_OF.get(self.action, "query")


Methods = dict[str, Route]


def _routes() -> dict[str, Methods]:
    found: dict[str, Methods] = {}
    for entity in ENTITIES.values():
        name = entity.name.lower()
        _add_letters(found, entity, name, entity.own, below=False)
        if "Q" in entity.own:
            for path, action in (("query", "query"), ("query/count", "count")):
                route = Route(entity, action)
                found[f"{name}/{path}"] = {"GET": route, "POST": route}
            for path in _PAGES:
                found[f"{name}/{path}"] = {"GET": Route(entity, "page"), "POST": Route(entity, "page")}
        for path, action in (("", "about"), ("/fields", "fields"), ("/userdefinedfields", "udfs")):
            found[f"{name}/entityinformation{path}"] = {"GET": Route(entity, action)}
        if entity.parent and entity.segment:
            below = f"{entity.parent}/*/{entity.segment}".lower()
            _add_letters(found, entity, below, entity.child, below=True)
            if "Q" in entity.child:
                found.setdefault(below, {})["GET"] = Route(entity, "children", below_parent=True)
    return found


def _add_letters(found: dict[str, Methods], entity: Entity, path: str, letters: str, *, below: bool) -> None:
    for letter, (method, action) in _WRITES.items():
        if letter in letters:
            found.setdefault(path, {})[method] = Route(entity, action, below)
    if "U" in letters:
        found[path]["PUT"] = Route(entity, "put", below)
    if "Q" in letters:
        found.setdefault(f"{path}/*", {})["GET"] = Route(entity, "get", below)
    if "D" in letters:
        found.setdefault(f"{path}/*", {})["DELETE"] = Route(entity, "delete", below)


ROUTES = _routes()


def pattern_of(path: str) -> tuple[str, list[int]]:
    """`contracts/*/services` and `[401]` for `/Contracts/401/Services/`."""
    ids: list[int] = []
    words = []
    for word in path.strip("/").lower().split("/"):
        if word.isdigit() and len(word) < 19:
            ids.append(int(word))
            word = "*"
        words.append(word)
    return "/".join(words), ids
