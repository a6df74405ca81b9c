"""What may the API member do? The security role: for each function of a module four rights at a level.

Modules and functions as vendors name them when they tell partners what to grant; which identifiers the real
`/system/mySecurity` answers is not documented, so ours are the names run together (ConnectWise REST 2026.4).
Some functions have a customize list too: `allow` names the entries that are allowed, separated by commas, `*` for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RIGHTS = ("add", "edit", "delete", "inquire")
LEVELS = ("None", "My", "All")
EVERYTHING = "*"
Role = dict[str, dict[str, str]]


class BadRole(ValueError):
    """A function, right or level that does not exist."""


@dataclass(frozen=True, slots=True)
class Function:
    module: str
    name: str
    deletes: bool = False
    customize: tuple[str, ...] = ()


BOARDS, PRIORITY, SOURCE = "Service / Service Board", "Service / Priority", "Service / Source"
IT, HOSTED = "General / Management IT", "General / Manage Hosted API"
DEVICES, CONFIGURATION = "Company / Managed Devices Integration", "Company / Configuration"
ADDITIONS = "Additions"
FUNCTIONS = {
    "company_maintenance": Function("Companies", "Company Maintenance", deletes=True),
    "contacts": Function("Companies", "Contacts"),
    "configurations": Function("Companies", "Configurations"),
    "manage_attachments": Function("Companies", "Manage Attachments"),
    "agreements": Function("Finance", "Agreements", deletes=True, customize=(ADDITIONS,)),
    "product_catalog": Function("Procurement", "Product Catalog"),
    "service_tickets": Function("Service Desk", "Service Tickets", deletes=True),
    "close_service_tickets": Function("Service Desk", "Close Service Tickets"),
    "merge_tickets": Function("Service Desk", "Merge Tickets"),
    "table_setup": Function(
        "System",
        "Table Setup",
        customize=(BOARDS, PRIORITY, SOURCE, IT, HOSTED, DEVICES, CONFIGURATION),
    ),
    "member_maintenance": Function("System", "Member Maintenance"),
    "api_reports": Function("System", "API Reports"),
    # No vendor's page says which right callbacks need; this one is ours.
    "callbacks": Function("System", "Callbacks", deletes=True),
}
_CUSTOMIZE_IDENTIFIERS = {"table_setup": "SystemTableSetup", "agreements": "FinanceAgreements"}


def full() -> Role:
    return {key: _full(function) for key, function in FUNCTIONS.items()}


def _full(function: Function) -> dict[str, str]:
    levels = {right: "All" if right != "delete" or function.deletes else "None" for right in RIGHTS}
    return {**levels, "allow": EVERYTHING} if function.customize else levels


def changed(role: Role, given: Mapping[str, Any]) -> Role:
    """The role with other levels: `{"agreements": "None"}` (all rights) or `{"agreements": {"edit": "None"}}`.

    `{"table_setup": {"allow": "Service / Priority"}}` leaves only that entry of its customize list.
    """
    result = dict(role)
    for function, levels in given.items():
        if function not in FUNCTIONS:
            raise BadRole(f"there is no {function!r}; there are: {', '.join(FUNCTIONS)}")
        wanted = dict.fromkeys(RIGHTS, levels) if isinstance(levels, str) else levels
        if not isinstance(wanted, Mapping) or not all(
            _is_level(FUNCTIONS[function], right, level) for right, level in wanted.items()
        ):
            raise BadRole(f"{function}: give each of {', '.join(RIGHTS)} one of {', '.join(LEVELS)}")
        result[function] = {**result[function], **wanted}
    return result


def _is_level(function: Function, right: str, level: Any) -> bool:
    if right == "allow":
        return isinstance(level, str) and {*_entries(level)} <= {*function.customize, EVERYTHING}
    return right in RIGHTS and level in LEVELS


def _entries(allow: str) -> list[str]:
    return [entry.strip() for entry in allow.split(",") if entry.strip()]


def level(role: Role, function: str, right: str, entry: str = "") -> str:
    """None, My or All; None as well when the customize list does not allow the entry."""
    levels = role.get(function, {})
    if entry and entry not in _allowed(role, function, (entry,)):
        return "None"
    return levels.get(right, "None")


def _allowed(role: Role, function: str, entries: tuple[str, ...]) -> list[str]:
    allowed = _entries(role.get(function, {}).get("allow", EVERYTHING))
    return [entry for entry in entries if EVERYTHING in allowed or entry in allowed]


def customize_items(role: Role) -> list[dict[str, Any]]:
    """The rows of `GET /system/mySecurity/customizeItems`: what the role's customize lists allow.

    Two identifiers are known from the vendor's document, where they stand as examples; the entries are our names.
    """
    allowed = [
        (_CUSTOMIZE_IDENTIFIERS[key], entry)
        for key, function in FUNCTIONS.items()
        for entry in _allowed(role, key, function.customize)
    ]
    return [
        {"id": number, "customizeIdentifier": identifier, "itemIdentifier": entry}
        for number, (identifier, entry) in enumerate(allowed, start=1)
    ]


def my_security(role: Role, member: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `GET /system/mySecurity`, generated from the role so that they cannot disagree with it."""
    return [_row(number, key, role[key], member) for number, key in enumerate(FUNCTIONS, start=1)]


def _row(number: int, key: str, levels: dict[str, str], member: dict[str, Any]) -> dict[str, Any]:
    function = FUNCTIONS[key]
    granted = {f"{right}Level": levels[right] for right in RIGHTS}
    named = {"moduleFunctionName": function.name, "moduleFunctionIdentifier": function.name.replace(" ", "")}
    module = {"moduleName": function.module, "moduleIdentifier": function.module.replace(" ", "")}
    is_custom = levels.get("allow", EVERYTHING) != EVERYTHING
    flags = {"myAllFlag": True, "reportFlag": False, "restrictFlag": is_custom, "customFlag": is_custom}
    return {"id": number, **granted, **named, **module, **flags, "sortOrder": number, "member": member}
