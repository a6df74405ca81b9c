"""What to write to open a ticket, and what Autotask would refuse about it (asked by `tickets.py`).

The ticket category decides which fields are required and which it fills in by itself. What is lacking, or no longer
offered, is found out from what Autotask tells of its fields (kept for hours) before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.psa.autotask.metadata import FRESH, Field, Fields, Metadata
from integrations.psa.autotask.options import COMPLETE
from integrations.psa.autotask.refusals import LABELS, SETTINGS, choose_again, required_advice
from integrations.psa.autotask.rest import number
from integrations.psa.errors import Misconfigured, NotPermitted, Rejected
from integrations.psa.plan import Request
from integrations.psa.texts import cut_summary, cut_text
from integrations.psa.ticketdesk import wanted_ids
from integrations.psa.wanted import WantedTicket

SUMMARY_LENGTH = 255
DESCRIPTION_LENGTH = 8_000
EXTERNAL_REF_LENGTH = 50
DUE_WITHIN = timedelta(days=1)
NEW = "1"  # like Complete a system status
# A ticket's field of Autotask, and the field of our wish that fills it.
SETTINGS_SENT = {
    "queueID": "board_id",
    "status": "status_id",
    "issueType": "type_id",
    "subIssueType": "subtype_id",
    "ticketType": "item_id",
    "priority": "priority_id",
    "source": "source_id",
    "ticketCategory": "category_id",
    "contactID": "contact_id",
    "contractID": "agreement_id",
    "companyLocationID": "site_id",
}
# What a category may fill in by itself: the ticket's field, and its name among the defaults of a category.
CATEGORY_DEFAULTS = {
    "queueid": "queueID",
    "status": "status",
    "priority": "priority",
    "issuetype": "issueTypeID",
    "subissuetype": "subIssueTypeID",
    "source": "sourceID",
    "tickettype": "ticketTypeID",
    "billingcodeid": "workTypeID",
    "servicelevelagreementid": "serviceLevelAgreementID",
    "estimatedhours": "estimatedHours",
    "description": "description",
    "title": "title",
    "resolution": "resolution",
    "purchaseordernumber": "purchaseOrderNumber",
    "organizationallevelassociationid": "organizationalLevelAssociationID",
}


class Opening:
    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def request(self, wanted: WantedTicket, now: datetime) -> tuple[Request, dict[str, Any]]:
        """The write, and what will then be true."""
        body = self._create_body(wanted, now)
        after = {
            "summary": body["title"],
            "is_closed": body["status"] == number(COMPLETE),
            **wanted_ids(wanted, ("company_id", *SETTINGS_SENT.values())),
        }
        return Request(method="POST", path="/Tickets", body=body), after

    def _create_body(self, wanted: WantedTicket, now: datetime) -> dict[str, Any]:
        if len(wanted.external_ref) > EXTERNAL_REF_LENGTH:
            raise Misconfigured(
                f"Our key {wanted.external_ref} is longer than the {EXTERNAL_REF_LENGTH} characters Autotask keeps.",
                field="installation",
                advice="The operator has to give this installation a shorter name.",
            )
        body: dict[str, Any] = {
            "companyID": number(wanted.company_id, "company"),
            "title": cut_summary(wanted.summary, SUMMARY_LENGTH),
            "description": cut_text(wanted.description or wanted.summary, DESCRIPTION_LENGTH),
            "externalID": wanted.external_ref,
            "dueDateTime": f"{(wanted.due_at or now + DUE_WITHIN).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        for name, ours in SETTINGS_SENT.items():
            if value := getattr(wanted, ours):
                body[name] = number(value, SETTINGS.get(name.lower(), name))
        return self._completed(body)

    def _completed(self, body: dict[str, Any]) -> dict[str, Any]:
        """With what Autotask needs besides our settings, or refused before anything is written."""
        try:
            fields = self._metadata.fields("Tickets")
            if _unknown_values(body, fields):
                fields = self._metadata.fields("Tickets", max_age=FRESH)
        except NotPermitted:
            return {**body, "status": body.get("status", number(NEW))}
        _fill_in(body, fields)
        defaults = self._category_defaults(body.get("ticketCategory"))
        body.setdefault("status", number(defaults.get("status", NEW)))
        _require_known_values(body, fields)
        _require_everything(body, fields, defaults)
        return body

    def _category_defaults(self, category: int | None) -> Mapping[str, str]:
        """What the category fills in by itself, by lower-case name of the ticket's field. Kept like metadata."""
        if category is None:
            return {}
        try:
            fields = self._metadata.category_defaults(category)
        except (NotPermitted, Rejected):
            return {}
        return {ours: fields[theirs] for ours, theirs in CATEGORY_DEFAULTS.items() if fields.get(theirs)}


def _fill_in(body: dict[str, Any], fields: Fields) -> None:
    """Category and type decide which fields are required: said explicitly, not left to the API user's defaults."""
    category, kind = fields.get("ticketcategory"), fields.get("tickettype")
    if category and "ticketCategory" not in body and (chosen := category.default()):
        body["ticketCategory"] = number(chosen.id, "category")
    if kind and "ticketType" not in body and (chosen := kind.labelled("Alert", "Incident") or kind.default()):
        body["ticketType"] = number(chosen.id, "item")


def _unknown_values(body: Mapping[str, Any], fields: Fields) -> list[tuple[Field, str]]:
    """Values that we would send although the picklist has no such active one, or not for this parent."""
    unknown = []
    for name, value in body.items():
        field = fields.get(name.lower())
        if field is None or field.values is None:
            continue
        match = next((known for known in field.values if known.id == str(value) and known.is_active), None)
        if match is None:
            unknown.append((field, "is not (or no longer) offered by Autotask"))
        elif name == "subIssueType" and match.parent and match.parent != str(body.get("issueType", "")):
            unknown.append((field, "does not belong to the chosen issue type"))
    return unknown


def _require_known_values(body: Mapping[str, Any], fields: Fields) -> None:
    for field, reason in _unknown_values(body, fields):
        setting = SETTINGS.get(field.name.lower(), field.name)
        label = LABELS.get(setting, setting).capitalize()
        raise Misconfigured(
            f"{label} {body.get(field.name)} {reason}.", field=setting, advice=choose_again(setting)
        )


def _require_everything(body: dict[str, Any], fields: Fields, defaults: Mapping[str, str]) -> None:
    """A queue always: without one (and without a person) a ticket is refused, or seen by nobody."""
    given = {name.lower() for name in body} | set(defaults)
    required = [field.name for field in fields.values() if field.is_required and not field.is_read_only]
    for name in [*required, "queueID"]:
        key = name.lower()
        if key == "id" or key in given:
            continue
        field = fields.get(key)
        if key != "queueid" and field and (usual := field.default()):
            body[field.name] = number(usual.id, SETTINGS.get(key, name))
            continue
        raise _lacks(name)


def _lacks(name: str) -> Misconfigured:
    setting = SETTINGS.get(name.lower(), name)
    is_ours = name in SETTINGS_SENT
    return Misconfigured(
        f"Autotask needs {name} for a ticket, and neither the settings nor the ticket category give one.",
        field=setting,
        advice=f"Choose a {LABELS.get(setting, setting)} in the settings."
        if is_ours
        else required_advice(name),
    )
