"""Autotask's calls to us: registered, signed, read (asked by the adapter and, through `kinds`, by the inbound door).

A webhook is made in steps, each an own write: the webhook, the fields it watches, whose changes it leaves out. A plan
holds the steps that can be taken now; planned again until nothing is left, it is complete, however often it was
interrupted. Facts and their sources: docs/psa/autotask.md, "Webhooks".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.rest import Rest, Row, moment, number, text_of
from integrations.psa.callbacks import MAX_SOURCE_ID, CallbackDialect, Malformed, Message, id_in, unnumbered
from integrations.psa.errors import Rejected
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.wanted import WantedCallback

WEBHOOKS = "TicketWebhooks"
FIELDS = "TicketWebhookFields"
EXCLUDED = "TicketWebhookExcludedResources"
NAME_LENGTH = 50
SECRET_LENGTH = 64
# What we want to hear of, by the names that databases give it.
WATCHED = ({"status"}, {"queueid", "queue"}, {"companyid", "company", "accountid", "organization"})
_COLUMNS = (
    "id",
    "name",
    "isActive",
    "isReady",
    "webhookUrl",
    "deactivationUrl",
    "ownerResourceID",
    "isSubscribedToCreateEvents",
    "isSubscribedToUpdateEvents",
    "isSubscribedToDeleteEvents",
)


# --- Registering ------------------------------------------------------------------------------------------------------


class Callbacks:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def plan(self, wanted: WantedCallback) -> Plan:
        """One to four reads."""
        found = [
            row
            for row in self._rest.all(WEBHOOKS, filters.ANY, fields=_COLUMNS)
            if text_of(row, "name") == wanted.name[:NAME_LENGTH] or text_of(row, "webhookUrl") == wanted.url
        ]
        found.sort(key=lambda row: number(text_of(row, "id")))
        kept = found[0] if found and wanted.state == "present" else None
        items = [delete_item(row) for row in found if row is not kept]
        findings: tuple[Finding, ...] = ()
        if wanted.state == "present" and kept is None:
            items.append(create_item(wanted))
        elif kept is not None:
            items += [*repair_items(kept, wanted), *self._field_items(kept), *self._excluding_items(kept)]
            findings = () if items or kept.get("isReady") else (not_ready(kept),)
        return Plan(
            subject=wanted.name,
            items=tuple(items),
            unchanged=() if items else ("callback",),
            findings=findings,
            found={"id": text_of(kept, "id"), "is_ready": bool(kept.get("isReady"))} if kept else {},
        )

    def _field_items(self, webhook: Row) -> list[PlanItem]:
        """A webhook without a field never gets ready (seen)."""
        webhook_id = number(text_of(webhook, "id"))
        rows = self._rest.all(FIELDS, filters.equals("webhookID", webhook_id))
        watched = {text_of(row, "fieldID") for row in rows if row.get("isSubscribedField")}
        offered = self._offered()
        if not offered:
            raise Rejected("Autotask offers no field of tickets that a webhook could watch.")
        return [field_item(webhook_id, value, label) for value, label in offered if value not in watched]

    def _offered(self) -> list[tuple[str, str]]:
        """Number and label of the fields we want to hear of."""
        told = self._rest.ask(FIELDS, f"/{FIELDS}/entityInformation/fields").get("fields")
        fields = told if isinstance(told, list) else []
        values = next(
            (
                field.get("picklistValues")
                for field in fields
                if isinstance(field, dict) and str(field.get("name", "")).lower() == "fieldid"
            ),
            None,
        )
        labels = {
            re.sub(r"[^a-z]", "", text_of(value, "label").lower()): (
                text_of(value, "value"),
                text_of(value, "label"),
            )
            for value in (values if isinstance(values, list) else [])
            if isinstance(value, dict) and text_of(value, "value").isdigit()
        }
        found = [next((labels[name] for name in labels if name in names), None) for names in WATCHED]
        return [one for one in found if one]

    def _excluding_items(self, webhook: Row) -> list[PlanItem]:
        """Our own changes need not be told to us. Whoever made the webhook is who writes for us."""
        webhook_id, owner = number(text_of(webhook, "id")), text_of(webhook, "ownerResourceID")
        if not owner.isdigit():
            return []
        rows = self._rest.all(EXCLUDED, filters.equals("webhookID", webhook_id))
        if any(text_of(row, "resourceID") == owner for row in rows):
            return []
        return [
            PlanItem(
                key="excluded",
                action="create",
                record="callback",
                record_id=None,
                before={},
                after={"resourceID": owner},
                reason="Our own changes need not be told to us.",
                request=Request(
                    method="POST",
                    path=f"/{WEBHOOKS}/{webhook_id}/ExcludedResources",
                    body={"webhookID": webhook_id, "resourceID": number(owner)},
                ),
            )
        ]


def shown_fields(wanted: WantedCallback) -> dict[str, Any]:
    """All but the secret, which is never read back."""
    return {
        "isActive": True,
        "webhookUrl": wanted.url,
        "deactivationUrl": f"{wanted.url}off/",
        "isSubscribedToCreateEvents": False,
        "isSubscribedToUpdateEvents": True,
        "isSubscribedToDeleteEvents": True,
    }


def create_item(wanted: WantedCallback) -> PlanItem:
    if not 0 < len(wanted.secret) <= SECRET_LENGTH:
        raise ValueError("a webhook needs a secret of at most 64 characters")
    fields = {"name": wanted.name[:NAME_LENGTH], **shown_fields(wanted)}
    return PlanItem(
        key="callback",
        action="create",
        record="callback",
        record_id=None,
        before={},
        after=fields,
        reason="Autotask does not tell us of changed tickets yet.",
        request=Request(
            method="POST",
            path=f"/{WEBHOOKS}",
            body={**fields, "secretKey": wanted.secret, "sendThresholdExceededNotification": False},
        ),
    )


def repair_items(row: Row, wanted: WantedCallback) -> list[PlanItem]:
    after = {name: value for name, value in shown_fields(wanted).items() if row.get(name) != value}
    if not after and not wanted.renew:
        return []
    row_id = text_of(row, "id")
    secret = {"secretKey": wanted.secret} if wanted.renew else {}
    return [
        PlanItem(
            key="callback",
            action="update",
            record="callback",
            record_id=row_id,
            before={name: row.get(name) for name in after},
            after=after,
            reason="It gets a new key." if wanted.renew else "It was switched off, or leads elsewhere.",
            request=Request(
                method="PATCH", path=f"/{WEBHOOKS}", body={"id": number(row_id), **after, **secret}
            ),
        )
    ]


def field_item(webhook_id: int, value: str, label: str) -> PlanItem:
    return PlanItem(
        key=f"field {label}",
        action="create",
        record="callback",
        record_id=None,
        before={},
        after={"field": label},
        reason="A change of this field is to be told.",
        request=Request(
            method="POST",
            path=f"/{WEBHOOKS}/{webhook_id}/Fields",
            body={
                "webhookID": webhook_id,
                "fieldID": number(value),
                "isSubscribedField": True,
                "isDisplayAlwaysField": False,
            },
        ),
    )


def delete_item(row: Row) -> PlanItem:
    row_id = text_of(row, "id")
    return PlanItem(
        key=f"callback {row_id}",
        action="delete",
        record="callback",
        record_id=row_id,
        before={"url": text_of(row, "webhookUrl")},
        after={},
        reason="It is not wanted (any more, or twice).",
        request=Request(method="DELETE", path=f"/{WEBHOOKS}/{number(row_id)}", body=None),
    )


def not_ready(row: Row) -> Finding:
    return Finding(
        key="callback",
        code="not_ready",
        text=f"Autotask has webhook {text_of(row, 'id')}, but does not call it ready yet.",
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def is_signed(signature: str, body: bytes, key: str) -> bool:
    """`sha1=` and base64(HMAC-SHA1(key, body)) (documented)."""
    kind, _, text = signature.partition("=")
    try:
        given = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    digest = hmac.new(key.encode(), body, hashlib.sha1).digest()
    return hmac.compare_digest(digest, given) and kind.lower() == "sha1"


def message(body: bytes, now: datetime) -> Message:
    """`Guid` names the webhook, `SequenceNumber` the call; both together only one call (documented, seen)."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("It is not JSON.") from None
    if not isinstance(data, dict):
        raise Malformed("It is not an object.")
    action, guid, count = data.get("Action"), data.get("Guid"), data.get("SequenceNumber")
    told = data.get("EventTime")
    at = moment(told) if isinstance(told, str) else None
    is_numbered = isinstance(guid, str) and guid and isinstance(count, int)
    return Message(
        source_id=f"{guid}:{count}"[:MAX_SOURCE_ID] if is_numbered else unnumbered(body, at, now),
        record="ticket" if data.get("EntityType") == "Ticket" else "",
        record_id=id_in(data, "Id", "ID"),
        action=action[:20].lower() if isinstance(action, str) else "",
        occurred_at=at,
    )


DIALECT = CallbackDialect(header="X-Hook-Signature", is_signed=is_signed, message=message)
