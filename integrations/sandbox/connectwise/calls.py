"""What a request to the API carries besides its path, and what answers of plain lists share."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.connectwise.answers import Refused
from integrations.sandbox.connectwise.lists import DEFAULT_PAGE, LARGEST_PAGE, Wish
from integrations.sandbox.messages import Request


@dataclass(frozen=True, slots=True)
class Call:
    """`ids` and `name` come from the path; `wish` is the query."""

    ids: list[int]
    name: str
    wish: Wish
    request: Request

    @property
    def body(self) -> Any:
        return json_body(self.request)

    def fields(self) -> dict[str, Any]:
        body = self.body
        if not isinstance(body, dict):
            raise Refused(400, "InvalidObject", "the body must be an object")
        return body

    def is_below(self, path: str) -> bool:
        return f"/{path}/" in self.request.path.lower()


Shown = Callable[[Any], Any]


def page_of(rows: Sequence[Any], wish: Wish) -> list[Any]:
    """For lists that are no table: `page` and `pageSize`, without conditions."""
    size = min(wish.number("pagesize", DEFAULT_PAGE) or DEFAULT_PAGE, LARGEST_PAGE)
    number = max(wish.number("page", 1), 1)
    return list(rows[(number - 1) * size : number * size])


def json_body(request: Request) -> Any:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("application/json", "text/json") and not media_type.endswith("+json"):
        raise Refused(415, "UnsupportedMediaType", "Send application/json.")
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "InvalidJson", "The body is not valid JSON.") from error
