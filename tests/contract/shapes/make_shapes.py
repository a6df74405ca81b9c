"""Which facts of a vendor's API document do the promises need? Run by hand when the vendor publishes a new one.

    python -m tests.contract.shapes.make_shapes connectwise path/to/openapi.json
    python -m tests.contract.shapes.make_shapes autotask path/to/swagger.json

Writes `connectwise.json` or `autotask.json` beside this file: of each operation that we use its method, path, query
parameters, body and answer, and of each object in them the fields with type and longest length, the required ones and
those that cannot be written. The document itself is no part of the project.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Shape = dict[str, Any]

CONNECTWISE = (
    "GET /system/info",
    "GET /system/mySecurity",
    "GET /system/myMembers",
    "GET /system/callbacks",
    "GET /system/connectWiseHostedScreens",
    "GET /company/companies",
    "GET /company/companies/{parentId}/sites",
    "GET /company/companies/{parentId}/managementSummaryReports",
    "POST /company/companies/{parentId}/managementSummaryReports",
    "PATCH /company/companies/{parentId}/managementSummaryReports/{id}",
    "GET /company/contacts",
    "GET /company/configurations",
    "PATCH /company/configurations/{id}",
    "GET /company/managementItSolutions",
    "GET /company/managedDevicesIntegrations",
    "GET /company/managedDevicesIntegrations/{parentId}/crossReferences",
    "POST /company/managedDevicesIntegrations/{parentId}/crossReferences",
    "PATCH /company/managedDevicesIntegrations/{parentId}/crossReferences/{id}",
    "GET /company/configurations/types",
    "GET /service/boards",
    "GET /service/boards/{parentId}/statuses",
    "GET /service/boards/{parentId}/types",
    "GET /service/boards/{parentId}/subtypes",
    "GET /service/boards/{parentId}/items",
    "GET /service/boards/{parentId}/teams",
    "GET /service/boards/{parentId}/typeSubTypeItemAssociations",
    "GET /service/priorities",
    "GET /service/sources",
    "GET /procurement/catalog",
    "POST /procurement/catalog",
    "GET /procurement/subcategories/",
    "GET /procurement/types",
    "GET /procurement/unitOfMeasures",
    "GET /finance/agreements",
    "GET /finance/agreements/types",
    "GET /finance/agreements/{parentId}/additions",
    "POST /finance/agreements/{parentId}/additions",
    "PATCH /finance/agreements/{parentId}/additions/{id}",
    "GET /finance/invoices",
    "GET /service/tickets",
    "POST /service/tickets",
    "GET /service/tickets/{id}",
    "PATCH /service/tickets/{id}",
    "GET /service/tickets/{parentId}/notes",
    "POST /service/tickets/{parentId}/notes",
    "GET /system/callbacks",
    "POST /system/callbacks",
    "PATCH /system/callbacks/{id}",
    "DELETE /system/callbacks/{id}",
)
_ENTITIES = (
    "Companies",
    "Contacts",
    "Contracts",
    "ContractServices",
    "ContractServiceUnits",
    "ContractServiceAdjustments",
    "Services",
    "BillingCodes",
    "BillingItems",
    "CompanyLocations",
    "Tickets",
    "TicketNotes",
    "TicketCategories",
    "TicketCategoryFieldDefaults",
    "ConfigurationItems",
    "TicketWebhooks",
)
AUTOTASK = (
    "GET /V1.0/ZoneInformation",
    "GET /V1.0/Version",
    "GET /V1.0/ThresholdInformation",
    "GET /V1.0/EntityInformation",
    "POST /V1.0/Tickets",
    "PATCH /V1.0/Tickets",
    "POST /V1.0/Tickets/{parentId}/Notes",
    "GET /V1.0/TicketCategories/{parentId}/FieldDefaults",
    "POST /V1.0/Contracts/{parentId}/ServiceAdjustments",
    "PATCH /V1.0/Contracts/{parentId}/Services",
    "POST /V1.0/Services",
    "PATCH /V1.0/ConfigurationItems",
    "POST /V1.0/TicketWebhooks/query",
    "POST /V1.0/TicketWebhooks",
    "PATCH /V1.0/TicketWebhooks",
    "DELETE /V1.0/TicketWebhooks/{id}",
    "POST /V1.0/TicketWebhookFields/query",
    "GET /V1.0/TicketWebhookFields/entityInformation/fields",
    "POST /V1.0/TicketWebhooks/{parentId}/Fields",
    "POST /V1.0/TicketWebhookExcludedResources/query",
    "POST /V1.0/TicketWebhooks/{parentId}/ExcludedResources",
    *(
        f"{call.replace('*', entity)}"
        for entity in _ENTITIES
        for call in (
            "POST /V1.0/*/query",
            "GET /V1.0/*/{id}",
            "GET /V1.0/*/entityInformation",
            "GET /V1.0/*/entityInformation/fields",
            "GET /V1.0/*/entityInformation/userDefinedFields",
        )
    ),
)

# Described in the vendor's guide and not in its document: who runs which codebase, asked before any sign-in.
COMPANY_INFO: Shape = {
    "fields": {
        name: {"type": "string"}
        for name in ("CompanyName", "Codebase", "VersionCode", "VersionNumber", "CompanyID", "SiteUrl")
    }
    | {"IsCloud": {"type": "boolean"}},
}
# What ConnectWise answers in fact, although its document does not say so (docs/psa/connectwise.md).
SEEN: Mapping[str, Shape] = {
    "ErrorResponseMessage": {
        "error": {"type": "string"}
    },  # where a 429 has it, every other answer has `code`
    "ServiceStatusReference": {
        "Sort": {"type": "integer"}
    },  # with a capital; a priority's is small as documented
}
# Filters may name these for any record (Developer Guide); what they filter is shown under `_info`.
FILTERABLE = ("lastUpdated",)
# ConnectWise's document marks nothing as read-only; these are worked out by the server.
COMPUTED = {
    "Ticket": ("id", "_info", "closedFlag", "closedDate", "closedBy", "dateResolved"),
    "Addition": ("id", "_info", "agreementId", "billedQuantity", "extPrice", "extCost", "margin", "uom"),
    "ServiceNote": ("id", "_info", "ticketId", "createdBy", "dateCreated"),
    "CompanyManagementSummary": ("id", "_info", "company"),
    "CatalogItem": ("id", "_info", "calculatedPrice", "calculatedCost", "agreementType"),
    "Company.Configuration": ("id", "_info", "mobileGuid"),
}
# Autotask's document knows neither lengths nor required fields; its entity information and guide do.
TOLD: Mapping[str, Shape] = {
    "TicketModel": {
        "required": ("companyID", "priority", "status", "title"),
        "longest": {"title": 255, "description": 8000, "externalID": 50, "resolution": 32000},
        "read_only": (
            "completedDate",
            "createDate",
            "creatorResourceID",
            "lastActivityDate",
            "resolvedDateTime",
        ),
    },
    "TicketNoteModel": {
        "required": ("description", "noteType", "publish"),
        "longest": {"title": 250, "description": 32000},
        "read_only": ("createDateTime", "creatorResourceID", "lastActivityDate"),
    },
    "ContractServiceModel": {
        "required": (),
        "longest": {"invoiceDescription": 1000, "internalDescription": 100},
        "read_only": ("unitPrice", "quoteItemID"),
    },
    "ContractServiceAdjustmentModel": {
        "required": ("effectiveDate", "unitChange"),
        "longest": {},
        "read_only": ("id",),
    },
}


class Maker:
    """Follows references from the operations, and keeps each object once."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._all = objects
        self.objects: dict[str, Shape] = {}

    def shape(self, schema: Mapping[str, Any]) -> Shape:
        """What one value may be."""
        if "$ref" in schema:
            return self._named(schema["$ref"].rsplit("/", 1)[1])
        kind = schema.get("type", "object")
        if kind == "array":
            return {"list": self.shape(schema.get("items", {}))}
        if kind == "object":
            return {"type": "any"}
        told = {"type": kind}
        if longest := re.search(r"Max length: (\d+)", schema.get("description", "")):
            told["longest"] = int(longest[1])
        if "enum" in schema:
            told["one_of"] = schema["enum"]
        if schema.get("format") == "date-time":
            told["type"] = "moment"
        return told

    def _named(self, name: str) -> Shape:
        schema = self._all[name]
        properties = schema.get("properties", {})
        if not properties or name.startswith("Expression"):
            return {"type": "any"}
        if name not in self.objects:
            kept: Shape = {}
            self.objects[name] = kept
            kept["fields"] = {field: self.shape(value) for field, value in properties.items()}
            kept["required"] = schema.get("required", [])
            written = [field for field, value in properties.items() if value.get("readOnly")]
            kept["read_only"] = sorted({*written, *COMPUTED.get(name, ())} & set(properties))
            self._add_told(name, kept)
        return {"object": name}

    def _add_told(self, name: str, kept: Shape) -> None:
        told = TOLD.get(name)
        if told is None:
            return
        kept["required"] = list(told["required"])
        kept["read_only"] = sorted({*kept["read_only"], *told["read_only"]} & set(kept["fields"]))
        for field, longest in told["longest"].items():
            kept["fields"][field]["longest"] = longest


