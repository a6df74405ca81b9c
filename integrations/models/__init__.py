"""The integrations room's tables: connections, what PSAs offer, mapping, the event log and its lanes."""

from integrations.models.choices import Choice, ChoiceList, Reload
from integrations.models.connections import CompanyLink, Credentials, Lane
from integrations.models.eventlog import Action, Delivery, Event, Status

__all__ = [
    "Action",
    "Choice",
    "ChoiceList",
    "CompanyLink",
    "Credentials",
    "Delivery",
    "Event",
    "Lane",
    "Reload",
    "Status",
]
