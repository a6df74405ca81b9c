"""Who changed which field of a record, line by line (ConnectWise REST 2026.4, /system/audittrail).

The document names the fields of an entry and the types of records; how an entry words a change is not public, so the
words are ours. What a creation looks like follows from the record and is not kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any

TYPES = {
    "Ticket": "tickets",
    "Company": "companies",
    "Contact": "contacts",
    "Site": "sites",
    "Configuration": "configurations",
    "Agreement": "agreements",
    "AgreementAddition": "additions",
    "ProductCatalog": "catalog",
    "Member": "members",
}
TYPE_OF = {table: name for name, table in TYPES.items()}
_FOLLOWS = frozenset(
    [
        "closedFlag",
        "closedDate",
        "closedBy",
        "dateResponded",
        "dateResplan",
        "dateResolved",
        "respondedBy",
        "resplanBy",
        "resolvedBy",
        "isInSla",
        "slaStatus",
        "actualHours",
        "billedQuantity",
        "extPrice",
        "extCost",
        "margin",
    ]
)
"""Fields that the server works out of others."""


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each field that somebody sees and that differs, by names as the API has them."""
    for name in sorted({*before, *after}):
        if name.startswith("_") or name in _FOLLOWS or name.endswith(("Minutes", "UTC")):
            continue
        was, now = shown(before.get(name)), shown(after.get(name))
        if was != now:
            yield f'{name} changed from "{was}" to "{now}"'


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(
            value.get("name") or value.get("identifier") or value.get("summary") or value.get("id", "")
        )
    return "" if value is None else str(value)
