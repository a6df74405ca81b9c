"""What all admin pages share: for the vendor's staff, every partner's rows, nothing counted, logs only to be read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator

from portal.models import Partner
from portal.tenancy import TenantModel

MOST_PARTNERS = 50


class PartnerFilter(admin.SimpleListFilter):
    """The first fifty partners by name, and the one that is picked; of more, search by the partner's name."""

    title = "partner"
    parameter_name = "partner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = list(Partner.objects.order_by("name").values_list("pk", "name")[:MOST_PARTNERS])
        return [(str(key), name) for key, name in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(partner_id=self.value()) if self.value() else queryset


class PortalAdmin(ModelAdmin):
    """Pickers search instead of listing everything; lists are not counted in full."""

    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Every relation to a model whose admin can be searched."""
        return [field.name for field in self.model._meta.get_fields() if self.can_be_searched(field)]

    def can_be_searched(self, field: Any) -> bool:
        if not isinstance(field, models.ForeignKey):
            return False
        other = self.admin_site._registry.get(field.related_model)
        return bool(other is not None and other.search_fields)


class ReadOnlyAdmin(PortalAdmin):
    """Rows that the portal writes: to be looked at and searched, never changed by hand."""

    paginator = InfinitePaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OneTenantForm(forms.ModelForm):
    """Refuses rows that mix partners: whatever a row points to belongs to the row's own partner."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        partner = data.get("partner") or getattr(self.instance, "partner", None)
        for name, value in list(data.items()):
            if isinstance(value, TenantModel) and partner is not None and value.partner_id != partner.pk:
                self.add_error(name, ValidationError(f"This belongs to another partner than {partner}."))
        return data


class Tenant:
    """The partner as column, filter and search, in front of what a page names itself."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = list(super().get_list_display(request))  # type: ignore[misc]
        return shown if "partner" in shown else [*shown, "partner"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [PartnerFilter, *super().get_list_filter(request)]  # type: ignore[misc]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        own = list(super().get_search_fields(request))  # type: ignore[misc]
        return [*own, "partner__name"] if own else own

    def get_list_select_related(self, request: HttpRequest) -> list[str]:
        """Whatever relation a column shows, and the partner."""
        named = [
            name
            for name in self.get_list_display(request)
            if isinstance(name, str) and self.is_relation(name)
        ]
        own = super().get_list_select_related(request)  # type: ignore[misc]
        return sorted({"partner", *named, *(own if isinstance(own, list | tuple) else ())})

    def is_relation(self, name: str) -> bool:
        try:
            return isinstance(self.model._meta.get_field(name), models.ForeignKey)  # type: ignore[attr-defined]
        except FieldDoesNotExist:
            return False


class TenantAdmin(Tenant, PortalAdmin):
    """Partners' rows that staff may change."""

    form = OneTenantForm


class TenantLogAdmin(Tenant, ReadOnlyAdmin):
    """Partners' rows that nobody changes by hand."""


class TenantInline(TabularInline):
    """Rows below a row."""

    extra = 0
    show_change_link = True
