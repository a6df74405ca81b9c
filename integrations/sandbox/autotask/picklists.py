"""Queues, statuses, priorities, sources ... are picklists in Autotask, not entities: values of a field.

Kept as rows of a table, so that a technician can rename one, and found by `Entity.field`.
"""

from collections.abc import Iterable
from typing import Any

from integrations.sandbox.autotask.store import Record, Store

NEW, COMPLETE = 1, 5
CLIENT_PORTAL, MONITORING_ALERT_QUEUE = 5, 8
RECURRING_SERVICE = 7
RECURRING_SERVICE_ITEM, RECURRING_BUNDLE_ITEM = 11, 12

Value = tuple[int, str]

PICKLISTS: dict[str, tuple[Value, ...]] = {
    "Tickets.status": (
        (NEW, "New"),
        (COMPLETE, "Complete"),
        (7, "Waiting Customer"),
        (8, "In Progress"),
        (9, "Waiting Materials"),
        (10, "Dispatched"),
        (11, "Escalated"),
        (12, "Waiting Vendor"),
        (13, "Waiting Approval"),
        (19, "On Hold (old)"),
    ),
    "Tickets.queueID": (
        (CLIENT_PORTAL, "Client Portal"),
        (6, "Post Sale"),
        (MONITORING_ALERT_QUEUE, "Monitoring Alert"),
        (29682833, "Service Desk"),
        (29682834, "Backup"),
        (29682835, "Alerts"),
        (29682836, "Projects (old)"),
    ),
    "Tickets.priority": ((1, "High"), (2, "Medium"), (4, "Critical"), (5, "Low")),
    "Tickets.source": (
        (1, "Client Portal"),
        (2, "Phone"),
        (4, "Email"),
        (8, "Monitoring Alert"),
        (21, "Backup Vendor"),
    ),
    "Tickets.issueType": ((10, "Backup"), (11, "Monitoring"), (12, "Request"), (13, "Fax (old)")),
    "Tickets.ticketType": (
        (1, "Service Request"),
        (2, "Incident"),
        (3, "Problem"),
        (4, "Change Request"),
        (5, "Alert"),
    ),
    "Tickets.creatorType": ((1, "Resource"), (2, "Contact")),
    "Tickets.lastActivityPersonType": ((1, "Resource"), (2, "Contact")),
    "Tickets.serviceLevelAgreementID": ((1, "Standard SLA"),),
    "Tickets.apiVendorID": ((42, "PSA Portal"),),
    "TicketNotes.noteType": (
        (1, "Task Summary"),
        (2, "Task Detail"),
        (3, "Task Notes"),
        (13, "Workflow Rule Note - Task"),
        (18, "Client Portal Note"),
        (91, "Workflow Rule Action Note"),
        (99, "RMM Note"),
        (100, "BDR Note"),
        (101, "Email"),
    ),
    "TicketNotes.publish": (
        (1, "All Autotask Users"),
        (2, "Internal Project Team"),
        (4, "Internal & Co-managed"),
    ),
    "TicketCategories.displayColorRGB": ((1, "Blue"), (2, "Green"), (3, "Red")),
    "Companies.companyType": (
        (1, "Customer"),
        (2, "Lead"),
        (3, "Prospect"),
        (4, "Dead"),
        (6, "Cancellation"),
        (7, "Vendor"),
        (8, "Partner"),
    ),
    "Companies.territoryID": ((1, "North"), (2, "South")),
    "Companies.marketSegmentID": ((1, "Small Business"),),
    "Companies.invoiceMethod": ((1, "Email"), (2, "Print")),
    "Companies.apiVendorID": ((42, "PSA Portal"),),
    "Contracts.contractType": (
        (1, "Time & Materials"),
        (3, "Fixed Price"),
        (4, "Block Hours"),
        (6, "Retainer"),
        (RECURRING_SERVICE, "Recurring Service"),
        (8, "Per Ticket"),
    ),
    "Contracts.status": ((0, "Inactive"), (1, "Active")),
    "Contracts.contractPeriodType": ((1, "Monthly"), (2, "Quarterly"), (3, "Semi-Annual"), (4, "Yearly")),
    "Contracts.contractCategory": ((1, "Managed Services"), (2, "Backup")),
    "Contracts.billingPreference": (
        (1, "Immediately without timesheet"),
        (2, "Manually"),
        (3, "On timesheet"),
    ),
    "Contracts.timeReportingRequiresStartAndStopTimes": ((0, "No"), (1, "Yes")),
    "ContractCharges.chargeType": ((1, "Operational"), (2, "Capitalized")),
    "ContractCharges.status": ((1, "Need To Order/Fulfill"), (7, "Delivered/Shipped Full")),
    "Services.periodType": (
        (1, "Monthly"),
        (2, "Quarterly"),
        (3, "Semi-Annual"),
        (4, "Yearly"),
        (5, "One-Time"),
    ),
    "ServiceBundles.periodType": ((1, "Monthly"), (2, "Quarterly"), (3, "Semi-Annual"), (4, "Yearly")),
    "BillingCodes.useType": ((1, "General"), (2, "Material"), (3, "Recurring Contract Service")),
    "BillingCodes.billingCodeType": ((0, "Normal"), (1, "System"), (2, "Non-Billable")),
    "BillingItems.billingItemType": (
        (1, "Labor"),
        (4, "Material"),
        (RECURRING_SERVICE_ITEM, "Recurring Contract Service"),
        (RECURRING_BUNDLE_ITEM, "Recurring Contract Service Bundle"),
    ),
    "BillingItems.subType": ((200, "Recurring Service"), (201, "Recurring Service Bundle")),
    "Products.productCategory": ((1, "Hardware"), (2, "Software")),
    "ConfigurationItemCategories.displayColorRGB": ((1, "Blue"), (2, "Green"), (3, "Red")),
    "ConfigurationItemNotes.noteType": ((1, "Note"),),
    "UserDefinedFieldDefinitions.udfType": (
        (1, "Company"),
        (2, "Contact"),
        (7, "Configuration Item"),
        (8, "Ticket"),
        (9, "Contract"),
    ),
    "UserDefinedFieldDefinitions.dataType": (
        (1, "Text (Single-Line)"),
        (2, "Text (Multi-Line)"),
        (3, "Number"),
        (4, "Date"),
        (5, "List"),
    ),
    "UserDefinedFieldDefinitions.displayFormat": ((1, "Decimal"), (2, "Integer")),
}
SUB_ISSUES: tuple[tuple[int, str, int], ...] = (
    (101, "Server", 10),
    (102, "Workstation", 10),
    (103, "Cloud", 10),
    (104, "Quota", 10),
    (111, "Disk", 11),
    (112, "Offline", 11),
    (113, "Mail Flow", 11),
    (121, "New User", 12),
    (122, "Software", 12),
)
"""Value, label, issue type."""

