"""Which answers of a PSA can be used, and how long it wants us to wait (asked by the transport)."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Shape = Literal["object", "list", "any"]

RETRY_AFTER = (1.0, 3600.0)
RETRY_AFTER_DEFAULT = 60.0

_JSON_TYPE = re.compile(r"(application|text)/([\w.-]+\+)?json", re.IGNORECASE)
_UNSAFE_ESCAPE = re.compile(rb"\\u(0000|[dD][89a-fA-F])")

OWN_WORDS = ("code", "errors")
"""What a PSA's own failure names (ConnectWise's error body, Autotask's list of sentences), in small letters."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer below 300 with its JSON in `data`, or a 4xx with its masked `text`.

    `is_own_failure`: a 500 in the PSA's own words (only where those come as an answer, see `Transport.speaking`).
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    text: str = ""
    is_own_failure: bool = False

    @property
    def is_refusal(self) -> bool:
        return self.status >= 400

    @property
    def is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "")
        return "html" in kind.lower() or self.text.lstrip()[:1] == "<"

    def refusal_data(self) -> Any:
        """The JSON of a refusal, or None when it has none."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


class Unusable(Exception):
    """Says, as the rest of a sentence, why an answer cannot be used."""


def unusable_status(status: int) -> str:
    """Why an answer with this status says nothing about the request, or "" when it does."""
    if 300 <= status < 400:
        return "redirects elsewhere, which is not followed"
    if status == 408 or status >= 500:
        return f"has trouble (status {status})"
    return "" if status >= 200 else f"answered with the odd status {status}"


def is_own_failure(status: int, body: bytes, headers: Mapping[str, str]) -> bool:
    """The PSA itself says that it failed: a whole 500 with a JSON object that names a `code` or `errors`, as both PSAs
    do. What stands before a PSA (a gateway that did not get an answer in time) says 502 to 504, or HTML, or a 500 with
    a bare `message`; then the PSA may still be at work."""
    if status != 500:
        return False
    try:
        told = parsed(body, headers, "object", "")
    except Unusable:
        return False
    return any(value and str(name).lower() in OWN_WORDS for name, value in told.items())


def parsed(body: bytes, headers: Mapping[str, str], shape: Shape, identified_by: str) -> Any:
    """The JSON of an answer that says yes; raises `Unusable`."""
    if not body.strip():
        raise Unusable("gave an empty answer")
    kind = headers.get("Content-Type", "")
    if not _JSON_TYPE.match(kind.strip()):
        raise Unusable(f"gave {_kind_name(kind)} where JSON belongs, perhaps a maintenance or sign-in page")
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unusable("gave an answer that is not valid JSON") from None
    if _UNSAFE_ESCAPE.search(body):
        data = _storable(data)
    _require_shape(data, shape, identified_by)
    return data


def _require_shape(data: Any, shape: Shape, identified_by: str) -> None:
    expected = {"object": dict, "list": list, "any": object}[shape]
    if not isinstance(data, expected):
        raise Unusable(f"gave {type(data).__name__} where {shape} belongs")
    if identified_by and isinstance(data, dict) and data.get(identified_by) in (None, "", 0):
        raise Unusable("said yes, but not to which record")


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _kind_name(kind: str) -> str:
    name = kind.partition(";")[0].strip()[:60]
    return name if re.fullmatch(r"[\w.+-]+/[\w.+-]+", name) else "something"


def _storable(data: Any) -> Any:
    """Without NUL and lone surrogates, which are fine in JSON and in no database."""
    if isinstance(data, str):
        return data.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(data, list):
        return [_storable(item) for item in data]
    if isinstance(data, dict):
        return {_storable(key): _storable(value) for key, value in data.items()}
    return data


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110 10.2.3: seconds or a date), clamped to something sane."""
    text = headers.get("Retry-After", "").strip()
    seconds = _as_seconds(text)
    if seconds is None or math.isnan(seconds):
        return RETRY_AFTER_DEFAULT
    return min(max(seconds, RETRY_AFTER[0]), RETRY_AFTER[1])


def _as_seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
