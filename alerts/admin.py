"""Admin of this room: event types, notifications, ticket settings, conditions and tickets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from alerts import (
    eventtypes,
    noiseadmin,
    notifications,
)
from alerts.models import (
    ClientAddress,
    ClosingStatus,
    Condition,
    DailyFigures,
    EventType,
    GuidedSetup,
    KeyShape,
    MonthlyUsage,
    Notification,
    Outage,
    Replay,
    RuleDraft,
    SettingChange,
    Ticket,
    TicketSettings,
    TicketTest,
)
from integrations.models.eventlog import Severity
from portal.tenantadmin import OneTenantForm, PortalAdmin, TenantAdmin, TenantLogAdmin


class EventTypeAdminForm(forms.ModelForm):
    """Another key definition is saved only after somebody has seen what it means."""

    seen = forms.BooleanField(
        label="I have seen the effect",
        required=False,
        help_text="Asked for when family or condition fields change: the effect is shown first.",
    )

    class Meta:
        model = EventType
        fields = ("name", "title", "family", "default_action", "condition_fields", "each_is_its_own")

    def clean_condition_fields(self) -> list[str]:
        fields = self.cleaned_data["condition_fields"] or []
        if not isinstance(fields, list) or not all(isinstance(one, str) and one for one in fields):
            raise forms.ValidationError("A list of names of data fields, for example [“job”].")
        return fields

    def clean(self) -> dict[str, Any] | None:
        values = super().clean()
        if self.instance.pk and not self.errors and {"family", "condition_fields"} & set(self.changed_data):
            seen = eventtypes.preview(
                self.instance.name,
                family=self.cleaned_data["family"],
                condition_fields=self.cleaned_data["condition_fields"],
            )
            if seen.events and not self.cleaned_data["seen"]:
                raise forms.ValidationError(f"{seen} Tick “I have seen the effect” to save it.")
        return values


@admin.register(EventType)
class EventTypeAdmin(PortalAdmin):
    form = EventTypeAdminForm
    list_display = ("name", "title", "family", "default_action", "condition_fields", "each_is_its_own")
    list_filter = ("default_action",)
    search_fields = ("name", "title", "family")


class NotificationAdminForm(OneTenantForm):
    severities = forms.MultipleChoiceField(choices=Severity, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = Notification
        fields = (
            "partner",
            "name",
            "action",
            "severities",
            "all_event_types",
            "event_types",
            "organization",
            "client",
            "is_enabled",
            "position",
            "stops",
            "catch_all",
            "min_minutes",
            "grouping",
            "recipients",
            "members",
            "webhook",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["min_minutes"].required = False

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        data["min_minutes"] = data.get("min_minutes") or 0
        data |= {name: data.get(name) or [] for name in ("recipients", "members", "event_types")}
        values = {name: data[name] for name in self.Meta.fields if name in data and name != "partner"}
        if not self.errors and data.get("partner"):
            notifications.refuse(data["partner"], notifications.Entered(**values))
        return data


@admin.register(Notification)
class NotificationAdmin(TenantAdmin):
    form = NotificationAdminForm
    list_display = ("name", "action", "severities", "all_event_types", "is_enabled", "position", "version")
    list_filter = ("action", "is_enabled")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Notification, form: Any, change: bool) -> None:
        values = {
            name: form.cleaned_data[name] for name in NotificationAdminForm.Meta.fields if name != "partner"
        }
        saved = notifications.save_notification(
            obj.partner,
            notifications.Entered(**values),
            by=request.user.get_username(),
            current=obj if change else None,
        )
        obj.pk, obj.version = saved.pk, saved.version
        obj._state.adding = False


@admin.register(TicketSettings)
class TicketSettingsAdmin(TenantLogAdmin):
    """Changed in the portal, which knows which status belongs to which board."""

    list_display = (
        "__str__",
        "board",
        "new_status",
        "closing_status",
        "priority",
        "automatic_closure",
        "updated_at",
    )
    list_select_related = ("organization", "client", "account")
    search_fields = ("organization__name", "client__name", "account__key", "board__name")
    readonly_fields = ("change_it",)

    @admin.display(description="Change")
    def change_it(self, row: TicketSettings) -> str:
        return format_html('<a href="{}">Open in the portal</a>', row.get_absolute_url())


@admin.register(SettingChange)
class SettingChangeAdmin(TenantLogAdmin):
    list_display = ("level_name", "field", "old", "new", "origin", "changed_at", "changed_by")
    list_filter = ("origin", "field")
    search_fields = ("level_name", "changed_by")


@admin.register(ClientAddress)
class ClientAddressAdmin(TenantLogAdmin):
    list_display = ("client", "__str__", "location", "id_number", "read_at", "edited_by", "trouble")
    search_fields = ("client__name", "id_number", "city")


@admin.register(DailyFigures)
class DailyFiguresAdmin(TenantLogAdmin):
    list_display = ("day", "opened", "closed", "outcomes", "half_within", "most_within", "counted_at")
    search_fields = ("=day",)


@admin.register(MonthlyUsage)
class MonthlyUsageAdmin(TenantLogAdmin):
    list_display = ("month", "service", "quantity", "clients", "counted_at")
    list_filter = ("service",)
    search_fields = ("service__name",)


@admin.register(GuidedSetup)
class GuidedSetupAdmin(TenantLogAdmin):
    """Which steps a partner left out, and what came of the last first preview."""

    list_display = ("credentials", "begun_at", "begun_by", "left_out", "preview_passed", "preview_done_at")
    list_filter = ("preview_passed",)
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("begun_by", "preview_text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("credentials__secret")


@admin.register(RuleDraft)
class RuleDraftAdmin(TenantLogAdmin):
    list_display = ("name", "created_at", "created_by", "changed_at", "changed_by")
    search_fields = ("name", "created_by")


@admin.register(Replay)
class ReplayAdmin(TenantLogAdmin):
    list_display = ("since", "until", "draft_name", "state", "events", "asked_at", "asked_by", "finished_at")
    list_filter = ("state",)
    search_fields = ("draft_name", "asked_by")


@admin.register(TicketTest)
class TicketTestAdmin(TenantLogAdmin):
    list_display = ("client", "state", "asked_at", "asked_by", "finished_at", "psa_id")
    list_filter = ("state",)
    search_fields = ("client__name", "asked_by", "psa_id")


@admin.register(KeyShape)
class KeyShapeAdmin(TenantLogAdmin):
    list_display = ("shape", "client", "source", "type", "distinct", "repeats", "suspicion", "last_at")
    list_filter = ("type",)
    search_fields = ("shape", "client__name", "source", "type")


@admin.register(Outage)
class OutageAdmin(TenantLogAdmin):
    list_display = ("since", "until", "credentials", "cause", "events", "passed", "opened", "told_at")
    list_filter = ("cause",)
    search_fields = ("credentials__organization__name", "credentials__client__name", "text")


@admin.register(ClosingStatus)
class ClosingStatusAdmin(TenantAdmin):
    """For tickets that people moved: which status closes them on the board where they are."""

    list_display = ("credentials", "board", "status")
    search_fields = ("board__name", "status__name")


@admin.register(Condition)
class ConditionAdmin(TenantLogAdmin):
    list_display = ("key", "client", "state", "severity", "episode", "repeats", "wants_ticket", "since")
    list_filter = ("state", "severity")
    search_fields = ("key", "client__name", "summary")


@admin.register(Ticket)
class TicketAdmin(TenantLogAdmin):
    list_display = ("__str__", "state", "condition", "generation", "opened_at", "closed_at", "external_ref")
    fields = (
        "partner",
        "condition",
        "credentials",
        "generation",
        "external_ref",
        "state",
        "psa_id",
        "number",
        "url",
        "summary",
        "created_at",
        "sent_at",
        "misses",
        "opened_at",
        "closed_at",
    )
    list_filter = ("state",)
    search_fields = ("number", "external_ref", "condition__client__name", "summary")


__all__ = ["noiseadmin"]  # registers its pages by being imported
