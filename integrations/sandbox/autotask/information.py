"""What Autotask says about itself: zone, version, modules, usage, and the make-up of its entities.

Autotask REST v1.0, /zoneInformation, /Version, /Modules, /ThresholdInformation, /{Entity}/entityInformation.
"""

from typing import Any

from integrations.sandbox.autotask import udfs
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.entities import ENTITIES, Entity
from integrations.sandbox.autotask.fields import Field
from integrations.sandbox.autotask.picklists import described, values_of
from integrations.sandbox.autotask.role import RIGHTS, area_of, level
from integrations.sandbox.autotask.settings import Switches
from integrations.sandbox.autotask.shapes import SHAPES
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.webhooks import table_of

API_VERSIONS = {"apiVersions": ["v1.0"]}
VERSION = {"majorVersion": "2026", "minorVersion": "2", "build": "2026.2.1.44", "customerType": "Live"}
NO_ZONE = "Zone information could not be determined"
_MODULES = ("crm", "service_desk", "contracts", "inventory", "projects", "timesheets")
_TYPES = {
    "int": "integer",
    "pick": "integer",
    "long": "long",
    "reference": "long",
    "double": "double",
    "decimal": "decimal",
    "bool": "boolean",
    "text": "string",
    "date": "datetime",
    "day": "datetime",
}
_LONGEST_TEXT = 8000
_UDF_TYPES = {1: "string", 2: "string", 3: "double", 4: "datetime", 5: "string"}


def zone(host: str, switches: Switches) -> Record:
    """`url` is where the API of the user's database is, with a slash at the end; `webUrl` is for people."""
    path = f"{switches.zone_path}/" if switches.zone_path else ""
    number = "".join(char for char in switches.zone_path if char.isdigit()) or "14"
    return {
        "zoneName": f"Sandbox Zone {number}",
        "url": f"http://{host}/{path}ATServicesRest/",
        "webUrl": f"http://{host}/",
        "ci": 130431,
    }


def modules() -> Record:
    return {"modules": [{"key": number, "value": True} for number, _ in enumerate(_MODULES, start=1)]}


def threshold(switches: Switches, used: int) -> Record:
    return {
        "externalRequestThreshold": switches.requests_per_window,
        "requestThresholdTimeframe": switches.window_seconds // 60,
        "currentTimeframeRequestCount": used,
    }


def about_all(desk: Desk) -> Record:
    return {"entityDescriptions": [about(desk, entity) for entity in ENTITIES.values()]}


def about(desk: Desk, entity: Entity) -> Record:
    """What the entity can do at all, and at which level the caller may."""
    info: Record = {"name": entity.shape.singular}
    levels = desk.settings.role if desk.switches.access_follows_user else {}
    off = area_of(entity.name) in {name.strip() for name in desk.switches.modules_off.split(",")}
    for right, letter in zip(RIGHTS, "CQUD", strict=True):
        can = entity.may(letter) and not (off and right != "query")
        info[f"can{right.capitalize()}"] = can
        granted = level(levels, entity.name, right) if levels else "All"
        info[f"userAccessFor{right.capitalize()}"] = granted if can else "None"
    info["hasUserDefinedFields"] = entity.shape.has_udfs
    info["supportsWebhookCallouts"] = table_of(entity.name) is not None
    return {"info": info}


def fields(desk: Desk, entity: Entity) -> Record:
    supported = table_of(entity.name) is not None
    shown = [_field(desk, one, supported=supported) for one in entity.shape.fields.values()]
    return {"fields": shown}


def udf_fields(desk: Desk, entity: Entity) -> Record:
    return {"fields": [_udf(desk, row) for row in udfs.definitions(desk.store, entity.name)]}


def _field(desk: Desk, one: Field, *, supported: bool) -> Record:
    is_pick = one.kind == "pick"
    return {
        "name": one.name,
        "dataType": _TYPES[one.kind],
        "length": (one.longest or _LONGEST_TEXT) if one.kind == "text" else 0,
        "isRequired": one.required,
        "isReadOnly": one.read_only or one.fixed,
        "isQueryable": one.queryable,
        "isReference": one.kind == "reference",
        "referenceEntityType": SHAPES[one.entity].singular if one.entity else "",
        "isPickList": is_pick,
        "picklistValues": described(values_of(desk.store, one.picklist or "")) if is_pick else None,
        "picklistParentValueField": one.parent or "",
        "isSupportedWebhookField": supported and one.name != "id",
    }


def _udf(desk: Desk, row: Record) -> Record:
    is_list = row["dataType"] == udfs.LIST
    items = desk.store.where("UserDefinedFieldListItems", "udfFieldId", row["id"]) if is_list else []
    values: Any = [
        {
            "value": one["valueForExport"],
            "label": one["valueForDisplay"],
            "isDefaultValue": False,
            "sortOrder": order,
            "parentValue": "",
            "isActive": one.get("isActive", True),
            "isSystem": False,
        }
        for order, one in enumerate(items, start=1)
    ]
    return {
        "name": row["name"],
        "label": row["name"],
        "type": _UDF_TYPES.get(row["dataType"], "string"),
        "length": _LONGEST_TEXT if row["dataType"] in (1, 2, 5) else 0,
        "description": row.get("description") or "",
        "isRequired": row.get("isRequired", False),
        "isReadOnly": False,
        "isQueryable": True,
        "isReference": False,
        "referenceEntityType": "",
        "isPickList": is_list,
        "picklistValues": values if is_list else None,
        "picklistParentValueField": "",
        "defaultValue": row.get("defaultValue") or "",
        "isSupportedWebhookField": True,
    }
