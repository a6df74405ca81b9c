"""What people type into this room's pages."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from django import forms

from integrations.connections import Entered
from integrations.eventgrammar import Condition
from integrations.eventsearch import EventFilter
from integrations.models import Credentials, Status
from integrations.models.connections import Kind
from integrations.models.eventlog import Severity
from portal.forms import PortalForm

ANY = [("", "Any")]


class CredentialsForm(PortalForm):
    """How one organization or client signs in at its PSA. The private key goes in and never comes out."""

    kind = forms.ChoiceField(label="Configure using", choices=Kind)
    site_url = forms.CharField(
        label="Site URL",
        required=False,
        max_length=300,
        help_text="Where you sign in, in any form: na.myconnectwise.net, or the whole address from the browser.",
        widget=forms.TextInput(attrs={"list": "known-sites", "autocomplete": "off", "spellcheck": "false"}),
    )
    login_company = forms.CharField(
        label="Login company (MSP company ID)",
        required=False,
        max_length=100,
        help_text="Your own company as you type it when you sign in at the PSA; not a client’s company record.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    public_key = forms.CharField(
        label="Public key (API key)",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    secret = forms.CharField(
        label="Private key (API secret)",
        required=False,
        max_length=300,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )

    is_same_psa = forms.BooleanField(
        label="It is the same PSA at another address: keep all settings that were read from it",
        required=False,
    )

    def __init__(
        self, *args: Any, current: Credentials | None = None, is_locked: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if not is_locked:
            del self.fields["is_same_psa"]
        if current is not None and current.secret_fingerprint:
            self.fields["secret"].help_text = "One is set. Leave this empty to keep it."
        else:
            self.fields[
                "secret"
            ].help_text = (
                "The PSA shows it once, when the key is made. Keep that page open until this is saved."
            )

    def entered(self) -> Entered:
        data = self.cleaned_data
        return Entered(
            **{name: data[name] for name in ("kind", "site_url", "login_company", "public_key", "secret")}
        )


class OtherConnectionForm(CredentialsForm):
    """The PSA that a level goes to. Its private key is always typed: none is known of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [  # type: ignore[attr-defined]
            (value, label) for value, label in Kind.choices if value != Kind.NONE
        ]


class EventSearchForm(PortalForm):
    """The bar above the event log."""

    q = forms.CharField(label="Quick search", required=False, max_length=200)
    status = forms.ChoiceField(label="Notifications", required=False, choices=[*ANY, *Status.choices])
    severity = forms.ChoiceField(label="Severity", required=False, choices=[*ANY, *Severity.choices])
    only_errors = forms.BooleanField(label="Errors only", required=False)

    def wanted(self) -> EventFilter:
        """What is well-formed of it; the rest counts as not asked. Conditions are as they were typed."""
        self.is_valid()
        data = self.cleaned_data
        return EventFilter(
            text=data.get("q", ""),
            status=data.get("status", ""),
            severity=data.get("severity", ""),
            has_errors=data.get("only_errors", False),
            conditions=typed_conditions(self.data),
        )


def typed_conditions(data: Any) -> tuple[Condition, ...]:
    """The lines of Advanced Search: `field`, `op` and `term`, each as often as there are lines."""
    lists = [data.getlist(name) for name in ("field", "op", "term")] if hasattr(data, "getlist") else []
    lines = zip_longest(*lists, fillvalue="")
    return tuple(Condition(*line) for line in lines if line[0])


def query_of(wanted: EventFilter) -> str:
    """The address's query that asks for the same again."""
    pairs = [
        ("tab", "advanced" if wanted.conditions else ""),
        ("q", wanted.text),
        ("status", wanted.status),
        ("severity", wanted.severity),
        ("only_errors", "on" if wanted.has_errors else ""),
    ]
    pairs = [pair for pair in pairs if pair[1]]
    for line in wanted.conditions:
        pairs += [("field", line.field), ("op", line.operator), ("term", line.term)]
    return urlencode(pairs)


class SavedSearchForm(PortalForm):
    """The name under which a search is kept."""

    name = forms.CharField(label="Name", max_length=100)
    is_shared = forms.BooleanField(label="For everybody of this partner", required=False)
