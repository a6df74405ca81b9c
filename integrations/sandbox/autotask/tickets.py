"""The rules of tickets and their notes (Autotask REST v1.0, /Tickets and /Tickets/{id}/Notes).

What a ticket needs depends on its category: the category's defaults fill in what was left out, its own rules say
what must not be. The rules lie in the category under `_requires` and `_due_hours`, where a partner's administrator
would set them.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from integrations.sandbox.autotask.answers import Refused, missing, no_such_reference
from integrations.sandbox.autotask.desk import Desk, stored_time
from integrations.sandbox.autotask.picklists import COMPLETE, find_value, label_of
from integrations.sandbox.autotask.settings import API_VENDOR
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.validation import Checking

ON_RECORD = "; on record number [0]."
_FIELD_OF_DEFAULT = {
    "issueTypeID": "issueType",
    "subIssueTypeID": "subIssueType",
    "sourceID": "source",
    "ticketTypeID": "ticketType",
    "workTypeID": "billingCodeID",
}
_DEFAULTS = (
    "description",
    "estimatedHours",
    "priority",
    "purchaseOrderNumber",
    "queueID",
    "resolution",
    "serviceLevelAgreementID",
    "status",
    "title",
    *_FIELD_OF_DEFAULT,
)
_OF_ITS_COMPANY = {
    "contactID": ("Contacts", "Contact"),
    "companyLocationID": ("CompanyLocations", "CompanyLocation"),
    "configurationItemID": ("ConfigurationItems", "ConfigurationItem"),
    "contractID": ("Contracts", "Contract"),
}
_TOLD = {
    "status": "Status",
    "title": "Title",
    "priority": "Priority",
    "queueID": "Queue",
    "issueType": "Issue Type",
    "subIssueType": "Sub-Issue Type",
    "assignedResourceID": "Primary Resource",
    "companyID": "Organization",
    "contractID": "Contract",
    "dueDateTime": "Due Date",
}
"""Fields whose changes the ticket's history tells, as its page names them (which ones, and the words, are ours)."""
_BOTH = "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."
_UNDEFINED = "The specified AssignedResourceID and AssignedRoleID combination is not currently defined"
_NOBODY = "Data violation: AssignedResourceID, AssignedResourceRoleID, and QueueID cannot all be empty."


def fill_ticket(desk: Desk, checking: Checking, given: Mapping[str, Any]) -> None:
    """Before the required fields are looked for: category, its defaults, due date, contract."""
    if checking.before is not None:
        return
    category = category_of(desk, checking.values)
    defaults: Record = {"ticketCategory": category["id"], "ticketType": 1}
    if desk.switches.category_defaults:
        defaults |= _defaults_of(desk, category)
        if hours := category.get("_due_hours"):
            defaults["dueDateTime"] = stored_time(desk.clock() + timedelta(hours=hours))
    if desk.switches.default_contract and (contract := _default_contract(desk, checking.values)):
        defaults["contractID"] = contract
    checking.fill(defaults)


def finish_ticket(desk: Desk, record: Record, before: Record | None) -> Record:
    errors = [
        *_company_errors(desk, record),
        *_resource_errors(desk, record),
        *_sub_issue_errors(desk, record),
    ]
    if before is None:
        errors += _missing_of_a_new_one(desk, record)
    if _is_complete(record) and not _is_complete(before) and not record.get("resolution"):
        errors += ["resolution is required"] if desk.switches.resolution_required else []
    if errors and not desk.is_technician:
        raise Refused(*(error + (ON_RECORD if before is None else "") for error in errors))
    if before is not None and before.get("_bounces") and record["status"] != before["status"]:
        record = {**record, "status": before["status"], "_bounces": before["_bounces"] - 1}
    now = desk.now()
    made = _made(desk, now) if before is None else {}
    if before is not None and not record.get("ticketNumber"):
        record = {**record, "ticketNumber": before["ticketNumber"]}
    touched = {"lastActivityDate": now, "lastTrackedModificationDateTime": now, "lastActivityPersonType": 1}
    return {
        **record,
        **made,
        **touched,
        "lastActivityResourceID": desk.actor,
        **_completion(desk, record, before),
    }


def after_ticket(desk: Desk, record: Record, before: Record | None) -> None:
    """Leave a line in the ticket's history."""
    if before is None:
        write_history(desk, record["id"], "Created", "Ticket created")
        return
    for name, title in _TOLD.items():
        if (old := before.get(name)) != (new := record.get(name)):
            was, now = (_shown(desk, name, value) for value in (old, new))
            write_history(desk, record["id"], "Edited", f"{title} changed from {was} to {now}"[:1800])


def _shown(desk: Desk, name: str, value: Any) -> str:
    return "(none)" if value is None else label_of(desk.store, f"Tickets.{name}", value) or str(value)


