"""The rules of companies, sites and contacts (ConnectWise REST 2026.4, /company/...)."""

from integrations.sandbox.connectwise.answers import field_error, invalid, missing
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

ADDRESS = ("addressLine1", "addressLine2", "city", "state", "zip", "country")


def finish_company(desk: Desk, record: Record, before: Record | None) -> Record:
    """The identifier is unique; a new company needs some part of an address."""
    wanted = record["identifier"].casefold()
    for other in desk.store.all("companies"):
        if other["id"] != record["id"] and other["identifier"].casefold() == wanted:
            error = field_error("ObjectExists", "Company ID already in use.", "company", "identifier")
            raise invalid("company", [error])
    if before is None and not any(record.get(name) for name in ADDRESS):
        raise invalid("company", [missing("company", "addressLine1")])
    defaults: Record = {"status": {"id": 1, "name": "Active"}, "deletedFlag": False}
    return {**defaults, **record}


def finish_site(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"primaryAddressFlag": False, "inactiveFlag": False, **record}


def finish_contact(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"inactiveFlag": False, "defaultFlag": False, **record}


def default_site(desk: Desk, company_id: int) -> Record | None:
    return _first(desk, "sites", company_id, "primaryAddressFlag")


def default_contact(desk: Desk, company_id: int) -> Record | None:
    return _first(desk, "contacts", company_id, "defaultFlag")


def _first(desk: Desk, table: str, company_id: int, flag: str) -> Record | None:
    found = next((row for row in desk.store.under(table, company_id) if row.get(flag)), None)
    return desk.store.reference(table, found["id"]) if found else None
