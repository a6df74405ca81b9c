"""The audit log: who changed the set-up, and what staff did as somebody else (asked by middleware, admin, operations).

Every page and call that may change something is written down with who, what and where, unless it is intake (events and
usage have their own logs). What people typed is kept without secrets. Entries form a chain of hashes, so that
`verifyaudit` finds an entry that was edited, taken out or put elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException

from portal import clock, database, logs
from portal.models import AuditChain, AuditEntry

SECRET = re.compile(
    r"secret|password|passwd|passphrase|private|authorization|token|key|otp|csrf|code|routing", re.IGNORECASE
)
NOT_KEPT = "(not kept)"
DEEPEST = 20
MOST_LETTERS = 200
MOST_FIELDS = 60
HASHED = (
    "partner_id",
    "number",
    "at",
    "actor",
    "actor_id",
    "on_behalf_of",
    "action",
    "target",
    "details",
    "request_id",
    "previous",
)


def note(
    action: str,
    *,
    actor: object,
    partner_id: uuid.UUID | None = None,
    target: str = "",
    details: Mapping[str, Any] | None = None,
    on_behalf_of: object = "",
) -> AuditEntry:
    """Add an entry; without a partner it goes to the installation's chain. Within the caller's transaction, if any."""
    chain_id = partner_id or clock.NIL_UUID
    with transaction.atomic():
        chain = pen(chain_id)
        entry = AuditEntry(
            partner_id=chain_id,
            number=chain.number + 1,
            at=clock.now(),
            actor=str(actor)[:300],
            actor_id=str(getattr(actor, "pk", "") or ""),
            on_behalf_of=str(on_behalf_of)[:300],
            action=action[:100],
            target=storable(target)[:300],
            details=storable(dict(details or {})),
            request_id=(logs.request_id.get() or "")[:64],
            previous=chain.hash,
        )
        entry.hash = hash_of(entry)
        entry.save(force_insert=True)
        chain.number, chain.hash, chain.moved_at = entry.number, entry.hash, entry.at
        chain.save()
    return entry


def storable(value: Any) -> Any:
    """Without what no database takes (NUL, half a surrogate pair): it must not keep a change out of the log."""
    if isinstance(value, str):
        return value.replace("\x00", "�").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {storable(str(name)): storable(part) for name, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list | tuple) else value


def pen(partner_id: uuid.UUID) -> AuditChain:
    """The end of a chain, locked until the transaction ends."""
    rows = AuditChain.objects.select_for_update()
    found = rows.filter(pk=partner_id).first()
    if found is None:
        database.insert_new([AuditChain(pk=partner_id)])
        found = rows.get(pk=partner_id)
    return found


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 of the entry as canonical JSON; times as UTC to the microsecond."""
    values = {name: getattr(entry, name) for name in HASHED}
    at: datetime = values["at"]
    values |= {
        "partner_id": str(entry.partner_id),
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def typed(data: Any) -> dict[str, Any]:
    """What somebody typed, short and without secrets: of a form (each value once or as a list) or of JSON."""
    if hasattr(data, "lists"):
        pairs = [(name, values[0] if len(values) == 1 else values) for name, values in data.lists()]
    elif isinstance(data, Mapping):
        pairs = list(data.items())
    else:
        return {}
    return {
        str(name)[:60]: told(str(name), value)
        for name, value in pairs[:MOST_FIELDS]
        if name != "csrfmiddlewaretoken"
    }


def told(name: str, value: Any) -> Any:
    value = masked(name, value)
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def masked(name: str, value: Any, deep: int = 0) -> Any:
    """Without secrets at any depth, by the names that they stand under."""
    if (SECRET.search(name) and name not in {"public_key", "key"}) or deep > DEEPEST:
        return NOT_KEPT
    if isinstance(value, Mapping):
        return {part: masked(str(part), below, deep + 1) for part, below in value.items()}
    if isinstance(value, list | tuple):
        return [masked("", below, deep + 1) for below in value]
    return value


# --- Is it whole? -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """A place where a chain does not hold."""

    partner_id: uuid.UUID
    number: int
    text: str


def verify(partner_id: uuid.UUID, *, after: int = 0, most: int | None = None) -> Iterator[Break]:
    """Every place where this chain was edited, shortened or reordered; nothing when it is whole.

    Only the entries behind number `after`, or `most` numbers of them. What is written meanwhile is no break.
    """
    end = AuditChain.objects.filter(pk=partner_id).first()
    rows = AuditEntry.objects.filter(partner_id=partner_id)
    expected, previous = after + 1, rows.filter(number=after).values_list("hash", flat=True).first()
    previous = "" if after == 0 else previous
    some = rows.filter(number__gt=after)
    some = some if most is None else some.filter(number__lte=after + most)
    for entry in some.order_by("number").iterator(1000):
        if entry.number != expected:
            yield Break(partner_id, expected, f"entries {expected} to {entry.number - 1} are missing")
        elif previous not in (None, entry.previous):
            yield Break(partner_id, entry.number, "does not follow the entry before it")
        if entry.hash != hash_of(entry):
            yield Break(partner_id, entry.number, "was edited")
        expected, previous = entry.number + 1, entry.hash
    last = expected - 1
    if end is None:
        return
    if most is not None and end.number > after + most:
        if last < after + most:
            yield Break(partner_id, expected, f"entries {expected} to {after + most} are missing")
        return
    if end.number < last:  # written since the end was read, or never
        end = AuditChain.objects.get(pk=partner_id)
    if end.number < last:
        yield Break(partner_id, end.number + 1, f"entries stand behind the end: {end.number} were written")
    elif end.number > last:
        if not rows.filter(number__gt=last).exists():
            yield Break(partner_id, expected, f"entries are missing at the end: {end.number} were written")
    elif previous not in (None, end.hash):
        yield Break(partner_id, expected, f"entries are missing at the end: {end.number} were written")


def chains() -> list[uuid.UUID]:
    """All chains there are, also those whose end was taken away."""
    ends = AuditChain.objects.values_list("pk", flat=True)
    rows = AuditEntry.objects.order_by().values_list("partner_id", flat=True).distinct()
    return sorted({*ends, *rows})


# --- What is written down by itself -----------------------------------------------------------------------------------

INTAKE = ("/api/v1/events", "/api/v1/usage", "/api/v1/compat/", "/api/v1/statistics", "/hooks/", "/hosted/")
"""Has logs of its own; the tab inside a PSA notes by itself what was changed in it, with the member's name."""
ONES_OWN = {"guided_leave", "pick_partner", "save_search", "delete_search", "stop_impersonating"}
"""Pages that change what somebody looks at, not what is set up."""
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
MOST_BYTES = 256 * 1024


class Middleware:
    """Writes down every page and call that changed something, after it was carried out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in UNSAFE or request.path.startswith(INTAKE):
            return self.get_response(request)
        is_call = request.path.startswith("/api/")
        if is_call and int(request.headers.get("Content-Length") or 0) <= MOST_BYTES:
            request.body  # noqa: B018 - kept, so that it can be read again afterwards
        response = self.get_response(request)
        succeeded = response.status_code < 300 if is_call else 300 <= response.status_code < 400
        succeeded = succeeded or getattr(request, "has_changed", False)
        actor = getattr(request, "api_token", None) if is_call else getattr(request, "user", None)
        if match_of(request) in ONES_OWN:
            return response
        if succeeded and getattr(actor, "is_authenticated", False):
            write_down(request, actor)
        return response


def match_of(request: HttpRequest) -> str:
    """The name of the route that answered."""
    match = request.resolver_match
    return (match.url_name if match else "") or request.path


def write_down(request: HttpRequest, actor: Any) -> None:
    data = request.POST if not request.path.startswith("/api/") else json_of(request)
    impersonation = getattr(request, "impersonation", None)
    note(
        f"{(request.method or '').lower()} {match_of(request)}",
        actor=impersonation.staff if impersonation else actor,
        on_behalf_of=impersonation.person if impersonation else "",
        partner_id=partner_of(request, actor),
        target=request.path,
        details=typed(data),
    )


def json_of(request: HttpRequest) -> Any:
    try:
        return json.loads(request.body)
    except (ValueError, RawPostDataException):
        return {}


def partner_of(request: HttpRequest, actor: Any) -> uuid.UUID | None:
    """The partner whose row was touched, else the one in view."""
    touched: uuid.UUID | None = getattr(request, "touched_partner_id", None)
    partner = getattr(request, "partner", None)
    return touched or (partner.pk if partner else getattr(actor, "partner_id", None))
