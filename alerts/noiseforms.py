"""What people type into the pages about filters, windows, noise, webhooks, e-mail and expectations."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from alerts import absence, filters, mailsettings, windows
from alerts.models import DropFilter, EventType, MaintenanceWindow, NoiseSettings, WebhookEndpoint
from integrations.models.eventlog import Severity
from portal.forms import PortalForm
from portal.models import Account, Client, Organization, Partner
from portal.models.partners import client_number_of

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def lines_of(text: str) -> list[str]:
    """One entry a line, or separated by commas."""
    return [entry for line in text.replace(",", "\n").splitlines() if (entry := line.strip())]


def line_by_line(text: str) -> list[str]:
    return [entry for line in text.splitlines() if (entry := line.strip())]


class ScopedForm(PortalForm):
    """A form about one partner's rule that may be for an organization or a client."""

    organization = forms.ChoiceField(label="Only for an organization", required=False)
    client = forms.CharField(
        label="Only for a client",
        required=False,
        max_length=60,
        help_text="Client id or managed ID, like 19652 or EFS-19652.",
    )

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partner = partner
        self.organizations = {str(row.pk): row for row in Organization.objects.of(partner)}
        self.fields["organization"].choices = [  # type: ignore[attr-defined]
            ("", "All organizations"),
            *((key, row.name) for key, row in self.organizations.items()),
        ]

    def clean_organization(self) -> Organization | None:
        return self.organizations.get(self.cleaned_data["organization"])

    def clean_client(self) -> Client | None:
        return client_named(self.partner, self.cleaned_data["client"])


def client_named(partner: Partner, text: str) -> Client | None:
    """The partner's client with this id or managed ID; None for no text. Raises ValidationError for an unknown one."""
    if not text:
        return None
    client: Client | None = Client.objects.of(partner).filter(number=client_number_of(text) or 0).first()
    if client is None:
        raise forms.ValidationError(f"{partner} has no client “{text}”.")
    return client


def scope_of(row: Any) -> dict[str, str]:
    return {
        "organization": str(row.organization_id or ""),
        "client": str(row.client.number) if row.client else "",
    }


