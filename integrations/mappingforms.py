"""What people type into the pages of Company Mapping."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms

from integrations.mapping import SHOWN, Move
from integrations.mappingsheet import MOST_BYTES
from integrations.models import Choice
from portal import texts
from portal.forms import PortalForm
from portal.models import Organization

SKIP = "-"
NONE = "-"


class CompanySearchForm(PortalForm):
    """The box that narrows a list of PSA companies."""

    q = forms.CharField(label="Find a PSA company", required=False, max_length=200)


class CompanyForm(PortalForm):
    """Which PSA company a client is; “skip” is a choice of its own."""

    company = forms.ChoiceField(label="PSA company")
    nothing = (SKIP, "Skip this client: send nothing")

    def __init__(self, *args: Any, offered: list[tuple[str, list[Choice]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_id = {choice.psa_id: choice for _, choices in offered for choice in choices}
        groups = [
            (title, [(row.psa_id, company_label(row)) for row in choices])
            for title, choices in offered
            if choices
        ]
        self.fields["company"].choices = [("", "Choose …"), self.nothing, *groups]  # type: ignore[attr-defined]

    def picked(self) -> Choice | None:
        """None for “skip”."""
        return self.by_id.get(self.cleaned_data["company"])


class CatchAllForm(CompanyForm):
    """The company for tickets of unmapped clients."""

    nothing = (NONE, "None: they wait until the client is mapped")


def company_label(company: Choice) -> str:
    identifier = company.data.get("identifier")
    return f"{company.name} ({identifier})" if identifier else company.name


class MappingSearchForm(PortalForm):
    """The bar above the mapping table."""

    q = forms.CharField(label="Client, client id or PSA company", required=False, max_length=200)
    show = forms.ChoiceField(label="Show", required=False, choices=list(SHOWN.items()))

    def wanted(self) -> tuple[str, str]:
        """Text and filter, as far as they are well-formed."""
        self.is_valid()
        return self.cleaned_data.get("q", ""), self.cleaned_data.get("show", "")


class AllAboveForm(PortalForm):
    """From which score on all suggestions are to be accepted."""

    least = forms.IntegerField(label="score", min_value=70, max_value=100, initial=90)


class NewClientForm(PortalForm):
    """A client to be made from a PSA company."""

    name = forms.CharField(label="Name", max_length=200)
    organization = forms.ChoiceField(label="Organization")

    def __init__(self, *args: Any, homes: list[Organization], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.homes = {str(home.pk): home for home in homes}
        choices = [(key, home.name) for key, home in self.homes.items()]
        self.fields["organization"].choices = choices  # type: ignore[attr-defined]

    def home(self) -> Organization:
        return self.homes[self.cleaned_data["organization"]]


class SheetForm(PortalForm):
    """A CSV file of mappings."""

    sheet = forms.FileField(
        label="CSV file",
        help_text="Needs the columns client_id and psa_company_id. An empty company id skips the client.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_sheet(self) -> Any:
        file = self.cleaned_data["sheet"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(
                f"The file has more than {MOST_BYTES // 1024 // 1024} MB. Split it.", code="too_large"
            )
        return file


# --- What a confirmation page carries --------------------------------------------------------------------------------


def packed(moves: list[Move]) -> str:
    return json.dumps([[str(move.client), move.company, move.before] for move in moves])


class ConfirmedForm(forms.Form):
    """The list that was shown, as the confirmation page gave it."""

    moves = forms.CharField()

    def clean_moves(self) -> list[Move]:
        try:
            rows = json.loads(self.cleaned_data["moves"])
            return [
                Move(uuid.UUID(client), text_or_none(company), text_or_none(before))
                for client, company, before in rows
            ]
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise forms.ValidationError("This list cannot be read any more.", code="unreadable") from None


def text_or_none(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 50 or texts.unstorable(value):
        raise TypeError("a company id is short text")
    return value
