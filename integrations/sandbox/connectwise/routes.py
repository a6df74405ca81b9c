"""Which resource and which action does a path mean? Without regard to case, with or without a trailing slash."""

import re
from dataclasses import dataclass

from integrations.sandbox.connectwise.actions import ACTIONS, Act
from integrations.sandbox.connectwise.resources import RESOURCES, Resource

_RIGHT_OF = {"GET": "inquire", "POST": "add", "PATCH": "edit", "PUT": "edit", "DELETE": "delete"}
_VERB_OF = {"POST": "create", "PATCH": "patch", "PUT": "put", "DELETE": "delete"}
_NAMED = re.compile(r"(system/(?:members(?=/[^/]+/tokens$)|reports))/(?!count$)([^/]+)(.*)")
"""Paths in which a name stands where others have an id."""


@dataclass(frozen=True, slots=True)
class Route:
    """`action` is page, count, search, get, create, patch, put, delete, or act, which `act` does then.

    Of an act, `table` is where the record lies that it is about (its id is the first), and `entry` has to be allowed.
    """

    action: str
    function: str
    right: str
    resource: Resource | None = None
    act: Act | None = None
    table: str = ""
    entry: str = ""


def _routes() -> dict[str, dict[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for resource in RESOURCES:
        one, many = found.setdefault(f"{resource.path}/*", {}), found.setdefault(resource.path, {})
        many["GET"] = Route("page", resource.function, "inquire", resource)
        one["GET"] = Route("get", resource.function, "inquire", resource)
        found.setdefault(f"{resource.path}/count", {})["GET"] = Route(
            "count", resource.function, "inquire", resource
        )
        if resource.can_search:
            found[f"{resource.path}/search"] = {
                "POST": Route("search", resource.function, "inquire", resource)
            }
        for method, verb in _VERB_OF.items():
            if verb in resource.may:
                right = resource.writes_as if method == "POST" else _RIGHT_OF[method]
                target = many if method == "POST" else one
                target[method] = Route(verb, resource.function, right, resource)
    for action in ACTIONS:
        about = next((one.table for one in RESOURCES if action.path.startswith(f"{one.path}/*")), "")
        route = Route("act", action.function, action.right, None, action.act, about, action.entry)
        found.setdefault(action.path, {})[action.method] = route
    return found


ROUTES = _routes()


def pattern_of(path: str) -> tuple[str, list[int], str]:
    """`service/boards/*/statuses`, `[21]` and no name for `/service/boards/21/Statuses/`."""
    ids: list[int] = []
    words = []
    for word in path.strip("/").lower().split("/"):
        if word.isdigit() and len(word) < 12:
            ids.append(int(word))
            word = "*"
        words.append(word)
    pattern, name = "/".join(words), ""
    if named := _NAMED.fullmatch(pattern):
        pattern, name = f"{named[1]}/={named[3]}", named[2]
    return pattern, ids, name
