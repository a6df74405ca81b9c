"""What people type into this room's pages."""

from __future__ import annotations

from typing import Any

from django import forms

from alerts.models import (
    EventType,
    Grouping,
    Notification,
    WebhookEndpoint,
    default_severities,
)
from alerts.notifications import (
    MOST_MINUTES,
    Entered,
)
from integrations.models import (
    Action,
)
from integrations.models.eventlog import Severity
from portal.forms import (
    PortalForm,
)
from portal.models import (
    Client,
    Organization,
    Partner,
    User,
)
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
    stops = forms.BooleanField(
        label="Stop after match", required=False, help_text="Notifications further down are not asked then."
    )
    catch_all = forms.BooleanField(
        label="Only for what no other notification matched (catch-all)", required=False
    )
    min_minutes = forms.IntegerField(
        label="Minutes of failing before a ticket",
        required=False,
        min_value=0,
        max_value=MOST_MINUTES,
        help_text="0: at once. What recovers earlier gets no ticket.",
    )
    grouping = forms.ChoiceField(label="Share one ticket", choices=Grouping, required=False)
    recipients = forms.CharField(
        label="E-mail to these addresses",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For the action E-mail; one a line.",
    )
    members = forms.MultipleChoiceField(
        label="E-mail to these members", required=False, widget=forms.CheckboxSelectMultiple
    )
    webhook = forms.ChoiceField(label="Webhook", required=False, help_text="For the action Webhook.")
    position = forms.IntegerField(
        label="Order",
        required=False,
        min_value=0,
        max_value=100_000,
        help_text="Smaller numbers are asked first. Empty: at the end.",
    )
    is_enabled = forms.BooleanField(label="Enabled", required=False)

    def __init__(
        self,
        *args: Any,
        partner: Partner,
        current: Notification | None = None,
        client: str = "",
        **kwargs: Any,
    ) -> None:
        """`client` is filled in beforehand in a new one."""
        initial = initial_of(current) if current else initial_of(None) | {"client": client}
        super().__init__(*args, initial=initial, **kwargs)
        self.partner = partner
        known = {row.name: f"{row.title} ({row.name})" for row in EventType.objects.all()}
        known |= {name: name for name in (current.event_types if current else []) if name not in known}
        self.organizations = {str(row.pk): row for row in Organization.objects.of(partner)}
        self.fields["event_types"].choices = list(known.items())  # type: ignore[attr-defined]
        self.fields["organization"].choices = [  # type: ignore[attr-defined]
            ("", "All organizations"),
            *((key, row.name) for key, row in self.organizations.items()),
        ]

        people = (
            User.objects.filter(memberships__partner=partner, is_active=True).order_by("email").distinct()
        )
        self.fields["members"].choices = [(str(row.pk), row.email) for row in people]  # type: ignore[attr-defined]
        self.endpoints = {
            str(row.pk): row for row in WebhookEndpoint.objects.of(partner).defer("secret").order_by("name")
        }
        self.fields["webhook"].choices = [  # type: ignore[attr-defined]
            ("", "None"),
            *((key, row.name) for key, row in self.endpoints.items()),
        ]

    def clean_webhook(self) -> WebhookEndpoint | None:
        return self.endpoints.get(self.cleaned_data["webhook"])

    def clean_min_minutes(self) -> int:
        return self.cleaned_data["min_minutes"] or 0

    def clean_recipients(self) -> list[str]:
        text = self.cleaned_data["recipients"].replace(",", "\n")
        return [address for line in text.splitlines() if (address := line.strip())]

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
        "stops": row.stops,
        "catch_all": row.catch_all,
        "min_minutes": row.min_minutes,
        "grouping": row.grouping,
        "recipients": "\n".join(row.recipients),
        "members": row.members,
        "webhook": str(row.webhook_id or ""),
    }


class RemarkForm(PortalForm):
    """What did not match at a step of the guided set-up."""

    text = forms.CharField(max_length=2000)
