"""Admin of this room: services, cross-references, agreements, usage and what was pushed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing import hands
from billing.adminactions import ClientActions, QuestionActions, RunActions
from billing.models import (
    AgreementLink,
    AgreementReading,
    BackupStatistics,
    BilledLine,
    BillingMonth,
    BillingSettings,
    CrossReference,
    EvidencePack,
    MonthNumbers,
    PackLink,
    PushBatch,
    PushDay,
    PushItem,
    PushRun,
    Question,
    ReadingOrder,
    ReferenceRun,
    ReportRun,
    ReportSetup,
    ReportTick,
    ReportWindow,
    Service,
    SettingsHand,
    SynchronizeOrder,
    SynchronizeWindow,
    Usage,
)
from portal import clock
from portal.tenantadmin import PortalAdmin, TenantAdmin, TenantInline, TenantLogAdmin


class Signed:
    """Who changed a row is noted: four eyes count on that."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.updated_by, obj.updated_at = request.user, clock.now()
        super().save_model(request, obj, form, change)  # type: ignore[misc]
        hands.note([obj], request.user)  # type: ignore[arg-type]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        hands.note([obj], request.user)  # type: ignore[arg-type]
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        hands.note(queryset, request.user)  # type: ignore[arg-type]
        super().delete_queryset(request, queryset)  # type: ignore[misc]


@admin.register(Service)
class ServiceAdmin(PortalAdmin):
    list_display = (
        "name",
        "key",
        "unit",
        "aggregation",
        "rounding",
        "step",
        "billed_by_default",
        "is_yes_no",
    )
    list_filter = ("aggregation", "billed_by_default")
    search_fields = ("name", "key")


@admin.register(CrossReference)
class CrossReferenceAdmin(Signed, TenantAdmin):
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


@admin.register(SettingsHand)
class SettingsHandAdmin(TenantLogAdmin):
    list_display = ("person", "service", "level_id", "changed_at")
    search_fields = ("person__email", "service")


@admin.register(AgreementLink)
class AgreementLinkAdmin(ClientActions, Signed, TenantAdmin):
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
class SynchronizeWindowAdmin(ClientActions, TenantLogAdmin):
    list_display = ("client", "last_success_at", "next_at")
    search_fields = ("client__name",)


@admin.register(SynchronizeOrder)
class SynchronizeOrderAdmin(TenantLogAdmin):
    list_display = ("delivery", "asked_by", "batch", "is_narrow")
    list_select_related = ("delivery__client",)
    search_fields = ("delivery__client__name",)


class PushItemInline(TenantInline):
    model = PushItem
    fields = ("service", "state", "line_id", "before", "after", "text")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PushRun)
class PushRunAdmin(RunActions, TenantLogAdmin):
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


@admin.register(ReferenceRun)
class ReferenceRunAdmin(TenantLogAdmin):
    list_display = ("asked_at", "credentials", "asked_as", "state", "error_text", "finished_at")
    list_filter = ("state",)
    search_fields = ("credentials__public_key", "asked_as")


@admin.register(ReportSetup)
class ReportSetupAdmin(TenantLogAdmin):
    list_display = ("credentials", "asked_at", "verified_at", "error_text")
    search_fields = ("credentials__public_key",)


@admin.register(ReportTick)
class ReportTickAdmin(TenantLogAdmin):
    list_display = ("line", "credentials", "ticked_as", "ticked_at")
    search_fields = ("line", "ticked_as")


@admin.register(BillingSettings)
class BillingSettingsAdmin(TenantLogAdmin):
    """Changed on the Billing Settings pages, which note who did: four eyes count on that."""

    list_display = (
        "organization",
        "client",
        "schedule",
        "is_enabled",
        "four_eyes",
        "updated_by",
        "updated_at",
    )
    search_fields = ("organization__name", "client__name")


@admin.register(PushDay)
class PushDayAdmin(TenantLogAdmin):
    list_display = ("client", "due_on", "asked_at")
    search_fields = ("client__name",)


@admin.register(PushBatch)
class PushBatchAdmin(TenantLogAdmin):
    list_display = ("asked_at", "cause", "asked_by", "undoes")
    list_display_links = ("asked_at",)
    search_fields = ("cause",)


@admin.register(Question)
class QuestionAdmin(QuestionActions, TenantLogAdmin):
    list_display = ("asked_at", "client", "service", "kind", "current", "proposed", "answer", "answered_as")
    list_display_links = ("asked_at",)
    list_filter = ("kind", "answer")
    search_fields = ("client__name", "service__name")


@admin.register(BilledLine)
class BilledLineAdmin(TenantLogAdmin):
    list_display = ("client", "service", "agreement_id", "line_id", "quantity", "known_at")
    search_fields = ("client__name", "service__name", "=line_id")


@admin.register(BillingMonth)
class BillingMonthAdmin(TenantLogAdmin):
    list_display = ("month", "calculated_at", "closed_at", "closed_as", "digest")


@admin.register(MonthNumbers)
class MonthNumbersAdmin(TenantLogAdmin):
    list_display = (
        "month",
        "client",
        "service",
        "measured",
        "billable",
        "pushed",
        "in_agreement",
        "invoiced",
        "kinds",
    )
    list_filter = ("differs", "service")
    search_fields = ("client__name", "=line_id")


@admin.register(AgreementReading)
class AgreementReadingAdmin(TenantLogAdmin):
    list_display = ("month", "agreement_id", "credentials", "read_at", "trouble")
    list_display_links = ("agreement_id",)
    search_fields = ("=agreement_id",)


@admin.register(ReadingOrder)
class ReadingOrderAdmin(TenantLogAdmin):
    list_display = ("asked_at", "month", "asked_as", "total", "done", "failed", "finished_at")
    list_display_links = ("asked_at",)


@admin.register(EvidencePack)
class EvidencePackAdmin(TenantLogAdmin):
    list_display = ("month", "client", "digest", "closed_at")
    search_fields = ("client__name", "=digest")


@admin.register(PackLink)
class PackLinkAdmin(TenantLogAdmin):
    list_display = ("pack", "made_as", "made_at", "expires_at", "revoked_at", "opened")
    list_select_related = ("pack__client",)
    search_fields = ("pack__client__name", "made_as")
