"""What may the API user do? Its security level: for each area four rights, at a level (Autotask REST v1.0).

The areas follow what partners tick in a security level; an entity needs the area that `AREAS` gives it.
"""

from collections.abc import Mapping
from typing import Any

RIGHTS = ("create", "query", "update", "delete")
LEVELS = ("None", "Restricted", "All")
Role = dict[str, dict[str, str]]

AREAS: dict[str, tuple[str, ...]] = {
    "companies": ("Companies", "CompanyLocations"),
    "contacts": ("Contacts",),
    "tickets": (
        "Tickets",
        "TicketAdditionalConfigurationItems",
        "TicketHistory",
        "DeletedTicketLogs",
        "TicketCharges",
    ),
    "ticket_notes": ("TicketNotes",),
    "ticket_setup": ("TicketCategories", "TicketCategoryFieldDefaults"),
    "contracts": ("Contracts", "ContractCharges"),
    "contract_services": (
        "ContractServices",
        "ContractServiceUnits",
        "ContractServiceAdjustments",
        "ContractServiceBundles",
        "ContractServiceBundleUnits",
        "ContractServiceBundleAdjustments",
    ),
    "services": ("Services", "ServiceBundles", "ServiceBundleServices", "BillingCodes"),
    "billing_items": ("BillingItems",),
    "products": ("Products",),
    "configuration_items": (
        "ConfigurationItems",
        "ConfigurationItemTypes",
        "ConfigurationItemCategories",
        "ConfigurationItemCategoryUdfAssociations",
        "ConfigurationItemNotes",
        "ConfigurationItemBillingProductAssociations",
    ),
    "insights": ("IntegrationVendorInsights", "IntegrationVendorWidgets"),
    "resources": ("Resources", "Roles", "ResourceRoles", "ResourceRoleQueues", "Departments"),
    "user_defined_fields": ("UserDefinedFieldDefinitions", "UserDefinedFieldListItems"),
    "webhooks": ("WebhookEventErrorLogs",),
}
_AREA_OF = {entity: area for area, entities in AREAS.items() for entity in entities}


class BadRole(ValueError):
    """An area, right or level that does not exist."""


def area_of(entity: str) -> str:
    return _AREA_OF.get(entity, "webhooks")


def full() -> Role:
    return {area: dict.fromkeys(RIGHTS, "All") for area in AREAS}


def changed(role: Role, given: Mapping[str, Any]) -> Role:
    """The role with other levels: `{"contracts": "None"}` (all rights) or `{"contracts": {"update": "None"}}`."""
    result = dict(role)
    for area, levels in given.items():
        if area not in AREAS:
            raise BadRole(f"there is no {area!r}; there are: {', '.join(AREAS)}")
        wanted = dict.fromkeys(RIGHTS, levels) if isinstance(levels, str) else levels
        if not isinstance(wanted, Mapping) or not all(
            right in RIGHTS and level in LEVELS for right, level in wanted.items()
        ):
            raise BadRole(f"{area}: give each of {', '.join(RIGHTS)} one of {', '.join(LEVELS)}")
        result[area] = {**result[area], **wanted}
    return result


def level(role: Role, entity: str, right: str) -> str:
    return role.get(area_of(entity), {}).get(right, "None")
