"""What people type into the pages about months."""

from __future__ import annotations

from typing import Any

from django import forms

from billing import evidencelinks
from billing.causes import Kind
from billing.models import Service
from portal.forms import PortalForm


class MonthSearchForm(PortalForm):
    """The bar above the reconciliation."""

    month = forms.CharField(
        label="Month", required=False, max_length=7, widget=forms.DateInput(attrs={"type": "month"})
    )
    q = forms.CharField(label="Client", required=False, max_length=200)
    service = forms.ChoiceField(label="Service", required=False)
    cause = forms.ChoiceField(label="Cause", required=False, choices=[("", "All"), *Kind.choices])
    differences = forms.BooleanField(label="Only differences", required=False)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        services = Service.objects.order_by("name").values_list("key", "name")
        self.fields["service"].choices = [("", "All"), *services]  # type: ignore[attr-defined]


class ShareForm(PortalForm):
    """How long an end customer may look."""

    days = forms.TypedChoiceField(
        label="Holds for",
        coerce=int,
        choices=[(days, f"{days} days") for days in evidencelinks.DAYS],
        initial=30,
    )
