"""Which MSP does the pretend Autotask belong to? Cirrus Managed IT, with the clients and services of its ConnectWise.

Company 0 is the MSP itself. `companyNumber` holds the client's number at the vendor. Contracts run from the first of
January of this year to the end of the next one, and everything before this month is approved and posted.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.sandbox.autotask.billing import BUNDLES, SERVICES, begin_line, with_prices
from integrations.sandbox.autotask.desk import Desk, day_of, stored_time
from integrations.sandbox.autotask.picklists import (
    COMPLETE,
    NEW,
    RECURRING_SERVICE,
    add_value,
    seed_picklists,
)
from integrations.sandbox.autotask.posting import post_period
from integrations.sandbox.autotask.shapes import SHAPES
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.webhooks import STEMS
from integrations.sandbox.connectwise.seed import CLIENTS, PRODUCTS

BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
REYES, LUND, KIM, PAST = 29682902, 29682903, 29682904, 29682905
SERVICE_DESK_ROLE, ENGINEER_ROLE = 29683436, 29683437
WORK, RECURRING, MATERIAL = 29683401, 29683402, 29683403
SERVICE_DESK_QUEUE, BACKUP_QUEUE, ALERTS_QUEUE = 29682833, 29682834, 29682835
STANDARD, BACKUP_ALERT, STRICT_INTAKE, RETIRED, API_ONLY = 3, 101, 102, 103, 104

_SERVICES = (
    (("OBS-GB", 250), ("OBS-SERVER", 2), ("OBS-DESKTOP", 10)),
    (("BDR-GB", 900), ("BDR-SERVER", 1), ("EMAIL-FILTER", 24)),
    (("OBS-GB", 120), ("EMAIL-ARCHIVE", 41), ("EMAIL-FILTER", 41), ("FSE", 1)),
    (("TOTAL-GB", 640), ("ACCOUNT", 6), ("LOCAL-BACKUP", 2)),
)
"""Service and units of a contract; the clients take turns."""


class Seeder:
    """Adds rows of the past, a minute apart, and answers them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.store = desk.store
        self._at = BEGIN

    def add(self, entity: str, **values: Any) -> Record:
        row_id = values.pop("id", None)
        return self.store.put(
            entity, {"id": self.store.new_id(entity) if row_id is None else row_id, **values}
        )

    def at(self) -> str:
        self._at += timedelta(minutes=1)
        return stored_time(self._at)


def seed(desk: Desk) -> None:
    """Fill an empty store. Nothing of it is in the journal: no client created it."""
    seeder = Seeder(desk)
    seed_picklists(seeder.store)
    _webhook_fields(seeder)
    _people(seeder)
    _categories(seeder)
    _catalog(seeder)
    _user_defined(seeder)
    add_company(seeder, "Cirrus Managed IT", "", "Albany", row_id=0)
    for position, (_, name, number, city, first, last) in enumerate(CLIENTS):
        company = add_company(seeder, name, number, city)
        contact = _contact(seeder, company, first, last)
        _contracts(seeder, position, company, contact)
        if position < 6:
            _device(seeder, company, number)
    _old_tickets(seeder)


def _webhook_fields(seeder: Seeder) -> None:
    """The numbers under which a webhook knows the fields of its entity."""
    for stem, entity in STEMS.items():
        for number, name in enumerate(SHAPES[entity].names[1:], start=1):
            add_value(seeder.store, f"{stem}WebhookFields.fieldID", number, name, order=number)


