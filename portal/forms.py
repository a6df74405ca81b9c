"""How forms of all rooms look and clean; each form only says what it asks for."""

from __future__ import annotations

from typing import Any

from django import forms

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
