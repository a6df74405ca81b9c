"""Admin of filters, windows, noise, webhooks and expectations.

What staff may change goes through the same operations as the portal's pages; the rest is only to be looked at.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from alerts import filters, noisesettings, windows
from alerts.models import (
    DropFilter,
    Expectation,
    GroupLead,
    Hold,
    MailSettings,
    MaintenanceWindow,
    NoiseSettings,
    NotificationVersion,
    Storm,
    Suppression,
    Swings,
    WebhookEndpoint,
)
from portal.tenantadmin import OneTenantForm, TenantAdmin, TenantLogAdmin


class DropFilterForm(OneTenantForm):
    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors:
            filters.refuse(entered_of(filters.Entered, data))
        return data


class WindowForm(OneTenantForm):
    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors:
            windows.refuse(entered_of(windows.Entered, data))
        return data


class NoiseForm(OneTenantForm):
    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors:
            noisesettings.refuse(data["partner"], data)
        return data


def entered_of(kind: type[Any], data: dict[str, Any]) -> Any:
    """What a form says, as an operation takes it."""
    return kind(**{field.name: data[field.name] for field in fields(kind) if field.name in data})


def keep(obj: Any, saved: Any) -> None:
    """The admin goes on with the row that the operation stored."""
    obj.__dict__.update({name: value for name, value in saved.__dict__.items() if name != "_state"})
    obj._state.adding = False


@admin.register(DropFilter)
class DropFilterAdmin(TenantAdmin):
    form = DropFilterForm
    list_display = ("name", "phrases", "is_enabled", "expires_at", "dropped", "matched_at")
    list_filter = ("is_enabled",)
    search_fields = ("name", "reason")

    def save_model(self, request: HttpRequest, obj: DropFilter, form: Any, change: bool) -> None:
        entered = entered_of(filters.Entered, form.cleaned_data)
        by = request.user.get_username()
        keep(obj, filters.save_filter(obj.partner, entered, by=by, current=obj if change else None))


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(TenantAdmin):
    form = WindowForm
    list_display = ("name", "repeats", "first_on", "starts_at", "ends_at", "last_on", "held")
    list_filter = ("repeats",)
    search_fields = ("name", "reason")

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        entered = entered_of(windows.Entered, form.cleaned_data)
        by = request.user.get_username()
        keep(obj, windows.save_window(obj.partner, entered, by=by, current=obj if change else None))

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        windows.delete_window(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            windows.delete_window(row)


@admin.register(NoiseSettings)
class NoiseSettingsAdmin(TenantAdmin):
    form = NoiseForm
    list_display = ("partner", "flap_changes", "storm_client_tickets", "storm_partner_tickets", "updated_at")
    search_fields = ("partner__name",)

    def save_model(self, request: HttpRequest, obj: NoiseSettings, form: Any, change: bool) -> None:
        keep(obj, noisesettings.save_noise(obj.partner, form.cleaned_data))


@admin.register(NotificationVersion)
class NotificationVersionAdmin(TenantLogAdmin):
    list_display = ("__str__", "version", "saved_at", "saved_by")


@admin.register(Hold)
class HoldAdmin(TenantLogAdmin):
    list_display = ("condition", "kind", "text", "since", "until", "events")
    list_filter = ("kind",)
    search_fields = ("text",)


@admin.register(Storm)
class StormAdmin(TenantLogAdmin):
    list_display = ("__str__", "client", "home", "held", "began_at", "last_at", "ended_at")


@admin.register(Suppression)
class SuppressionAdmin(TenantLogAdmin):
    list_display = ("at", "kind", "rule_name", "event")
    list_filter = ("kind",)


@admin.register(GroupLead)
class GroupLeadAdmin(TenantLogAdmin):
    list_display = ("client", "value", "condition")


@admin.register(Swings)
class SwingsAdmin(TenantLogAdmin):
    list_display = ("condition", "__str__")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(TenantLogAdmin):
    """Made and changed in the portal, which shows the secret once."""

    list_display = ("name", "url", "is_enabled", "failures", "open_until", "last_success_at")
    fields = ("partner", "name", "url", "is_enabled", "secret_hint", "failures", "open_until", "trouble")
    search_fields = ("name", "url")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("secret")


@admin.register(MailSettings)
class MailSettingsAdmin(TenantLogAdmin):
    """Changed in the portal, which keeps the notifications in step."""

    list_display = ("partner", "address", "external_address", "updated_at")


@admin.register(Expectation)
class ExpectationAdmin(TenantLogAdmin):
    list_display = ("client", "account", "event_type", "every_hours", "is_set", "seen_at", "missing")
    list_filter = ("missing", "is_set", "is_enabled")
    search_fields = ("client__name",)
