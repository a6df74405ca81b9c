"""The rules of companies, contacts, locations and configuration items (Autotask REST v1.0)."""

from integrations.sandbox.autotask.answers import Refused, no_such_reference
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.settings import API_VENDOR
from integrations.sandbox.autotask.store import Record


def finish_company(desk: Desk, record: Record, before: Record | None) -> Record:
    now = desk.now()
    made: Record = {}
    if before is None:
        made = {"createDate": now, "createdByResourceID": desk.actor, "apiVendorID": API_VENDOR}
    touched = {"lastActivityDate": now, "lastTrackedModifiedDateTime": now}
    return {"isActive": True, **record, **made, **touched}


def finish_contact(desk: Desk, record: Record, before: Record | None) -> Record:
    """`isActive` is a number here, and nowhere else."""
    now = desk.now()
    _require_own(desk, record, "companyLocationID", "CompanyLocations", "CompanyLocation")
    made = {"createDate": now, "apiVendorID": API_VENDOR} if before is None else {}
    return {**record, **made, "lastActivityDate": now, "lastModifiedDate": now}


def finish_location(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"isActive": True, "isPrimary": False, **record}


def finish_configuration_item(desk: Desk, record: Record, before: Record | None) -> Record:
    """Contact, location, contract and parent must be the company's own; no category means the default one."""
    _require_own(desk, record, "contactID", "Contacts", "Contact")
    _require_own(desk, record, "companyLocationID", "CompanyLocations", "CompanyLocation")
    _require_own(desk, record, "contractID", "Contracts", "Contract")
    _require_own(desk, record, "parentConfigurationItemID", "ConfigurationItems", "ConfigurationItem")
    now = desk.now()
    made: Record = {}
    if before is None:
        made = {"createDate": now, "createdByPersonID": desk.actor, "apiVendorID": API_VENDOR}
        made["impersonatorCreatorResourceID"] = desk.impersonator
        record = {"configurationItemCategoryID": _default_category(desk), **record}
    touched = {"lastModifiedTime": now, "lastActivityPersonID": desk.actor, "lastActivityPersonType": 1}
    return {**record, **made, **touched}


def finish_made_by(desk: Desk, record: Record, before: Record | None) -> Record:
    """For services and bundles: when, and by whom."""
    now = desk.now()
    made = {"createDate": now, "creatorResourceID": desk.actor} if before is None else {}
    return {"isActive": True, **record, **made, "lastModifiedDate": now, "updateResourceID": desk.actor}


def finish_charge(desk: Desk, record: Record, before: Record | None) -> Record:
    """A charge can be changed until it is billed; its amounts follow from quantity and price."""
    if before is not None and before.get("isBilled"):
        raise Refused("The charge has been billed and cannot be changed.")
    made: Record = {}
    if before is None:
        made = {"createDate": desk.now(), "creatorResourceID": desk.actor, "status": 1, "isBilled": False}
    quantity = record.get("unitQuantity", 0.0)
    billable = round(quantity * record.get("unitPrice", 0.0), 2)
    amounts = {"billableAmount": billable, "extendedCost": round(quantity * record.get("unitCost", 0.0), 2)}
    return {"isBillableToCompany": True, **record, **made, **amounts}


def finish_billing_product(desk: Desk, record: Record, before: Record | None) -> Record:
    """A product is billed for a device once at a time."""
    if record.get("expirationDate", "9999") < record["effectiveDate"]:
        raise Refused("expirationDate must not be before effectiveDate.")
    table = "ConfigurationItemBillingProductAssociations"
    for other in desk.store.where(table, "configurationItemID", record["configurationItemID"]):
        is_same = other["id"] != record.get("id") and other["billingProductID"] == record["billingProductID"]
        if is_same and other.get("expirationDate", "9999") >= record["effectiveDate"]:
            raise Refused("The configuration item is associated with this billing product already.")
    return record


def finish_shown_page(desk: Desk, record: Record, before: Record | None) -> Record:
    """Insights and widgets: pages of a vendor that Autotask shows."""
    made = {"createDateTime": desk.now()} if before is None else {}
    return {"isActive": True, **record, **made, "lastModifiedDateTime": desk.now()}


def finish_note_of_item(desk: Desk, record: Record, before: Record | None) -> Record:
    now = desk.now()
    made = {"createDateTime": now, "creatorResourceID": desk.actor} if before is None else {}
    return {**record, **made, "lastActivityDate": now}


def finish_udf_definition(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"isActive": True, "createDate": desk.now(), **record}


def _require_own(desk: Desk, record: Record, name: str, table: str, singular: str) -> None:
    row = desk.store.get(table, record[name]) if name in record else None
    if row is not None and row.get("companyID") != record["companyID"]:
        raise Refused(no_such_reference(name, singular))


def _default_category(desk: Desk) -> int | None:
    rows = desk.store.all("ConfigurationItemCategories")
    return next((row["id"] for row in rows if row.get("isGlobalDefault")), None)
