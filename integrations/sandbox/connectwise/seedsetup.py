"""The set-up tables that every ConnectWise has, so that references to them lead somewhere."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from integrations.sandbox.connectwise.seed import Seeder

_NAMED: dict[str, tuple[str, ...]] = {
    "locations": ("Corporate", "Main Office"),
    "companyTypes": ("Client", "Prospect", "Vendor"),
    "manufacturers": ("Cirrus",),
    "slas": ("Standard SLA",),
    "configurationTypes": ("Managed Server", "Managed Workstation", "Backup Appliance"),
    "noteTypes": ("Comments", "Billing"),
    "links": ("Client Portal",),
}
_SCREENS = (
    ("company", "Company"),
    ("ticket", "Service Ticket"),
    ("contact", "Contact"),
    ("agreement", "Agreement"),
    ("configuration", "Configuration"),
)
_CYCLES = (
    (1, "W", "Weekly", "Weekly"),
    (2, "M", "Monthly", "Monthly"),
    (3, "Q", "Quarterly", "Quarterly"),
    (4, "S", "Semi-Annual", "SemiAnnual"),
    (5, "Y", "Yearly", "Yearly"),
    (6, "B", "Bi-Monthly", "BiMonthly"),
    (7, "O", "One Time", "NotRecurring"),
)
_PRODUCT_TYPES = (
    ("Software", "NonInventoryPart"),
    ("Hardware", "InventoryPart"),
    ("License", "NonInventoryPart"),
    ("Service", "Service"),
    ("Managed Service", "Service"),
)


def seed_setup(seeder: "Seeder") -> None:
    add = seeder.add
    for table, names in _NAMED.items():
        for name in names:
            add(table, name=name, **_MORE.get(table, {}))
    for row_id, identifier, name in ((10, "PS", "Professional Services"), (11, "MS", "Managed Services")):
        add("departments", id=row_id, identifier=identifier, name=name)
    for name, is_default in (("Active", True), ("Inactive", False), ("Not-Approved", False)):
        add("companyStatuses", name=name, defaultFlag=is_default, inactiveFlag=False)
    for row_id, identifier, name, option in _CYCLES:
        values = {"identifier": identifier, "name": name, "billingOptions": option}
        add("billingCycles", id=row_id, **values, defaultFlag=row_id == 2)
    add("billingTerms", name="Net 30", dueDays=30, defaultFlag=True)
    _billing_statuses(seeder)
    tax = {"identifier": "EXEMPT", "description": "Tax Exempt", "invoiceCaption": "Tax"}
    add("taxCodes", **tax, effectiveDate="2025-01-01T00:00:00Z", defaultFlag=True)
    _procurement(seeder)
    for name, where in (("On-Site", "OnSite"), ("Remote", "Remote"), ("In-House", "InHouse")):
        add("serviceLocations", name=name, where=where, defaultFlag=where == "Remote")
    for table in ("impacts", "severities"):
        for name in ("High", "Medium", "Low"):
            add(table, name=name, description=name, defaultFlag=name == "Medium")
    _configurations_and_contacts(seeder)
    for row_id, name in ((63, "Admin"), (64, "PSA Portal")):
        flags = {"adminFlag": name == "Admin", "inactiveFlag": False}
        add("securityRoles", id=row_id, name=name, roleType="Standard", **flags)
    for screen, name in _SCREENS:
        add("hostedScreens", screenId=screen, name=name)


def _procurement(seeder: "Seeder") -> None:
    """What the products of the seed refer to by id, and what else a catalogue is sorted by."""
    add = seeder.add
    for number, name in enumerate(("Cloud Services", "Managed Services"), start=1):
        add("categories", id=number, name=name, inactiveFlag=False, defaultFlag=number == 1)
    for number, (name, category) in enumerate((("Managed Services", 2), ("Hardware", 2), ("Backup", 1)), 1):
        where = seeder.store.reference("categories", category)
        add("subcategories", id=number, name=name, inactiveFlag=False, category=where)
    for number, (name, kind) in enumerate(_PRODUCT_TYPES, start=1):
        values = {"name": name, "typeXref": kind, "inactiveFlag": False, "defaultFlag": number == 5}
        add("productTypes", id=number, **values)
    for number, name in enumerate(("Each", "GB", "Hour"), start=1):
        add("unitOfMeasures", id=number, name=name, inactiveFlag=False, defaultFlag=number == 1)


def _billing_statuses(seeder: "Seeder") -> None:
    for order, (name, is_closed) in enumerate((("New", False), ("Sent", False), ("Closed", True))):
        flags = {
            "defaultFlag": order == 0,
            "closedFlag": is_closed,
            "inactiveFlag": False,
            "sentFlag": order > 0,
        }
        seeder.add("billingStatuses", name=name, sortOrder=order, **flags)


def _configurations_and_contacts(seeder: "Seeder") -> None:
    for text, is_closed in (("Active", False), ("Inactive", True)):
        flags = {"closedFlag": is_closed, "defaultFlag": not is_closed}
        seeder.add("configurationStatuses", description=text, **flags)
    for text, flag in (("Email", "emailFlag"), ("Direct", "phoneFlag"), ("Fax", "faxFlag")):
        flags = {name: name == flag for name in ("phoneFlag", "faxFlag", "emailFlag")}
        seeder.add("communicationTypes", description=text, **flags, defaultFlag=True)
    for text in ("Approver", "End User"):
        seeder.add("contactTypes", description=text, defaultFlag=text == "End User")
    statuses = (
        seeder.store.reference("configurationStatuses", 1),
        seeder.store.reference("configurationStatuses", 2),
    )
    seeder.add(
        "management",
        runTime="2026-01-05T03:00:00Z",
        addedConfigurationStatus=statuses[0],
        deletedConfigurationStatus=statuses[1],
        integratorLogin={"id": 1, "identifier": "integrator"},
        scheduleExecutiveSummaryReportFlag=False,
    )


def communications_of(seeder: "Seeder", contact: int, items: Iterable[dict[str, Any]]) -> None:
    """The records behind a contact's communication items."""
    for item in items:
        values = {name: value for name, value in item.items() if name != "id"}
        seeder.add("communications", id=item["id"], **values, contactId=contact)


_MORE: dict[str, dict[str, Any]] = {
    "locations": {"ownerLevelId": 1, "structureLevel": {"id": 2, "name": "Location"}, "locationFlag": True},
    "companyTypes": {"defaultFlag": False},
    "slas": {
        "basedOn": "AllHours",
        "defaultFlag": True,
        "respondHours": 1.0,
        "planWithin": 4.0,
        "resolutionHours": 24.0,
    },
    "configurationTypes": {"inactiveFlag": False},
    "manufacturers": {"inactiveFlag": False},
}
