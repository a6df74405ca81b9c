"""Which tables does the pretend ConnectWise keep, under which parent, and how is a row of one referred to?"""

from dataclasses import dataclass

BASE = "cw://base"
"""Stands for `{scheme}://{host}/{codebase}/apis/3.0` in stored records; put in when an answer leaves."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`journal` names a row in messages and in the journal; `label` are the fields a reference carries."""

    journal: str
    href: str
    label: tuple[str, ...] = ("name",)
    info: str | None = None
    parent: str | None = None
    first_id: int = 1
    shown_as: str | None = None
    indexed: tuple[str, ...] = ()


_BOARD = "/service/boards/{parent}"

KINDS = {
    "companies": Kind(
        "company",
        "/company/companies/{id}",
        ("identifier", "name"),
        first_id=250,
        indexed=("identifier", "name", "_info/lastUpdated"),
    ),
    "sites": Kind("site", "/company/companies/{parent}/sites/{id}", parent="company/id", first_id=1000),
    "contacts": Kind("contact", "/company/contacts/{id}", parent="company/id", first_id=2000),
    "members": Kind("member", "/system/members/{id}", ("identifier", "name"), first_id=101),
    "boards": Kind("board", "/service/boards/{id}", shown_as="Service Board"),
    "statuses": Kind("status", _BOARD + "/statuses/{id}", parent="board/id", shown_as="Service Status"),
    "types": Kind("type", _BOARD + "/types/{id}", parent="board/id", shown_as="Service Type"),
    "subtypes": Kind("subType", _BOARD + "/subtypes/{id}", parent="board/id", shown_as="Service SubType"),
    "items": Kind("item", _BOARD + "/items/{id}", parent="board/id", shown_as="Service Item"),
    "teams": Kind("team", _BOARD + "/teams/{id}", parent="boardId", shown_as="Service Team"),
    "associations": Kind("association", _BOARD + "/typeSubTypeItemAssociations/{id}", parent="board/id"),
    "priorities": Kind("priority", "/service/priorities/{id}"),
    "sources": Kind("source", "/service/sources/{id}"),
    "tickets": Kind(
        "ticket",
        "/service/tickets/{id}",
        ("summary",),
        first_id=10001,
        indexed=("externalXRef", "company/id", "board/id", "status/id", "_info/lastUpdated"),
    ),
    "notes": Kind("note", "/service/tickets/{parent}/notes/{id}", (), parent="ticketId", first_id=50001),
    "timeEntries": Kind("timeEntry", "/time/entries/{id}", (), parent="ticketId", first_id=5_000_001),
    "audit": Kind("auditTrailEntry", "/system/audittrail", (), parent="_record"),
    "catalog": Kind("product", "/procurement/catalog/{id}", ("identifier",), info="catalog", first_id=301),
    "agreementTypes": Kind("agreementType", "/finance/agreements/types/{id}", info="type"),
    "agreements": Kind("agreement", "/finance/agreements/{id}", first_id=401),
    "additions": Kind(
        "addition", "/finance/agreements/{parent}/additions/{id}", (), parent="agreementId", first_id=3001
    ),
    "solutions": Kind("solution", "/company/managementItSolutions/{id}", info="managementItSolution"),
    "callbacks": Kind("callback", "/system/callbacks/{id}", ()),
    "reports": Kind(
        "managementSummaryReport",
        "/company/companies/{parent}/managementSummaryReports/{id}",
        (),
        parent="company/id",
    ),
    "companyStatuses": Kind("companyStatus", "/company/companies/statuses/{id}", info="status"),
    "companyTypes": Kind("companyType", "/company/companies/types/{id}", info="type"),
    "typeAssociations": Kind(
        "companyTypeAssociation", "/company/companies/{parent}/typeAssociations/{id}", (), parent="company/id"
    ),
    "companyNotes": Kind("companyNote", "/company/companies/{parent}/notes/{id}", (), parent="company/id"),
    "noteTypes": Kind("companyNoteType", "/company/noteTypes/{id}", info="type"),
    "communicationTypes": Kind("communicationType", "/company/communicationTypes/{id}", info="type"),
    "contactTypes": Kind("contactType", "/company/contacts/types/{id}", ()),
    "communications": Kind(
        "contactCommunication", "/company/contacts/{parent}/communications/{id}", (), parent="contactId"
    ),
    "configurations": Kind(
        "configuration", "/company/configurations/{id}", parent="company/id", first_id=7001
    ),
    "configurationStatuses": Kind(
        "configurationStatus", "/company/configurations/statuses/{id}", info="status"
    ),
    "configurationTypes": Kind("configurationType", "/company/configurations/types/{id}", info="type"),
    "reportNotifications": Kind(
        "managementReportNotification",
        "/company/companies/{parent}/managementReportNotifications/{id}",
        (),
        parent="company/id",
    ),
    "reportSetups": Kind(
        "managementReportSetup",
        "/company/companies/{parent}/managementReportSetup/{id}",
        (),
        parent="_parent",
    ),
    "management": Kind("management", "/company/management/{id}", ()),
    "managementBackups": Kind("managementBackup", "/company/managementBackups/{id}", ()),
    "managementProducts": Kind(
        "managementItSolutionAgreementInterfaceParameter",
        "/company/managementItSolutions/{parent}/managementProducts/{id}",
        (),
        parent="_parent",
    ),
    "devicesIntegrations": Kind("managedDevicesIntegration", "/company/managedDevicesIntegrations/{id}"),
    "crossReferences": Kind(
        "managedDevicesIntegrationCrossReference",
        "/company/managedDevicesIntegrations/{parent}/crossReferences/{id}",
        (),
        parent="managedDevicesIntegration/id",
    ),
    "devicesLogins": Kind(
        "managedDevicesIntegrationLogin",
        "/company/managedDevicesIntegrations/{parent}/logins/{id}",
        (),
        parent="managedDevicesIntegration/id",
    ),
    "devicesNotifications": Kind(
        "managedDevicesIntegrationNotification",
        "/company/managedDevicesIntegrations/{parent}/notifications/{id}",
        (),
        parent="managedDevicesIntegration/id",
    ),
    "adjustments": Kind(
        "adjustment", "/finance/agreements/{parent}/adjustments/{id}", (), parent="agreementId"
    ),
    "boardDefaults": Kind(
        "boardDefault", "/finance/agreements/{parent}/boardDefaults/{id}", (), parent="agreementId"
    ),
    "agreementSites": Kind(
        "agreementSite", "/finance/agreements/{parent}/sites/{id}", (), parent="agreementId"
    ),
    "billingCycles": Kind("billingCycle", "/finance/billingCycles/{id}"),
    "billingStatuses": Kind("billingStatus", "/finance/billingStatuses/{id}"),
    "billingTerms": Kind("billingTerm", "/finance/billingTerms/{id}"),
    "invoices": Kind("invoice", "/finance/invoices/{id}", ("invoiceNumber",), first_id=7001),
    "taxCodes": Kind("taxCode", "/finance/taxCodes/{id}", ("identifier",)),
    "categories": Kind("category", "/procurement/categories/{id}"),
    "subcategories": Kind("subCategory", "/procurement/subcategories/{id}", info="subCategory"),
    "productTypes": Kind("productType", "/procurement/types/{id}", info="type"),
    "unitOfMeasures": Kind("unitOfMeasure", "/procurement/unitOfMeasures/{id}"),
    "manufacturers": Kind("manufacturer", "/procurement/manufacturers/{id}"),
    "slas": Kind("sla", "/service/SLAs/{id}", info="sla"),
    "serviceLocations": Kind("serviceLocation", "/service/locations/{id}"),
    "impacts": Kind("impact", "/service/impacts/{id}"),
    "severities": Kind("severity", "/service/severities/{id}"),
    "tasks": Kind("serviceTask", "/service/tickets/{parent}/tasks/{id}", (), parent="ticketId"),
    "locations": Kind("location", "/system/locations/{id}"),
    "departments": Kind("department", "/system/departments/{id}", ("identifier", "name")),
    "integratorTags": Kind("integratorTag", "/system/integratorTags/{id}", ()),
    "customFields": Kind("userDefinedField", "/system/userDefinedFields/{id}", ("caption",)),
    "links": Kind("link", "/system/links/{id}"),
    "securityRoles": Kind("securityRole", "/system/securityroles/{id}"),
    "documents": Kind("documentInfo", "/system/documents/{id}", (), first_id=901),
    "hostedScreens": Kind("connectWiseHostedScreen", "/system/connectWiseHostedScreens/{id}"),
    "hostedSetups": Kind("connectWiseHostedSetup", "/system/connectwisehostedsetups/{id}", ()),
    "allowedOrigins": Kind("allowedOrigin", "/system/allowedorigins/{id}", ()),
    "menuEntries": Kind("menuEntry", "/system/menuentries/{id}", ()),
}
