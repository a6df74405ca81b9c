"""Which MSP does the pretend ConnectWise belong to? Cirrus Managed IT, a dozen clients, always the same ones.

Serial numbers of additions such as `EFS-19652` are managed IDs: the client's number at the vendor with a prefix.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.sandbox.connectwise.assets import seed_devices
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.seedsetup import communications_of, seed_setup
from integrations.sandbox.connectwise.settings import API_MEMBER
from integrations.sandbox.connectwise.store import Record, Store

BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

_STATUSES = (
    ("New", False, "NotResponded"),
    ("In Progress", False, "Responded"),
    ("Waiting on Customer", False, "ResolutionPlan"),
    ("Reopened", False, "NotResponded"),
    ("Completed", True, "Resolved"),
    ("Closed", True, "NoEscalation"),
)
BOARDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Service Desk": {"Incident": ("Workstation", "Server", "Network"), "Request": ("New User", "Software")},
    "Backup": {"Backup Failure": ("Server", "Workstation", "Cloud"), "Storage": ("Quota", "Local Device")},
    "Alerts": {"Monitoring": ("Disk", "Offline", "Mail Flow")},
}
_ITEMS = ("Investigate", "Repair")
_PRIORITIES = (
    ("Priority 1 - Emergency", "Red", "Critical"),
    ("Priority 2 - Quick Response", "Orange", "High"),
    ("Priority 3 - Normal", "Yellow", "Medium"),
    ("Priority 4 - Scheduled", "White", "Low"),
)
_SOURCES = ("Email", "Phone", "Portal", "Monitoring", "Backup Vendor")
_MEMBERS = (
    (API_MEMBER, "PSA", "Portal"),
    ("mreyes", "Marisol", "Reyes"),
    ("tlund", "Tobias", "Lund"),
    ("akim", "Ara", "Kim"),
)

CLIENTS = (
    ("BakeryOtt", "Bakery Ott", "19652", "Freiburg", "Hanna", "Ott"),
    ("HarborDental", "Harbor Dental Group", "19653", "Portland", "Iris", "Nakamura"),
    ("NorthgateLaw", "Northgate Law LLP", "19660", "Leeds", "Owen", "Pryce"),
    ("SummitAcct", "Summit Accounting", "19671", "Boulder", "Dana", "Whitlock"),
    ("RiversideVet", "Riverside Veterinary Clinic", "19684", "Spokane", "Paul", "Achebe"),
    ("GreenfieldFarm", "Greenfield Farm Supply", "19690", "Ames", "Ruth", "Lindqvist"),
    ("AtlasMachine", "Atlas Machine Works", "19702", "Toledo", "Victor", "Sandoval"),
    ("BluebirdHotel", "Bluebird Hotel", "19715", "Galway", "Niamh", "Byrne"),
    ("LanternMedia", "Lantern Media", "19723", "Austin", "Jude", "Okafor"),
    ("OakHillSchool", "Oak Hill School", "19738", "Dayton", "Marta", "Kowalska"),
    ("PierNine", "Pier Nine Logistics", "19744", "Tacoma", "Sam", "Teague"),
    ("QuarryStone", "Quarry & Stone O'Neil", "19750", "Ghent", "Lotte", "De Smet"),
)
"""Identifier, name, client number at the vendor, city, contact's first and last name."""

PRODUCTS = (
    ("OBS-GB", "Online Backup Storage (GB)", "GB", 0.25, 0.08),
    ("OBS-SERVER", "Online Backup Server", "Each", 35.0, 14.0),
    ("OBS-DESKTOP", "Online Backup Desktop", "Each", 8.0, 3.0),
    ("BDR-GB", "BDR Storage (GB)", "GB", 0.2, 0.06),
    ("BDR-SERVER", "BDR Server", "Each", 75.0, 30.0),
    ("BDR-DESKTOP", "BDR Desktop", "Each", 15.0, 6.0),
    ("LOCAL-BACKUP", "Local Backup", "Each", 10.0, 4.0),
    ("EMAIL-ARCHIVE", "Email Archiving Mailbox", "Each", 3.5, 1.2),
    ("EMAIL-FILTER", "Email Filtering Mailbox", "Each", 2.0, 0.7),
    ("ACCOUNT", "Backup Account", "Each", 5.0, 1.0),
    ("TOTAL-GB", "Total Storage (GB)", "GB", 0.3, 0.1),
    ("FSE", "File Server Enablement", "Each", 20.0, 7.5),
)
"""Identifier, description, unit, price, cost."""

