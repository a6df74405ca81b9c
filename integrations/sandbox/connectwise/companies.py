"""The rules of companies, sites and contacts (ConnectWise REST 2026.4, /company/...)."""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, missing
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

ADDRESS = ("addressLine1", "addressLine2", "city", "state", "zip", "country")


def finish_company(desk: Desk, record: Record, before: Record | None) -> Record:
    """The identifier is unique; a new company needs some part of an address."""
    wanted = record["identifier"].casefold()
    if any(
        row_id != record["id"] for row_id in desk.store.table("companies").indexes["identifier"].equal(wanted)
    ):
        error = field_error("ObjectExists", "Company ID already in use.", "company", "identifier")
        raise invalid("company", [error])
    if before is None and not any(record.get(name) for name in ADDRESS):
        raise invalid("company", [missing("company", "addressLine1")])
    if before is not None and record.get("types") != before.get("types"):
        message = "types can only be used when creating; use typeAssociations."
        raise invalid("company", [field_error("InvalidObject", message, "company", "types")])
    defaults: Record = {"status": desk.store.reference("companyStatuses", 1), "deletedFlag": False}
    return {**defaults, **record}


def finish_site(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"primaryAddressFlag": False, "inactiveFlag": False, **record}


def finish_contact(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"inactiveFlag": False, "defaultFlag": False, **record}


def after_contact(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    """The communication items of a contact are records of their own as well."""
    items = [one for one in record.get("communicationItems", ()) if isinstance(one, dict)]
    known = {row["id"]: row for row in desk.store.under("communications", record["id"])}
    kept = []
    for item in items:
        row = known.pop(item.get("id", 0), None)
        row_id = row["id"] if row else desk.store.new_id("communications")
        kept.append({**item, "id": row_id})
        if row is None or any(row.get(name) != value for name, value in item.items()):
            desk.save("communications", {**item, "id": row_id, "contactId": record["id"]})
    for row_id in known:
        desk.store.delete("communications", row_id)
    if kept != record.get("communicationItems", []):
        desk.store.put("contacts", {**record, "communicationItems": kept})


def finish_communication(desk: Desk, record: Record, before: Record | None) -> Record:
    """What kind of address it is follows from its type."""
    kind = desk.store.get("communicationTypes", record["type"]["id"]) or {}
    names = (("emailFlag", "Email"), ("faxFlag", "Fax"), ("phoneFlag", "Phone"))
    found = next((name for flag, name in names if kind.get(flag)), "Phone")
    return {"defaultFlag": False, **record, "communicationType": found}


def after_communication(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    after_communication_gone(desk, record)


def after_communication_gone(desk: Desk, record: Record) -> None:
    """Write the items anew into the contact."""
    contact = desk.store.get("contacts", record["contactId"])
    if contact is None:
        return
    rows = desk.store.under("communications", contact["id"])
    hidden = ("contactId", "_info")
    items = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
    desk.save("contacts", {**contact, "communicationItems": items})


def default_site(desk: Desk, company_id: int) -> Record | None:
    return _first(desk, "sites", company_id, "primaryAddressFlag")


def default_contact(desk: Desk, company_id: int) -> Record | None:
    return _first(desk, "contacts", company_id, "defaultFlag")


def _first(desk: Desk, table: str, company_id: int, flag: str) -> Record | None:
    found = next((row for row in desk.store.under(table, company_id) if row.get(flag)), None)
    return desk.store.reference(table, found["id"]) if found else None
