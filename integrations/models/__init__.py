"""The integrations room's tables: connections, mapping, the event log and its lanes."""

from integrations.models.connections import (
    CatchAllCompany,
    Choice,
    CompanyLink,
    CompanySuggestion,
    Credentials,
    Lane,
)
from integrations.models.eventlog import Action, Delivery, Event, Status

__all__ = [
    "Action",
    "CatchAllCompany",
    "Choice",
    "CompanyLink",
    "CompanySuggestion",
    "Credentials",
    "Delivery",
    "Event",
    "Lane",
    "Status",
]
