"""The alerts room's tables: rules, settings, conditions and their tickets."""

from alerts.models.eventtypes import EventType, KeyShape
from alerts.models.outages import Outage
from alerts.models.rules import Notification, default_severities
from alerts.models.settings import TicketSettings
from alerts.models.tickets import ClosingStatus, Condition, Ticket

__all__ = [
    "ClosingStatus",
    "Condition",
    "EventType",
    "KeyShape",
    "Notification",
    "Outage",
    "Ticket",
    "TicketSettings",
    "default_severities",
]
