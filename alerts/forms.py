"""What people type into this room's pages."""

from __future__ import annotations

from typing import Any

from django import forms

from alerts.models import EventType, Notification, default_severities
from alerts.notifications import Entered
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal.forms import PortalForm
from portal.models import Client, Organization, Partner
from portal.models.partners import client_number_of

YES_NO = [("yes", "Yes"), ("no", "No")]


class NotificationForm(PortalForm):
    """Create a New Notification."""

    name = forms.CharField(label="Name", max_length=200)
    action = forms.ChoiceField(label="Notification Action", choices=Action)
    severities = forms.MultipleChoiceField(
        label="Severities",
        choices=[(value, value.capitalize()) for value in Severity.values],
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Tick at least one severity: with none the notification would never apply."
        },
    )
    all_event_types = forms.ChoiceField(
        label="Subscribe to All Event Types", choices=YES_NO, widget=forms.RadioSelect
    )
    event_types = forms.MultipleChoiceField(
        label="Event types", required=False, widget=forms.CheckboxSelectMultiple
    )
    organization = forms.ChoiceField(label="Only for an organization", required=False)
    client = forms.CharField(
        label="Only for a client",
        required=False,
        max_length=60,
        help_text="Client id or managed ID, like 19652 or EFS-19652.",
    )
    position = forms.IntegerField(
        label="Order",
        required=False,
        min_value=0,
        max_value=100_000,
        help_text="Smaller numbers are asked first. Empty: at the end.",
    )
    is_enabled = forms.BooleanField(label="Enabled", required=False)

    def __init__(
        self, *args: Any, partner: Partner, current: Notification | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, initial=initial_of(current), **kwargs)
        self.partner = partner
        known = {row.name: f"{row.title} ({row.name})" for row in EventType.objects.all()}
        known |= {name: name for name in (current.event_types if current else []) if name not in known}
        self.organizations = {str(row.pk): row for row in Organization.objects.of(partner)}
        self.fields["event_types"].choices = list(known.items())  # type: ignore[attr-defined]
        self.fields["organization"].choices = [  # type: ignore[attr-defined]
            ("", "All organizations"),
            *((key, row.name) for key, row in self.organizations.items()),
        ]

    def clean_organization(self) -> Organization | None:
        return self.organizations.get(self.cleaned_data["organization"])

    def clean_client(self) -> Client | None:
        text = self.cleaned_data["client"]
        if not text:
            return None
        client = Client.objects.of(self.partner).filter(number=client_number_of(text) or 0).first()
        if client is None:
            raise forms.ValidationError(f"{self.partner} has no client “{text}”.")
        return client

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("organization") and data.get("client"):
            self.add_error("client", "Choose an organization or a client, not both.")
        if data.get("all_event_types") == "no" and not data.get("event_types"):
            self.add_error("event_types", "Tick at least one event type, or subscribe to all.")
        return data

    def entered(self) -> Entered:
        data = dict(self.cleaned_data)
        return Entered(**{**data, "all_event_types": data["all_event_types"] == "yes"})


def initial_of(row: Notification | None) -> dict[str, Any]:
    if row is None:
        return {"severities": default_severities(), "all_event_types": "yes", "is_enabled": True}
    return {
        "name": row.name,
        "action": row.action,
        "severities": row.severities,
        "all_event_types": "yes" if row.all_event_types else "no",
        "event_types": row.event_types,
        "organization": str(row.organization_id or ""),
        "client": str(row.client.number) if row.client else "",
        "position": row.position,
        "is_enabled": row.is_enabled,
    }
