"""The integrations room's tables: connections, mapping, the event log and its lanes."""

from integrations.models.connections import Choice, CompanyLink, Credentials, Lane
from integrations.models.eventlog import Action, Delivery, Event, Status
from integrations.models.inbound import Following, InboundMessage

__all__ = [
    "Action",
    "Choice",
    "CompanyLink",
    "Credentials",
    "Delivery",
    "Event",
    "Following",
    "InboundMessage",
    "Lane",
    "Status",
]