def connectwise(document: Mapping[str, Any]) -> Shape:
    maker = Maker(document["components"]["schemas"])
    operations = {}
    for name in CONNECTWISE:
        method, path = name.split(" ")
        told = document["paths"].get(path, {}).get(method.lower())
        if told is None:
            raise SystemExit(f"The document has no {name}.")
        answers = {
            int(status): maker.shape(_content(answer))
            for status, answer in told["responses"].items()
            if status.startswith("2")
        }
        operations[name] = {
            "query": [one["name"] for one in told["parameters"] if one["in"] == "query"],
            "body": maker.shape(_content(told["requestBody"])) if "requestBody" in told else None,
            "answers": answers,
        }
    maker.objects["CompanyInfo"] = {**COMPANY_INFO, "required": ["Codebase"], "read_only": []}
    answer = {200: {"object": "CompanyInfo"}}
    operations["GET /login/companyinfo/{company}"] = {"query": [], "body": None, "answers": answer}
    refusal = maker.shape({"$ref": "#/ErrorResponseMessage"})
    for name, fields in SEEN.items():
        maker.objects[name]["fields"] |= fields
    return {**_document(document, operations, maker, refusal), "filterable": list(FILTERABLE)}


def autotask(document: Mapping[str, Any]) -> Shape:
    maker = Maker(document["definitions"])
    operations = {}
    for name in AUTOTASK:
        method, path = name.split(" ")
        told = document["paths"].get(path, {}).get(method.lower())
        if (
            told is None
        ):  # a child has no metadata or no single read of its own: then we may not ask for it either
            continue
        body = next((one["schema"] for one in told["parameters"] if one["in"] == "body"), None)
        operations[name] = {
            "query": [one["name"] for one in told["parameters"] if one["in"] == "query"],
            "body": maker.shape(body) if body else None,
            "answers": {200: maker.shape(told["responses"]["200"]["schema"])},
        }
    maker.objects["Refusal"] = {
        "fields": {"errors": {"list": {"type": "string"}}, "Message": {"type": "string"}},
        "required": [],
        "read_only": [],
    }
    return _document(document, operations, maker, {"object": "Refusal"})


def _content(told: Mapping[str, Any]) -> Mapping[str, Any]:
    content = told.get("content") or {}
    found: Mapping[str, Any] = next(iter(content.values()), {}).get("schema", {})
    return found


def _document(document: Mapping[str, Any], operations: Shape, maker: Maker, refusal: Shape) -> Shape:
    title = document["info"]
    return {
        "source": f"{title.get('title', '')} {title.get('version', '')}".strip(),
        "operations": operations,
        "refusal": refusal,
        "objects": dict(sorted(maker.objects.items())),
    }


MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Shape]] = {
    "connectwise": connectwise,
    "autotask": autotask,
}


def main(kind: str, path: str) -> None:
    made = MAKERS[kind](json.loads(Path(path).read_text()))
    (HERE / f"{kind}.json").write_text(json.dumps(made, indent=1, sort_keys=False) + "\n")
    sys.stdout.write(f"{kind}: {len(made['operations'])} operations, {len(made['objects'])} objects\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MAKERS:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