def finish_note(desk: Desk, record: Record, before: Record | None) -> Record:
    ticket = desk.store.get("Tickets", record["ticketID"]) or {}
    titled = desk.switches.note_titles_required or category_of(desk, ticket).get("_note_titles")
    if titled and not record.get("title") and not desk.is_technician:
        raise Refused(missing("title") + "; on record number [1].")
    now = desk.now()
    if before is not None:
        return {**record, "lastActivityDate": now, "impersonatorUpdaterResourceID": desk.impersonator}
    made = {"createDateTime": now, "creatorResourceID": desk.actor, "lastActivityDate": now}
    return {**made, **record, **made, "impersonatorCreatorResourceID": desk.impersonator}


def after_note(desk: Desk, record: Record, before: Record | None) -> None:
    """A note is activity of its ticket."""
    if ticket := desk.store.get("Tickets", record["ticketID"]):
        now = desk.now()
        touched = {"lastActivityDate": now, "lastTrackedModificationDateTime": now}
        desk.store.put("Tickets", {**ticket, **touched, "lastActivityResourceID": desk.actor})


def write_history(desk: Desk, ticket_id: int, action: str, detail: str) -> None:
    row_id = desk.store.new_id("TicketHistory")
    line = {"id": row_id, "ticketID": ticket_id, "action": action, "detail": detail}
    desk.store.put("TicketHistory", {**line, "resourceID": desk.actor, "date": desk.now()})


def category_of(desk: Desk, ticket: Record) -> Record:
    """The ticket's category, else the one the API user's tickets get."""
    named = desk.store.get("TicketCategories", ticket.get("ticketCategory") or -1)
    return named or next(row for row in desk.store.all("TicketCategories") if row.get("isGlobalDefault"))


def _defaults_of(desk: Desk, category: Record) -> Record:
    rows = desk.store.where("TicketCategoryFieldDefaults", "ticketCategoryID", category["id"])
    return {_FIELD_OF_DEFAULT.get(name, name): row[name] for row in rows for name in _DEFAULTS if name in row}


def _number(desk: Desk) -> str:
    """`T20261121.0001`: the day, and a counter of that day."""
    day = desk.today().strftime("%Y%m%d")
    return f"T{day}.{desk.store.count(f'tickets of {day}'):04}"


def _default_contract(desk: Desk, values: Record) -> int | None:
    rows = desk.store.where("Contracts", "companyID", values.get("companyID", -1))
    return next((row["id"] for row in rows if row.get("isDefaultContract") and row.get("status") == 1), None)


def _missing_of_a_new_one(desk: Desk, record: Record) -> list[str]:
    required = ["dueDateTime", *category_of(desk, record).get("_requires", ())]
    if desk.switches.work_type_required:
        required.append("billingCodeID")
    errors = [f"{name} is required." for name in dict.fromkeys(required) if record.get(name) is None]
    nobody = not any(record.get(name) for name in ("queueID", "assignedResourceID", "assignedResourceRoleID"))
    if nobody and "queueID" not in required and desk.switches.queue_or_resource == "required":
        errors.append(_NOBODY)
    return errors


def _company_errors(desk: Desk, record: Record) -> list[str]:
    """Contact, location, device and contract must be the company's own."""
    errors = []
    for name, (table, singular) in _OF_ITS_COMPANY.items():
        row = desk.store.get(table, record[name]) if name in record else None
        if row is not None and row.get("companyID") != record["companyID"]:
            errors.append(no_such_reference(name, singular))
    return errors


def _resource_errors(desk: Desk, record: Record) -> list[str]:
    resource, role = record.get("assignedResourceID"), record.get("assignedResourceRoleID")
    if resource is None and role is None:
        return []
    if resource is None or role is None:
        return [_BOTH]
    held = desk.store.where("ResourceRoles", "resourceID", resource)
    if not any(row["roleID"] == role and row.get("isActive") for row in held):
        return [_UNDEFINED]
    return []


def _sub_issue_errors(desk: Desk, record: Record) -> list[str]:
    """A sub-issue type belongs to one issue type."""
    value = record.get("subIssueType")
    row = find_value(desk.store, "Tickets.subIssueType", value) if value is not None else None
    if row is None or row.get("parentValue") == record.get("issueType"):
        return []
    return [f"Picklist value [{value}] does not exist for subIssueType. "]


def _made(desk: Desk, now: str) -> Record:
    return {
        "createDate": now,
        "creatorResourceID": desk.actor,
        "creatorType": 1,
        "ticketNumber": _number(desk),
        "impersonatorCreatorResourceID": desk.impersonator,
        "apiVendorID": None if desk.is_technician else API_VENDOR,
    }


def _completion(desk: Desk, record: Record, before: Record | None) -> Record:
    if _is_complete(record):
        if _is_complete(before):
            return {}
        now = desk.now()
        return {"completedDate": now, "resolvedDateTime": now, "completedByResourceID": desk.actor}
    return dict.fromkeys(("completedDate", "resolvedDateTime", "completedByResourceID"))


def _is_complete(record: Record | None) -> bool:
    return record is not None and record.get("status") == COMPLETE
