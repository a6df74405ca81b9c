"""The billing room's tables: what is metered, what it is in the PSA, when it is pushed, and what was."""

from billing.models.agreements import AgreementLink
from billing.models.catalogue import CrossReference, Service
from billing.models.pushes import (
    BilledLine,
    PushBatch,
    PushItem,
    PushRun,
    Question,
    SynchronizeOrder,
    SynchronizeWindow,
)
from billing.models.reconciliations import (
    AgreementReading,
    BillingMonth,
    EvidencePack,
    MonthNumbers,
    PackLink,
    ReadingOrder,
)
from billing.models.references import ReferenceRun
from billing.models.settings import BillingSettings, PushDay, Schedule, SettingsHand
from billing.models.statistics import BackupStatistics, ReportRun, ReportSetup, ReportTick, ReportWindow
from billing.models.usage import Usage

__all__ = [
    "AgreementLink",
    "AgreementReading",
    "BackupStatistics",
    "BilledLine",
    "BillingMonth",
    "BillingSettings",
    "CrossReference",
    "EvidencePack",
    "MonthNumbers",
    "PackLink",
    "PushBatch",
    "PushDay",
    "PushItem",
    "PushRun",
    "Question",
    "ReadingOrder",
    "ReferenceRun",
    "ReportRun",
    "ReportSetup",
    "ReportTick",
    "ReportWindow",
    "Schedule",
    "Service",
    "SettingsHand",
    "SynchronizeOrder",
    "SynchronizeWindow",
    "Usage",
]