def _people(seeder: Seeder) -> None:
    seeder.add("Departments", name="Professional Services", number="10")
    for name, rate in (("Service Desk", 95.0), ("Engineer", 140.0)):
        seeder.add("Roles", name=name, hourlyFactor=1.0, hourlyRate=rate, isActive=True, isSystemRole=False)
    people = (("PSA", "Portal", 7, True), ("Marisol", "Reyes", 1, True), ("Tobias", "Lund", 1, True))
    for first, last, licence, active in (*people, ("Ara", "Kim", 1, True), ("Jon", "Past", 1, False)):
        user = f"{first[0]}{last}".lower()
        seeder.add(
            "Resources",
            firstName=first,
            lastName=last,
            userName=user,
            email=f"{user}@cirrus-managed-it.example",
            licenseType=licence,
            isActive=active,
        )
    held = ((REYES, SERVICE_DESK_ROLE), (LUND, ENGINEER_ROLE), (KIM, SERVICE_DESK_ROLE))
    for resource, role in held:
        queue = SERVICE_DESK_QUEUE if role == SERVICE_DESK_ROLE else BACKUP_QUEUE
        seeder.add("ResourceRoles", resourceID=resource, roleID=role, queueID=queue, isActive=True)
        seeder.add("ResourceRoleQueues", resourceID=resource, queueID=queue)


def _categories(seeder: Seeder) -> None:
    """Standard asks for a queue and a due date; Backup Alert fills in everything; Strict Intake nothing."""
    _category(seeder, 2, "Datto RMM Alert", "AEM", _due_hours=24)
    _category(seeder, STANDARD, "Standard", "STD", isGlobalDefault=True, _requires=["queueID"])
    _category(seeder, 4, "Datto Alert", "DAT", _due_hours=24)
    _category(seeder, 5, "RMA", "RMA")
    _category(seeder, BACKUP_ALERT, "Backup Alert", "BKP", _due_hours=24)
    strict = ["queueID", "issueType", "subIssueType", "source"]
    _category(seeder, STRICT_INTAKE, "Strict Intake", "INT", _requires=strict, _note_titles=True)
    _category(seeder, RETIRED, "Retired", "OLD", isActive=False)
    _category(seeder, API_ONLY, "Integrations", "API", isApiOnly=True, _due_hours=8)
    defaults = {"queueID": BACKUP_QUEUE, "priority": 2, "issueTypeID": 10, "sourceID": 21, "ticketTypeID": 5}
    seeder.add("TicketCategoryFieldDefaults", ticketCategoryID=BACKUP_ALERT, **defaults)
    seeder.add("TicketCategoryFieldDefaults", ticketCategoryID=2, queueID=8, priority=2, sourceID=8)


def _category(seeder: Seeder, row_id: int, name: str, nickname: str, **more: Any) -> None:
    usual = {"isActive": True, "isApiOnly": False, "isGlobalDefault": False, "displayColorRGB": 1}
    row = seeder.add("TicketCategories", id=row_id, name=name, nickname=nickname, **{**usual, **more})
    add_value(seeder.store, "Tickets.ticketCategory", row_id, name, order=row_id, is_active=row["isActive"])


def _catalog(seeder: Seeder) -> None:
    for name, use in (("Remote Support", 1), ("Recurring Backup", 3), ("Materials", 2)):
        seeder.add("BillingCodes", name=name, useType=use, isActive=True, unitCost=0.0, unitPrice=0.0)
    for sku, description, _, price, cost in PRODUCTS:
        add_service(seeder, sku, description, price, cost)
    bundle = seeder.add(
        "ServiceBundles",
        name="Backup Bundle",
        description="Server, desktop and storage together",
        invoiceDescription="Backup Bundle",
        unitPrice=60.0,
        unitCost=20.0,
        periodType=1,
        billingCodeID=RECURRING,
        isActive=True,
        createDate=seeder.at(),
    )
    for service in (301, 302, 303):
        seeder.add("ServiceBundleServices", serviceBundleID=bundle["id"], serviceID=service)
    for name, is_serialized in (("Backup Appliance", True), ("Backup Agent", False)):
        seeder.add(
            "Products",
            name=name,
            isActive=True,
            isSerialized=is_serialized,
            productBillingCodeID=MATERIAL,
            unitPrice=100.0,
            unitCost=60.0,
            createdTime=seeder.at(),
        )
    for name in ("Server", "Workstation", "Backup Appliance"):
        seeder.add("ConfigurationItemTypes", name=name, isActive=True)
    category = {"name": "Standard", "nickname": "STD", "isActive": True, "displayColorRGB": 1}
    seeder.add("ConfigurationItemCategories", **category, isGlobalDefault=True)


