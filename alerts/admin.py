"""Admin of this room: event types, notifications, ticket settings, conditions and tickets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from alerts import notifications
from alerts.models import (
    ClientAddress,
    Condition,
    EventType,
    Notification,
    SettingChange,
    Ticket,
    TicketSettings,
    TicketTest,
)
from integrations.models.eventlog import Severity
from portal.tenantadmin import OneTenantForm, PortalAdmin, TenantAdmin, TenantLogAdmin


@admin.register(EventType)
class EventTypeAdmin(PortalAdmin):
    list_display = ("name", "title", "family", "default_action")
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
        )


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
            obj.partner, notifications.Entered(**values), current=obj if change else None
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


@admin.register(TicketTest)
class TicketTestAdmin(TenantLogAdmin):
    list_display = ("client", "state", "asked_at", "asked_by", "finished_at", "psa_id")
    list_filter = ("state",)
    search_fields = ("client__name", "asked_by", "psa_id")


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
