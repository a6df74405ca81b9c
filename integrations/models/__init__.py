"""The integrations room's tables: connections, mapping, the event log and its lanes."""

from integrations.models.budgets import CallBudget
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
    "CallBudget",
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
