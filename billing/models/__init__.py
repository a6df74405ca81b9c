"""The billing room's tables: what is metered, what it is in the PSA, when it is pushed, and what was."""

from billing.models.agreements import AgreementLink
from billing.models.catalogue import CrossReference, Service
from billing.models.pushes import BilledLine, PushBatch, PushItem, PushRun, Question, SynchronizeWindow
from billing.models.settings import BillingSettings, PushDay, Schedule
from billing.models.statistics import BackupStatistics, ReportRun, ReportSetup, ReportWindow
from billing.models.usage import Usage

__all__ = [
    "AgreementLink",
    "BackupStatistics",
    "BilledLine",
    "BillingSettings",
    "CrossReference",
    "PushBatch",
    "PushDay",
    "PushItem",
    "PushRun",
    "Question",
    "ReportRun",
    "ReportSetup",
    "ReportWindow",
    "Schedule",
    "Service",
    "SynchronizeWindow",
    "Usage",
]
