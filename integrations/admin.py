"""Admin of this room: connections and their lanes, what PSAs offer, and the event log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from integrations import doctor, eventlog, lanes, reloading
from integrations.models import (
    BulkReprocess,
    CallBudget,
    CatchAllCompany,
    Choice,
    ChoiceList,
    CompanyLink,
    CompanySuggestion,
    Credentials,
    Delivery,
    Event,
    Following,
    HostedTab,
    InboundMessage,
    Lane,
    Reload,
    SavedSearch,
    Status,
    TabTicket,
)
from integrations.models.connections import Kind
from portal.tenantadmin import TenantInline, TenantLogAdmin


@admin.register(Credentials)
class CredentialsAdmin(TenantLogAdmin):
    """Secrets are not even read here. Changes go through the portal's page, which normalises and checks them."""

    list_display = ("__str__", "site_url", "login_company", "secret_fingerprint", "test_passed", "tested_at")
    list_filter = ("kind", "test_passed")
    list_select_related = ("organization", "client")
    search_fields = ("site_url", "login_company", "public_key", "organization__name", "client__name")
    fields = (
        "partner",
        "organization",
        "client",
        "kind",
        "site_url",
        "login_company",
        "public_key",
        "secret_fingerprint",
        "secret_set_at",
        "secret_set_by",
        "version",
        "updated_at",
        "tested_at",
        "test_passed",
        "also_used",
        "test_lines",
        "change_it",
    )
    actions = ("test_it", "reload_options")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("secret")

    @admin.display(description="Change")
    def change_it(self, row: Credentials) -> str:
        level = "client" if row.client_id else "organization"
        url = reverse("credentials_of", args=[level, row.client_id or row.organization_id])
        return format_html('<a href="{}">Open in the portal</a>', url)

    @admin.display(description="Test report")
    def test_lines(self, row: Credentials) -> str:
        if row.kind == Kind.NONE or not row.test_report:
            return "–"
        lines = format_html_join(
            "", "<li>{}: <strong>{}</strong> {}</li>", doctor.lines_in_short(doctor.report_of(row))
        )
        url = reverse("work_order", args=[row.pk])
        return format_html('<ul>{}</ul><a href="{}">Work order</a>', lines, url)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("integrations.change_credentials"))

    @admin.action(description="Test It", permissions=["operate"])
    def test_it(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset.exclude(kind=Kind.NONE))
        for row in rows:
            doctor.ask(row)
        self.message_user(request, f"{len(rows)} connections are being tested; reload to see the verdicts.")

    @admin.action(description="Reload Options from PSA", permissions=["operate"])
    def reload_options(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset.exclude(kind=Kind.NONE))
        for row in rows:
            reloading.ask(row, by=request.user)  # type: ignore[arg-type]
        self.message_user(request, f"The options of {len(rows)} connections are being read.")


@admin.register(Lane)
class LaneAdmin(TenantLogAdmin):
    """Pausing, resuming and limits; everything else the dispatcher writes."""

    list_display = (
        "credentials",
        "is_paused",
        "breaker",
        "open_until",
        "failures",
        "last_success_at",
        "oldest_due",
        "holder",
    )
    list_filter = ("is_paused", "breaker")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("credentials__site_url", "credentials__login_company")
    exclude = ("facts",)
    limits = ("calls_per_minute", "concurrency")
    actions = ("pause", "resume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        waiting = Delivery.objects.filter(lane=OuterRef("pk"), status=Status.WAITING).order_by("due_at")
        rows = super().get_queryset(request).annotate(oldest=Subquery(waiting.values("due_at")[:1]))
        return rows.defer("credentials__secret")

    @admin.display(description="oldest waiting since", ordering="oldest")
    def oldest_due(self, row: Any) -> Any:
        return row.oldest

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("integrations.change_lane"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in Lane._meta.fields if field.name not in self.limits]

    def save_model(self, request: HttpRequest, obj: Lane, form: Any, change: bool) -> None:
        """Only the limits: the dispatcher may have moved the rest meanwhile."""
        obj.save(update_fields=self.limits)

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.message_user(
            request, f"{queryset.update(is_paused=True)} lanes are paused; their deliveries wait."
        )

    @admin.action(
        description="Resume: unpause, shut the breaker, everything is due now", permissions=["operate"]
    )
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset)
        queryset.update(is_paused=False)
        for lane in rows:
            lanes.resume(lane)
        self.message_user(request, f"{len(rows)} lanes are open again.")


@admin.register(TabTicket)
class TabTicketAdmin(TenantLogAdmin):
    """Views of tabs that may be asked for once more."""

    list_display = ("__str__", "until")
    search_fields = ("=tab__id",)
    fields = ("partner", "until")


@admin.register(HostedTab)
class HostedTabAdmin(TenantLogAdmin):
    """Tabs inside PSAs. Their secrets are not even read here."""

    list_display = ("credentials", "is_enabled", "registration", "mappers", "shown_at")
    list_filter = ("is_enabled", "registration", "mappers")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("credentials__site_url", "credentials__login_company", "problem")
    exclude = ("secret", "token_digest")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("secret", "credentials__secret")


