"""What people type into the pages about pushes."""

from __future__ import annotations

from django import forms

from billing.models import PushRun, Question
from portal.forms import PortalForm


class RunSearchForm(PortalForm):
    """The bar above the list of runs."""

    q = forms.CharField(label="Client or agreement", required=False, max_length=200)
    state = forms.ChoiceField(label="State", required=False, choices=[("", "All"), *PushRun.State.choices])


class AnswerForm(PortalForm):
    """The answer to questions that are ticked, or to one."""

    answer = forms.ChoiceField(label="Answer", choices=Question.Answer.choices)
    until = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))


class RejectForm(PortalForm):
    reason = forms.CharField(label="Why", required=False, max_length=500)
