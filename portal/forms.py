"""How forms of all rooms look and clean; each form only says what it asks for."""

from __future__ import annotations

from typing import Any

from django import forms

from portal import tokens
from portal.models import Membership, Partner, Role

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