_SYSTEM = {"Tickets.status": (NEW, COMPLETE), "Tickets.queueID": (CLIENT_PORTAL,)}
_DEFAULTS = {"Tickets.status": NEW, "Tickets.priority": 2, "Tickets.ticketType": 1}


def seed_picklists(store: Store) -> None:
    for of, values in PICKLISTS.items():
        for order, (value, label) in enumerate(values, start=1):
            add_value(store, of, value, label, order=order, is_active=not label.endswith("(old)"))
    for order, (value, label, parent) in enumerate(SUB_ISSUES, start=1):
        add_value(store, "Tickets.subIssueType", value, label, order=order, parent=parent)


def add_value(
    store: Store,
    of: str,
    value: int,
    label: str,
    *,
    order: int = 0,
    is_active: bool = True,
    parent: int | None = None,
) -> Record:
    return store.put(
        "picklists",
        {
            "id": store.new_id("picklists"),
            "of": of,
            "value": value,
            "label": label,
            "sortOrder": order,
            "isActive": is_active,
            "isSystem": value in _SYSTEM.get(of, ()),
            "isDefaultValue": _DEFAULTS.get(of) == value,
            "parentValue": parent,
        },
    )


def values_of(store: Store, of: str) -> list[Record]:
    return store.where("picklists", "of", of)


def find_value(store: Store, of: str, value: int) -> Record | None:
    return next((row for row in values_of(store, of) if row["value"] == value), None)


def label_of(store: Store, of: str, value: Any) -> str | None:
    row = find_value(store, of, value) if isinstance(value, int) else None
    return row["label"] if row else None


def described(rows: Iterable[Record]) -> list[Record]:
    """As `entityInformation/fields` lists them: numbers as texts, inactive ones included."""
    return [
        {
            "value": str(row["value"]),
            "label": row["label"],
            "isDefaultValue": row["isDefaultValue"],
            "sortOrder": row["sortOrder"],
            "parentValue": str(row["parentValue"]) if "parentValue" in row else "",
            "isActive": row["isActive"],
            "isSystem": row["isSystem"],
        }
        for row in rows
    ]
