"""The alerts room's tables: rules, settings, conditions and their tickets, and what keeps them quiet."""

from alerts.models.absence import (
    Expectation,
)
from alerts.models.eventtypes import (
    EventType,
    KeyShape,
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
    "DropFilter",
    "EventType",
    "Expectation",
    "GroupLead",
    "Grouping",
    "Hold",
    "KeyShape",
    "MailSettings",
    "MaintenanceWindow",
    "NoiseSettings",
    "Notification",
    "NotificationVersion",
    "Outage",
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
