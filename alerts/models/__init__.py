"""The alerts room's tables: rules, settings, conditions and their tickets, and what keeps them quiet."""

from alerts.models.absence import (
    Expectation,
)
from alerts.models.charts import (
    DailyFigures,
    MonthlyUsage,
)
from alerts.models.eventtypes import (
    EventType,
    KeyShape,
)
from alerts.models.guide import (
    GuidedSetup,
)
from alerts.models.noise import (
    DropFilter,
    GroupLead,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Storm,
    Suppression,
    Swings,
)
from alerts.models.outages import (
    Outage,
)
from alerts.models.outbound import (
    MailSettings,
    WebhookEndpoint,
)
from alerts.models.replays import (
    Replay,
    RuleDraft,
)
from alerts.models.rules import (
    Grouping,
    Notification,
    NotificationVersion,
    default_severities,
)
from alerts.models.settings import (
    ClientAddress,
    SettingChange,
    TicketSettings,
    TicketTest,
)
from alerts.models.tickets import (
    ClosingStatus,
    Condition,
    Ticket,
)

__all__ = [
    "ClientAddress",
    "ClosingStatus",
    "Condition",
    "DailyFigures",
    "DropFilter",
    "EventType",
    "Expectation",
    "GroupLead",
    "Grouping",
    "GuidedSetup",
    "Hold",
    "KeyShape",
    "MailSettings",
    "MaintenanceWindow",
    "MonthlyUsage",
    "NoiseSettings",
    "Notification",
    "NotificationVersion",
    "Outage",
    "Replay",
    "RuleDraft",
    "SettingChange",
    "Storm",
    "Suppression",
    "Swings",
    "Ticket",
    "TicketSettings",
    "TicketTest",
    "WebhookEndpoint",
    "default_severities",
]
