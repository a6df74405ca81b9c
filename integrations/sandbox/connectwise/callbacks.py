"""Callbacks as rows: who is to be told of what, and which calls a change gives rise to.

ConnectWise REST 2026.4, /system/callbacks, and its developer guide on callbacks: the record's id and the action are
appended to the address; the body names the address of the key that it is signed with. The key's own address is ours:
the real one is not documented.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import BASE, KINDS
from integrations.sandbox.connectwise.settings import API_MEMBER
from integrations.sandbox.connectwise.store import Record, public

KEY_PATH = "/v4_6_release/services/callbackkeys/"
KEY_REQUEST = re.compile(r"/v4_6_release/services/callbackkeys/(\d+)/?", re.IGNORECASE)
TYPES = {
    "ticket": "tickets",
    "company": "companies",
    "contact": "contacts",
    "agreement": "agreements",
    "site": "sites",
    "productCatalog": "catalog",
}
_TYPE_OF = {table: name for name, table in TYPES.items()}
LEVELS = {
    "ticket": ("owner", "board", "status", "ticket", "integratortag"),
    "company": ("owner", "status", "type", "territory", "company", "integratortag"),
    "agreement": ("owner", "type", "company", "agreement"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one row in one commit; `record` is None when it was deleted."""

    table: str
    row_id: int
    action: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is to be made to a subscriber."""

    callback: int
    url: str
    body: bytes
    signature: str
    action: str
    row: int


def finish_callback(desk: Desk, record: Record, before: Record | None) -> Record:
    """The member is whoever asks; a type or level that does not exist is refused."""
    kind, level = record["type"], record["level"].casefold()
    if kind not in TYPES:
        raise invalid(
            "callback", [field_error("InvalidField", f"{kind} is not a callback type", "callback", "type")]
        )
    if level not in LEVELS.get(kind, ("owner", kind.casefold())):
        text = f"{record['level']} is not a level of {kind}"
        raise invalid("callback", [field_error("InvalidField", text, "callback", "level")])
    members = desk.store.all("members")
    member = next((row["id"] for row in members if row["identifier"] == desk.actor), 0)
    return {"inactiveFlag": False, "isSelfSuppressedFlag": False, **record, "memberId": member}


def changes_in(lines: Iterable[Any]) -> list[Change]:
    """What one commit did to the rows that may be told of, each row once, as it is at the end."""
    new: set[tuple[str, int]] = set()
    last: dict[tuple[str, int], Record | None] = {}
    for verb, table, value in lines:
        if verb == "journal":
            new.update((name, value["id"]) for name in TYPES.values() if KINDS[name].journal == value["kind"])
        elif table in _TYPE_OF and verb in ("put", "delete"):
            key = (table, value["id"] if verb == "put" else value)
            last.pop(key, None)
            last[key] = value if verb == "put" else None
    return [
        Change(table, row_id, _action(record, (table, row_id) in new), record)
        for (table, row_id), record in last.items()
    ]


def _action(record: Record | None, is_new: bool) -> str:
    if record is None:
        return "deleted"
    return "added" if is_new else "updated"


def calls_for(desk: Desk, change: Change, base: str) -> list[Call]:
    """The calls to make for one change; `base` is what stored links begin with, put in here."""
    kind = _TYPE_OF[change.table]
    wanted = [
        row for row in desk.store.all("callbacks") if row["type"] == kind and not row.get("inactiveFlag")
    ]
    return [_call(desk, callback, change, base) for callback in wanted if _concerns(callback, change)]


def _concerns(callback: Record, change: Change) -> bool:
    if callback.get("isSelfSuppressedFlag") and _by_api(change):
        return False
    level = callback["level"].casefold()
    if level == "owner":
        return True
    if level == callback["type"].casefold():
        return bool(change.row_id == callback["objectId"])
    reference = (change.record or {}).get(level)
    return isinstance(reference, dict) and reference.get("id") == callback["objectId"]


def _by_api(change: Change) -> bool:
    return bool(change.record and change.record.get("_info", {}).get("updatedBy") == API_MEMBER)


def _call(desk: Desk, callback: Record, change: Change, base: str) -> Call:
    switches = desk.settings.switches
    origin = base.split("/v", 1)[0]
    entity = None if change.record is None else json.dumps(public(change.record)).replace(BASE, base)
    payload = {
        "Action": change.action,
        "Type": callback["type"],
        "ID": change.row_id,
        "CompanyId": desk.settings.company,
        "MemberId": desk.actor,
        "FromUrl": origin.partition("://")[2],
        "Entity": entity,
        "Metadata": {
            "key_url": switches.callback_key_url or f"{origin}{KEY_PATH}{switches.callback_key_address}"
        },
    }
    body = json.dumps(payload).encode()
    url = f"{callback['url']}{change.row_id}&action={change.action}"
    signed = signature(key_text(switches.callback_key), body)
    return Call(callback["id"], url, body, signed, change.action, change.row_id)


def signature(key: str, body: bytes) -> str:
    """The value of `x-content-signature`."""
    secret = hashlib.sha256(key.encode()).digest()
    return base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode()


def key_text(number: int) -> str:
    """The key of that number; made up, the same in every process."""
    return hashlib.sha256(f"sandbox callback key {number}".encode()).hexdigest()


def key_answer(desk: Desk, number: int) -> Any:
    """What the address of a key answers: JSON, or a text that holds JSON."""
    switches = desk.settings.switches
    present = switches.callback_key if number == switches.callback_key_address else number
    body = {"signing_key": key_text(present), "expiration": None}
    return json.dumps(body) if switches.callback_key_twice else body


def number_in(path: str) -> int | None:
    """Which key a path asks for."""
    found = KEY_REQUEST.fullmatch(path)
    return int(found[1]) if found else None