def add_service(seeder: Seeder, sku: str, description: str, price: float, cost: float) -> Record:
    at = seeder.at()
    return seeder.add(
        "Services",
        name=description,
        description=description,
        invoiceDescription=description,
        sku=sku,
        unitPrice=price,
        unitCost=cost,
        periodType=1,
        billingCodeID=RECURRING,
        isActive=True,
        createDate=at,
        lastModifiedDate=at,
        creatorResourceID=REYES,
    )


def _user_defined(seeder: Seeder) -> None:
    """Fields for backup statistics of devices, a ranking of companies, one that is protected."""
    fields: tuple[tuple[str, int, int, Record], ...] = (
        ("Backup Status", 7, 1, {}),
        ("Successful Backups", 7, 3, {}),
        ("Failed Backups", 7, 3, {}),
        ("Protected GB", 7, 3, {}),
        ("Last Backup", 7, 4, {}),
        ("Recovery Key", 7, 1, {"isProtected": True}),
        ("Vendor Client Number", 1, 1, {}),
        ("Customer Ranking", 1, 5, {}),
        ("Alert Key", 8, 1, {}),
        ("External Contract", 9, 1, {}),
    )
    for order, (name, udf_type, data_type, more) in enumerate(fields, start=1):
        kinds = {"udfType": udf_type, "dataType": data_type, "sortOrder": order, "isActive": True}
        row = seeder.add("UserDefinedFieldDefinitions", name=name, **kinds, createDate=seeder.at(), **more)
        for value in ("Golden", "Silver") if data_type == 5 else ():
            texts = {"valueForDisplay": value, "valueForExport": value}
            seeder.add("UserDefinedFieldListItems", udfFieldId=row["id"], isActive=True, **texts)


def add_company(seeder: Seeder, name: str, number: str, city: str, row_id: int | None = None) -> Record:
    at = seeder.at()
    company = seeder.add(
        "Companies",
        id=row_id,
        companyName=name,
        companyNumber=number or None,
        companyType=1 if number else 8,
        city=city,
        address1="1 Main Street",
        phone="5550100",
        ownerResourceID=REYES,
        territoryID=1 + int(number[-1:] or 0) % 2,
        isActive=True,
        isTaxExempt=False,
        createDate=at,
        lastActivityDate=at,
        lastTrackedModifiedDateTime=at,
        _udfs={"Vendor Client Number": number} if number else None,
    )
    where = {"companyID": company["id"], "city": city, "isPrimary": True, "isActive": True}
    seeder.add("CompanyLocations", name="Main", **where)
    return company


def _contact(seeder: Seeder, company: Record, first: str, last: str) -> Record:
    at = seeder.at()
    mail = f"{first}.{last}@client{company['id']}.example".lower().replace(" ", "")
    return seeder.add(
        "Contacts",
        companyID=company["id"],
        firstName=first,
        lastName=last,
        emailAddress=mail,
        phone="5550101",
        isActive=1,
        primaryContact=True,
        createDate=at,
        lastActivityDate=at,
        lastModifiedDate=at,
    )


def _contracts(seeder: Seeder, position: int, company: Record, contact: Record) -> None:
    """A recurring one for all but the last client; later clients have one of another kind, inactive, expired too."""
    if position == len(CLIENTS) - 1:
        return
    contract = add_contract(
        seeder, "Backup Services", company, contactID=contact["id"], isDefaultContract=True
    )
    for sku, units in _SERVICES[position % len(_SERVICES)]:
        add_line(seeder, contract, sku, units)
    if position == 2:
        _bundle(seeder, contract)
    this_month = seeder.desk.today().replace(day=1)
    post_period(seeder.desk, contract, this_month - timedelta(days=1))
    if position == 3:
        add_contract(seeder, "Project", company, contractType=1, contractPeriodType=None)
    if position == 4:
        add_line(seeder, add_contract(seeder, "Managed Services", company, status=0), "ACCOUNT", 4)
    if position == 5:
        last = this_month.year - 1
        over = {"startDate": f"{last}-01-01T00:00:00.000", "endDate": f"{last}-12-31T00:00:00.000"}
        add_line(seeder, add_contract(seeder, "Last Year", company, **over), "ACCOUNT", 5)


