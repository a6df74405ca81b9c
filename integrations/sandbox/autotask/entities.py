"""Which entities does the API have, where are they reached, and what may be done to each?

`own` and `child` are letters: Query, Create, Update, Delete, at the entity's own address and below its parent's
(Autotask REST v1.0, the paths of the vendor's document).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from integrations.sandbox.autotask import billing, companies, tickets, webhooks
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.fields import Shape, shape
from integrations.sandbox.autotask.shapes import (
    SHAPES,
    WEBHOOK,
    WEBHOOK_EXCLUDED,
    WEBHOOK_FIELD,
    WEBHOOK_UDF_FIELD,
)
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.validation import Checking

Fill = Callable[[Desk, Checking, Mapping[str, Any]], None]
Finish = Callable[[Desk, Record, Record | None], Record]
After = Callable[[Desk, Record, Record | None], None]


def _no_fill(desk: Desk, checking: Checking, given: Mapping[str, Any]) -> None:
    return None


def _same(desk: Desk, record: Record, before: Record | None) -> Record:
    return record


def _nothing(desk: Desk, record: Record, before: Record | None) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Entity:
    """`kind` names a row in the journal; `parent` and `segment` make `/Parent/{id}/Segment`, `link` points back."""

    name: str
    kind: str
    own: str = "Q"
    child: str = ""
    parent: str | None = None
    segment: str | None = None
    link: str | None = None
    resend: tuple[str, ...] = ()
    fill: Fill = _no_fill
    finish: Finish = _same
    after: After = _nothing

    @property
    def shape(self) -> Shape:
        return SHAPES[self.name]

    def may(self, letter: str) -> bool:
        return letter in self.own or letter in self.child


def _webhook_family(stem: str) -> list[Entity]:
    """Webhooks of one entity, their fields, and whose changes they leave out."""
    name = f"{stem}Webhooks"
    shapes = {name: WEBHOOK, f"{stem}WebhookFields": WEBHOOK_FIELD}
    shapes[f"{stem}WebhookExcludedResources"] = WEBHOOK_EXCLUDED
    below: dict[str, Any] = {"parent": name, "link": "webhookID"}
    settle = partial(webhooks.after_field, stem)
    family = [
        Entity(name, "webhook", "QCUD", finish=webhooks.finish_webhook),
        Entity(f"{stem}WebhookFields", "webhookField", "Q", "QCUD", segment="Fields", after=settle, **below),
        Entity(
            f"{stem}WebhookExcludedResources",
            "webhookExcluded",
            "Q",
            "QCD",
            segment="ExcludedResources",
            **below,
        ),
    ]
    if stem != "TicketNote":
        shapes[f"{stem}WebhookUdfFields"] = WEBHOOK_UDF_FIELD
        family.append(
            Entity(
                f"{stem}WebhookUdfFields",
                "webhookUdfField",
                "Q",
                "QCUD",
                segment="UdfFields",
                after=settle,
                **below,
            )
        )
    for entity, notation in shapes.items():
        SHAPES[entity] = shape(entity, entity.removesuffix("s"), notation)
    return family


_CONTRACT: dict[str, Any] = {"parent": "Contracts", "link": "contractID"}
_TICKET: dict[str, Any] = {"parent": "Tickets", "link": "ticketID"}
_COMPANY: dict[str, Any] = {"parent": "Companies", "link": "companyID"}

ENTITIES: dict[str, Entity] = {
    one.name: one
    for one in (
        Entity(
            "Tickets",
            "ticket",
            "QCU",
            fill=tickets.fill_ticket,
            finish=tickets.finish_ticket,
            after=tickets.after_ticket,
        ),
        Entity(
            "TicketNotes",
            "note",
            "Q",
            "QCU",
            segment="Notes",
            resend=("noteType", "publish"),
            finish=tickets.finish_note,
            after=tickets.after_note,
            **_TICKET,
        ),
        Entity(
            "TicketAdditionalConfigurationItems",
            "ticketItem",
            "Q",
            "QCD",
            segment="AdditionalConfigurationItems",
            **_TICKET,
        ),
        Entity("TicketHistory", "history"),
        Entity("DeletedTicketLogs", "deletedTicket"),
        Entity("TicketCategories", "category", "QU"),
        Entity(
            "TicketCategoryFieldDefaults",
            "categoryDefaults",
            "Q",
            "Q",
            "TicketCategories",
            "FieldDefaults",
            "ticketCategoryID",
        ),
        Entity("Companies", "company", "QCU", finish=companies.finish_company),
        Entity(
            "Contacts",
            "contact",
            "Q",
            "QCUD",
            segment="Contacts",
            finish=companies.finish_contact,
            **_COMPANY,
        ),
        Entity(
            "CompanyLocations",
            "location",
            "Q",
            "QCUD",
            segment="Locations",
            finish=companies.finish_location,
            **_COMPANY,
        ),
        Entity("Contracts", "contract", "QCU", finish=billing.finish_contract, after=billing.after_contract),
        Entity(
            "ContractServices",
            "contractService",
            "Q",
            "QCU",
            segment="Services",
            finish=billing.finish_line,
            after=billing.after_line,
            **_CONTRACT,
        ),
        Entity("ContractServiceUnits", "units", "Q", "Q", segment="ServiceUnits", **_CONTRACT),
        Entity(
            "ContractServiceAdjustments", "adjustment", "C", "C", segment="ServiceAdjustments", **_CONTRACT
        ),
        Entity(
            "ContractServiceBundles",
            "contractServiceBundle",
            "Q",
            "QCU",
            segment="ServiceBundles",
            finish=billing.finish_line,
            after=billing.after_line,
            **_CONTRACT,
        ),
        Entity(
            "ContractServiceBundleUnits", "bundleUnits", "Q", "Q", segment="ServiceBundleUnits", **_CONTRACT
        ),
        Entity(
            "ContractServiceBundleAdjustments",
            "adjustment",
            "C",
            "C",
            segment="ServiceBundleAdjustments",
            **_CONTRACT,
        ),
        Entity(
            "ContractCharges",
            "charge",
            "Q",
            "QCUD",
            segment="Charges",
            finish=companies.finish_charge,
            **_CONTRACT,
        ),
        Entity(
            "TicketCharges",
            "ticketCharge",
            "Q",
            "QCUD",
            segment="Charges",
            finish=companies.finish_charge,
            **_TICKET,
        ),
        Entity("Services", "service", "QCU", finish=companies.finish_made_by),
        Entity("ServiceBundles", "serviceBundle", "QCUD", finish=companies.finish_made_by),
        Entity(
            "ServiceBundleServices",
            "serviceBundleService",
            "Q",
            "QCD",
            "ServiceBundles",
            "Services",
            "serviceBundleID",
        ),
        Entity("BillingCodes", "billingCode"),
        Entity("BillingItems", "billingItem", "QU"),
        Entity("Products", "product", "QCU"),
        Entity("ConfigurationItems", "configurationItem", "QCU", finish=companies.finish_configuration_item),
        Entity(
            "ConfigurationItemNotes",
            "configurationItemNote",
            "Q",
            "QCU",
            "ConfigurationItems",
            "Notes",
            "configurationItemID",
            finish=companies.finish_note_of_item,
        ),
        Entity(
            "ConfigurationItemBillingProductAssociations",
            "billingProduct",
            "Q",
            "QCUD",
            "ConfigurationItems",
            "BillingProductAssociations",
            "configurationItemID",
            finish=companies.finish_billing_product,
        ),
        Entity("IntegrationVendorInsights", "insight", "QCUD", finish=companies.finish_shown_page),
        Entity("IntegrationVendorWidgets", "widget", "QCUD", finish=companies.finish_shown_page),
        Entity("ConfigurationItemTypes", "configurationItemType", "QCUD"),
        Entity("ConfigurationItemCategories", "configurationItemCategory", "QCU"),
        Entity(
            "ConfigurationItemCategoryUdfAssociations",
            "udfAssociation",
            "Q",
            "QCUD",
            "ConfigurationItemCategories",
            "UdfAssociations",
            "configurationItemCategoryID",
        ),
        Entity("Resources", "resource", "QU"),
        Entity("Roles", "role", "QCU"),
        Entity("ResourceRoles", "resourceRole", "Q", "Q", "Resources", "Roles", "resourceID"),
        Entity(
            "ResourceRoleQueues", "resourceRoleQueue", "Q", "QCU", "Resources", "RoleQueues", "resourceID"
        ),
        Entity("Departments", "department", "QCU"),
        Entity("UserDefinedFieldDefinitions", "udf", "QCU", finish=companies.finish_udf_definition),
        Entity(
            "UserDefinedFieldListItems",
            "udfListItem",
            "Q",
            "QCU",
            "UserDefinedFields",
            "ListItems",
            "udfFieldId",
        ),
        *(one for stem in webhooks.STEMS for one in _webhook_family(stem)),
        Entity("WebhookEventErrorLogs", "webhookError", "QD"),
    )
}
