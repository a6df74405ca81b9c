"""Which paths of the API are no collections, and what happens there? One line for each, whoever does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.connectwise import (
    attached,
    audittrail,
    boards,
    bundles,
    customfields,
    documents,
    invoicing,
    system,
    ticketactions,
    timeentries,
)
from integrations.sandbox.connectwise.calls import Call
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.role import BOARDS, IT
from integrations.sandbox.messages import Answer

Result = tuple[int, Any] | Answer
Act = Callable[[Desk, Call], Result]


@dataclass(frozen=True, slots=True)
class Action:
    """`function`, `right` and `entry` are what the caller's role needs; `*` in the path an id, `=` a name."""

    method: str
    path: str
    function: str
    right: str
    act: Act
    entry: str = ""


_TICKET = "service/tickets/*/"
_ITEM = "service/boards/*/items/*/associations"
ACTIONS = (
    Action("POST", _TICKET + "merge", "merge_tickets", "edit", ticketactions.merge),
    Action("POST", _TICKET + "attachchildren", "service_tickets", "edit", ticketactions.attach_children),
    Action("GET", "service/tickets/calculatesla", "service_tickets", "inquire", ticketactions.calculated_sla),
    Action("GET", _TICKET + "configurations", "service_tickets", "inquire", attached.configurations),
    Action("GET", _TICKET + "configurations/count", "service_tickets", "inquire", attached.count),
    Action("GET", _TICKET + "configurations/*", "service_tickets", "inquire", attached.one),
    Action("POST", _TICKET + "configurations", "service_tickets", "edit", attached.attach),
    Action("DELETE", _TICKET + "configurations/*", "service_tickets", "edit", attached.detach),
    Action("GET", _TICKET + "documents", "service_tickets", "inquire", documents.of_ticket),
    Action("GET", _TICKET + "documents/count", "service_tickets", "inquire", documents.count_of_ticket),
    Action("GET", _TICKET + "timeentries", "service_tickets", "inquire", timeentries.listed),
    Action("GET", _TICKET + "timeentries/count", "service_tickets", "inquire", timeentries.counted),
    Action("POST", _TICKET + "convert", "service_tickets", "edit", ticketactions.convert),
    Action("GET", _TICKET + "products", "service_tickets", "inquire", ticketactions.nothing),
    Action("GET", _TICKET + "products/count", "service_tickets", "inquire", ticketactions.no_count),
    Action("GET", "finance/agreements/*/configurations", "agreements", "inquire", attached.configurations),
    Action("GET", "finance/agreements/*/configurations/count", "agreements", "inquire", attached.count),
    Action("GET", "finance/agreements/*/configurations/*", "agreements", "inquire", attached.one),
    Action("POST", "finance/agreements/*/configurations", "agreements", "edit", attached.attach),
    Action("DELETE", "finance/agreements/*/configurations/*", "agreements", "edit", attached.detach),
    Action("POST", "finance/agreements/*/invoice", "agreements", "edit", invoicing.invoice_agreement),
    Action("GET", "finance/agreementrecap", "agreements", "inquire", invoicing.recaps),
    Action("GET", "finance/agreementrecap/*", "agreements", "inquire", invoicing.recap),
    Action("GET", _ITEM, "table_setup", "inquire", boards.item_associations, BOARDS),
    Action("GET", _ITEM + "/count", "table_setup", "inquire", boards.count_item_associations, BOARDS),
    Action("GET", _ITEM + "/*", "table_setup", "inquire", boards.item_association, BOARDS),
    Action("PUT", _ITEM + "/*", "table_setup", "edit", boards.change_item_association, BOARDS),
    Action("PATCH", _ITEM + "/*", "table_setup", "edit", boards.change_item_association, BOARDS),
    Action("POST", "company/configurations/bulk", "configurations", "add", attached.bulk),
    Action("PUT", "company/configurations/bulk", "configurations", "edit", attached.bulk),
    Action("DELETE", "company/configurations/bulk", "configurations", "delete", attached.bulk),
    Action("POST", "company/management/*/executemanageditsync", "table_setup", "edit", system.done, IT),
    Action("GET", "system/audittrail", "", "", audittrail.listed),
    Action("GET", "system/audittrail/count", "", "", audittrail.counted),
    Action("GET", "system/userdefinedfields/info", "", "", customfields.told),
    Action("GET", "system/documents", "manage_attachments", "inquire", documents.listed),
    Action("GET", "system/documents/count", "manage_attachments", "inquire", documents.counted),
    Action("POST", "system/documents", "manage_attachments", "add", documents.upload),
    Action("GET", "system/documents/*", "manage_attachments", "inquire", documents.get),
    Action("POST", "system/documents/*", "manage_attachments", "edit", documents.change),
    Action("DELETE", "system/documents/*", "manage_attachments", "delete", documents.delete),
    Action("GET", "system/documents/*/download", "manage_attachments", "inquire", documents.download),
    Action("POST", "system/bundles", "", "", bundles.read),
    Action("POST", "system/bundles/count", "", "", bundles.count),
    Action("GET", "system/info", "", "", system.about),
    Action("GET", "system/mysecurity", "", "", system.my_security),
    Action("GET", "system/mysecurity/customizeitems", "", "", system.customize_items),
    Action("GET", "system/mymembers", "", "", system.my_member),
    Action("POST", "system/members/=/tokens", "member_maintenance", "inquire", system.token),
    Action("GET", "system/reports", "api_reports", "inquire", system.reports),
    Action("GET", "system/reports/=", "api_reports", "inquire", system.report),
    Action("GET", "system/reports/=/columns", "api_reports", "inquire", system.report_columns),
    Action("GET", "system/reports/=/count", "api_reports", "inquire", system.report_count),
)
