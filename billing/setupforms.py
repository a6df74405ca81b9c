"""What people type into the pages that set billing up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from billing.models import BillingSettings, Schedule, Service
from integrations.models import Choice
from portal.forms import PortalForm
from portal.models import Client, Mode, Organization

INHERIT = ("", "Inherit")
YES_NO = [INHERIT, ("yes", "Yes"), ("no", "No")]
NUMBERS = {
    "push_day": ("Day of the month (29 to 31: the last day of shorter months)", 1, 31),
    "days_before_invoice": ("Days before the next invoice", 0, 28),
    "jump_percent": ("Ask when a quantity changes by more than (%)", 0, 100_000),
    "jump_least": ("... and by more than (units)", 0, 1_000_000),
    "jump_units": ("Ask when a quantity changes by more than (units)", 0, 100_000_000),
    "invoice_window_days": ("Ask within so many days before an invoice (0: never)", 0, 28),
    "fleet_clients": ("Ask when more clients than this change at once", 0, 100_000),
}


class BillingSettingsForm(PortalForm):
    """A level's own settings; empty inherits."""

    billing_mode = forms.ChoiceField(label="Mode", required=False, choices=[INHERIT, *Mode.choices])
    statistics_mode = forms.ChoiceField(
        label="Update Backup Statistics",
        required=False,
        choices=[INHERIT, ("live", "Yes: update the PSA's management report"), ("observe", "Plan only")],
        help_text="At the top, not chosen means no.",
    )
    is_enabled = forms.ChoiceField(label="Billing Enabled", required=False, choices=YES_NO)
    schedule = forms.ChoiceField(label="Push Date", required=False, choices=[INHERIT, *Schedule.choices])
    four_eyes = forms.ChoiceField(
        label="Four eyes: who asked or changed settings cannot approve", required=False, choices=YES_NO
    )
    updates_descriptions = forms.ChoiceField(
        label="Update Invoice Descriptions", required=False, choices=YES_NO
    )
    description_template = forms.CharField(
        label="Invoice description",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Names in braces are replaced: {service} {quantity} {unit} {counted} {day} {month} {client}"
        " {managed_id} {accounts}. It is fitted to the length that the PSA allows.",
    )

    def __init__(self, *args: Any, inherited: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (label, least, most) in NUMBERS.items():
            self.fields[name] = forms.IntegerField(
                label=label,
                required=False,
                min_value=least,
                max_value=most,
                widget=forms.NumberInput(attrs={"class": "form-control"}),
            )
        for name, value in inherited.items():
            self.fields[name].help_text = f"{self.fields[name].help_text} Inherited: {shown(value)}.".strip()

    def values(self) -> dict[str, Any]:
        """By field of `BillingSettings`; None inherits."""
        yes_no = {"yes": True, "no": False}
        found = {}
        for name, value in self.cleaned_data.items():
            if name in ("is_enabled", "four_eyes", "updates_descriptions"):
                found[name] = yes_no.get(value)
            else:
                found[name] = None if value == "" else value
        return found


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "no limit" if value is None else str(value)


def own_values(row: BillingSettings | None, level: Client | Organization) -> dict[str, Any]:
    words = {True: "yes", False: "no"}
    names = [*NUMBERS, "is_enabled", "schedule", "four_eyes", "updates_descriptions", "description_template"]
    values = {name: getattr(row, name, None) for name in names}
    for name in ("is_enabled", "four_eyes", "updates_descriptions"):
        values[name] = words.get(bool(values[name]), "") if values[name] is not None else ""
    return {
        **values,
        "billing_mode": level.billing_mode or "",
        "statistics_mode": level.statistics_mode or "",
    }


class CrossReferenceForm(PortalForm):
    """One service at one level."""

    service = forms.ModelChoiceField(label="Service", queryset=Service.objects.all())
    product = forms.ChoiceField(label="PSA product", required=False)
    is_billed = forms.BooleanField(label="Billed", required=False, initial=True)
    level = forms.CharField(label="Level", required=False, max_length=255)
    type = forms.CharField(label="Type", required=False, max_length=255)
    configuration_type = forms.CharField(label="Configuration Type", required=False, max_length=255)
    agreement_type = forms.CharField(label="Agreement Type", required=False, max_length=255)
    updates_description = forms.BooleanField(
        label="Update Invoice Descriptions", required=False, initial=True
    )
    jump_percent = forms.IntegerField(label="Ask above (%)", required=False, min_value=0, max_value=100_000)
    jump_units = forms.IntegerField(
        label="Ask above (units)", required=False, min_value=0, max_value=100_000_000
    )

    def __init__(self, *args: Any, products: Sequence[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_id = {str(row.pk): row for row in products}
        offered = [("", "No product"), *((key, product_label(row)) for key, row in self.by_id.items())]
        self.fields["product"].choices = offered  # type: ignore[attr-defined]


def product_label(product: Choice) -> str:
    more = [str(product.data.get(name)) for name in ("description", "uom") if product.data.get(name)]
    return f"{product.name} ({', '.join(more)})" if more else product.name


class AgreementForm(PortalForm):
    """The agreement of a service, or of all that have none of their own."""

    agreement = forms.ChoiceField(label="Choose Agreement")
    service = forms.ModelChoiceField(
        label="For", queryset=Service.objects.all(), required=False, empty_label="all other services"
    )
    creates_lines = forms.BooleanField(label="Create missing lines", required=False)
    line_id = forms.CharField(
        label="Line in the PSA",
        required=False,
        max_length=50,
        help_text="Only where several lines have the product: the id of the one to write.",
    )

    def __init__(self, *args: Any, billable: Sequence[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agreement"].choices = [  # type: ignore[attr-defined]
            (row.psa_id, agreement_label(row)) for row in billable
        ]


def agreement_label(agreement: Choice) -> str:
    told = [agreement.data.get("type") or "no type"]
    for name, word in (("next_invoice_on", "next invoice"), ("ends_on", "ends")):
        if agreement.data.get(name):
            told.append(f"{word} {agreement.data[name]}")
    return f"{agreement.name} ({', '.join(told)})"


class SheetForm(PortalForm):
    sheet = forms.FileField(label="CSV file")


class ProductForm(PortalForm):
    """A product to be made in the PSA; prices are the PSA administrator's."""

    service = forms.ModelChoiceField(label="Service", queryset=Service.objects.all())
    identifier = forms.CharField(label="Product ID", max_length=60)
    category = forms.CharField(label="Category or billing code", max_length=100, initial="Managed Services")
    kind = forms.CharField(label="Product Type", max_length=100, initial="Software")
    unit = forms.CharField(label="Unit of Measure", max_length=50, initial="Each")