_ADDITIONS = (
    (("OBS-GB", 250.0, 100.0), ("OBS-SERVER", 2.0, 0.0), ("OBS-DESKTOP", 10.0, 0.0)),
    (("BDR-GB", 900.0, 500.0), ("BDR-SERVER", 1.0, 0.0), ("EMAIL-FILTER", 24.0, 0.0)),
    (("OBS-GB", 120.0, 0.0), ("EMAIL-ARCHIVE", 41.0, 5.0), ("EMAIL-FILTER", 41.0, 0.0), ("FSE", 1.0, 0.0)),
    (("TOTAL-GB", 640.0, 250.0), ("ACCOUNT", 6.0, 1.0), ("LOCAL-BACKUP", 2.0, 0.0)),
)
"""Product, quantity and included units of an agreement's additions; the clients take turns."""


class Seeder:
    """Adds rows with an `_info` of the past, a minute apart, and answers references to them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._at = BEGIN

    def add(self, table: str, **values: Any) -> Record:
        self._at += timedelta(minutes=1)
        at = self._at.strftime("%Y-%m-%dT%H:%M:%SZ")
        info = {"lastUpdated": at, "updatedBy": "mreyes", "dateEntered": at, "enteredBy": "mreyes"}
        row_id = values.pop("id", None)
        row_id = self.store.new_id(table) if row_id is None else row_id
        record = {"id": row_id, **values, "_info": info}
        self.store.put(table, record)
        return self.store.reference(table, record["id"])


def seed(store: Store) -> None:
    """Fill an empty store. Nothing of it is in the journal: no client created it."""
    seeder = Seeder(store)
    seed_setup(seeder)
    _members(seeder)
    for name, types in BOARDS.items():
        add_board(seeder, name, types)
    _choices(seeder)
    _catalog(seeder)
    solution = seeder.add(
        "solutions",
        name="EFS Backup",
        managementItSolutionType="Custom",
        managementSolutionName="EFS Backup",
        noDisplayFlag=False,
    )
    for position, client in enumerate(CLIENTS):
        company, contact = _client(seeder, client)
        _agreements(seeder, position, client, company, contact)
        if position < 6:
            _report(seeder, client[2], company, solution)
            seed_devices(seeder, company, client[2])
    _old_tickets(seeder)


def add_board(seeder: Seeder, name: str, types: dict[str, tuple[str, ...]]) -> Record:
    where = {
        "location": seeder.store.reference("locations", 2),
        "department": seeder.store.reference("departments", 10),
    }
    board = seeder.add("boards", name=name, **where, inactiveFlag=False, projectFlag=False)
    for order, (status, closes, escalation) in enumerate(_STATUSES):
        add_status(seeder, board, status, order, closes=closes, escalation=escalation)
    seeder.add(
        "teams", name=f"{name} Team", teamLeader=_member(seeder), boardId=board["id"], defaultFlag=True
    )
    items = [seeder.add("items", name=item, inactiveFlag=False, board=board) for item in _ITEMS]
    for position, (kind, subtypes) in enumerate(types.items()):
        add_type(seeder, board, kind, subtypes, items, is_default=position == 0)
    return board


def add_status(
    seeder: Seeder, board: Record, name: str, order: int, *, closes: bool, escalation: str
) -> Record:
    return seeder.add(
        "statuses",
        name=name,
        board=board,
        sortOrder=order * 10,
        displayOnBoard=not closes,
        inactive=False,
        closedStatus=closes,
        timeEntryNotAllowed=False,
        defaultFlag=order == 0,
        escalationStatus=escalation,
        customerPortalFlag=False,
    )


def add_type(
    seeder: Seeder,
    board: Record,
    name: str,
    subtypes: tuple[str, ...],
    items: list[Record],
    *,
    is_default: bool,
) -> None:
    kind = seeder.add(
        "types", name=name, category="Reactive", defaultFlag=is_default, inactiveFlag=False, board=board
    )
    for subtype in subtypes:
        row = seeder.add(
            "subtypes", name=subtype, inactiveFlag=False, typeAssociationIds=[kind["id"]], board=board
        )
        for item in items:
            seeder.add("associations", type=kind, subType=row, item=item, board=board)


def _member(seeder: Seeder) -> Record:
    return seeder.store.reference("members", KINDS["members"].first_id)


def _members(seeder: Seeder) -> None:
    for identifier, first, last in _MEMBERS:
        seeder.add(
            "members",
            identifier=identifier,
            firstName=first,
            lastName=last,
            licenseClass="A" if identifier == API_MEMBER else "F",
            inactiveFlag=False,
            hireDate="2024-01-02T00:00:00Z",
            defaultEmail="Office",
            defaultPhone="Office",
            officeEmail=f"{identifier}@cirrus.example",
            securityRole=seeder.store.reference("securityRoles", 64 if identifier == API_MEMBER else 63),
        )


def _choices(seeder: Seeder) -> None:
    for order, (name, color, level) in enumerate(_PRIORITIES):
        seeder.add("priorities", name=name, color=color, sortOrder=order, defaultFlag=order == 2, level=level)
    for order, source in enumerate(_SOURCES):
        seeder.add("sources", name=source, defaultFlag=order == 0)
    for name, once in (("Managed Services", False), ("Backup Services", False), ("Project", True)):
        seeder.add(
            "agreementTypes",
            name=name,
            inactiveFlag=False,
            prePaymentFlag=False,
            billOneTimeFlag=once,
            employeeCompRate="Actual",
            employeeCompNotExceed="Billing",
            invoicingCycle="CalendarYear",
            billTime="Billable",
            billExpenses="Billable",
            billProducts="Billable",
        )


def _catalog(seeder: Seeder) -> None:
    for product in PRODUCTS:
        add_product(seeder, *product)


def add_product(
    seeder: Seeder, identifier: str, description: str, unit: str, price: float, cost: float
) -> Record:
    refer = seeder.store.reference
    return seeder.add(
        "catalog",
        identifier=identifier,
        description=description,
        customerDescription=description,
        inactiveFlag=False,
        subcategory=refer("subcategories", 3),
        category=refer("categories", 1),
        type=refer("productTypes", 5),
        productClass="Agreement",
        unitOfMeasure=refer("unitOfMeasures", 1 if unit == "Each" else 2),
        price=price,
        cost=cost,
        taxableFlag=False,
        recurringFlag=True,
    )


def _client(seeder: Seeder, client: tuple[str, ...]) -> tuple[Record, Record]:
    identifier, name, number, city, first, last = client
    company = add_company(seeder, identifier, name, city, number)
    mail = f"{first}.{last}@{identifier}.example".lower().replace(" ", "")
    return company, add_contact(seeder, company, first, last, mail)


def add_contact(seeder: Seeder, company: Record, first: str, last: str, mail: str) -> Record:
    items = [
        {"type": _type_of(seeder, 1), "value": mail, "communicationType": "Email", "defaultFlag": True},
        {"type": _type_of(seeder, 2), "value": "5550100", "communicationType": "Phone", "defaultFlag": True},
    ]
    items = [{"id": seeder.store.new_id("communications"), **item} for item in items]
    contact = seeder.add(
        "contacts",
        firstName=first,
        lastName=last,
        company=company,
        title="Office Manager",
        inactiveFlag=False,
        defaultFlag=True,
        communicationItems=items,
    )
    communications_of(seeder, contact["id"], items)
    return contact


def _type_of(seeder: Seeder, row_id: int) -> Record:
    return seeder.store.reference("communicationTypes", row_id)


def add_company(seeder: Seeder, identifier: str, name: str, city: str, number: str) -> Record:
    company = seeder.add(
        "companies",
        identifier=identifier,
        name=name,
        status=seeder.store.reference("companyStatuses", 1),
        addressLine1="1 Main Street",
        city=city,
        phoneNumber="5550100",
        accountNumber=number,
        deletedFlag=False,
        types=[{"id": 1, "name": "Client"}],
    )
    seeder.add("sites", name="Main", city=city, company=company, primaryAddressFlag=True, inactiveFlag=False)
    return company


def _agreements(
    seeder: Seeder, position: int, client: tuple[str, ...], company: Record, contact: Record
) -> None:
    """A recurring one for all but the last client; the fourth has a one-time, the fifth a cancelled one too."""
    if position < len(CLIENTS) - 1:
        agreement = add_agreement(seeder, "Backup Services", company, contact)
        serial = f"EFS-{client[2]}"
        for row in _ADDITIONS[position % len(_ADDITIONS)]:
            add_addition(seeder, agreement, serial, *row)
    if position == 3:
        add_agreement(
            seeder,
            "Project",
            company,
            contact,
            billOneTimeFlag=True,
            billingCycle=seeder.store.reference("billingCycles", 7),
        )
    if position == 4:
        cancelled = {
            "cancelledFlag": True,
            "agreementStatus": "Cancelled",
            "dateCancelled": "2025-12-01T00:00:00Z",
        }
        add_agreement(seeder, "Managed Services", company, contact, **cancelled)


def add_agreement(seeder: Seeder, kind: str, company: Record, contact: Record, **values: Any) -> Record:
    types = {row["name"]: row["id"] for row in seeder.store.all("agreementTypes")}
    usual: Record = {
        "name": f"{kind} - {company['name']}",
        "type": seeder.store.reference("agreementTypes", types[kind]),
        "company": company,
        "contact": contact,
        "startDate": "2025-01-01T00:00:00Z",
        "noEndingDateFlag": True,
        "cancelledFlag": False,
        "billingCycle": seeder.store.reference("billingCycles", 2),
        "billOneTimeFlag": False,
        "invoicingCycle": "CalendarYear",
        "prorateFlag": False,
        "periodType": "Current",
        "billAmount": 0.0,
        "agreementStatus": "Active",
    }
    return seeder.add("agreements", **{**usual, **values})


def add_addition(
    seeder: Seeder, agreement: Record, serial: str, product: str, quantity: float, included: float
) -> None:
    item = next(row for row in seeder.store.all("catalog") if row["identifier"] == product)
    billed = max(quantity - included, 0.0)
    price, cost = round(billed * item["price"], 2), round(quantity * item["cost"], 2)
    seeder.add(
        "additions",
        product=seeder.store.reference("catalog", item["id"]),
        quantity=quantity,
        lessIncluded=included,
        unitPrice=item["price"],
        unitCost=item["cost"],
        billCustomer="Billable",
        effectiveDate="2025-01-01T00:00:00Z",
        taxableFlag=False,
        serialNumber=serial,
        description=item["description"],
        invoiceDescription=item["customerDescription"],
        agreementId=agreement["id"],
        uom=item["unitOfMeasure"]["name"],
        prorateCurrentPeriodFlag=False,
        agreementStatus="Active",
        billedQuantity=billed,
        extPrice=price,
        extCost=cost,
        margin=round(price - cost, 2),
    )


def _report(seeder: Seeder, number: str, company: Record, solution: Record) -> None:
    seeder.add(
        "reports",
        managementSolution=solution,
        groupIdentifier=f"EFS-{number}",
        deviceType="BackupStats",
        successfulBackupJobs=0,
        failedBackupJobs=0,
        company=company,
    )


def _old_tickets(seeder: Seeder) -> None:
    """A few that people opened, so that lists are not empty and nothing of ours is among them."""
    for position, summary in enumerate(
        ("Printer on floor 2 offline", "New laptop for reception", "VPN drops hourly")
    ):
        company = seeder.store.reference("companies", KINDS["companies"].first_id + position)
        seeder.add("tickets", **ticket_values(seeder.store, company, 1, position, summary))


def ticket_values(store: Store, company: Record, board_id: int, status_position: int, summary: str) -> Record:
    """A ticket as it would have been stored, in the status at that place of the board's list."""
    statuses = store.under("statuses", board_id)
    status = statuses[status_position % len(statuses)]
    site = next(iter(store.under("sites", company["id"])))
    closed = {"closedDate": "2026-01-06T08:00:00Z", "closedBy": "tlund"} if status["closedStatus"] else {}
    return {
        "summary": summary,
        "recordType": "ServiceTicket",
        "board": store.reference("boards", board_id),
        "status": store.reference("statuses", status["id"]),
        "company": company,
        "site": store.reference("sites", site["id"]),
        "siteName": site["name"],
        "priority": store.reference("priorities", 3),
        "severity": "Medium",
        "impact": "Medium",
        "closedFlag": status["closedStatus"],
        **closed,
    }
