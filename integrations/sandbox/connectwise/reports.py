"""Management summary reports: a company's managed id and its counters (/company/companies/{id}/management...).

What the executive report makes of the counters is not documented, so they are only kept.
"""

from integrations.sandbox.connectwise.answers import field_error, invalid
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

RESOURCE = "managementSummaryReport"


def finish_report(desk: Desk, record: Record, before: Record | None) -> Record:
    if desk.settings.switches.unique_reports:
        for other in desk.store.under("reports", record["company"]["id"]):
            if other["id"] != record["id"] and _key(other) == _key(record):
                message = "A report for this solution, group identifier and device type exists."
                raise invalid(RESOURCE, [field_error("ObjectExists", message, RESOURCE, "groupIdentifier")])
    return record


def _key(report: Record) -> tuple[int | None, str, str | None]:
    solution = report.get("managementSolution") or {}
    return solution.get("id"), report["groupIdentifier"].casefold(), report.get("deviceType")
