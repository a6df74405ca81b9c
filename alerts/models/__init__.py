"""The alerts room's tables: rules, settings, conditions and their tickets, and what keeps them quiet."""

from alerts.models.absence import Expectation
from alerts.models.eventtypes import EventType
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
from alerts.models.outbound import MailSettings, WebhookEndpoint
from alerts.models.rules import Grouping, Notification, NotificationVersion, default_severities
from alerts.models.settings import TicketSettings
from alerts.models.tickets import Condition, Ticket

__all__ = [
    "Condition",
    "DropFilter",
    "EventType",
    "Expectation",
    "GroupLead",
    "Grouping",
    "Hold",
    "MailSettings",
    "MaintenanceWindow",
    "NoiseSettings",
    "Notification",
    "NotificationVersion",
    "Storm",
    "Suppression",
    "Swings",
    "Ticket",
    "TicketSettings",
    "WebhookEndpoint",
    "default_severities",
]
