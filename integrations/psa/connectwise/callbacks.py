"""ConnectWise's calls to us: registered, signed, read (asked by the adapter and, through `kinds`, by the inbound door).

The key of a signature lies at an address that the call itself names. It is fetched from the stored site and from
nowhere else, without our credentials. Facts and their sources: docs/psa/connectwise.md, "Callbacks".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from integrations.psa.callbacks import CallbackDialect, Malformed, Message, id_in, unnumbered
from integrations.psa.connectwise.rest import Rest, Row, number, text_of
from integrations.psa.connectwise.tickets import moment
from integrations.psa.errors import Misconfigured, Rejected, Unreachable
from integrations.psa.plan import Plan, PlanItem, Request
from integrations.psa.site import ui_origin
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import WantedCallback

PATH = "/system/callbacks"
DESCRIPTION_LENGTH = 100
KEY_DEADLINE = 10.0
MAX_KEY_ANSWER = 64 * 1024
MAX_KEY = 1_000
MAX_KEY_URL = 500
EVERYTHING = {"objectId": 1, "type": "ticket", "level": "owner"}


# --- Registering ------------------------------------------------------------------------------------------------------


class Callbacks:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def plan(self, wanted: WantedCallback) -> Plan:
        """One read. Of several that are ours all but the oldest are taken away."""
        found = [row for row in self._rest.all(PATH) if is_ours(row, wanted)]
        found.sort(key=lambda row: number(text_of(row, "id")))
        kept = found[:1] if wanted.state == "present" else []
        items = [delete_item(row) for row in found if row not in kept]
        if wanted.state == "present" and not kept:
            items.append(create_item(wanted))
        items += [item for row in kept if (item := repair_item(row, wanted))]
        return Plan(
            subject=wanted.name,
            items=tuple(items),
            unchanged=() if items else ("callback",),
            found={"id": text_of(kept[0], "id"), "is_ready": not items} if kept else {},
        )


def is_ours(row: Row, wanted: WantedCallback) -> bool:
    """By name, or by address: people may rename it."""
    return text_of(row, "description") == wanted.name or text_of(row, "url") == address(wanted)


def address(wanted: WantedCallback) -> str:
    """ConnectWise appends the record's id, so the address ends where that belongs (documented)."""
    return f"{wanted.url}?id="


def wanted_fields(wanted: WantedCallback) -> dict[str, Any]:
    name = wanted.name[:DESCRIPTION_LENGTH]
    return {"url": address(wanted), **EVERYTHING, "description": name, "inactiveFlag": False}


def create_item(wanted: WantedCallback) -> PlanItem:
    fields = wanted_fields(wanted)
    return PlanItem(
        key="callback",
        action="create",
        record="callback",
        record_id=None,
        before={},
        after=fields,
        reason="ConnectWise does not tell us of changed tickets yet.",
        request=Request(method="POST", path=PATH, body={**fields, "isSelfSuppressedFlag": True}),
    )


def repair_item(row: Row, wanted: WantedCallback) -> PlanItem | None:
    """A flag that is left out of an answer is false."""
    after = {
        name: value
        for name, value in wanted_fields(wanted).items()
        if (row.get(name, False) if name == "inactiveFlag" else row.get(name)) != value
    }
    if not after:
        return None
    changes = [{"op": "replace", "path": name, "value": value} for name, value in after.items()]
    return PlanItem(
        key="callback",
        action="update",
        record="callback",
        record_id=text_of(row, "id"),
        before={name: row.get(name) for name in after},
        after=after,
        reason="It was switched off, or leads elsewhere.",
        request=Request(method="PATCH", path=f"{PATH}/{number(text_of(row, 'id'))}", body=changes),
    )


def delete_item(row: Row) -> PlanItem:
    row_id = text_of(row, "id")
    return PlanItem(
        key=f"callback {row_id}",
        action="delete",
        record="callback",
        record_id=row_id,
        before={"url": text_of(row, "url")},
        after={},
        reason="It is not wanted (any more, or twice).",
        request=Request(method="DELETE", path=f"{PATH}/{number(row_id)}", body=None),
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def is_signed(signature: str, body: bytes, key: str) -> bool:
    """base64(HMAC-SHA256(SHA-256(signing key), body)) (documented)."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    secret = hashlib.sha256(key.encode()).digest()
    return hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).digest(), given)


def key_url(body: bytes, site: str) -> str:
    """Where the call says its key lies, "" unless that is the stored site (or the host where people open it)."""
    data = _object(body)
    metadata = data.get("Metadata")
    url = metadata.get("key_url") if isinstance(metadata, dict) else None
    return url if isinstance(url, str) and is_of_site(url, site) else ""


def is_of_site(url: str, site: str) -> bool:
    """Whether an address lies at the site: same scheme, host and port, and nothing odd in it."""
    is_plain = url.isascii() and url.isprintable() and not any(letter in url for letter in " \\#")
    if not is_plain or not 0 < len(url) <= MAX_KEY_URL:
        return False
    return origin_of(url) in {origin_of(site), origin_of(ui_origin(site))}


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None for what is not an address, or names a user."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
            return None
        return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None


def fetch_key(url: str, site: str, shared: SharedConnection) -> str:
    """One read, no credentials, no redirect. The JSON may itself be a text that holds JSON (seen)."""
    if not is_of_site(url, site):
        raise Misconfigured("The key of a callback lies elsewhere than at the site.", field="site_url")
    parts = urlsplit(url)
    transport = Transport(
        f"{parts.scheme}://{parts.netloc}", shared=shared, deadline=KEY_DEADLINE, max_body=MAX_KEY_ANSWER
    )
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    answer = transport.read(path, headers={"Accept": "application/json"}, shape="any")
    if answer.is_refusal:
        raise Rejected("ConnectWise does not give out the key of its signatures.", status=answer.status)
    data = answer.data
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            data = None
    key = data.get("signing_key") if isinstance(data, dict) else None
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
        raise Unreachable("ConnectWise's answer holds no key of its signatures.")
    return key


def message(body: bytes, now: datetime) -> Message:
    """Of a deleted record there is no `Entity`, so its deletion is told by its id alone."""
    data = _object(body)
    record_id = id_in(data, "ID", "Id")
    changed_at = _changed_at(data.get("Entity"))
    action = data.get("Action")
    return Message(
        source_id=unnumbered(body, changed_at, now),
        record="ticket" if data.get("Type") == "ticket" else "",
        record_id=record_id,
        action=action[:20] if isinstance(action, str) else "",
        occurred_at=changed_at,
    )


def _changed_at(entity: Any) -> datetime | None:
    """`_info.lastUpdated` of the record, which comes as JSON in a text."""
    if isinstance(entity, str):
        try:
            entity = json.loads(entity)
        except (ValueError, RecursionError):
            return None
    info = entity.get("_info") if isinstance(entity, dict) else None
    text = info.get("lastUpdated") if isinstance(info, dict) else None
    return moment(text) if isinstance(text, str) else None


def _object(body: bytes) -> Row:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("It is not JSON.") from None
    if not isinstance(data, dict):
        raise Malformed("It is not an object.")
    return data


DIALECT = CallbackDialect(
    header="X-Content-Signature",
    is_signed=is_signed,
    message=message,
    key_url=key_url,
    fetch_key=fetch_key,
)
