"""What people type on the pages of ticket settings."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from alerts.setup import MOST, Setup
from alerts.ticketsettings import CHOICES, NUMBERS, OF_A_BOARD, SWITCHES, TEXTS
from integrations.models import Choice
from portal import clock
from portal.forms import LOOKS, PortalForm

YES_NO = [("yes", "Yes"), ("no", "No")]
HELP = {
    "contact": "Nobody chosen: the PSA’s default contact of the company.",
    "priority": "For all severities that have no priority of their own.",
    "due_in_hours": "From the opening of the ticket.",
    "reminder_opens_ticket": "No: the reminder is a note on the ticket that was closed.",
    "closes_only_untouched": "A ticket that a technician changed stays open and gets a note instead.",
    "reopen_within_days": "When the same problem comes back so soon, its ticket is opened again. 0: a new ticket.",
    "notes_per_hour": "Repeats beyond this are counted, not written. 0: no notes.",
    "reminder_after_hours": "A note on tickets that are still open and failing. 0: none.",
}

UNANSWERED = "NotResponded"
MISSING_BOARD = (
    "Look at its Location and Department in the PSA and at the API user’s level, then reload the options."
)


class GroupedSelect(forms.Select):
    """A drop-down whose options tell which group of another drop-down belongs to them."""

    groups: dict[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        if group := self.groups.get(str(value)):
            option["attrs"]["data-group"] = group
        return option


class TicketSettingsForm(PortalForm):
    """How tickets look at one level. Empty means: as inherited."""

    def __init__(self, *args: Any, setup: Setup, **kwargs: Any) -> None:
        self.base_fields = {name: field_of(name, setup) for name in setup.fields}  # type: ignore[misc]
        super().__init__(*args, initial=own_values(setup), **kwargs)
        self.setup = setup
        self.known: dict[str, Choice] = {}
        boards = {row.psa_id: row.name for row in setup.offered.get("board", [])}
        for name in CHOICES:
            if name in self.fields:
                self.offer(name, boards)
        self.tell_of_boards()
        board = self.fields["board"].widget
        board.groups = {str(row.pk): row.name for row in setup.offered.get("board", [])}
        board.attrs["class"] = LOOKS[forms.Select]
        board.attrs["data-inherited"] = getattr(setup.inherited["board"].value, "name", "")
        for name in SWITCHES:
            self.fields[name].choices = [("", self.inherit_label(name)), *YES_NO]  # type: ignore[attr-defined]
        for name in (*NUMBERS, *TEXTS):
            self.fields[name].widget.attrs["placeholder"] = self.inherit_label(name)

    def offer(self, name: str, boards: dict[str, str]) -> None:
        """Fill one drop-down, in groups by board where the values belong to boards."""
        rows = list(self.setup.offered.get(name, []))
        own = getattr(self.setup.row, name, None)
        gone = [own] if own is not None and own not in rows else []
        self.known |= {str(row.pk): row for row in [*rows, *gone]}
        options: list[Any] = [(str(row.pk), f"{row.name} ({why_not_offered(row)})") for row in gone]
        if name in OF_A_BOARD:
            self.fields[name].widget.attrs["data-follows"] = "id_board"
            for board_id, board in boards.items():
                options.append((board, [(str(row.pk), named(row)) for row in rows if row.within == board_id]))
        else:
            options += [(str(row.pk), row.name) for row in rows]
        self.fields[name].choices = [("", self.inherit_label(name)), *options]  # type: ignore[attr-defined]

    def tell_of_boards(self) -> None:
        """Why a board is not in the list, and which boards have no status that waits for a first response."""
        what = f"{self.setup.label('board').lower()}s"
        text = f"The {what} that the API user sees and that are in use. One is missing? {MISSING_BOARD}"
        if xrefs := {row.within for row in self.setup.offered.get("new_status", []) if is_unanswered(row)}:
            without = [row.name for row in self.setup.offered["board"] if row.psa_id not in xrefs]
            text += f" Without a status {UNANSWERED}: {', '.join(without)}." if without else ""
        self.fields["board"].help_text = text

    def inherit_label(self, name: str) -> str:
        inherited = self.setup.inherited[name]
        if inherited.value is None:
            return "The same text as ever" if name in TEXTS else "Not set: the PSA decides"
        shown = {True: "Yes", False: "No"}.get(inherited.value) if name in SWITCHES else None
        return f"Inherit: {shown or inherited.value}" + (
            f" (from {inherited.source})" if inherited.source else " (default)"
        )

    def values(self) -> dict[str, Any]:
        """By field; None where the level says nothing itself. What this page does not show stays."""
        row = self.setup.row
        found = {name: getattr(row, name, None) for name in (*CHOICES, *NUMBERS, *TEXTS, *SWITCHES)}
        for name in self.fields:
            text = self.cleaned_data[name]
            if name in CHOICES:
                found[name] = self.known.get(text)
            elif name in SWITCHES:
                found[name] = {"yes": True, "no": False}.get(text)
            else:
                found[name] = None if text == "" else text
        return found


def is_unanswered(row: Choice) -> bool:
    """A status that the PSA's goals take for "nobody has answered yet"."""
    return row.kind == "status" and row.data.get("xref") == UNANSWERED


def named(row: Choice) -> str:
    return f"{row.name} ({UNANSWERED})" if is_unanswered(row) else row.name


def why_not_offered(row: Choice) -> str:
    return "no longer offered by the PSA" if row.vanished_at else "not of this company or connection"


def field_of(name: str, setup: Setup) -> forms.Field:
    more: dict[str, Any] = {
        "label": setup.label(name),
        "required": False,
        "help_text": HELP.get(name, ""),
    }
    if name in NUMBERS:
        return forms.IntegerField(min_value=0, max_value=MOST[name], **more)
    if name == "summary_template":
        return forms.CharField(max_length=500, **more)
    if name == "body_template":
        return forms.CharField(max_length=8000, strip=False, widget=forms.Textarea(attrs={"rows": 6}), **more)
    return forms.ChoiceField(widget=GroupedSelect if name == "board" else forms.Select, **more)


def own_values(setup: Setup) -> dict[str, Any]:
    row = setup.row
    if row is None:
        return {}
    return {
        **{name: str(getattr(row, f"{name}_id") or "") for name in CHOICES},
        **{name: {True: "yes", False: "no", None: ""}[getattr(row, name)] for name in SWITCHES},
        **{name: getattr(row, name) for name in (*NUMBERS, *TEXTS)},
    }


class DisableForm(PortalForm):
    """Switch the PSA off for one client, for a while."""

    until = forms.DateTimeField(
        label="Until",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="In the partner’s time zone. Empty: until somebody switches it on again.",
    )
    reason = forms.CharField(label="Reason", required=False, max_length=300)

    def clean_until(self) -> dt.datetime | None:
        until: dt.datetime | None = self.cleaned_data["until"]
        if until is not None and until <= clock.now():
            raise forms.ValidationError("This moment is over; choose one that is to come, or none.")
        return until


class AddressForm(PortalForm):
    """Where a client is, in place of what the PSA says."""

    address_line_1 = forms.CharField(label="Address Line 1", required=False, max_length=128)
    address_line_2 = forms.CharField(label="Address Line 2", required=False, max_length=128)
    city = forms.CharField(label="City", required=False, max_length=50)
    state = forms.CharField(label="State", required=False, max_length=50)
    zip = forms.CharField(label="Zip", required=False, max_length=20)
