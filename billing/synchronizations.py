"""What a synchronization does: agreement lines, and beside them the management report (the dispatcher's handler).

Two deliveries of their own, so that trouble with the one never holds up the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from billing import reportorders
from billing.backupreport import Reports
from billing.push import Pushes
from integrations.dispatcher import Handler, Task
from integrations.models import Delivery
from integrations.outcomes import Outcome


class Synchronizations:
    """Splits deliveries of the action *synchronize* by their subject."""

    def __init__(self) -> None:
        self.pushes: Handler = Pushes()
        self.reports: Handler = Reports()

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        reports, pushes = split(deliveries)
        if pushes:
            reportorders.beside(pushes)
        return [
            *(self.pushes.prepare(pushes) if pushes else ()),
            *(self.reports.prepare(reports) if reports else ()),
        ]

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        of_reports = [pair for pair in results if is_report(pair[0])]
        of_pushes = [pair for pair in results if not is_report(pair[0])]
        if of_pushes:
            self.pushes.record(of_pushes)
        if of_reports:
            self.reports.record(of_reports)


def split(deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    reports = [row for row in deliveries if is_report(row)]
    return reports, [row for row in deliveries if not is_report(row)]


def is_report(delivery: Delivery) -> bool:
    return delivery.subject.startswith(reportorders.PREFIX)
