"""What people type into the pages of the replay lab, besides the forms of the rules themselves."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from alerts import replays, tickettexts
from alerts.models import RuleDraft, TicketSettings
from portal.forms import PortalForm
from portal.models import Partner

YES_NO = (("", "As the level above"), ("yes", "Yes"), ("no", "No"))
SWITCHES = ("automatic_closure", "closes_only_untouched")
NUMBERS = {"reopen_within_days": 365, "due_in_hours": 8760}


class ReplayForm(PortalForm):
    """Which span, and which draft beside today's rules."""

    days = forms.ChoiceField(
        label="Span", required=False,
        choices=[*((str(days), f"The last {days} days") for days in replays.SPANS), ("", "From a day to a day")],
    )  # fmt: skip
    since = forms.DateField(
        label="From (first day)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To (last day)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    draft = forms.ChoiceField(label="Draft", required=False)

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, initial={"days": "30"}, **kwargs)
        self.partner = partner
        self.drafts = {str(row.pk): row for row in RuleDraft.objects.of(partner).order_by("name")}
        self.fields["draft"].choices = [  # type: ignore[attr-defined]
            ("", "None: today’s rules alone"),
            *((key, row.name) for key, row in self.drafts.items()),
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("days") == "" and not data.get("since"):
            self.add_error("since", "Say the first day.")
        if data.get("until") == date.max:
            self.add_error("until", "This day lies too far away.")
        return data

    def span(self) -> tuple[datetime, datetime]:
        """Whole days on the partner's clocks, or the last days up to now."""
        if days := self.cleaned_data["days"]:
            return replays.span_of(int(days))
        zone = ZoneInfo(self.partner.time_zone)
        since = datetime.combine(self.cleaned_data["since"], time(), zone)
        last = self.cleaned_data["until"]
        until = datetime.combine(last, time(), zone) + timedelta(days=1) if last else replays.span_of(0)[1]
        return since, until

    def draft_chosen(self) -> RuleDraft | None:
        return self.drafts.get(self.cleaned_data["draft"])


class DraftForm(PortalForm):
    """A new draft."""

    name = forms.CharField(label="Name of the draft", max_length=200)


class DraftSettingsForm(PortalForm):
    """Texts and life of tickets at one level, in a draft. What is picked of the PSA's lists stays as it is."""

    summary_template = forms.CharField(label="Summary", required=False, max_length=500)
    body_template = forms.CharField(
        label="Text", required=False, max_length=8000, widget=forms.Textarea(attrs={"rows": 6})
    )
    automatic_closure = forms.ChoiceField(label="Automatic ticket closure", required=False, choices=YES_NO)
    closes_only_untouched = forms.ChoiceField(
        label="Only if nobody touched it", required=False, choices=YES_NO
    )
    reopen_within_days = forms.IntegerField(
        label="Reopen within (days)", required=False, min_value=0, max_value=NUMBERS["reopen_within_days"],
        help_text="0: never. Empty: as the level above.",
    )  # fmt: skip
    due_in_hours = forms.IntegerField(
        label="Due in (hours)", required=False, min_value=0, max_value=NUMBERS["due_in_hours"]
    )

    def __init__(self, *args: Any, partner: Partner, current: TicketSettings, **kwargs: Any) -> None:
        initial = {name: getattr(current, name) for name in ("summary_template", "body_template", *NUMBERS)}
        for name in SWITCHES:
            value = getattr(current, name)
            initial[name] = "" if value is None else "yes" if value else "no"
        super().__init__(*args, initial=initial, **kwargs)

    def clean_summary_template(self) -> str | None:
        return self.template("summary_template", is_summary=True)

    def clean_body_template(self) -> str | None:
        return self.template("body_template", is_summary=False)

    def template(self, name: str, *, is_summary: bool) -> str | None:
        text = self.cleaned_data[name] or None
        if text and (faults := tickettexts.faults_of(text, is_summary=is_summary)):
            raise forms.ValidationError(faults[0][1])
        return text

    def values(self) -> dict[str, Any]:
        data = dict(self.cleaned_data)
        return data | {name: None if data[name] == "" else data[name] == "yes" for name in SWITCHES}