class DropFilterForm(ScopedForm):
    """A drop filter."""

    name = forms.CharField(label="Name", max_length=200)
    reason = forms.CharField(
        label="Why", required=False, max_length=500, help_text="Shown on each event it drops."
    )
    phrases = forms.CharField(
        label="Summary contains one of",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One phrase a line; capital and small letters are the same.",
    )
    sources = forms.CharField(label="Sources", required=False, help_text="Separated by commas. Empty: any.")
    event_types = forms.MultipleChoiceField(
        label="Event types", required=False, widget=forms.SelectMultiple, help_text="None: any."
    )
    severities = forms.MultipleChoiceField(
        label="Severities",
        required=False,
        choices=[(value, value.capitalize()) for value in Severity.values],
        widget=forms.CheckboxSelectMultiple,
        help_text="None: any.",
    )
    expires_on = forms.DateField(
        label="Until (last day)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    is_enabled = forms.BooleanField(label="Enabled", required=False)
    field_order = ("name", "reason", "phrases", "sources", "event_types", "severities")

    def __init__(
        self, *args: Any, partner: Partner, current: DropFilter | None = None, **kwargs: Any
    ) -> None:
        zone = ZoneInfo(partner.time_zone)
        initial: dict[str, Any] = {"is_enabled": True}
        if current is not None:
            initial = {
                name: getattr(current, name) for name in ("name", "reason", "event_types", "severities")
            }
            initial |= {
                "phrases": "\n".join(current.phrases),
                "sources": ", ".join(current.sources),
                "expires_on": current.expires_at.astimezone(zone).date() if current.expires_at else None,
                "is_enabled": current.is_enabled,
                **scope_of(current),
            }
        super().__init__(*args, partner=partner, initial=initial, **kwargs)
        known = {row.name: f"{row.title} ({row.name})" for row in EventType.objects.all()}
        known |= {name: name for name in (current.event_types if current else []) if name not in known}
        self.fields["event_types"].choices = list(known.items())  # type: ignore[attr-defined]

    def entered(self) -> filters.Entered:
        data = dict(self.cleaned_data)
        last = data.pop("expires_on")
        zone = ZoneInfo(self.partner.time_zone)
        expires_at = datetime.combine(last, time.max, zone) if last else None
        return filters.Entered(
            **{
                **data,
                "phrases": line_by_line(data["phrases"]),
                "sources": lines_of(data["sources"]),
                "expires_at": expires_at,
            }
        )


class WindowForm(ScopedForm):
    """A maintenance window."""

    name = forms.CharField(label="Name", max_length=200)
    reason = forms.CharField(label="Why", required=False, max_length=500)
    first_on = forms.DateField(label="First day", widget=forms.DateInput(attrs={"type": "date"}))
    starts_at = forms.TimeField(label="From", widget=forms.TimeInput(attrs={"type": "time"}))
    ends_at = forms.TimeField(label="To", widget=forms.TimeInput(attrs={"type": "time"}))
    days = forms.IntegerField(
        label="Ends so many days later",
        required=False,
        min_value=0,
        max_value=windows.LONGEST_DAYS,
        help_text="0: on the same day. 1: over one midnight.",
    )
    repeats = forms.ChoiceField(label="Repeats", choices=MaintenanceWindow.Repeats)
    weekdays = forms.MultipleChoiceField(
        label="On these weekdays",
        required=False,
        choices=[(str(number), name) for number, name in enumerate(WEEKDAYS)],
        widget=forms.CheckboxSelectMultiple,
        help_text="For “every week”. None: the weekday of the first day.",
    )
    last_on = forms.DateField(
        label="Last day", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    account = forms.CharField(
        label="Only for an account of that client", required=False, max_length=100, help_text="Account no."
    )
    field_order = (
        "name",
        "reason",
        "first_on",
        "starts_at",
        "ends_at",
        "days",
        "repeats",
        "weekdays",
        "last_on",
    )

    def __init__(
        self, *args: Any, partner: Partner, current: MaintenanceWindow | None = None, **kwargs: Any
    ) -> None:
        initial: dict[str, Any] = {"days": 0, "repeats": "once"}
        if current is not None:
            names = ("name", "reason", "first_on", "starts_at", "ends_at", "days", "repeats", "last_on")
            initial = {name: getattr(current, name) for name in names} | scope_of(current)
            initial["weekdays"] = [str(day) for day in current.weekdays]
            if current.account is not None:
                initial |= {"account": current.account.key, "client": str(current.account.client.number)}
        super().__init__(*args, partner=partner, initial=initial, **kwargs)

    def clean_days(self) -> int:
        return self.cleaned_data["days"] or 0

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if key := data.get("account"):
            client = data.get("client")
            found = Account.objects.filter(client=client, key=key).first() if client else None
            if found is None:
                self.add_error("account", f"Say the client, too; it must have the account “{key}”.")
            data["account"], data["client"] = found, None
        else:
            data["account"] = None
        return data

    def entered(self) -> windows.Entered:
        data = dict(self.cleaned_data)
        return windows.Entered(**{**data, "weekdays": [int(day) for day in data["weekdays"]]})


class NoiseForm(PortalForm):
    """How repeating, swinging and flooding problems are handled."""

    durations = forms.CharField(
        label="Minutes of failing before a ticket, by event type",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, like “appliance.offline 10”. A notification may ask for more.",
    )
    flap_changes = forms.IntegerField(
        label="Flapping: so many changes", required=False, min_value=3, max_value=100, help_text="Empty: off."
    )
    flap_minutes = forms.IntegerField(label="… within so many minutes", min_value=1, max_value=10_080)
    parent_types = forms.MultipleChoiceField(
        label="Outages that explain everything else at their account",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    storm_client_tickets = forms.IntegerField(
        label="Storm brake: new tickets for one client",
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="Above so many the rest is listed in one storm ticket. Empty: off.",
    )
    storm_partner_tickets = forms.IntegerField(
        label="Storm brake: new tickets for all clients together",
        required=False,
        min_value=1,
        max_value=100_000,
    )
    storm_minutes = forms.IntegerField(label="… within so many minutes", min_value=1, max_value=1440)
    storm_client = forms.CharField(
        label="Client whose PSA company gets the ticket of a storm over all clients",
        required=False,
        max_length=60,
        help_text="Empty: the client where it began.",
    )
    tickets_after_storm = forms.BooleanField(
        label="After a storm, open a ticket for each problem that still stands", required=False
    )

    def __init__(self, *args: Any, partner: Partner, current: NoiseSettings | None, **kwargs: Any) -> None:
        row = current or NoiseSettings(partner=partner)
        initial = {name: getattr(row, name) for name in self.base_fields}
        initial["durations"] = "\n".join(f"{name} {minutes}" for name, minutes in row.durations.items())
        initial["storm_client"] = str(row.storm_client.number) if row.storm_client else ""
        super().__init__(*args, initial=initial, **kwargs)
        self.partner = partner
        types = [(row.name, row.title) for row in EventType.objects.filter(default_action="trigger")]
        self.fields["parent_types"].choices = types  # type: ignore[attr-defined]

    def clean_durations(self) -> dict[str, int]:
        found = {}
        for line in line_by_line(self.cleaned_data["durations"]):
            name, _, minutes = line.rpartition(" ")
            if not name or not minutes.isdecimal() or int(minutes) > 10_080:
                raise forms.ValidationError(f"“{line}” is not an event type and minutes (up to 10080).")
            found[name.strip()] = int(minutes)
        return found

    def clean_storm_client(self) -> Client | None:
        return client_named(self.partner, self.cleaned_data["storm_client"])


class WebhookForm(PortalForm):
    """A webhook endpoint."""

    name = forms.CharField(label="Name", max_length=200)
    url = forms.CharField(label="URL", max_length=500, help_text="https, and reachable from the internet.")
    is_enabled = forms.BooleanField(label="Enabled", required=False)

    def __init__(self, *args: Any, current: WebhookEndpoint | None = None, **kwargs: Any) -> None:
        initial: dict[str, Any] = {"is_enabled": True}
        if current is not None:
            initial = {"name": current.name, "url": current.url, "is_enabled": current.is_enabled}
        super().__init__(*args, initial=initial, **kwargs)


class MailSettingsForm(PortalForm):
    """The e-mail settings of My Account."""

    address = forms.EmailField(label="Email Address", required=False)
    confirm_address = forms.EmailField(label="Confirm Email Address", required=False)
    no_backup = forms.BooleanField(label="No Backup Notification", required=False)
    no_error_free_backup = forms.BooleanField(label="No Error Free Backup Notification", required=False)
    external_ticketing = forms.BooleanField(label="Enable External Ticketing Alerts", required=False)
    external_address = forms.EmailField(label="External ticketing address", required=False)
    connector_addresses = forms.CharField(
        label="Addresses that your PSA makes tickets from",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line. No notification may mail them: each e-mail would become a ticket.",
    )

    def __init__(self, *args: Any, current: mailsettings.Entered, **kwargs: Any) -> None:
        initial = {**vars(current), "confirm_address": current.address}
        initial["connector_addresses"] = "\n".join(current.connector_addresses)
        super().__init__(*args, initial=initial, **kwargs)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("address", "") != data.get("confirm_address", ""):
            self.add_error("confirm_address", "The two addresses differ.")
        return data

    def entered(self) -> mailsettings.Entered:
        data = {name: value for name, value in self.cleaned_data.items() if name != "confirm_address"}
        return mailsettings.Entered(**{**data, "connector_addresses": lines_of(data["connector_addresses"])})


class ExpectationForm(PortalForm):
    """What is expected of a client."""

    client = forms.CharField(label="Client", max_length=60, help_text="Client id or managed ID.")
    account = forms.CharField(
        label="Account no.", required=False, max_length=100, help_text="Empty: all together."
    )
    event_type = forms.ChoiceField(label="Event type", choices=[(name, name) for name in absence.WATCHED])
    every_hours = forms.DecimalField(label="Every so many hours", decimal_places=2, max_digits=8)
    tolerance = forms.DecimalField(
        label="Tolerance",
        decimal_places=2,
        max_digits=4,
        initial=2,
        help_text="2: missing after twice that time.",
    )

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partner = partner

    def clean_client(self) -> Client | None:
        return client_named(self.partner, self.cleaned_data["client"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        key = data.get("account")
        data["account"] = None
        if key and data.get("client"):
            data["account"] = Account.objects.filter(client=data["client"], key=key).first()
            if data["account"] is None:
                self.add_error("account", f"This client has no account “{key}”.")
        return data