def add_contract(seeder: Seeder, name: str, company: Record, **more: Any) -> Record:
    year = seeder.desk.today().year
    usual: Record = {
        "contractName": f"{name} - {company['companyName']}"[:100],
        "contractNumber": f"C-{company.get('companyNumber')}",
        "contractType": RECURRING_SERVICE,
        "contractCategory": 2,
        "contractPeriodType": 1,
        "companyID": company["id"],
        "startDate": f"{year}-01-01T00:00:00.000",
        "endDate": f"{year + 1}-12-31T00:00:00.000",
        "status": 1,
        "isDefaultContract": False,
        "isCompliant": True,
        "timeReportingRequiresStartAndStopTimes": 0,
        "lastModifiedDateTime": seeder.at(),
    }
    return seeder.add("Contracts", **{**usual, **more})


def add_line(seeder: Seeder, contract: Record, sku: str, units: int) -> Record:
    service = next(row for row in seeder.store.all("Services") if row.get("sku") == sku)
    values = {"contractID": contract["id"], "serviceID": service["id"]}
    line = seeder.add("ContractServices", **with_prices(seeder.desk, SERVICES, values))
    begin_line(seeder.desk, SERVICES, line, day_of(contract["startDate"]), units)
    return line


def _bundle(seeder: Seeder, contract: Record) -> None:
    values = {"contractID": contract["id"], "serviceBundleID": 351}
    line = seeder.add("ContractServiceBundles", **with_prices(seeder.desk, BUNDLES, values))
    begin_line(seeder.desk, BUNDLES, line, day_of(contract["startDate"]), 3)


def _device(seeder: Seeder, company: Record, number: str) -> None:
    at = seeder.at()
    seeder.add(
        "ConfigurationItems",
        companyID=company["id"],
        productID=501,
        isActive=True,
        configurationItemType=3,
        configurationItemCategoryID=1,
        referenceTitle=f"Backup of {company['companyName']}",
        referenceNumber=f"EFS-{number}",
        serialNumber=f"SN{number}",
        installDate="2025-01-01T00:00:00.000",
        createDate=at,
        lastModifiedTime=at,
        createdByPersonID=REYES,
        _udfs={"Successful Backups": "0", "Failed Backups": "0"},
    )


def _old_tickets(seeder: Seeder) -> None:
    """A few that people opened, so that lists are not empty and nothing of ours is among them."""
    titles = ("Printer on floor 2 offline", "New laptop for reception", "VPN drops hourly")
    for position, title in enumerate(titles):
        company = 201 + position
        seeder.add("Tickets", **ticket_values(seeder.at(), company, SERVICE_DESK_QUEUE, position, title))


def ticket_values(at: str, company: int, queue: int, number: int, title: str) -> Record:
    """A ticket as a person would have left it; every fifth is done."""
    done = number % 5 == 4
    closed = {"completedDate": at, "resolvedDateTime": at, "completedByResourceID": LUND} if done else {}
    return {
        "ticketNumber": f"T20260105.{number + 1:04}",
        "title": title,
        "companyID": company,
        "queueID": queue,
        "status": COMPLETE if done else (NEW, 8, 7, 11)[number % 4],
        "priority": 2,
        "ticketCategory": STANDARD,
        "ticketType": 1,
        "source": 2,
        "dueDateTime": "2026-01-07T17:00:00.000",
        "createDate": at,
        "creatorResourceID": REYES,
        "creatorType": 1,
        "lastActivityDate": at,
        "lastActivityResourceID": REYES,
        "lastTrackedModificationDateTime": at,
        **closed,
    }
