"""The integrations room's tables: connections, what PSAs offer, mapping, the event log and its lanes."""

from integrations.models.budgets import CallBudget
from integrations.models.choices import Choice, ChoiceList, Reload
from integrations.models.connections import (
    CatchAllCompany,
    CompanyLink,
    CompanySuggestion,
    Credentials,
    Lane,
)
from integrations.models.eventlog import Action, Delivery, Event, Status
from integrations.models.hosted import HostedTab, TabTicket
from integrations.models.inbound import Following, InboundMessage
from integrations.models.searches import BulkReprocess, SavedSearch

__all__ = [
    "Action",
    "BulkReprocess",
    "CallBudget",
    "CatchAllCompany",
    "Choice",
    "ChoiceList",
    "CompanyLink",
    "CompanySuggestion",
    "Credentials",
    "Delivery",
    "Event",
    "Following",
    "HostedTab",
    "InboundMessage",
    "Lane",
    "Reload",
    "SavedSearch",
    "Status",
    "TabTicket",
]
