"""Which resource and which action does a path mean? Without regard to case, with or without a trailing slash."""

from dataclasses import dataclass

from integrations.sandbox.connectwise.resources import RESOURCES, Resource

_RIGHT_OF = {"GET": "inquire", "POST": "add", "PATCH": "edit", "PUT": "edit", "DELETE": "delete"}
_VERB_OF = {"POST": "create", "PATCH": "patch", "PUT": "put", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Route:
    """`action` is page, count, search, get, create, patch, put or delete."""

    resource: Resource
    action: str
    right: str


def _routes() -> dict[str, dict[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for resource in RESOURCES:
        one, many = found.setdefault(f"{resource.path}/*", {}), found.setdefault(resource.path, {})
        many["GET"] = Route(resource, "page", "inquire")
        one["GET"] = Route(resource, "get", "inquire")
        found[f"{resource.path}/count"] = {"GET": Route(resource, "count", "inquire")}
        if resource.can_search:
            found[f"{resource.path}/search"] = {"POST": Route(resource, "search", "inquire")}
        for method, verb in _VERB_OF.items():
            if verb in resource.may:
                right = resource.writes_as if method == "POST" else _RIGHT_OF[method]
                (many if method == "POST" else one)[method] = Route(resource, verb, right)
    return found


ROUTES = _routes()


def pattern_of(path: str) -> tuple[str, list[int]]:
    """`service/boards/*/statuses` and `[21]` for `/service/boards/21/Statuses/`."""
    ids: list[int] = []
    words = []
    for word in path.strip("/").lower().split("/"):
        if word.isdigit() and len(word) < 12:
            ids.append(int(word))
            word = "*"
        words.append(word)
    return "/".join(words), ids
