"""How forms of all rooms look and clean; each form only says what it asks for."""

from __future__ import annotations

from typing import Any

from django import forms

from portal import tokens
from portal.models import Membership, Partner, Role

MOST_DOCUMENT = 5 * 1024 * 1024
LOOKS: dict[type[forms.Widget], str] = {
    forms.Select: "form-select",
    forms.CheckboxInput: "form-check-input",
    forms.CheckboxSelectMultiple: "form-check-input",
    forms.RadioSelect: "form-check-input",
}


class PortalForm(forms.Form):
    """A form that looks like ours."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            look = LOOKS.get(type(field.widget), "form-control")
            field.widget.attrs["class"] = f"{look} {field.widget.attrs.get('class', '')}".strip()

    def add_refusal(self, field: str, text: str, advice: str = "") -> None:
        """What an operation refused, beside the field it is about (above the form when it is about none)."""
        self.add_error(field if field in self.fields else None, f"{text} {advice}".strip())


class ClientSearch(PortalForm):
    """The box above the list of clients."""

    q = forms.CharField(label="Search", required=False, max_length=200, strip=True)


class ConfigurationForm(PortalForm):
    """A configuration document: as a file, or as the text that was shown."""

    sheet = forms.FileField(
        label="Document", required=False, help_text="YAML or JSON, as downloaded here; 5 MB at most."
    )
    prune = forms.BooleanField(
        label="Remove what the document does not say",
        required=False,
        help_text="Only in the sections that it has. Clients, organizations and connections are never removed.",
    )
    document = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
    expect = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        sheet = data.get("sheet")
        if sheet is None and not data.get("document"):
            self.add_error("sheet", "Choose a file.")
        elif sheet is not None and sheet.size > MOST_DOCUMENT:
            self.add_error("sheet", "The file is larger than 5 MB; apply it over REST.")
        return data

    def text(self) -> bytes:
        sheet = self.cleaned_data.get("sheet")
        found: bytes = sheet.read() if sheet else self.cleaned_data["document"].encode()
        return found


class AccountSearch(PortalForm):
    """QuickSearch of the Account List."""

    q = forms.CharField(label="QuickSearch", required=False, max_length=200, strip=True)


class ImpersonationForm(PortalForm):
    """As whom, and why; the partner reads it in its audit log."""

    person = forms.ModelChoiceField(Membership.objects.none(), label="Person")
    reason = forms.CharField(label="Reason", max_length=500)
    case = forms.CharField(label="Case number", max_length=100)
    may_write = forms.BooleanField(
        label="Allow changes",
        required=False,
        help_text="Without it you look and change nothing. Ticked, it stands in the partner’s audit log.",
    )

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = Membership.objects.filter(partner=partner, user__is_active=True, user__is_staff=False)
        chosen: Any = self.fields["person"]
        chosen.queryset = people.select_related("user").order_by("role", "user__email")
        chosen.label_from_instance = lambda row: f"{row.user.email} ({row.get_role_display()})"


class InvitationForm(PortalForm):
    """Somebody who is to see this partner."""

    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(label="Role", choices=Role)


class WayBackForm(PortalForm):
    """Whose password was forgotten. Whether there is such a person, is not looked up here."""

    email = forms.EmailField(
        label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class SecondFactorPolicyForm(PortalForm):
    """From when on everybody at a partner needs a second factor."""

    must = forms.BooleanField(
        label="Everybody must sign in with a second factor",
        required=False,
        help_text="Who has none on that day is led to setting one up before anything else. Tokens of machines go on.",
    )
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("must") and not data.get("since") and "since" not in self.errors:
            self.add_error("since", "Say from which day on: give people some days to set one up.")
        return data


class FactorResetForm(PortalForm):
    """Why a person's factors are taken away; the person and the audit log are told."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        help_text="How do you know that it is really this person who asks? It stands in the audit log.",
    )


class TokenForm(PortalForm):
    """A key for a machine of this partner."""

    name = forms.CharField(label="What it is for", max_length=100)
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(scope, scope) for scope in tokens.SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.ChoiceField(
        label="Ends",
        required=False,
        initial="90",
        choices=[("90", "in 90 days"), ("365", "in a year"), ("30", "in 30 days"), ("", "never")],
    )
