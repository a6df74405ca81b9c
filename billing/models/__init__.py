"""The billing room's tables: what is metered, what it is in the PSA, and what was pushed."""

from billing.models.agreements import AgreementLink
from billing.models.catalogue import CrossReference, Service
from billing.models.pushes import PushItem, PushRun, SynchronizeWindow
from billing.models.statistics import BackupStatistics, ReportRun, ReportSetup, ReportWindow
from billing.models.usage import Usage

__all__ = [
    "AgreementLink",
    "BackupStatistics",
    "CrossReference",
    "PushItem",
    "PushRun",
    "ReportRun",
    "ReportSetup",
    "ReportWindow",
    "Service",
    "SynchronizeWindow",
    "Usage",
]
