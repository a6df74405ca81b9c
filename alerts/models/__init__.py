"""The alerts room's tables: rules, settings, conditions and their tickets."""

from alerts.models.eventtypes import EventType
from alerts.models.rules import Notification, default_severities
from alerts.models.settings import ClientAddress, SettingChange, TicketSettings, TicketTest
from alerts.models.tickets import Condition, Ticket

__all__ = [
    "ClientAddress",
    "Condition",
    "EventType",
    "Notification",
    "SettingChange",
    "Ticket",
    "TicketSettings",
    "TicketTest",
    "default_severities",
]
