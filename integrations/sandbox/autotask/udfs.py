"""User-defined fields: texts under names a partner chose (Autotask REST v1.0, `userDefinedFields` of an entity).

A record keeps its values under `_udfs` by name; answers list every field the entity has.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.autotask.store import Record, Store

TYPE_OF = {"Companies": 1, "Contacts": 2, "ConfigurationItems": 7, "Tickets": 8, "Contracts": 9}
LIST, NUMBER = 5, 3
MASK = "*****"


def definitions(store: Store, entity: str) -> list[Record]:
    wanted = TYPE_OF.get(entity)
    rows = store.all("UserDefinedFieldDefinitions") if wanted else ()
    return [row for row in rows if row["udfType"] == wanted and row.get("isActive", True)]


def find_definition(store: Store, entity: str, name: str) -> Record | None:
    wanted = name.casefold()
    return next((row for row in definitions(store, entity) if row["name"].casefold() == wanted), None)


def taken(store: Store, entity: str, raw: Any, *, may_see_protected: bool) -> tuple[Record, list[str]]:
    """The values of a body by the names of their definitions, and what is wrong with them."""
    if not isinstance(raw, list):
        return {}, ["userDefinedFields must be a list of objects with name and value."]
    values: Record = {}
    errors: list[str] = []
    for one in raw:
        given = {str(key).lower(): value for key, value in one.items()} if isinstance(one, Mapping) else {}
        definition = find_definition(store, entity, str(given.get("name")))
        if definition is None:
            errors.append(f"UserDefinedField {given.get('name')} does not exist or is invalid.")
        elif problem := _problem(store, definition, given.get("value"), may_see_protected=may_see_protected):
            errors.append(problem)
        else:
            value = given.get("value")
            values[definition["name"]] = None if value in (None, "") else _text(value)
    return values, errors


def shown(store: Store, entity: str, values: Mapping[str, Any], *, may_see_protected: bool) -> list[Record]:
    found = []
    for row in definitions(store, entity):
        value = values.get(row["name"])
        hidden = row.get("isProtected") and not may_see_protected and value is not None
        found.append({"name": row["name"], "value": MASK if hidden else value})
    return found


def _problem(store: Store, definition: Record, value: Any, *, may_see_protected: bool) -> str | None:
    name = definition["name"]
    if definition.get("isProtected") and not may_see_protected:
        return f"UserDefinedField {name} is protected and cannot be updated."
    if value in (None, ""):
        return None
    if definition["dataType"] == NUMBER and not _is_number(value):
        return f"UserDefinedField {name} must be a number."
    if definition["dataType"] == LIST:
        rows = store.where("UserDefinedFieldListItems", "udfFieldId", definition["id"])
        if _text(value) not in {row["valueForExport"] for row in rows if row.get("isActive", True)}:
            return f"Value [{value}] does not exist for UserDefinedField {name}."
    return None


def _is_number(value: Any) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
