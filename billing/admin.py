"""Admin of this room: services, cross-references, agreements, usage and what was pushed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.models import (
    AgreementLink,
    BackupStatistics,
    CrossReference,
    PushItem,
    PushRun,
    ReportRun,
    ReportSetup,
    ReportWindow,
    Service,
    SynchronizeWindow,
    Usage,
)
from portal.tenantadmin import PortalAdmin, TenantAdmin, TenantInline, TenantLogAdmin


@admin.register(Service)
class ServiceAdmin(PortalAdmin):
    list_display = ("name", "key", "unit", "aggregation", "rounding", "billed_by_default")
    list_filter = ("aggregation", "billed_by_default")
    search_fields = ("name", "key")


@admin.register(CrossReference)
class CrossReferenceAdmin(TenantAdmin):
    list_display = (
        "service",
        "product",
        "organization",
        "client",
        "is_billed",
        "level",
        "type",
        "configuration_type",
    )
    list_filter = ("is_billed", "service")
    search_fields = ("service__name", "product__name", "client__name", "organization__name")


@admin.register(AgreementLink)
class AgreementLinkAdmin(TenantAdmin):
    list_display = ("client", "agreement", "service", "creates_lines")
    search_fields = ("client__name", "agreement__name")


@admin.register(Usage)
class UsageAdmin(TenantLogAdmin):
    list_display = (
        "measured_on",
        "client",
        "account",
        "service",
        "quantity",
        "is_current",
        "source",
        "recorded_at",
    )
    list_filter = ("is_current", "service")
    search_fields = ("client__name", "account__key")


@admin.register(SynchronizeWindow)
class SynchronizeWindowAdmin(TenantLogAdmin):
    list_display = ("client", "last_success_at", "next_at")
    search_fields = ("client__name",)


class PushItemInline(TenantInline):
    model = PushItem
    fields = ("service", "state", "line_id", "before", "after", "text")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PushRun)
class PushRunAdmin(TenantLogAdmin):
    list_display = ("started_at", "client", "agreement_name", "state", "finished_at")
    list_display_links = ("started_at",)
    list_filter = ("state",)
    search_fields = ("client__name", "agreement_name")
    inlines = (PushItemInline,)


@admin.register(PushItem)
class PushItemAdmin(TenantLogAdmin):
    list_display = ("run", "service", "state", "line_id", "text")
    list_select_related = ("run__client",)
    list_filter = ("state",)
    search_fields = ("run__client__name", "service__name", "=line_id")


@admin.register(BackupStatistics)
class BackupStatisticsAdmin(TenantLogAdmin):
    list_display = (
        "measured_on",
        "client",
        "account",
        "successful_jobs",
        "failed_jobs",
        "is_protected",
        "device_kind",
        "used_gb",
        "is_current",
        "recorded_at",
    )
    list_filter = ("is_current", "device_kind")
    search_fields = ("client__name", "account__key", "=serial_number")


@admin.register(ReportWindow)
class ReportWindowAdmin(TenantLogAdmin):
    list_display = ("client", "last_success_at", "next_at")
    search_fields = ("client__name",)


@admin.register(ReportRun)
class ReportRunAdmin(TenantLogAdmin):
    list_display = ("started_at", "client", "month", "state", "broken", "finished_at")
    list_filter = ("state",)
    search_fields = ("client__name",)


@admin.register(ReportSetup)
class ReportSetupAdmin(TenantLogAdmin):
    list_display = ("credentials", "asked_at", "verified_at", "error_text")
    search_fields = ("credentials__public_key",)