@admin.register(Following)
class FollowingAdmin(TenantLogAdmin):
    """Who follows the tickets of which PSA, and calls that were refused. Secrets are not even read here."""

    list_display = (
        "credentials",
        "is_enabled",
        "registration",
        "callback_at",
        "refused",
        "polled_at",
        "found_by_callback",
        "found_by_poll",
    )
    list_filter = ("is_enabled", "registration")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("credentials__site_url", "credentials__login_company", "problem")
    exclude = ("secret", "signing_keys", "token_digest")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("secret", "signing_keys", "credentials__secret")


@admin.register(InboundMessage)
class InboundMessageAdmin(TenantLogAdmin):
    list_display = ("received_at", "record", "record_id", "action", "status", "outcome")
    list_filter = ("status", "action")
    search_fields = ("=record_id", "outcome")
    ordering = ("-pk",)


@admin.register(CallBudget)
class CallBudgetAdmin(TenantLogAdmin):
    """How much of an Autotask's hour is used, and since when whoever reads beside the lane."""

    list_display = ("account", "kind", "used", "most", "seat_until")
    list_filter = ("kind",)
    search_fields = ("account",)


@admin.register(Choice)
class ChoiceAdmin(TenantLogAdmin):
    list_display = ("name", "kind", "within", "psa_id", "changed_at", "vanished_at")
    list_filter = ("kind",)
    search_fields = ("name", "=psa_id")


@admin.register(ChoiceList)
class ChoiceListAdmin(TenantLogAdmin):
    list_display = ("credentials", "kind", "within", "read_at", "full_at", "is_doubted", "trouble")
    list_filter = ("kind", "is_doubted")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("=within", "trouble")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("credentials__secret")


@admin.register(Reload)
class ReloadAdmin(TenantLogAdmin):
    list_display = ("asked_at", "credentials", "mode", "state", "read", "calls", "finished_at", "error_text")
    list_display_links = ("asked_at",)
    list_filter = ("state", "mode")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("error_text", "asked_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("diff", "credentials__secret")


@admin.register(CompanyLink)
class CompanyLinkAdmin(TenantLogAdmin):
    """Mapped in the portal, under Company Mapping and on the client's page."""

    list_display = ("client", "psa_company_name", "psa_company_id", "linked_at", "linked_by", "origin")
    list_filter = ("origin",)
    search_fields = ("client__name", "psa_company_name", "=psa_company_id", "linked_by")


@admin.register(CompanySuggestion)
class CompanySuggestionAdmin(TenantLogAdmin):
    """Made by the portal; accepted there by a person, or not at all."""

    list_display = ("client", "psa_company_name", "score", "reason", "is_clear", "made_at")
    list_filter = ("is_clear",)
    search_fields = ("client__name", "psa_company_name", "=psa_company_id")


@admin.register(CatchAllCompany)
class CatchAllCompanyAdmin(TenantLogAdmin):
    """Chosen in the portal, under Company Mapping."""

    list_display = ("psa_company_name", "psa_company_id", "credentials", "chosen_at", "chosen_by")
    list_select_related = ("credentials__organization", "credentials__client")
    search_fields = ("psa_company_name", "=psa_company_id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("credentials__secret")


class DeliveryInline(TenantInline):
    model = Delivery
    fields = ("action", "status", "reason", "attempts", "outcome", "error_text")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("plan", "exchanges")


class Reprocessing:
    """The action "Reprocess selected" for whatever leads to deliveries."""

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("integrations.change_delivery"))

    def deliveries_of(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset

    @admin.action(description="Reprocess selected", permissions=["reprocess"])
    def reprocess(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = eventlog.reprocess(self.deliveries_of(queryset))
        text = "1 delivery will be tried again." if count == 1 else f"{count} deliveries will be tried again."
        self.message_user(request, text)  # type: ignore[attr-defined]


@admin.register(Event)
class EventAdmin(Reprocessing, TenantLogAdmin):
    list_display = ("received_at", "severity", "type", "__str__", "client", "state", "source")
    list_display_links = ("__str__",)
    list_filter = ("severity", "state")
    search_fields = ("summary", "type", "source_id", "client__name", "client_reference")
    ordering = ("-pk",)  # grows with time, and is the one index that knows no partner
    inlines = (DeliveryInline,)
    actions = ("reprocess",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("details", "data", "trace")

    def deliveries_of(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return Delivery.objects.filter(event__in=queryset.values("pk"))


@admin.register(Delivery)
class DeliveryAdmin(Reprocessing, TenantLogAdmin):
    list_display = (
        "created_at",
        "action",
        "status",
        "reason",
        "client",
        "outcome_in_short",
        "attempts",
        "due_at",
    )
    list_display_links = ("created_at",)
    list_filter = ("status", "action", "error_kind")
    search_fields = ("client__name", "error_text", "outcome", "subject")
    ordering = ("-pk",)
    actions = ("reprocess",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("plan", "exchanges")

    @admin.display(description="Outcome")
    def outcome_in_short(self, row: Delivery) -> str:
        return (row.error_text or row.outcome)[:120]


@admin.register(SavedSearch)
class SavedSearchAdmin(TenantLogAdmin):
    """Who keeps which search of the event log."""

    list_display = ("name", "owner", "is_shared", "created_at")
    list_filter = ("is_shared",)
    search_fields = ("name", "owner__email")


@admin.register(BulkReprocess)
class BulkReprocessAdmin(TenantLogAdmin):
    """Reprocessing of all that a search found: who asked for it, and what came of it."""

    list_display = ("__str__", "state", "events", "asked_by", "finished_at")
    list_filter = ("state", "is_dry_run")
    search_fields = ("asked_by",)
