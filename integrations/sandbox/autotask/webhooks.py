"""Webhooks as rows: what may be subscribed to, when one is ready, and which calls a change gives rise to.

Autotask REST v1.0, /TicketWebhooks and its kin. A webhook without a subscribed field never gets ready. `Guid` in a
call names the webhook, not the call; `SequenceNumber` counts the webhook's calls.
"""

import base64
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.autotask.answers import Refused
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.picklists import label_of
from integrations.sandbox.autotask.store import Event, Record, Store

STEMS = {
    "Ticket": "Tickets",
    "TicketNote": "TicketNotes",
    "Company": "Companies",
    "Contact": "Contacts",
    "ConfigurationItem": "ConfigurationItems",
}
_STEM_OF = {entity: stem for stem, entity in STEMS.items()}
_OLD_NAMES = {"Company": "Account", "ConfigurationItem": "InstalledProduct"}
_NAMESPACE = uuid.UUID("5ca1ab1e-0000-4000-8000-000000000002")
_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "&<>'+`"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is to be made to a subscriber."""

    table: str
    webhook: int
    url: str
    secret: str
    sequence: int
    body: bytes
    action: str
    row: int


def table_of(entity: str) -> str | None:
    stem = _STEM_OF.get(entity)
    return f"{stem}Webhooks" if stem else None


def finish_webhook(desk: Desk, record: Record, before: Record | None) -> Record:
    urls = [record["webhookUrl"], record["deactivationUrl"]]
    wanted = ("https://",) if desk.switches.webhook_urls == "https" else ("https://", "http://")
    if not all(url.lower().startswith(wanted) for url in urls):
        raise Refused("webhookUrl and deactivationUrl must be https addresses.")
    if before is not None:
        return record
    guid = str(uuid.uuid5(_NAMESPACE, f"{record['name']} {record['webhookUrl']} {desk.now()}"))
    return {**record, "webhookGUID": guid, "ownerResourceID": desk.actor, "isReady": False}


def check_new_webhook(desk: Desk, table: str, url: str) -> None:
    """Refuse a second call-out for one entity and address, also beside an inactive one, and one too many."""
    rows = list(desk.store.all(table))
    if any(row["webhookUrl"].casefold() == url.casefold() for row in rows):
        raise Refused("A callout with this entity and URL already exists.")
    if sum(len(desk.store.table(f"{stem}Webhooks").rows) for stem in STEMS) >= desk.switches.most_webhooks:
        raise Refused("The maximum number of webhooks for this API user has been reached.")


def after_field(stem: str, desk: Desk, record: Record, before: Record | None) -> None:
    """The webhook of a field is ready when some field is subscribed to."""
    settle_readiness(desk.store, stem, record["webhookID"])


def settle_readiness(store: Store, stem: str, webhook_id: int) -> None:
    webhook = store.get(f"{stem}Webhooks", webhook_id)
    if webhook is None:
        return
    tables = (f"{stem}WebhookFields", f"{stem}WebhookUdfFields")
    fields = [row for table in tables for row in store.all(table) if row["webhookID"] == webhook_id]
    store.put(f"{stem}Webhooks", {**webhook, "isReady": any(row.get("isSubscribedField") for row in fields)})


def calls_for(desk: Desk, event: Event) -> list[Call]:
    """The calls to make for something that happened."""
    table = table_of(event.entity)
    if table is None:
        return []
    return [
        _call(desk, table, webhook, event, fields)
        for webhook in list(desk.store.all(table))
        if webhook.get("isActive")
        and webhook.get("isReady")
        and webhook.get(f"isSubscribedTo{event.action}Events")
        if not _is_excluded(desk.store, table, webhook["id"], event.person)
        if (fields := _fields(desk.store, table, webhook["id"], event)) is not None
    ]


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hook-Signature`."""
    digest = hmac.new(secret.encode(), body, hashlib.sha1).digest()
    return "sha1=" + base64.b64encode(digest).decode()


def body_of(payload: Record) -> bytes:
    """As the real one writes it: non-ASCII and what HTML could trip over as `\\uXXXX`."""
    text = json.dumps(payload, separators=(",", ":"))
    return text.replace('\\"', "\\u0022").translate(_ESCAPED).encode()


def _call(desk: Desk, table: str, webhook: Record, event: Event, fields: Record) -> Call:
    stem = table.removesuffix("Webhooks")
    is_old = desk.switches.webhook_entity_names == "old"
    sequence = desk.store.count(f"calls of {table} {webhook['id']}")
    row = event.after or event.before
    payload = {
        "Action": event.action,
        "Guid": webhook["webhookGUID"],
        "EntityType": _OLD_NAMES.get(stem, stem) if is_old else stem,
        "Id": row["id"],
        "Fields": fields,
        "EventTime": desk.now() + "Z",
        "SequenceNumber": sequence,
        "PersonID": event.person,
    }
    body = body_of(payload)
    url, secret = webhook["webhookUrl"], webhook["secretKey"]
    return Call(table, webhook["id"], url, secret, sequence, body, event.action, row["id"])


def _is_excluded(store: Store, table: str, webhook_id: int, person: int) -> bool:
    rows = store.all(table.removesuffix("s") + "ExcludedResources")
    return any(row["webhookID"] == webhook_id and row.get("resourceID") == person for row in rows)


def _fields(store: Store, table: str, webhook_id: int, event: Event) -> Record | None:
    """What the call carries; None when an update touched nothing that is subscribed to."""
    found: Record = {}
    touched = False
    for name, row, before, after in _watched(store, table, webhook_id, event):
        changed = before != after
        touched = touched or (changed and bool(row.get("isSubscribedField")))
        if row.get("isDisplayAlwaysField") or (changed and row.get("isSubscribedField")):
            found[name] = after if event.after else before
    return found if touched or event.action != "Update" else None


def _watched(store: Store, table: str, webhook_id: int, event: Event) -> list[tuple[str, Record, Any, Any]]:
    found = []
    for row in store.all(table.removesuffix("s") + "Fields"):
        name = label_of(store, f"{table.removesuffix('s')}Fields.fieldID", row["fieldID"])
        if row["webhookID"] == webhook_id and name:
            found.append((name, row, event.before.get(name), event.after.get(name)))
    for row in store.all(table.removesuffix("s") + "UdfFields"):
        definition = store.get("UserDefinedFieldDefinitions", row.get("udfFieldID", -1))
        if row["webhookID"] == webhook_id and definition:
            name = definition["name"]
            values = (event.before.get("_udfs", {}).get(name), event.after.get("_udfs", {}).get(name))
            found.append((name, row, *values))
    return found
